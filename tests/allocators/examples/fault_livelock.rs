//! Threads take the central locks with trylock in a loop. Two threads each hold one lock and try to take the
//! other's lock. All other threads try to take one of these two locks. No thread ever sleeps or succeeds.
//!
//! | step | thread 1 | thread 2 |
//! |---|---|---|
//! | 1 | takes lock A | takes lock B |
//! | 2 | sees that B is taken | sees that A is taken |
//! | 3 | tries lock B again and again | tries lock A again and again |
//!
//! All of them use processor time, and none waits in the kernel.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::hint::spin_loop;

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::Pair;
use hangscope_test_allocators::raw;

struct Fault;

static MOVERS: Pair = Pair::new();

impl Hooks for Fault {
    // The fork handlers would sleep on a lock, but in this allocator no thread sleeps on a lock.
    const GUARDS_FORK: bool = false;

    fn before_lock(_lock: usize) {
        if let Some((from, to)) = MOVERS.join() {
            livelock_move(from, to);
        }
    }

    fn acquire(lock: usize) {
        livelock_acquire(lock);
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn livelock_acquire(lock: usize) {
    // culprit: begin
    // SAFETY: the mutex is initialised and never destroyed.
    while unsafe { libc::pthread_mutex_trylock(mutexes::mutex(lock)) } != 0 {
        spin_loop();
    }
    // culprit: end
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn livelock_move(from: usize, to: usize) {
    MOVERS.wait_for_members();
    livelock_acquire(from);
    MOVERS.wait_for_first_locks();
    raw::tell_truth("culprit", mutexes::mutex(from) as usize);
    livelock_acquire(to);
    mutexes::mid_lock_release(to);
    mutexes::mid_lock_release(from);
}
