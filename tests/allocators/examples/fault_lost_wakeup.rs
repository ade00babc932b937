//! The central locks are futex words, and whoever lets go of one of them forgets to wake: the word says free,
//! and those who wait for it sleep on. Whoever comes later finds it free and goes on, so that one thread gets
//! to the end of its work. So that this happens in every run, the first to have the lock when it is time waits
//! until another waits for it.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{Hooks, Shelf, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once, due};
use hangscope_test_allocators::raw;

struct Fault;

static FIRST: Once = Once::new();
const PATIENCE: Duration = Duration::from_secs(5);

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_WAITED_FOR: u32 = 2;

/// A line of the processor's cache each.
#[repr(align(64))]
struct Word(AtomicU32);

#[unsafe(no_mangle)]
static g_mid_words: [Word; mutexes::LOCKS] = [const { Word(AtomicU32::new(FREE)) }; mutexes::LOCKS];

impl Hooks for Fault {
    // A child would have words that nobody lets go of; this allocator is not made for forks.
    const GUARDS_FORK: bool = false;

    fn acquire(lock: usize) {
        lost_wakeup_acquire(lock);
    }

    fn release(lock: usize) {
        lost_wakeup_release(lock);
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && FIRST.claim() {
            // Where no other thread is at work any more, it goes on after a while, without the fault.
            let start = Instant::now();
            let word = &g_mid_words[lock].0;
            while word.load(Ordering::Relaxed) != HELD_AND_WAITED_FOR && start.elapsed() < PATIENCE {
                // SAFETY: always.
                unsafe { libc::sched_yield() };
            }
        }
    }
}

/// Drepper, "Futexes are tricky" (2011), mutex 2.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn lost_wakeup_acquire(lock: usize) {
    let word = &g_mid_words[lock].0;
    if word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        return;
    }
    while word.swap(HELD_AND_WAITED_FOR, Ordering::Acquire) != FREE {
        raw::futex_wait(word, HELD_AND_WAITED_FOR);
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn lost_wakeup_release(lock: usize) {
    let word = &g_mid_words[lock].0;
    if word.swap(FREE, Ordering::Release) == HELD_AND_WAITED_FOR {
        if lock == FAULTY_LOCK && due() {
            raw::tell_truth("culprit", word.as_ptr() as usize);
            return;
        }
        raw::futex_wake_one(word);
    }
}
