//! Nobody takes the central locks around a fork, so the child may get one that is held by a thread that it
//! does not have. So that this happens at every fork and not now and then, a fork waits until a thread has
//! the lock, and that thread keeps it until the fork is over.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Hooks, Shelf, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, due};
use hangscope_test_allocators::raw;

struct Fault;

static FORKING: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

impl Hooks for Fault {
    const GUARDS_FORK: bool = false;

    fn start() {
        // SAFETY: the handlers stay for as long as the process.
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
                // SAFETY: always.
                unsafe { libc::sched_yield() };
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
    // A fork when no other thread works goes on after a while, without the fault.
    let start = Instant::now();
    while !HELD.load(Ordering::Acquire) && start.elapsed() < Duration::from_secs(5) {
        // SAFETY: always.
        unsafe { libc::sched_yield() };
    }
}

/// In the parent. In the child the lock stays as it is.
extern "C" fn after_fork() {
    FORKING.store(false, Ordering::Release);
}
