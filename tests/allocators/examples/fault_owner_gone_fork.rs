//! A fork does not take the central locks. A thread that does not exist in the child may then hold a lock
//! there. To make this happen at every fork, the fork waits until a thread holds the lock. That thread keeps
//! the lock until the fork is over.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::shelf::Shelf;
use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, due};
use hangscope_test_allocators::raw;

struct Fault;

static FORKING: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

impl Hooks for Fault {
    const GUARDS_FORK: bool = false;

    fn start() {
        // SAFETY: the handlers stay mapped until the process ends.
        let error = unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), None) };
        if error != 0 {
            raw::die(format_args!("pthread_atfork: errno {error}"));
        }
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && FORKING.load(Ordering::Acquire) {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            HELD.store(true, Ordering::Release);
            while FORKING.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            HELD.store(false, Ordering::Release);
        }
    }
}

extern "C" fn before_fork() {
    if !due() {
        return;
    }
    FORKING.store(true, Ordering::Release);
    // If no other thread works, the fork continues after this time without the fault.
    let start = Instant::now();
    while !HELD.load(Ordering::Acquire) && start.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
}

/// Runs in the parent only. In the child, the lock stays held.
extern "C" fn after_fork() {
    FORKING.store(false, Ordering::Release);
}
