//! The hooks where a faulty allocator differs from a healthy one. The defaults are the healthy behaviour.

use super::mutexes;
use super::shelf::Shelf;

/// The behaviour that a faulty allocator changes. Any thread may call the hooks at any time.
pub(crate) trait Hooks {
    /// The fault happens in one of this many processes. `FAULT_ONE_IN` overrides the number.
    const ONE_IN: u64 = 1;
    /// Whether a fork takes the central locks. A healthy allocator must do this.
    const GUARDS_FORK: bool = true;

    /// The constructor calls this last.
    fn start() {}

    /// Takes a central lock, and waits for it if necessary.
    fn acquire(lock: usize) {
        mutexes::mid_lock_acquire(lock);
    }

    /// Releases a central lock that the thread holds.
    fn release(lock: usize) {
        mutexes::mid_lock_release(lock);
    }

    /// Called before a thread takes a central lock. The thread holds no central lock.
    fn before_lock(_lock: usize) {}

    /// Called while the thread holds `lock`, which protects `shelf`.
    fn under_lock(_lock: usize, _shelf: &mut Shelf) {}

    /// Called when a thread exits, after the thread's cache was emptied.
    fn thread_exit() {}
}
