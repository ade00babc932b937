//! A thread that finds a refill in progress waits on a condition for the end of the refill. The thread that
//! refills forgets to signal the condition.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use common::shelf::Shelf;
use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

#[repr(transparent)]
struct Condition(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: several threads may use a pthread condition at the same time.
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

/// Waits until no refill is in progress. The caller holds the lock.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn cond_never_signalled_wait(lock: usize) {
    while REFILLING.load(Ordering::Relaxed) {
        // SAFETY: the condition and the mutex are initialised
        // and never destroyed. This thread holds the mutex.
        unsafe { libc::pthread_cond_wait(g_mid_refill_cond.0.get(), mutexes::mutex(lock)) };
    }
}

/// Refills. Other threads may take the lock during the refill.
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
