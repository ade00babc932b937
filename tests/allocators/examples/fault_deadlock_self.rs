//! A thread holds a central lock and refills the shelf. The refill takes the same lock again.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::{Hooks, mutexes, shelf::Shelf};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

static REFILLED: Once = Once::new();

impl Hooks for Fault {
    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && REFILLED.claim() {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            deadlock_self_refill(lock);
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn deadlock_self_refill(lock: usize) {
    // culprit: begin
    mutexes::mid_lock_acquire(lock);
    // culprit: end
    mutexes::mid_lock_release(lock);
}
