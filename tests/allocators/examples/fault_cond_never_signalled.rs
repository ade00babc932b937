//! Threads that find a refill under way wait on a condition for its end; the thread that refills forgets to
//! say that it is done.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Hooks, Shelf, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

#[repr(transparent)]
struct Condition(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: a condition is made to be used by several threads at once.
unsafe impl Sync for Condition {}

#[unsafe(no_mangle)]
static g_mid_refill_cond: Condition = Condition(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER));

static REFILLING: AtomicBool = AtomicBool::new(false);
static FORGOTTEN: Once = Once::new();

impl Hooks for Fault {
    fn under_lock(lock: usize, shelf: &mut Shelf) {
        if lock != FAULTY_LOCK {
            return;
        }
        cond_never_signalled_wait(lock);
        if shelf.head.is_null() {
            cond_never_signalled_refill(lock);
        }
    }
}

/// Waits, with the lock, until no refill is under way.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn cond_never_signalled_wait(lock: usize) {
    while REFILLING.load(Ordering::Relaxed) {
        // SAFETY: both are initialised and never destroyed, and this thread has the lock.
        unsafe { libc::pthread_cond_wait(g_mid_refill_cond.0.get(), mutexes::mutex(lock)) };
    }
}

/// Lets others have the lock while it refills.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn cond_never_signalled_refill(lock: usize) {
    REFILLING.store(true, Ordering::Relaxed);
    mutexes::mid_lock_release(lock);
    mutexes::mid_lock_acquire(lock);
    if FORGOTTEN.claim() {
        raw::tell_truth("culprit", g_mid_refill_cond.0.get() as usize);
        return;
    }
    REFILLING.store(false, Ordering::Relaxed);
    // SAFETY: the condition is initialised and never destroyed.
    unsafe { libc::pthread_cond_broadcast(g_mid_refill_cond.0.get()) };
}
