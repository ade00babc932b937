//! Slow, but not hung. Once the fault is due, every operation on the central part sleeps for a millisecond
//! while it holds the lock. The run ends long after any deadline.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::time::Duration;

use common::Hooks;
use common::shelf::Shelf;
use hangscope_test_allocators::fault::{Once, due};
use hangscope_test_allocators::raw;

struct Fault;

static TRUTH_TOLD: Once = Once::new();

impl Hooks for Fault {
    fn under_lock(_lock: usize, _shelf: &mut Shelf) {
        if due() {
            slow_return_to_system();
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn slow_return_to_system() {
    if TRUTH_TOLD.claim() {
        raw::tell_truth("culprit", 0);
    }
    raw::sleep(Duration::from_millis(1));
}
