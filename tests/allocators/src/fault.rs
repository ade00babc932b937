//! When the fault of an allocator takes place. The code of each allocator has these for itself: a DSO has its
//! own copy of this crate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Index of the central lock that faults are about: `g_mid_locks+160`, where a lock is a `pthread_mutex_t`
/// of 40 bytes.
pub const FAULTY_LOCK: usize = 4;

static OPERATIONS: AtomicU64 = AtomicU64::new(0);
/// Never, until the constructor has run: ld.so allocates before it.
static AFTER: AtomicU64 = AtomicU64::new(u64::MAX);

/// Has the fault take place after so many operations. For the constructor.
pub fn arm(after: u64) {
    AFTER.store(after, Ordering::Relaxed);
}

/// Counts an operation on the central part.
pub fn count() {
    OPERATIONS.fetch_add(1, Ordering::Relaxed);
}

/// Whether it is time for the fault.
pub fn due() -> bool {
    OPERATIONS.load(Ordering::Relaxed) >= AFTER.load(Ordering::Relaxed)
}

/// Something that one thread does, once.
pub struct Once(AtomicBool);

impl Once {
    /// Not done yet.
    #[expect(clippy::new_without_default, reason = "it stands in statics")]
    pub const fn new() -> Self {
        Once(AtomicBool::new(false))
    }

    /// True for the first thread that asks when it is time for the fault.
    pub fn claim(&self) -> bool {
        due() && !self.0.swap(true, Ordering::Relaxed)
    }
}
