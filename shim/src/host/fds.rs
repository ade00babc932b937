//! What is behind the descriptors that threads wait on: a pipe, a socket, an epoll.

use hangscope_protocol::record::{FdRecord, ThreadRecord};

use crate::arch;
use crate::sys;
use crate::text::Text;

/// Descriptors that threads wait on, each once, with the first thread that waits on it.
pub(crate) struct Fds {
    items: [(i32, u32); 64],
    len: usize,
}

impl Default for Fds {
    fn default() -> Self {
        Fds { items: [(0, 0); 64], len: 0 }
    }
}

impl Fds {
    pub(crate) fn remember(&mut self, thread: &ThreadRecord) {
        let fd = thread.args[0] as i32;
        if !arch::WAITS_ON_FD.contains(&i64::from(thread.syscall))
            || self.items.iter().take(self.len).any(|f| f.0 == fd)
        {
            return;
        }
        if let Some(item) = self.items.get_mut(self.len) {
            *item = (fd, thread.tid);
            self.len += 1;
        }
    }

    /// Gives each descriptor with the target of its link. The link is read in the thread's own directory:
    /// `/proc/self/fd` is that of the first thread, which may be gone.
    pub(crate) fn each(&self, buffer: &mut [u8], mut each: impl FnMut(&FdRecord, &[u8])) {
        for (fd, tid) in self.items.iter().take(self.len) {
            let mut path = Text::<64>::EMPTY;
            path.push(b"/proc/self/task/");
            path.push_number(u64::from(*tid));
            path.push(b"/fd/");
            path.push_number(*fd as u32 as u64);
            let Some(path) = path.as_cstr() else { continue };
            let target = sys::read_link(path, buffer);
            let record = FdRecord { fd: *fd, errno: sys::errno(&target) };
            each(&record, target.unwrap_or(&[]));
        }
    }
}
