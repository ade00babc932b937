//! A thread that exits takes a central lock to give its blocks back. One path through that function does not
//! release the lock. The thread is then gone, and the lock stays held.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

static NOTHING_TO_GIVE_BACK: Once = Once::new();

impl Hooks for Fault {
    fn thread_exit() {
        owner_gone_thread_exit();
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn owner_gone_thread_exit() {
    mutexes::mid_lock_acquire(FAULTY_LOCK);
    if NOTHING_TO_GIVE_BACK.claim() {
        raw::tell_truth("owner", mutexes::mutex(FAULTY_LOCK) as usize);
        return;
    }
    mutexes::mid_lock_release(FAULTY_LOCK);
}
