//! What each thread waits for: from the call, its arguments, the memory around a futex word, and the frames.
//!
//! - [`futex`]: futex waits by operation, word and surroundings
//! - [`names`]: the same by the functions on the stack
//! - [`what`]: the words for it

pub(crate) mod futex;
pub(crate) mod names;
#[cfg(test)]
mod tests;
pub(crate) mod what;

use std::collections::BTreeSet;

use hangscope_protocol::record::{SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord};

use crate::session::Dump;
use crate::session::arch::{Arch, Call, First};
use crate::session::trace::Frame;
use crate::text::message::{Say as _, Text, say};
use what::What;

/// What kind of thing a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum WaitKind {
    /// pthread mutex.
    Mutex(MutexKind),
    /// pthread_join.
    Join,
    /// Condition variable.
    Condition,
    /// Barrier.
    Barrier,
    /// Semaphore.
    Semaphore,
    /// Read-write lock.
    RwLock,
    /// pthread_once, call_once.
    Once,
    /// A lock of Rust's standard library (or parking_lot).
    RustLock,
    /// A lock that is a bare futex word of 0, 1, 2 and keeps no owner, as glibc has inside.
    LowLevelLock,
    /// A spin lock that goes to sleep after a while (absl, tcmalloc).
    SpinLock,
    /// A futex, not known of what.
    Futex,
    /// Another system call, by the word of its kind.
    Call(&'static str),
    /// Blocked outside a system call: a page fault.
    Fault,
    /// Blocked, and nothing says in what.
    Unknown,
}

/// Type of a pthread mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum MutexKind {
    /// PTHREAD_MUTEX_NORMAL.
    Normal,
    /// PTHREAD_MUTEX_RECURSIVE.
    Recursive,
    /// PTHREAD_MUTEX_ERRORCHECK.
    ErrorCheck,
    /// PTHREAD_MUTEX_ADAPTIVE_NP.
    Adaptive,
    /// PTHREAD_PRIO_INHERIT.
    PriorityInheriting,
    /// PTHREAD_MUTEX_ROBUST.
    Robust,
    /// Not known.
    Unknown,
}

impl MutexKind {
    /// By `__kind` of glibc (`sysdeps/nptl/pthreadP.h`): type in the low two bits, 16 robust, 32 inheriting.
    fn from_glibc(kind: u32) -> Self {
        match kind {
            kind if kind & 32 != 0 => MutexKind::PriorityInheriting,
            kind if kind & 16 != 0 => MutexKind::Robust,
            kind => match kind & 3 {
                0 => MutexKind::Normal,
                1 => MutexKind::Recursive,
                2 => MutexKind::ErrorCheck,
                _ => MutexKind::Adaptive,
            },
        }
    }

    /// The attribute's word; none if it is not known.
    pub(crate) fn as_str(self) -> Option<&'static str> {
        Some(match self {
            MutexKind::Normal => "normal",
            MutexKind::Recursive => "recursive",
            MutexKind::ErrorCheck => "errorcheck",
            MutexKind::Adaptive => "adaptive",
            MutexKind::PriorityInheriting => "priority-inheriting",
            MutexKind::Robust => "robust",
            MutexKind::Unknown => return None,
        })
    }
}

impl WaitKind {
    /// The word in `threads.json` and `verdict.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            WaitKind::Mutex(_) => "pthread-mutex",
            WaitKind::Join => "join",
            WaitKind::Condition => "condition",
            WaitKind::Barrier => "barrier",
            WaitKind::Semaphore => "semaphore",
            WaitKind::RwLock => "rwlock",
            WaitKind::Once => "once",
            WaitKind::RustLock => "rust-lock",
            WaitKind::LowLevelLock => "low-level-lock",
            WaitKind::SpinLock => "spin-lock",
            WaitKind::Futex => "futex",
            WaitKind::Call(kind) => kind,
            WaitKind::Fault => "page-fault",
            WaitKind::Unknown => "unknown",
        }
    }

    /// Whether one thread holds it at a time, and the others wait until it is let go.
    pub(crate) fn is_lock(self) -> bool {
        use WaitKind::{LowLevelLock, Mutex, Once, RustLock, RwLock, SpinLock};
        matches!(self, Mutex(_) | RwLock | Once | RustLock | LowLevelLock | SpinLock)
    }

    /// Whether somebody else has to signal, post or arrive.
    pub(crate) fn is_event(self) -> bool {
        matches!(self, WaitKind::Condition | WaitKind::Semaphore | WaitKind::Barrier)
    }
}

/// Who holds what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A thread of this process.
    Alive(u32),
    /// It was one, and is not any more.
    Gone(u32),
}

