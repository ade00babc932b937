//! A queue whose slots are used again too early.
//!
//! Threads hand spans over to each other through a ring. A sender claims the tail and then writes its entry
//! into the slot. A receiver claims the head, waits for the entry if the sender has not written it yet, and
//! takes it out.
//!
//! The bug: the queue counts as full by the claims. A slot is free again as soon as a receiver has claimed
//! it, although the entry is still in it. If the other threads go once round the ring before that receiver
//! takes the entry out, a sender writes over it. Two receivers now wait for the one entry of this slot. The
//! one that is late waits for an entry that was taken already.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pace::{due, random};
use crate::spans::SPANS;

const SLOTS: u32 = 4;
const EMPTY: u32 = 0;

#[unsafe(no_mangle)]
static g_handover_slots: [AtomicU32; SLOTS as usize] = [const { AtomicU32::new(EMPTY) }; SLOTS as usize];
/// Number of claims of receivers and of senders since the start. Both wrap around.
static HEAD: AtomicU32 = AtomicU32::new(0);
static TAIL: AtomicU32 = AtomicU32::new(0);

const OPERATIONS: u32 = 2048;
/// How often a receiver looks at a slot before it lets other threads run.
const LOOKS: u32 = 100;

pub(crate) fn operation(_lock: usize) {
    if due(0, OPERATIONS) {
        // As many of one as of the other, so that the queue is seldom full or empty for long.
        if random() & 1 == 0 {
            stale_queue_entry_send(1 + random() % SPANS as u32);
        } else {
            stale_queue_entry_receive();
        }
    }
}

fn slot(claim: u32) -> &'static AtomicU32 {
    &g_handover_slots[(claim % SLOTS) as usize]
}

/// Sends an entry, which must not be [`EMPTY`]. Returns whether there was room for it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn stale_queue_entry_send(entry: u32) -> bool {
    let mut tail = TAIL.load(Ordering::Relaxed);
    // race: begin
    loop {
        if tail.wrapping_sub(HEAD.load(Ordering::Acquire)) >= SLOTS {
            return false;
        }
        match TAIL.compare_exchange_weak(tail, tail.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => tail = now,
        }
    }
    slot(tail).store(entry, Ordering::Release);
    // race: end
    true
}

/// Receives an entry. Returns [`EMPTY`] if the queue has none.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn stale_queue_entry_receive() -> u32 {
    let mut head = HEAD.load(Ordering::Relaxed);
    loop {
        if head == TAIL.load(Ordering::Acquire) {
            return EMPTY;
        }
        // race: begin
        match HEAD.compare_exchange_weak(head, head.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    let slot = slot(head);
    let mut looks = 0;
    while slot.load(Ordering::Relaxed) == EMPTY {
        looks += 1;
        if looks % LOOKS == 0 {
            // SAFETY: sched_yield has no preconditions.
            unsafe { libc::sched_yield() };
        }
        spin_loop();
    }
    slot.swap(EMPTY, Ordering::AcqRel)
    // race: end
}
