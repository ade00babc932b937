//! A race as they are found in real allocators. At most two threads are let into the central part at a time;
//! the others sleep in a queue. Whoever comes out takes a sleeper off the queue's count and wakes it, unless
//! another thread is just waking one: then it leaves that to the other, which wakes one and not two. When two
//! releases meet like this, a sleeper is forgotten. Nothing shows as long as others come and go, since they
//! wake it in place of one of their own; at the end of the work one thread sleeps on, and the word says free.
//!
//! Nothing is arranged here: it happens when the scheduler has it so.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::due;
use hangscope_test_allocators::raw;

struct Fault;

/// How many more threads may come in: the futex word.
#[repr(transparent)]
struct Places(AtomicU32);

#[unsafe(no_mangle)]
static g_mid_places: Places = Places(AtomicU32::new(2));

/// Threads that sleep, or are about to, and that nobody has woken.
static SLEEPERS: AtomicU32 = AtomicU32::new(0);
/// Whether a thread is just waking one.
static WAKING: AtomicBool = AtomicBool::new(false);

impl Hooks for Fault {
    // A child would have places that nobody gives back; this allocator is not made for forks.
    const GUARDS_FORK: bool = false;

    fn acquire(lock: usize) {
        natural_race_enter();
        mutexes::mid_lock_acquire(lock);
    }

    fn release(lock: usize) {
        mutexes::mid_lock_release(lock);
        natural_race_leave();
    }
}

/// Takes one from `count`, unless it is 0.
fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_enter() {
    while !take_one(&g_mid_places.0) {
        SLEEPERS.fetch_add(1, Ordering::AcqRel);
        if !raw::futex_wait(&g_mid_places.0, 0) {
            // It did not sleep: a place came free. Unless somebody has taken it off already.
            take_one(&SLEEPERS);
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_leave() {
    g_mid_places.0.fetch_add(1, Ordering::AcqRel);
    if take_one(&SLEEPERS) {
        if due() && WAKING.swap(true, Ordering::AcqRel) {
            return;
        }
        raw::futex_wake_one(&g_mid_places.0);
        WAKING.store(false, Ordering::Release);
    }
}
