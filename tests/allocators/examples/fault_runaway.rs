//! A thread without a lock searches a table for a missing entry, and starts again at the end of the table.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::Hooks;
use hangscope_test_allocators::fault::Once;
use hangscope_test_allocators::raw;

struct Fault;

static SEARCHED: Once = Once::new();
static TABLE: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

impl Hooks for Fault {
    fn before_lock(_lock: usize) {
        if SEARCHED.claim() {
            raw::tell_truth("culprit", 0);
            runaway_find_owner(1);
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn runaway_find_owner(wanted: usize) -> usize {
    let mut slot = 0;
    // culprit: begin
    while TABLE[slot].load(Ordering::Relaxed) != wanted {
        slot = (slot + 1) % TABLE.len();
    }
    // culprit: end
    slot
}
