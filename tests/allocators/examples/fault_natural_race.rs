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

/// The futex word. Lowest byte: how many more threads may come in; above it a count of those that came out, so
/// that a thread sleeps only if nothing has changed since it looked.
#[repr(transparent)]
struct Places(AtomicU32);

const PLACE: u32 = 1;
const ONE_CAME_OUT: u32 = 0x100;

#[unsafe(no_mangle)]
static g_mid_places: Places = Places(AtomicU32::new(2 * PLACE));

/// Never less than the threads that sleep and that nobody is about to wake; at times more, which costs a call
/// of the kernel.
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

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_enter() {
    let word = &g_mid_places.0;
    loop {
        let seen = word.load(Ordering::SeqCst);
        if seen.is_multiple_of(ONE_CAME_OUT) {
            SLEEPERS.fetch_add(1, Ordering::SeqCst);
            raw::futex_wait(word, seen);
        } else if word.compare_exchange(seen, seen - PLACE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return;
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_leave() {
    let word = &g_mid_places.0;
    word.fetch_add(ONE_CAME_OUT + PLACE, Ordering::SeqCst);
    let one_less = |sleepers: u32| sleepers.checked_sub(1);
    if SLEEPERS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
        if due() && WAKING.swap(true, Ordering::SeqCst) {
            return;
        }
        WAKING.store(false, Ordering::SeqCst);
        raw::futex_wake_one(word);
    }
}
