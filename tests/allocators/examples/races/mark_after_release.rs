//! A mark that is written after the release.
//!
//! Purges happen one after the other, under a spin lock. Each purge counts itself when it begins. The holder
//! of the lock also counts the purges that are complete. A thread that moves the page table first waits until
//! as many purges are complete as have begun.
//!
//! The bug: the holder reads the number of complete purges under the lock, but writes the new number after it
//! has released the lock. If others take and release the lock in between, the late number overwrites theirs.
//! Their purges are then never complete, and the next thread that moves the page table waits for ever.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pace::due;
use crate::spans::age_pages;

#[repr(C)]
struct PurgeLock {
    held: AtomicU32,
    begun: AtomicU32,
    complete: AtomicU32,
}

#[unsafe(no_mangle)]
static g_purge_lock: PurgeLock =
    PurgeLock { held: AtomicU32::new(0), begun: AtomicU32::new(0), complete: AtomicU32::new(0) };

const PURGE: usize = 0;
const MOVE: usize = 1;
const PURGE_OPERATIONS: u32 = 4096;
const MOVE_OPERATIONS: u32 = 8192;
const PAGES: usize = 4096;
/// How often a waiter looks at a word before it lets other threads run.
const LOOKS: u32 = 100;

pub(crate) fn operation(_lock: usize) {
    if due(PURGE, PURGE_OPERATIONS) {
        mark_after_release_purge();
    }
    if due(MOVE, MOVE_OPERATIONS) {
        mark_after_release_move();
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mark_after_release_purge() {
    let lock = &g_purge_lock;
    lock.begun.fetch_add(1, Ordering::SeqCst);
    mark_after_release_acquire();
    age_pages(PAGES);
    let complete = lock.complete.load(Ordering::SeqCst) + 1;
    // race: begin
    lock.held.store(0, Ordering::SeqCst);
    lock.complete.store(complete, Ordering::SeqCst);
    // race: end
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mark_after_release_acquire() {
    let mut looks = 0;
    while g_purge_lock.held.swap(1, Ordering::SeqCst) != 0 {
        while g_purge_lock.held.load(Ordering::Relaxed) != 0 {
            pause(&mut looks);
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mark_after_release_move() {
    let lock = &g_purge_lock;
    let mut looks = 0;
    while lock.begun.load(Ordering::SeqCst) != lock.complete.load(Ordering::SeqCst) {
        pause(&mut looks);
    }
    age_pages(PAGES);
}

fn pause(looks: &mut u32) {
    *looks += 1;
    if looks.is_multiple_of(LOOKS) {
        // SAFETY: sched_yield has no preconditions.
        unsafe { libc::sched_yield() };
    }
    spin_loop();
}
