//! Counts its operations, like an allocator that was built with statistics. With `FAULT_COUNTERS=1`, it
//! prints the counters at exit. The fault is that of the demonstration: a thread walks a circular list while
//! it holds a central lock. A run that hangs prints nothing, but its counters are in memory.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use common::shelf::{Node, Shelf};
use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

/// The counters, in the order of the printed lines.
#[repr(C)]
struct Counters {
    /// Operations on the central part.
    calls: AtomicU64,
    /// Operations that had to wait for the lock.
    lock_path: AtomicU64,
    /// Steps along the circular list.
    walk_steps: AtomicU64,
    /// Stays 0, for tests of counters that never change.
    never: AtomicU64,
}

#[unsafe(no_mangle)]
static g_counted: Counters = Counters {
    calls: AtomicU64::new(0),
    lock_path: AtomicU64::new(0),
    walk_steps: AtomicU64::new(0),
    never: AtomicU64::new(0),
};

/// Number of threads in the central part. This counter is not printed.
#[unsafe(no_mangle)]
static g_counted_inside: AtomicI32 = AtomicI32::new(0);

struct Fault;

static FREED_TWICE: Once = Once::new();

impl Hooks for Fault {
    const ONE_IN: u64 = 4;

    fn start() {
        let prints = raw::number_from_env(c"FAULT_COUNTERS", 0) != 0;
        // SAFETY: the handler stays mapped until the process
        // ends. atexit may allocate: the allocator works by now.
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
            // SAFETY: the head is a free block on a shelf, and this thread holds the shelf's lock.
            unsafe { (*shelf.head).next = shelf.head };
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            counted_shelf_last(shelf.head);
        }
    }
}

/// Prints the counters, at exit or when a debugger calls this function.
#[unsafe(no_mangle)]
extern "C" fn counted_print() {
    let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    raw::write_line(
        libc::STDERR_FILENO,
        format_args!(
            "[COUNTED] mid_calls={} mid_lock_path={}",
            value(&g_counted.calls),
            value(&g_counted.lock_path)
        ),
    );
    raw::write_line(
        libc::STDERR_FILENO,
        format_args!(
            "[COUNTED] mid_walk_steps={} mid_never={} of a build that counts",
            value(&g_counted.walk_steps),
            value(&g_counted.never)
        ),
    );
}

/// Walks to the last block of a shelf. In a circular list, the walk never ends.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn counted_shelf_last(mut node: *mut Node) -> *mut Node {
    // culprit: begin
    loop {
        g_counted.walk_steps.fetch_add(1, Ordering::Relaxed);
        // The read is volatile so that the compiler keeps the loop.
        // SAFETY: nodes on a shelf are free blocks.
        let next = unsafe { (&raw const (*node).next).read_volatile() };
        if next.is_null() {
            return node;
        }
        node = next;
    }
    // culprit: end
}
