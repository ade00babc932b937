//! A wake that is lost between the check and the sleep.
//!
//! Purges happen one after the other, in the order in which threads drew a ticket. A thread whose turn has
//! not come counts itself as a sleeper, reads the epoch and sleeps on the epoch's futex. A thread that has
//! finished passes the turn on. If it sees a sleeper, it changes the epoch and wakes all.
//!
//! The bug: a waiter checks its turn before it counts itself and reads the epoch. If the turn is passed on in
//! between, either no sleeper is counted yet and nobody wakes, or the epoch that the waiter reads has changed
//! already. The waiter then sleeps although its turn has come. The turn never moves on, so all later purges
//! wait.

use std::sync::atomic::{AtomicU32, Ordering};

use hangscope_test_allocators::raw;

use crate::pace::due;
use crate::spans::age_pages;

#[repr(C)]
struct Turnstile {
    next_ticket: AtomicU32,
    turn: AtomicU32,
    sleepers: AtomicU32,
    epoch: AtomicU32,
}

#[unsafe(no_mangle)]
static g_purge_turnstile: Turnstile = Turnstile {
    next_ticket: AtomicU32::new(0),
    turn: AtomicU32::new(0),
    sleepers: AtomicU32::new(0),
    epoch: AtomicU32::new(0),
};

const OPERATIONS: u32 = 8192;
const PAGES: usize = 4096;

pub(crate) fn operation(_lock: usize) {
    if due(0, OPERATIONS) {
        wake_lost_enter();
        age_pages(PAGES);
        wake_lost_leave();
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn wake_lost_enter() {
    let it = &g_purge_turnstile;
    let ticket = it.next_ticket.fetch_add(1, Ordering::SeqCst);
    // race: begin
    while it.turn.load(Ordering::SeqCst) != ticket {
        it.sleepers.fetch_add(1, Ordering::SeqCst);
        raw::futex_wait(&it.epoch, it.epoch.load(Ordering::SeqCst));
        it.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
    // race: end
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn wake_lost_leave() {
    let it = &g_purge_turnstile;
    it.turn.fetch_add(1, Ordering::SeqCst);
    if it.sleepers.load(Ordering::SeqCst) > 0 {
        it.epoch.fetch_add(1, Ordering::SeqCst);
        raw::futex_wake_all(&it.epoch);
    }
}
