//! Counts what it does, as builds for statistics do; with `FAULT_COUNTERS=1` it prints that when the program exits. The fault is that of the
//! demonstration: a walk along a list that bites its own tail, under a central lock. A run that hangs so prints nothing,
//! but its counters are in memory.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use common::{Hooks, Shelf, mid, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

/// The counters, in the order in which they are printed.
#[repr(C)]
struct Counters {
    /// Operations on the central part.
    calls: AtomicU64,
    /// Those that found the lock taken.
    lock_path: AtomicU64,
    /// Steps along the list.
    walk_steps: AtomicU64,
    /// Always 0.
    never: AtomicU64,
}

#[unsafe(no_mangle)]
static g_counted: Counters = Counters {
    calls: AtomicU64::new(0),
    lock_path: AtomicU64::new(0),
    walk_steps: AtomicU64::new(0),
    never: AtomicU64::new(0),
};

/// Threads within the central part; not printed.
#[unsafe(no_mangle)]
static g_counted_inside: AtomicI32 = AtomicI32::new(0);

struct Fault;

static FREED_TWICE: Once = Once::new();

impl Hooks for Fault {
    const ONE_IN: u64 = 4;

    fn start() {
        let prints = raw::number_from_env(c"FAULT_COUNTERS", 0) != 0;
        // SAFETY: the handler stays for as long as the process. atexit may allocate, which is possible by now.
        if prints && unsafe { libc::atexit(counted_print) } != 0 {
            raw::die(format_args!("atexit: no room"));
        }
    }

    fn acquire(lock: usize) {
        g_counted.calls.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the mutex is initialised and never destroyed.
        if unsafe { libc::pthread_mutex_trylock(mutexes::mutex(lock)) } != 0 {
            g_counted.lock_path.fetch_add(1, Ordering::Relaxed);
            mutexes::mid_lock_acquire(lock);
        }
        g_counted_inside.fetch_add(1, Ordering::Relaxed);
    }

    fn release(lock: usize) {
        g_counted_inside.fetch_sub(1, Ordering::Relaxed);
        mutexes::mid_lock_release(lock);
    }

    fn under_lock(lock: usize, shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && !shelf.head.is_null() && FREED_TWICE.claim() {
            // SAFETY: the head is a free block on a shelf whose lock this thread has.
            unsafe { (*shelf.head).next = shelf.head };
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            counted_shelf_last(shelf.head);
        }
    }
}

/// Prints them, at the exit or whenever it is called.
#[unsafe(no_mangle)]
extern "C" fn counted_print() {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    raw::write_line(
        libc::STDERR_FILENO,
        format_args!(
            "[COUNTED] mid_calls={} mid_lock_path={}",
            of(&g_counted.calls),
            of(&g_counted.lock_path)
        ),
    );
    raw::write_line(
        libc::STDERR_FILENO,
        format_args!(
            "[COUNTED] mid_walk_steps={} mid_never={} of a build that counts",
            of(&g_counted.walk_steps),
            of(&g_counted.never)
        ),
    );
}

/// Walks to the last block of a shelf.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn counted_shelf_last(mut node: *mut mid::Node) -> *mut mid::Node {
    // culprit: begin
    loop {
        g_counted.walk_steps.fetch_add(1, Ordering::Relaxed);
        // SAFETY: nodes on a shelf are free blocks; volatile, so that the loop is what it looks like.
        let next = unsafe { (&raw const (*node).next).read_volatile() };
        if next.is_null() {
            return node;
        }
        node = next;
    }
    // culprit: end
}
