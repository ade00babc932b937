//! The central locks are only ever tried, and tried again. Two threads that each have one try for the other's,
//! all others try for one of the two, and nobody ever waits or comes out.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, due};
use hangscope_test_allocators::raw;

struct Fault;

static MOVERS: AtomicUsize = AtomicUsize::new(0);
static FIRST_LOCKS: AtomicUsize = AtomicUsize::new(0);
const OTHER: usize = FAULTY_LOCK + 1;

impl Hooks for Fault {
    // Its locks are not to be waited for.
    const GUARDS_FORK: bool = false;

    fn before_lock(_lock: usize) {
        if due() && MOVERS.load(Ordering::Relaxed) < 2 {
            match MOVERS.fetch_add(1, Ordering::Relaxed) {
                0 => livelock_move(FAULTY_LOCK, OTHER),
                1 => livelock_move(OTHER, FAULTY_LOCK),
                _ => {}
            }
        }
    }

    fn acquire(lock: usize) {
        livelock_acquire(lock);
    }
}

/// Tries until it has the lock.
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
    wait_for_both(&MOVERS);
    livelock_acquire(from);
    FIRST_LOCKS.fetch_add(1, Ordering::Relaxed);
    wait_for_both(&FIRST_LOCKS);
    raw::tell_truth("culprit", mutexes::mutex(from) as usize);
    livelock_acquire(to);
    mutexes::mid_lock_release(to);
    mutexes::mid_lock_release(from);
}

fn wait_for_both(count: &AtomicUsize) {
    while count.load(Ordering::Relaxed) < 2 {
        // SAFETY: always.
        unsafe { libc::sched_yield() };
    }
}
