//! Two threads move blocks between two shelves, one to and one fro, and each takes the lock of the shelf that
//! it takes from first. So that they meet every time and not now and then, each waits until the other has its
//! first lock.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, due};
use hangscope_test_allocators::raw;

struct Fault;

static MOVERS: AtomicUsize = AtomicUsize::new(0);
static FIRST_LOCKS: AtomicUsize = AtomicUsize::new(0);
const OTHER: usize = FAULTY_LOCK + 1;

impl Hooks for Fault {
    fn before_lock(_lock: usize) {
        if due() && MOVERS.load(Ordering::Relaxed) < 2 {
            match MOVERS.fetch_add(1, Ordering::Relaxed) {
                0 => deadlock_inversion_move(FAULTY_LOCK, OTHER),
                1 => deadlock_inversion_move(OTHER, FAULTY_LOCK),
                _ => {}
            }
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn deadlock_inversion_move(from: usize, to: usize) {
    // Neither takes a lock before there are two: a thread that waits for a lock cannot become the second.
    wait_for_both(&MOVERS);
    mutexes::mid_lock_acquire(from);
    FIRST_LOCKS.fetch_add(1, Ordering::Relaxed);
    wait_for_both(&FIRST_LOCKS);
    raw::tell_truth("owner", mutexes::mutex(from) as usize);
    // culprit: begin
    mutexes::mid_lock_acquire(to);
    // culprit: end
    mutexes::mid_lock_release(to);
    mutexes::mid_lock_release(from);
}

fn wait_for_both(count: &AtomicUsize) {
    while count.load(Ordering::Relaxed) < 2 {
        // SAFETY: always.
        unsafe { libc::sched_yield() };
    }
}
