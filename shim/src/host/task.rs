//! `/proc/self/task`: the threads, and what the kernel says of each.

use core::mem::MaybeUninit;

use hangscope_protocol::record::{
    HeartbeatThread, SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, thread_flags,
};
use hangscope_reader::status::Status;
use hangscope_reader::task::{Blocked, Stat, Syscall, resident_pages};
use hangscope_reader::text::{decimal, padded};
use hangscope_reader::thread;

use super::futex;
use crate::sys::{self, Errno, OwnedFd, Resident};
use crate::text::Text;

/// The directory of the process's threads, kept open.
pub(crate) struct Tasks {
    dir: OwnedFd,
    /// The process, as /proc names it.
    pub(crate) pid: u32,
    /// The watchdog, as /proc names it.
    pub(crate) own: u32,
    /// /proc was mounted for another PID namespace: its ids are not those of `getpid` and `gettid`.
    pub(crate) other_ids: bool,
    /// Start of the process in clock ticks since boot, as `/proc/PID/stat` has it; 0 if it cannot be read.
    pub(crate) start_ticks: u64,
    ns_per_tick: u64,
    /// Memory of the process.
    pub(crate) memory: Resident,
}

impl Tasks {
    /// Opens the directory. `pid` and `own` are the process and the watchdog as `getpid` and `gettid` have
    /// them. Every list leaves out the watchdog.
    pub(crate) fn open(pid: u32, own: u32, clk_tck: u32) -> Result<Tasks, Errno> {
        let dir = sys::open_dir(c"/proc/self/task")?;
        let ns_per_tick = 1_000_000_000 / u64::from(clk_tck.max(1));
        let mut link = [0; 64];
        let names = sys::read_link(c"/proc/thread-self", &mut link).ok().and_then(names);
        let (named_pid, named_own) = names.unwrap_or((pid, own));
        let other_ids = (named_pid, named_own) != (pid, own);
        let mut tasks = Tasks {
            dir,
            pid: named_pid,
            own: named_own,
            other_ids,
            start_ticks: 0,
            ns_per_tick,
            memory: Resident::open(),
        };
        tasks.start_ticks = tasks.stat(named_pid, &mut [0; 1024]).map_or(0, |stat| stat.start_ticks);
        Ok(tasks)
    }

    /// Lists the threads into `tids`. Gives how many there are, which may be more than fit.
    pub(crate) fn list(&self, entries: &mut [MaybeUninit<u8>], tids: &mut [u32]) -> Result<usize, Errno> {
        let mut count = 0;
        sys::entries(&self.dir, entries, |name| {
            if let Some(tid) = decimal(name).map(|t| t as u32).filter(|t| *t != self.own) {
                if let Some(slot) = tids.get_mut(count) {
                    *slot = tid;
                }
                count += 1;
            }
        })?;
        Ok(count)
    }

    /// Reads a file of a thread into `text`.
    pub(crate) fn read<'a>(&self, tid: u32, file: &str, text: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        let mut path = Text::<32>::EMPTY;
        path.push_number(u64::from(tid));
        path.push(b"/");
        path.push(file.as_bytes());
        let file = sys::open_at(&self.dir, path.as_cstr().ok_or(Errno::INVAL)?)?;
        let n = sys::read(&file, text)?;
        Ok(text.get(..n).unwrap_or(&[]))
    }

    pub(crate) fn stat<'a>(&self, tid: u32, text: &'a mut [u8]) -> Result<Stat<'a>, Errno> {
        Stat::parse(self.read(tid, "stat", text)?).ok_or(Errno::INVAL)
    }

    /// Whether a thread is there and has not ended.
    pub(crate) fn is_alive(&self, tid: u32, text: &mut [u8]) -> bool {
        self.stat(tid, text).is_ok_and(|stat| !stat.has_ended())
    }

    /// Whether the process has no thread with this id, or only one that has ended.
    pub(crate) fn is_no_thread(&self, tid: u32, text: &mut [u8]) -> bool {
        match self.stat(tid, text) {
            Ok(stat) => stat.has_ended(),
            Err(errno) => matches!(errno, Errno::NOENT | Errno::SRCH),
        }
    }

    /// Parses `syscall` of a thread.
    pub(crate) fn call(&self, tid: u32, text: &mut [u8]) -> Result<Syscall, Errno> {
        Syscall::parse(self.read(tid, "syscall", text)?).ok_or(Errno::INVAL)
    }

    pub(crate) fn status<'a>(&self, tid: u32, text: &'a mut [u8]) -> Result<Status<'a>, Errno> {
        self.read(tid, "status", text).map(Status)
    }

    /// What a heartbeat says of a thread; none if the thread has ended.
    pub(crate) fn heartbeat(&self, tid: u32, text: &mut [u8]) -> Option<HeartbeatThread> {
        let stat = self.stat(tid, text).ok()?;
        let (state, cpu, comm) = (stat.state, stat.processor, padded(stat.comm));
        let cpu_ns = stat.cpu_ticks().saturating_mul(self.ns_per_tick);
        let (syscall, at) = match self.call(tid, text) {
            Ok(Syscall::Blocked(at)) => (at.number, at),
            Ok(Syscall::Running) => (SYSCALL_RUNNING, Blocked::default()),
            Err(_) => (SYSCALL_UNREADABLE, Blocked::default()),
        };
        let [arg0, arg1, ..] = at.args;
        Some(HeartbeatThread {
            tid,
            state,
            reserved: 0,
            cpu,
            syscall,
            arg1: arg1 as u32,
            arg0,
            sp: at.sp,
            pc: at.pc,
            cpu_ns,
            comm,
        })
    }

    /// What a dump says of a thread. A file that cannot be read leaves its errno. A thread that has ended
    /// has state 0.
    pub(crate) fn thread(&self, tid: u32, look: u8, text: &mut [u8]) -> ThreadRecord {
        let mut t = thread::look(tid, look, self.ns_per_tick, &mut Files { tasks: self, tid, text });
        if tid == self.pid {
            t.flags |= thread_flags::MAIN;
        }
        if futex::is_wait(t.syscall) {
            thread::read_near(&mut t, &self.memory, |e| e.raw_os_error() as u8);
        }
        t
    }

    /// Resident set of the process, KiB.
    pub(crate) fn rss_kib(&self, page_size: u32, text: &mut [u8]) -> u64 {
        let Ok(file) = sys::open_read(c"/proc/thread-self/statm") else { return 0 };
        let n = sys::read(&file, text).unwrap_or(0);
        let pages = resident_pages(text.get(..n).unwrap_or(&[])).unwrap_or(0);
        pages.saturating_mul(u64::from(page_size)) / 1024
    }
}

/// Process and thread from the link `/proc/thread-self`: `PID/task/TID`.
fn names(link: &[u8]) -> Option<(u32, u32)> {
    let mut parts = link.split(|b| *b == b'/');
    let (pid, tid) = (parts.next()?, parts.nth(1)?);
    Some((decimal(pid)? as u32, decimal(tid)? as u32))
}

struct Files<'a> {
    tasks: &'a Tasks,
    tid: u32,
    text: &'a mut [u8],
}

impl thread::Files for Files<'_> {
    fn read(&mut self, name: &str) -> Result<&[u8], u8> {
        self.tasks.read(self.tid, name, self.text).map_err(|e| e.raw_os_error() as u8)
    }
}
