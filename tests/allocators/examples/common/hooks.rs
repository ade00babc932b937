//! Where an allocator differs from a healthy one. Every default is what a healthy one does.

use super::{Shelf, mutexes};

/// What a faulty allocator changes. All of it may be called by any thread at any time.
pub(crate) trait Hooks {
    /// The fault takes place in one of so many processes, if `FAULT_ONE_IN` does not say otherwise.
    const ONE_IN: u64 = 1;
    /// Whether the central locks are taken around a fork, as they must be.
    const GUARDS_FORK: bool = true;

    /// At the end of the constructor.
    fn start() {}

    /// Takes a central lock.
    fn acquire(lock: usize) {
        mutexes::mid_lock_acquire(lock);
    }

    /// Lets go of it.
    fn release(lock: usize) {
        mutexes::mid_lock_release(lock);
    }

    /// Before a thread takes a central lock; it has none.
    fn before_lock(_lock: usize) {}

    /// While it has the lock, with a shelf that the lock protects.
    fn under_lock(_lock: usize, _shelf: &mut Shelf) {}

    /// At the end of a thread.
    fn thread_exit() {}
}
