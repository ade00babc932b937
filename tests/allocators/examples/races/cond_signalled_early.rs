//! A condition that is signalled before the thread waits.
//!
//! One thread at a time may give memory back to the system. The others queue up, and each has a seat with a
//! mutex, a condition and a flag. A thread that has finished hands the permit on to the first seat: it sets
//! the flag and signals the condition.
//!
//! The bug: it does so without the mutex of the seat. If this happens after the waiter has read the flag and
//! before the waiter waits on the condition, the signal finds nobody. The waiter then waits for ever with the
//! permit in its hand, and all later threads queue up behind it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::pace::due;
use crate::pthread::{Condition, Mutex};
use crate::spans::age_pages;

struct Seat {
    mutex: Mutex,
    called: Condition,
    /// Whether the permit has been handed to this seat.
    granted: AtomicBool,
}

const SEATS: usize = 64;

#[unsafe(no_mangle)]
static g_permit_seats: [Seat; SEATS] =
    [const { Seat { mutex: Mutex::new(), called: Condition::new(), granted: AtomicBool::new(false) } };
        SEATS];

/// Protects the queue: the words below.
#[unsafe(no_mangle)]
static g_permit_lock: Mutex = Mutex::new();
/// 1 while a thread has the permit.
static GIVEN: AtomicU32 = AtomicU32::new(0);
/// One bit for each seat: 1 if a waiter has the seat.
static TAKEN: AtomicU64 = AtomicU64::new(0);
/// The seats of the waiters, in the order of their arrival.
static QUEUE: [AtomicUsize; SEATS] = [const { AtomicUsize::new(0) }; SEATS];
static QUEUE_FIRST: AtomicUsize = AtomicUsize::new(0);
static QUEUE_END: AtomicUsize = AtomicUsize::new(0);

const OPERATIONS: u32 = 8192;
const PAGES: usize = 4096;

pub(crate) fn operation(_lock: usize) {
    if due(0, OPERATIONS) && cond_signalled_early_get() {
        age_pages(PAGES);
        cond_signalled_early_hand_on();
    }
}

/// Gets the permit, and waits for it if necessary. Returns false if all seats are taken.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn cond_signalled_early_get() -> bool {
    g_permit_lock.lock();
    if GIVEN.swap(1, Ordering::Relaxed) == 0 {
        g_permit_lock.unlock();
        return true;
    }
    let taken = TAKEN.load(Ordering::Relaxed);
    let number = taken.trailing_ones() as usize;
    if number == SEATS {
        g_permit_lock.unlock();
        return false;
    }
    TAKEN.store(taken | 1 << number, Ordering::Relaxed);
    let end = QUEUE_END.load(Ordering::Relaxed);
    QUEUE[end % SEATS].store(number, Ordering::Relaxed);
    QUEUE_END.store(end + 1, Ordering::Relaxed);
    let seat = &g_permit_seats[number];
    seat.granted.store(false, Ordering::Relaxed);
    g_permit_lock.unlock();

    seat.mutex.lock();
    // race: begin
    while !seat.granted.load(Ordering::Acquire) {
        seat.called.wait(&seat.mutex);
    }
    // race: end
    seat.mutex.unlock();

    g_permit_lock.lock();
    TAKEN.store(TAKEN.load(Ordering::Relaxed) & !(1 << number), Ordering::Relaxed);
    g_permit_lock.unlock();
    true
}

/// Hands the permit to the first waiter. The calling thread has the permit.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn cond_signalled_early_hand_on() {
    g_permit_lock.lock();
    let first = QUEUE_FIRST.load(Ordering::Relaxed);
    if first == QUEUE_END.load(Ordering::Relaxed) {
        GIVEN.store(0, Ordering::Relaxed);
        g_permit_lock.unlock();
        return;
    }
    let seat = &g_permit_seats[QUEUE[first % SEATS].load(Ordering::Relaxed)];
    QUEUE_FIRST.store(first + 1, Ordering::Relaxed);
    g_permit_lock.unlock();
    // race: begin
    seat.granted.store(true, Ordering::Release);
    seat.called.signal();
    // race: end
}
