//! Futex waits, from the operation, the word and the surrounding memory.
//!
//! Structures: glibc `sysdeps/nptl/bits/pthreadtypes-arch.h`, `struct_mutex.h`, `struct_rwlock.h`,
//! `thread-shared-types.h` (2.36; the mutex is the same on x86-64 and aarch64). The offsets were tested on
//! live waits of every kind.

use hangscope_protocol::record::ThreadRecord;

use super::model::{MutexKind, Owner, PID_MAX, Tids, Wait, WaitKind};
use super::names::{self, FutexName};
use super::wait_text::WaitText;
use super::word::{
    CLOCK_REALTIME, LOCK_PI, LOCK_PI2, PRIVATE, TID_MASK, WAIT, WAIT_BITSET, WAIT_REQUEUE_PI, WAITERS,
    claimed_owner, near,
};
use crate::analysis::stack::is_libc;
use crate::files::links::is_system;
use crate::session::trace::Frame;
use crate::text::message::{Say as _, say};

/// A futex call with the memory around its word.
struct Futex<'a> {
    thread: &'a ThreadRecord,
    command: u32,
    op: u32,
    address: u64,
    expected: u32,
    word: Option<u32>,
    /// A function of the stack takes a read-write lock for writing.
    writes: bool,
    tids: &'a Tids,
}

impl Futex<'_> {
    /// See [`near`].
    fn at(&self, offset: i64) -> Option<u32> {
        near(self.thread, offset)
    }

    fn most_waiters(&self) -> u32 {
        self.tids.alive.len() as u32
    }
}

/// A futex wait. `nothing` is a wait that has only the tid.
pub(super) fn wait(thread: &ThreadRecord, frames: &[Frame], tids: &Tids, nothing: Wait) -> Wait {
    let op = thread.args[1] as u32;
    let mut futex = Futex {
        thread,
        command: op & !(PRIVATE | CLOCK_REALTIME),
        op,
        address: thread.args[0],
        expected: thread.args[2] as u32,
        word: None,
        writes: frames.iter().any(|f| f.function.as_deref().is_some_and(|name| name.contains("wrlock"))),
        tids,
    };
    futex.word = futex.at(0);
    let named = names::by_names(frames);
    // Without names only the layout of memory is left. With names, a wait that none of them explains is made by hand. A
    // stripped C library, also one that is part of the program, names its interface at most.
    let unnamed = frames.iter().take_while(|frame| frame.function.is_none());
    // A lock of a shared C library waits in that library.
    let shared = frames.iter().any(is_libc);
    let of_libc = |frame: &Frame| !shared || frame.dso.as_deref().is_none_or(is_system);
    // The allocator may be the C library itself.
    let not_by_hand = |frame: &Frame| !frame.in_allocator || is_libc(frame);
    let nameless = frames.is_empty() || unnamed.into_iter().any(|frame| not_by_hand(frame) && of_libc(frame));
    let guessed = named.is_none() && (nameless || futex.tid_of_word().is_some());
    let found = match named {
        Some(name) => futex.named(name),
        None if nameless => futex.unnamed(),
        None => futex.made_by_hand(),
    };
    let parked = matches!(found.kind, WaitKind::Mutex(_)) && futex.is_parked();
    let foreign = match (&found, &found.owner) {
        (Found { kind: WaitKind::Mutex(_), .. }, None) if !parked && !guessed => futex.foreign_owner(),
        _ => found.foreign,
    };
    let text = match (foreign, found.kind) {
        (Some(tid), WaitKind::Mutex(kind)) => foreign_text(kind, tid),
        _ => found.text,
    };
    let expects = matches!(futex.command, WAIT | WAIT_BITSET | WAIT_REQUEUE_PI);
    Wait {
        kind: found.kind,
        object: Some(futex.address.wrapping_sub(found.before)).filter(|_| !parked),
        guessed,
        foreign,
        parked,
        word: Some(futex.address),
        value: futex.word,
        expected: expects.then_some(futex.expected),
        owner: found.owner,
        timed: thread.args[3] != 0,
        futex: true,
        detail: text.said(),
        ..nothing
    }
}

