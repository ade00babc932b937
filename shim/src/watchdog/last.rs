//! The end of a process whose last thread is the watchdog.
//!
//! A program may end its threads one by one, without exit_group: with the system call exit, or because a
//! filter ends a thread. Since Linux 5.18 the status of such a process is that of the thread that ends last,
//! which without the shim is a thread of the program.

use hangscope_reader::task::exit_code;

use super::state::Watchdog;
use crate::arena::Work;
use crate::sys;

impl Watchdog {
    /// The status (wait(2)) of the program's last thread; 0 if it is not known.
    ///
    /// The kernel keeps only what the first thread has ended with. If that one had ended before and another
    /// was the last, this is 0: what a thread of libc ends with.
    pub(super) fn status_of_last(&self, work: &mut Work) -> i32 {
        if !self.first_lived {
            return 0;
        }
        let Ok(stat) = self.tasks.read(self.tasks.pid, "stat", &mut work.text) else { return 0 };
        exit_code(stat).unwrap_or(0)
    }

    /// Notes whether the first thread lives, while others do.
    pub(super) fn see_first(&mut self, work: &mut Work) {
        self.first_lived = self.tasks.is_alive(self.tasks.pid, &mut work.text);
    }
}

/// Ends this thread as one of the program's has ended: with a status of wait(2).
pub(super) fn end_with(status: i32) -> ! {
    let signal = status as u32 & 0x7f;
    if signal != 0 {
        sys::end_by_signal(signal);
    }
    sys::exit_thread((status >> 8) as u8)
}
