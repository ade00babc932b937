//! The owner of a central lock spins on a flag that no thread sets.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Hooks, mutexes, shelf::Shelf};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

static REMOTE_LIST_ASKED_FOR: Once = Once::new();
static REMOTE_LIST_READY: AtomicBool = AtomicBool::new(false);

impl Hooks for Fault {
    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && REMOTE_LIST_ASKED_FOR.claim() {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            owner_spinning_wait_for_remote_list();
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn owner_spinning_wait_for_remote_list() {
    // culprit: begin
    while !REMOTE_LIST_READY.load(Ordering::Acquire) {
        spin_loop();
    }
    // culprit: end
}