/// The highest value that a word may have and be a state or a count; above it, it may be a tid.
pub(crate) const MOST_STATES: u32 = 64;

/// Bytes above the stack pointer in which a function of the C library has its variables.
const OWN_FRAMES: u64 = 4096;

/// A wait on several words (`futex_waitv(2)`). The record has the first word and the memory around it.
pub(super) fn vector(thread: &ThreadRecord, nothing: Wait) -> Wait {
    let tids = Tids::default();
    let (expected, address) = (thread.args[4] as u32, thread.args[5]);
    let futex = Futex {
        thread,
        command: WAIT,
        op: PRIVATE,
        address,
        expected,
        word: None,
        writes: false,
        tids: &tids,
    };
    let words = thread.args[1];
    Wait {
        kind: WaitKind::Futex,
        object: Some(address),
        word: Some(address),
        value: futex.at(0),
        expected: Some(expected),
        timed: thread.args[3] != 0,
        futex: true,
        detail: say!(WaitText::FutexVector { words }).said(),
        ..nothing
    }
}

/// The object that a thread waits for.
struct Found {
    kind: WaitKind,
    /// Offset of the futex word in the object, bytes.
    before: u64,
    owner: Option<Owner>,
    /// The writer of a read-write lock, where it is no thread of this process.
    foreign: Option<u32>,
    text: WaitText,
}

fn found(kind: WaitKind, before: u64, text: WaitText) -> Found {
    Found { kind, before, owner: None, foreign: None, text }
}

fn kind_text(kind: MutexKind) -> WaitText {
    kind.as_str().map_or(WaitText::MutexUnknown {}, |kind| say!(WaitText::Mutex { kind }))
}

fn foreign_text(kind: MutexKind, tid: u32) -> WaitText {
    let kind = kind.as_str().unwrap_or("type unknown");
    say!(WaitText::MutexForeign { kind, tid })
}

