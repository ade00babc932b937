//! Two mutexes that are taken in opposite orders.
//!
//! A refill runs inside an operation on a shelf. It holds the lock of the shelf and takes the lock of the
//! page heap. A purge first takes the lock of the page heap, so that no pages come or go, and then the lock
//! of one shelf. If a refill has the shelf's lock and a purge has the heap's lock, each waits for the other
//! for ever. Both paths are rare, and each holds its first lock alone only for the time of a function call.

use crate::common::mutexes;
use crate::pace::due;
use crate::pthread::Mutex;
use crate::spans::age_pages;

#[unsafe(no_mangle)]
static g_page_heap_lock: Mutex = Mutex::new();

const PURGE: usize = 0;
const REFILL: usize = 1;
/// Mean number of a thread's operations between two slow paths of a kind.
const OPERATIONS: u32 = 16_384;
const PAGES: usize = 256;

pub(crate) fn operation(lock: usize) {
    if due(PURGE, OPERATIONS) {
        lock_inversion_purge(lock);
    }
}

pub(crate) fn under_lock() {
    if due(REFILL, OPERATIONS) {
        lock_inversion_refill();
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn lock_inversion_purge(lock: usize) {
    // race: begin
    g_page_heap_lock.lock();
    mutexes::mid_lock_acquire(lock);
    // race: end
    age_pages(PAGES);
    mutexes::mid_lock_release(lock);
    g_page_heap_lock.unlock();
}

/// The caller holds the lock of a shelf.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn lock_inversion_refill() {
    // race: begin
    g_page_heap_lock.lock();
    // race: end
    age_pages(PAGES);
    g_page_heap_lock.unlock();
}
