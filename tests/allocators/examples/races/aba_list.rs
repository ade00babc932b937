//! A lock-free list whose head has no tag.
//!
//! Free spans are on a stack. To take one, a thread reads the head and the span that follows it, and replaces
//! the first by the second if the head is still the same span.
//!
//! The bug: the same span does not mean the same list (ABA). While the thread is between the two reads and
//! the replacement, others take the first span and the second one, and put the first back. The replacement
//! succeeds and makes the second span the head, although somebody uses it. When that thread puts the span
//! back, it becomes its own successor. A purge takes the whole list and walks along it to the end, which
//! never comes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pace::{due, random};
use crate::spans::{Links, NO_SPAN, SPANS};

/// The first free span.
#[unsafe(no_mangle)]
static g_free_spans: AtomicU32 = AtomicU32::new(NO_SPAN);
static LINKS: Links = Links::new();
/// Number of spans that were made so far.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Number of spans that a thread keeps for itself.
const KEPT: usize = 4;

thread_local! {
    // The values are constant and have no destructors, so std allocates and registers nothing for them.
    static MINE: [Cell<u32>; KEPT] = const { [const { Cell::new(NO_SPAN) }; KEPT] };
}

const EXCHANGE: usize = 0;
const PURGE: usize = 1;
const EXCHANGE_OPERATIONS: u32 = 1024;
const PURGE_OPERATIONS: u32 = 8192;

pub(crate) fn operation(_lock: usize) {
    if due(EXCHANGE, EXCHANGE_OPERATIONS) {
        exchange();
    }
    if due(PURGE, PURGE_OPERATIONS) {
        aba_list_purge();
    }
}

/// Puts one of the thread's spans back, or takes one if that place is free.
fn exchange() {
    MINE.with(|mine| {
        let place = &mine[random() as usize % KEPT];
        match place.get() {
            NO_SPAN => place.set(aba_list_take()),
            span => {
                place.set(NO_SPAN);
                aba_list_put(span, span);
            }
        }
    });
}

pub(crate) fn thread_exit() {
    MINE.with(|mine| {
        for span in mine.iter().map(|place| place.replace(NO_SPAN)).filter(|span| *span != NO_SPAN) {
            aba_list_put(span, span);
        }
    });
}

/// Takes the first span. Makes a span if the list is empty. Returns [`NO_SPAN`] if all spans exist already.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn aba_list_take() -> u32 {
    loop {
        // race: begin
        let first = g_free_spans.load(Ordering::Acquire);
        if first == NO_SPAN {
            return make();
        }
        let second = LINKS.after(first);
        let replaced =
            g_free_spans.compare_exchange(first, second, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        // race: end
        if replaced {
            return first;
        }
    }
}

fn make() -> u32 {
    let made = MADE.load(Ordering::Relaxed);
    if made as usize >= SPANS {
        return NO_SPAN;
    }
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    if (made as usize) < SPANS { made } else { NO_SPAN }
}

/// Puts a chain of spans before the first one. The chain belongs to the calling thread.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn aba_list_put(chain_first: u32, chain_last: u32) {
    let mut first = g_free_spans.load(Ordering::Relaxed);
    loop {
        LINKS.set_after(chain_last, first);
        match g_free_spans.compare_exchange_weak(first, chain_first, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => first = now,
        }
    }
}

/// Takes the whole list, walks to its end, and puts it back.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn aba_list_purge() {
    let first = g_free_spans.swap(NO_SPAN, Ordering::AcqRel);
    if first == NO_SPAN {
        return;
    }
    let mut last = first;
    loop {
        match LINKS.after(last) {
            NO_SPAN => break,
            next => last = next,
        }
    }
    aba_list_put(first, last);
}
