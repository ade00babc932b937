//! A wait as data: its kind, its owner, and the tids that may be owners.

use std::collections::{BTreeMap, BTreeSet};

use crate::session::maps::{self, Mapping};
use crate::text::message::Text;

/// The kind of thing that a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum WaitKind {
    Mutex(MutexKind),
    Join,
    Condition,
    Barrier,
    Semaphore,
    /// pthread read-write lock.
    RwLock,
    /// pthread_once, call_once; the guard of a static variable of C++.
    Once,
    /// The global interpreter lock of Python.
    Gil,
    /// A lock of Rust's standard library or of parking_lot.
    RustLock,
    /// A futex word of 0, 1 or 2 without an owner. glibc uses such locks internally.
    LowLevelLock,
    /// A spin lock that sleeps after some spinning (absl, tcmalloc).
    SpinLock,
    /// A futex, but nothing tells of what object.
    Futex,
    /// Another system call: [`crate::session::syscalls::Syscall::kind`].
    Call(&'static str),
    /// Blocked outside a system call: a page fault.
    Fault,
    /// Blocked, and nothing tells on what.
    Unknown,
}

/// Type of a pthread mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum MutexKind {
    Normal,
    Recursive,
    ErrorCheck,
    Adaptive,
    PriorityInheriting,
    Robust,
    /// The type could not be read.
    Unknown,
}

impl MutexKind {
    /// From `__kind` of glibc (`sysdeps/nptl/pthreadP.h`): the type in the low two bits, 16
    /// robust, 32 priority-inheriting.
    pub(crate) fn from_glibc(kind: u32) -> Self {
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

    /// The name of the type; none if it is unknown.
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
            WaitKind::Gil => "gil",
            WaitKind::RustLock => "rust-lock",
            WaitKind::LowLevelLock => "low-level-lock",
            WaitKind::SpinLock => "spin-lock",
            WaitKind::Futex => "futex",
            WaitKind::Call(kind) => kind,
            WaitKind::Fault => "page-fault",
            WaitKind::Unknown => "unknown",
        }
    }

    /// Whether one thread holds the object, and the others wait until that thread releases it.
    pub(crate) fn is_lock(self) -> bool {
        use WaitKind::{Gil, LowLevelLock, Mutex, Once, RustLock, RwLock, SpinLock};
        matches!(self, Mutex(_) | RwLock | Once | Gil | RustLock | LowLevelLock | SpinLock)
    }

    /// Whether another thread has to signal, post or arrive.
    pub(crate) fn is_event(self) -> bool {
        matches!(self, WaitKind::Condition | WaitKind::Semaphore | WaitKind::Barrier)
    }
}

/// The thread that holds what others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A thread of this process.
    Alive(u32),
    /// A former thread of this process, which has ended. Of a lock in shared memory: of any process.
    Gone(u32),
    /// A living thread of another process. The lock is in memory that both map.
    Elsewhere(u32),
}

impl Owner {
    pub(crate) fn tid(self) -> u32 {
        match self {
            Owner::Alive(tid) | Owner::Gone(tid) | Owner::Elsewhere(tid) => tid,
        }
    }
}

/// What one thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) tid: u32,
    pub(crate) kind: WaitKind,
    /// Address of the object (the mutex, not the word in it), if there is one.
    pub(crate) object: Option<u64>,
    /// Address of the futex word.
    pub(crate) word: Option<u64>,
    /// The futex word, as read when the wait was read.
    pub(crate) value: Option<u32>,
    /// The value that the thread waits to see changed.
    pub(crate) expected: Option<u32>,
    /// The holder (for a join: the joined thread), where the object keeps one and it is plausible.
    pub(crate) owner: Option<Owner>,
    /// No function on the stack names the object: kind and owner are read from the layout of memory alone.
    pub(crate) guessed: bool,
    /// The owner is the only thread that can have the object, by the stacks of all threads. No memory names
    /// it.
    pub(crate) inferred: bool,
    /// The word names an owner that is no thread of this process, and of which nothing more is known.
    pub(crate) foreign: Option<u32>,
    /// glibc never ends this wait: `pthread_mutex_lock` parks a thread whose lock the kernel refused. The word is on the
    /// thread's own stack.
    pub(crate) parked: bool,
    /// The wait ends by itself: it has a timeout.
    pub(crate) timed: bool,
    pub(crate) futex: bool,
    /// Only this process, or one that waits for it, can end the wait.
    pub(crate) closed: bool,
    /// The wait as a phrase for people.
    pub(crate) detail: Text,
}

impl Wait {
    /// A wait of which nothing is known.
    pub(crate) fn of(tid: u32) -> Wait {
        Wait {
            tid,
            kind: WaitKind::Unknown,
            object: None,
            word: None,
            value: None,
            expected: None,
            owner: None,
            guessed: false,
            inferred: false,
            foreign: None,
            parked: false,
            timed: false,
            futex: false,
            closed: false,
            detail: Text::default(),
        }
    }

    /// The owner, if it is a thread of another process.
    pub(crate) fn owner_elsewhere(&self) -> Option<u32> {
        match self.owner? {
            Owner::Elsewhere(tid) => Some(tid),
            Owner::Alive(_) | Owner::Gone(_) => None,
        }
    }
}

/// The tids that are, or recently were, threads of the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tids {
    pub(crate) alive: BTreeSet<u32>,
    /// Threads that have ended and that `/proc` still shows: the first one, after its `pthread_exit`.
    pub(crate) ended: BTreeSet<u32>,
    /// Threads in a heartbeat before the dump.
    pub(crate) known: BTreeSet<u32>,
    /// The dump has every thread of the process.
    pub(crate) whole: bool,
    /// The process is a forked child: its locks may name threads of the parent.
    pub(crate) forked: bool,
    /// The processes of owners that are no threads of this one: see
    /// [`Dump::holder`](crate::session::Dump::holder).
    pub(crate) elsewhere: BTreeMap<u32, u32>,
    /// Mapped memory, and whether it is shared.
    pub(crate) mappings: Vec<Mapping>,
}

impl Tids {
    /// The owner with this tid. None if no thread of this process is known to have had it.
    pub(super) fn owner(&self, tid: u32) -> Option<Owner> {
        if self.alive.contains(&tid) {
            Some(Owner::Alive(tid))
        } else if self.ended.contains(&tid) || self.known.contains(&tid) && self.whole {
            Some(Owner::Gone(tid))
        } else {
            None
        }
    }

    /// The owner of a lock in memory that processes share, from what `/proc` said when the dump was made.
    pub(super) fn owner_elsewhere(&self, tid: u32) -> Option<Owner> {
        match self.elsewhere.get(&tid)? {
            _ if self.alive.contains(&tid) || self.ended.contains(&tid) => self.owner(tid),
            0 => Some(Owner::Gone(tid)),
            _ => Some(Owner::Elsewhere(tid)),
        }
    }

    /// Whether other processes may share the memory at an address; none if it is not known what is mapped
    /// there.
    pub(super) fn is_shared(&self, address: u64) -> Option<bool> {
        maps::find(&self.mappings, address).map(|mapping| mapping.shared)
    }

    /// As [`Tids::owner`], for a word that certainly holds an owner: a tid that is not alive is gone.
    pub(super) fn certain_owner(&self, tid: u32) -> Option<Owner> {
        self.owner(tid).or((self.whole && tid != 0 && tid < PID_MAX).then_some(Owner::Gone(tid)))
    }
}

/// `PID_MAX_LIMIT` of the kernel on 64-bit machines.
pub(super) const PID_MAX: u32 = 4 << 20;