impl Futex<'_> {
    /// The owner that the word of a mutex names, where it is no thread of this process.
    fn foreign_owner(&self) -> Option<u32> {
        let held = self.word.is_some_and(|word| word == self.expected || word & WAITERS != 0);
        let plausible = |tid: &u32| *tid < PID_MAX && !self.tids.alive.contains(tid);
        claimed_owner(self.thread).filter(|_| held).filter(plausible)
    }

    /// The functions on the stack name the object; memory has its owner.
    fn named(&self, name: FutexName) -> Found {
        match name.kind {
            WaitKind::Mutex(_) => self.mutex(true).unwrap_or_else(|| {
                found(WaitKind::Mutex(MutexKind::Unknown), 0, WaitText::MutexUnreadable {})
            }),
            WaitKind::Join => self.join(),
            // In a wait that has ended the mutex is taken again.
            WaitKind::Condition if self.command == WAIT && self.expected == 2 => {
                self.mutex(true).unwrap_or_else(|| found(WaitKind::Condition, 0x28, name.text))
            }
            WaitKind::Condition => {
                let before = self.condition().unwrap_or(0x28);
                found(WaitKind::Condition, before, name.text)
            }
            WaitKind::Barrier => found(WaitKind::Barrier, 4, name.text),
            WaitKind::RwLock => {
                let before = self.rwlock_word().unwrap_or(8);
                let field = |offset: i64| self.at(offset - before as i64);
                // `__cur_writer`, and `__shared`.
                let writer = field(24).filter(|tid| (1..PID_MAX).contains(tid));
                let shared = field(28).is_none_or(|shared| shared != 0);
                let owner = writer.and_then(|tid| self.holder(tid, shared, true));
                // In the read phase, those that the lock counts and that do not wait have it.
                let readers = field(0).zip(field(8)).filter(|(_, phase)| phase & 1 == 0).map(|(r, _)| r >> 3);
                let foreign = writer.filter(|_| owner.is_none());
                let text = match (writer, readers) {
                    (Some(_), _) => WaitText::RwLockWritten {},
                    (None, Some(readers)) if readers > 0 => say!(WaitText::RwLockRead { readers }),
                    _ => name.text,
                };
                Found { owner, foreign, ..found(WaitKind::RwLock, before, text) }
            }
            kind => found(kind, 0, name.text),
        }
    }

    /// No function names the object: the operation and memory tell.
    fn unnamed(&self) -> Found {
        match self.command {
            LOCK_PI | LOCK_PI2 => self.inheriting(),
            WAIT_REQUEUE_PI => found(WaitKind::Condition, 0x28, WaitText::ConditionInheriting {}),
            // pthread_join uses a shared wait, since the kernel's wake at the end of a thread is a shared
            // one.
            WAIT_BITSET if self.op & (PRIVATE | CLOCK_REALTIME) == CLOCK_REALTIME && self.is_tid() => {
                self.join()
            }
            WAIT => self.plain(),
            WAIT_BITSET => self.bitset(),
            _ => found(WaitKind::Futex, 0, say!(WaitText::FutexOperation { op: format!("{:#x}", self.op) })),
        }
    }

    /// The functions on the stack have names, and none is of a lock: the word is the program's or the allocator's own. Memory
    /// beside it means nothing.
    fn made_by_hand(&self) -> Found {
        match self.command {
            // Here the kernel itself reads the owner in the word.
            LOCK_PI | LOCK_PI2 => self.inheriting(),
            WAIT | WAIT_BITSET if self.tid_of_word().is_some() => {
                let owner = self.tid_of_word().map(Owner::Alive);
                Found { owner, ..found(WaitKind::LowLevelLock, 0, WaitText::OwnWord {}) }
            }
            WAIT_BITSET if self.op & (PRIVATE | CLOCK_REALTIME) == PRIVATE && self.thread.args[3] == 0 => {
                found(WaitKind::RustLock, 0, WaitText::RustLock {})
            }
            WAIT | WAIT_BITSET => self.by_value(),
            _ => found(WaitKind::Futex, 0, say!(WaitText::FutexOperation { op: format!("{:#x}", self.op) })),
        }
    }

    /// The tid that a word made by hand is, with or without the bit of the waiters. A small number may be a
    /// state or a count.
    fn tid_of_word(&self) -> Option<u32> {
        let tid = self.expected & TID_MASK;
        let is_tid = tid > MOST_STATES && self.tids.alive.contains(&tid);
        // A thread may wait for its own tid to be changed.
        let other = self.expected & WAITERS != 0 || tid != self.thread.tid;
        (is_tid && other && self.word == Some(self.expected)).then_some(tid)
    }

    fn by_value(&self) -> Found {
        match self.expected {
            2 => found(WaitKind::LowLevelLock, 0, WaitText::Ownerless {}),
            1 => found(WaitKind::Futex, 0, WaitText::FutexOne {}),
            value => found(WaitKind::Futex, 0, say!(WaitText::FutexWhile { value })),
        }
    }

    /// glibc's `__pthread_mutex_lock_full`: where FUTEX_LOCK_PI says EDEADLK or ESRCH, the thread waits for ever on a
    /// variable of its own that is 0.
    fn is_parked(&self) -> bool {
        let sp = self.thread.sp;
        self.expected == 0 && sp > 0 && (sp..sp.saturating_add(OWN_FRAMES)).contains(&self.address)
    }

    fn plain(&self) -> Found {
        if let Some(mutex) = self.mutex(false) {
            return mutex;
        }
        if let Some(()) = self.barrier() {
            return found(WaitKind::Barrier, 4, WaitText::Barrier {});
        }
        self.by_value()
    }

    fn bitset(&self) -> Found {
        if let Some(before) = self.condition() {
            return found(WaitKind::Condition, before, WaitText::Condition {});
        }
        if self.semaphore() {
            return found(WaitKind::Semaphore, 0, WaitText::Semaphore {});
        }
        // glibc's waits have CLOCK_REALTIME or a timeout; Rust's waits without a timeout have neither.
        let of_rust = self.op & (PRIVATE | CLOCK_REALTIME) == PRIVATE && self.thread.args[3] == 0;
        if let Some(mutex) = self.mutex(false).filter(|_| !of_rust) {
            return mutex;
        }
        if let Some(before) = self.rwlock().filter(|_| !of_rust) {
            return found(WaitKind::RwLock, before, WaitText::RwLock {});
        }
        if self.op & (PRIVATE | CLOCK_REALTIME) == PRIVATE {
            return found(WaitKind::RustLock, 0, WaitText::RustLock {});
        }
        found(WaitKind::Futex, 0, say!(WaitText::FutexWhile { value: self.expected }))
    }

    fn is_tid(&self) -> bool {
        self.tids.owner(self.expected).is_some()
    }

    fn join(&self) -> Found {
        let whom = self.expected;
        let owner = self.tids.owner(whom);
        Found { owner, ..found(WaitKind::Join, 0, say!(WaitText::JoinOf { tid: whom })) }
    }

    fn inheriting(&self) -> Found {
        let kind = WaitKind::Mutex(MutexKind::PriorityInheriting);
        let shared = self.op & PRIVATE == 0;
        let owner = self.word.and_then(|word| self.holder(word & TID_MASK, shared, true));
        Found { owner, ..found(kind, 0, kind_text(MutexKind::PriorityInheriting)) }
    }

    /// A pthread mutex. If no function `named` it, its owner has to be plausible: operation 0x80 (or its
    /// timed form), word 2, and at +8 the tid of a thread of this process, alive or recently gone. Other
    /// objects with such a wait (glibc's internal locks, barriers, once) have another value there.
    fn mutex(&self, named: bool) -> Option<Found> {
        if matches!(self.command, LOCK_PI | LOCK_PI2) {
            return Some(self.inheriting());
        }
        let (word, holder, kind) = (self.word?, self.at(8)?, self.at(16));
        // The word of a robust mutex holds the owner's tid.
        if self.expected & WAITERS != 0 && self.expected & TID_MASK != 0 {
            let tid = self.expected & TID_MASK;
            // glibc sets the bit of a shared mutex in the type of every robust one.
            let owner = self.holder(tid, true, named);
            let robust = found(WaitKind::Mutex(MutexKind::Robust), 0, kind_text(MutexKind::Robust));
            return (named || owner.is_some()).then_some(Found { owner, ..robust });
        }
        let shared = kind.is_none_or(|kind| kind & 0x80 != 0);
        let owner = match (named, self.expected, word) {
            // In a forked child the owner may be a thread of the parent.
            (_, 2, 2) => self.holder(holder, shared, named || (self.tids.forked && self.is_mutex_shaped())),
            _ => None,
        };
        if !named && owner.is_none() {
            return None;
        }
        let kind = kind.map_or(MutexKind::Unknown, MutexKind::from_glibc);
        Some(Found { owner, ..found(WaitKind::Mutex(kind), 0, kind_text(kind)) })
    }

    /// The owner with this tid. `shared`: the mutex says that processes share it. `certain`: the word
    /// certainly holds an owner. The owner of a lock in shared memory may be a thread of any process: a tid
    /// that is not known proves nothing there.
    fn holder(&self, tid: u32, shared: bool, certain: bool) -> Option<Owner> {
        match self.tids.is_shared(self.address).unwrap_or(shared) {
            _ if self.tids.alive.contains(&tid) || self.tids.ended.contains(&tid) => self.tids.owner(tid),
            true => {
                self.tids.owner_elsewhere(tid).filter(|owner| certain || !matches!(owner, Owner::Gone(_)))
            }
            false if certain => self.tids.certain_owner(tid),
            false => self.tids.owner(tid),
        }
    }

    /// Whether the other fields are those of a held mutex: one user, a valid type, in no list.
    fn is_mutex_shaped(&self) -> bool {
        self.at(12) == Some(1)
            && self.at(16).is_some_and(|kind| kind & !0x1ff == 0)
            && self.at(24) == Some(0)
            && self.at(28) == Some(0)
    }

    /// Offset of the word in a condition variable: 0x28 for `__g_signals[0]`, 0x2c for `[1]`. `__wrefs` and
    /// the group's `__g_refs` must count at least one waiter.
    fn condition(&self) -> Option<u64> {
        let waiters = 1..=self.most_waiters();
        [(0u64, 0x28u64), (1, 0x2c)].into_iter().find_map(|(group, before)| {
            let field = |offset: i64| self.at(offset - before as i64);
            let (low, high) = (field(0)?, field(4)?);
            let sequence = (u64::from(high) << 32 | u64::from(low)) >> 1;
            let (wrefs, grefs) = (field(36)?, field(16 + 4 * group as i64)?);
            let is = sequence > 0
                && sequence < 1 << 48
                && waiters.contains(&(wrefs >> 3))
                && waiters.contains(&(grefs >> 1));
            is.then_some(before)
        })
    }

    /// Whether it is a `struct new_sem`: value 0, number of waiters, `private` (0 or 128).
    fn semaphore(&self) -> bool {
        self.word == Some(0)
            && self.expected == 0
            && self.at(4).is_some_and(|waiters| (1..=self.most_waiters()).contains(&waiters))
            && self.at(8).is_some_and(|private| matches!(private, 0 | 0x80))
    }

    /// `struct pthread_barrier`: `in`, `current_round` (the word), `count`, `shared`, `out`. None if it is no
    /// barrier.
    fn barrier(&self) -> Option<()> {
        let (arrived, round) = (self.at(-4)?, self.word?);
        let (count, shared) = (self.at(4)?, self.at(8)?);
        let inside = arrived.wrapping_sub(round);
        let is = round == self.expected
            && (2..=1 << 20).contains(&count)
            && (1..=count).contains(&inside)
            && matches!(shared, 0 | 0x80);
        is.then_some(())
    }

    /// Offset of the word in a read-write lock: 8 for `__wrphase_futex`, 12 for `__writers_futex`. The numbers of readers and
    /// writers must be plausible, and the writer must be 0 or a thread of this process.
    fn rwlock(&self) -> Option<u64> {
        if self.word != Some(self.expected) || !(1..=3).contains(&self.expected) {
            return None;
        }
        [8u64, 12].into_iter().find(|before| self.is_rwlock(*before, false))
    }

    /// As [`Futex::rwlock`], for a lock that a function names. Readers wait on `__readers` (offset 0) where writers go
    /// first (PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP); the value has the bit PTHREAD_RWLOCK_RWAITING.
    fn rwlock_word(&self) -> Option<u64> {
        const RWAITING: u32 = 4;
        // A writer waits until `__writers_futex` is not 1 | FUTEX_USED, or until `__wrphase_futex` is not 0 | FUTEX_USED.
        let offsets: &[u64] = match self.expected {
            value if value & RWAITING != 0 => &[0],
            3 if self.writes => &[12, 8],
            _ => &[8, 12],
        };
        offsets.iter().copied().find(|before| self.is_rwlock(*before, true))
    }

    /// Whether memory looks like a `struct __pthread_rwlock_arch_t` with the word at this offset. The writer
    /// of a lock that a function `named` may be of another process, or gone.
    fn is_rwlock(&self, before: u64, named: bool) -> bool {
        let field = |offset: i64| self.at(offset - before as i64);
        let fields = [field(0), field(4), field(8), field(12), field(24)];
        let [Some(readers), Some(writers), Some(phase), Some(writing), Some(writer)] = fields else {
            return false;
        };
        let writers = writers & !WAITERS;
        // The bits of `__wrphase_futex` and `__writers_futex`: the state, and PTHREAD_RWLOCK_FUTEX_USED.
        (phase | writing) & !3 == 0
            && (readers != 0 || writers != 0)
            && (readers >> 3) <= self.most_waiters()
            && writers <= self.most_waiters()
            && (writer == 0 || self.tids.alive.contains(&writer) || named && writer < PID_MAX)
    }
}
