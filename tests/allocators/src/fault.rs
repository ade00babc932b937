//! Decides when the fault of an allocator happens. Each allocator has its own copy of these statics, because
//! each DSO links its own copy of this crate.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Index of the central lock that the faults use. Its symbol is
/// `g_mid_locks+160`, because a `pthread_mutex_t` has 40 bytes.
pub const FAULTY_LOCK: usize = 4;

static OPERATIONS: AtomicU64 = AtomicU64::new(0);
/// The number of operations before the fault. The fault is off
/// until the constructor runs, because ld.so allocates earlier.
static AFTER: AtomicU64 = AtomicU64::new(u64::MAX);

/// Makes the fault happen after `after` operations. The constructor calls this.
pub fn arm(after: u64) {
    AFTER.store(after, Ordering::Relaxed);
}

/// Counts an operation on the central part.
pub fn count() {
    OPERATIONS.fetch_add(1, Ordering::Relaxed);
}

/// Whether enough operations were done for the fault to happen.
pub fn due() -> bool {
    OPERATIONS.load(Ordering::Relaxed) >= AFTER.load(Ordering::Relaxed)
}

/// An action that only one thread does, and only once.
pub struct Once(AtomicBool);

impl Once {
    #[expect(clippy::new_without_default, reason = "a static needs a const fn")]
    pub const fn new() -> Self {
        Once(AtomicBool::new(false))
    }

    /// Returns true once: to the first thread that asks after the fault is due.
    pub fn claim(&self) -> bool {
        due() && !self.0.swap(true, Ordering::Relaxed)
    }
}

/// Two threads that take two locks in opposite orders. The threads wait for each other at two points, so that
/// they meet in every run and not only by chance.
pub struct Pair {
    members: AtomicUsize,
    first_locks: AtomicUsize,
}

impl Pair {
    #[expect(clippy::new_without_default, reason = "a static needs a const fn")]
    pub const fn new() -> Self {
        Pair { members: AtomicUsize::new(0), first_locks: AtomicUsize::new(0) }
    }

    /// Returns the two locks, the first one first, to the first two threads that ask after the fault is due.
    /// The second lock of one thread is the first lock of the other.
    pub fn join(&self) -> Option<(usize, usize)> {
        const OTHER_LOCK: usize = FAULTY_LOCK + 1;
        if !due() || self.members.load(Ordering::Relaxed) >= 2 {
            return None;
        }
        match self.members.fetch_add(1, Ordering::Relaxed) {
            0 => Some((FAULTY_LOCK, OTHER_LOCK)),
            1 => Some((OTHER_LOCK, FAULTY_LOCK)),
            _ => None,
        }
    }

    /// Waits until both threads have joined. A thread calls this before it takes its first lock: another
    /// thread that waits for that lock could not join.
    pub fn wait_for_members(&self) {
        wait_for_both(&self.members);
    }

    /// Waits until both threads have their first locks. The calling thread has its own.
    pub fn wait_for_first_locks(&self) {
        self.first_locks.fetch_add(1, Ordering::Relaxed);
        wait_for_both(&self.first_locks);
    }
}

fn wait_for_both(count: &AtomicUsize) {
    while count.load(Ordering::Relaxed) < 2 {
        std::thread::yield_now();
    }
}
