//! The central locks are futex words. The release of one lock forgets to wake the waiters: the word says
//! free, but the waiters keep sleeping. Threads that come later find the lock free and take it, so one
//! thread finishes its work. The first thread that holds the lock when the fault is due waits until another
//! thread sleeps on the lock, so that the fault happens in every run.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::shelf::Shelf;
use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once, due};
use hangscope_test_allocators::raw;

struct Fault;

static HELD_UNTIL_ONE_SLEEPS: Once = Once::new();
/// The longest wait for another thread to sleep on the lock.
const WAITER_TIMEOUT: Duration = Duration::from_secs(5);

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_WAITED_FOR: u32 = 2;

/// A lock word in its own cache line.
#[repr(align(64))]
struct Word(AtomicU32);

#[unsafe(no_mangle)]
static g_mid_words: [Word; mutexes::LOCKS] = [const { Word(AtomicU32::new(FREE)) }; mutexes::LOCKS];

impl Hooks for Fault {
    // No fork handler exists for the futex words. A child could have words that no thread releases, so
    // programs that fork cannot use this allocator.
    const GUARDS_FORK: bool = false;

    fn acquire(lock: usize) {
        lost_wakeup_acquire(lock);
    }

    fn release(lock: usize) {
        lost_wakeup_release(lock);
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && HELD_UNTIL_ONE_SLEEPS.claim() {
            // If no other thread works any more, the run continues without the fault.
            let start = Instant::now();
            let word = &g_mid_words[lock].0;
            while !raw::futex_has_sleeper(word) && start.elapsed() < WAITER_TIMEOUT {
                std::thread::yield_now();
            }
        }
    }
}

/// Source: Drepper, "Futexes are tricky" (2011), mutex 2.
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