impl Owner {
    /// Its tid.
    pub(crate) fn tid(self) -> u32 {
        match self {
            Owner::Alive(tid) | Owner::Gone(tid) => tid,
        }
    }
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Who waits.
    pub(crate) tid: u32,
    /// For what.
    pub(crate) kind: WaitKind,
    /// Address of the object (the mutex, not the word in it), if there is one.
    pub(crate) object: Option<u64>,
    /// Address of the futex word.
    pub(crate) word: Option<u64>,
    /// The word, as read beside the wait.
    pub(crate) value: Option<u32>,
    /// The value that the thread waits to see changed.
    pub(crate) expected: Option<u32>,
    /// Who holds it (for a join: who is waited for), where that is kept and could be believed.
    pub(crate) owner: Option<Owner>,
    /// The wait ends by itself.
    pub(crate) timed: bool,
    /// In a futex wait.
    pub(crate) futex: bool,
    /// For a person.
    pub(crate) detail: Text,
}

/// Which tids are, or lately were, threads of the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tids {
    /// In the dump.
    pub(crate) alive: BTreeSet<u32>,
    /// In a heartbeat before it.
    pub(crate) known: BTreeSet<u32>,
    /// All threads that there are are known.
    pub(crate) whole: bool,
    /// The process is a forked child: locks may have been copied with an owner of the parent.
    pub(crate) forked: bool,
}

impl Tids {
    /// A tid as an owner: alive, or lately gone. None if it never was a thread of this process, as far as
    /// that is known.
    fn owner(&self, tid: u32) -> Option<Owner> {
        if self.alive.contains(&tid) {
            Some(Owner::Alive(tid))
        } else if self.known.contains(&tid) && self.whole {
            Some(Owner::Gone(tid))
        } else {
            None
        }
    }

    /// The same for a word of which it is certain that it holds an owner: who is not here is gone.
    fn certain_owner(&self, tid: u32) -> Option<Owner> {
        self.owner(tid).or((self.whole && tid != 0 && tid < PID_MAX).then_some(Owner::Gone(tid)))
    }
}

/// `PID_MAX_LIMIT` of the kernel on 64-bit machines.
const PID_MAX: u32 = 4 << 20;

/// What a thread of the dump waits for; none if it runs (or could not be looked at). `frames` are its stack,
/// innermost first, empty where there is none.
pub(crate) fn wait_of(dump: &Dump, thread: &ThreadRecord, frames: &[Frame], tids: &Tids) -> Option<Wait> {
    if thread.syscall == SYSCALL_RUNNING || matches!(thread.state, b'R' | b'Z' | b'X' | 0) {
        return None;
    }
    let nothing = Wait {
        tid: thread.tid,
        kind: WaitKind::Unknown,
        object: None,
        word: None,
        value: None,
        expected: None,
        owner: None,
        timed: false,
        futex: false,
        detail: Text::default(),
    };
    let arch = Arch::from_elf(dump.identity.fixed.arch);
    let call = arch.and_then(|arch| arch.call(thread.syscall));
    Some(match (thread.syscall, call) {
        (SYSCALL_UNREADABLE, _) => {
            // The wait channel is all there is; it names the kernel's function.
            let wchan = text(&thread.wchan);
            let futex = wchan.starts_with("futex_");
            let kind = if futex { WaitKind::Futex } else { WaitKind::Unknown };
            let what = match wchan.as_str() {
                "" => What::KernelSomewhere {},
                place => say!(What::Kernel { place }),
            };
            Wait { kind, futex, detail: what.said(), ..nothing }
        }
        (-1, _) => Wait { kind: WaitKind::Fault, detail: What::PageFault {}.said(), ..nothing },
        (_, Some(call)) if call.name == "futex" || is_restarted_futex(call, thread) => {
            futex::wait(thread, frames, tids, nothing)
        }
        (_, Some(call)) => other_call(dump, thread, call, nothing),
        (number, None) => Wait { detail: say!(What::SystemCall { number }).said(), ..nothing },
    })
}

/// A timed futex wait that a signal interrupted goes on as `restart_syscall`; its arguments are still there,
/// and so is the wait channel.
fn is_restarted_futex(call: &Call, thread: &ThreadRecord) -> bool {
    call.name == "restart_syscall" && text(&thread.wchan).starts_with("futex_")
}

fn other_call(dump: &Dump, thread: &ThreadRecord, call: &'static Call, nothing: Wait) -> Wait {
    let detail = match call.first {
        First::Fd => {
            let fd = thread.args[0] as i32;
            match dump.fds.get(&fd) {
                Some(target) => say!(What::OfFdTo { call: call.name, fd, target }).said(),
                None => say!(What::OfFd { call: call.name, fd }).said(),
            }
        }
        First::Other => call.name.said(),
    };
    let timed = matches!(call.kind, "nanosleep" | "sched_yield");
    Wait { kind: WaitKind::Call(call.kind), timed, detail, ..nothing }
}

/// A NUL-padded text of a record.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
