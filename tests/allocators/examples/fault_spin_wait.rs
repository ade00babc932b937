//! The central locks are spin locks. A thread that holds one makes timed sleeps inside the allocator.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Hooks, mutexes, shelf::Shelf};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

/// A spin lock in its own cache line.
#[repr(align(64))]
struct Spin(AtomicBool);

#[unsafe(no_mangle)]
static g_mid_spins: [Spin; mutexes::LOCKS] = [const { Spin(AtomicBool::new(false)) }; mutexes::LOCKS];

static MEMORY_IS_SHORT: Once = Once::new();
static MEMORY_CAME: AtomicBool = AtomicBool::new(false);

impl Hooks for Fault {
    // No fork handler exists for the spin locks. A child could have locks that no thread releases, so
    // programs that fork cannot use this allocator.
    const GUARDS_FORK: bool = false;

    fn acquire(lock: usize) {
        spin_wait_acquire(lock);
    }

    fn release(lock: usize) {
        g_mid_spins[lock].0.store(false, Ordering::Release);
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && MEMORY_IS_SHORT.claim() {
            raw::tell_truth("owner", g_mid_spins[lock].0.as_ptr() as usize);
            spin_wait_for_memory();
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn spin_wait_acquire(lock: usize) {
    while g_mid_spins[lock].0.swap(true, Ordering::Acquire) {
        while g_mid_spins[lock].0.load(Ordering::Relaxed) {
            spin_loop();
        }
    }
}

/// Sleeps for ever, in short timed sleeps. The number of its context switches keeps rising.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn spin_wait_for_memory() {
    // culprit: begin
    while !MEMORY_CAME.load(Ordering::Acquire) {
        raw::sleep(Duration::from_millis(100));
    }
    // culprit: end
}
