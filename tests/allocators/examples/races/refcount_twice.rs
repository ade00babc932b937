//! A reference count that two threads see reach zero.
//!
//! Four threads share a span, which counts them. Once in a while, a thread drops its span and gets another
//! one. The last thread that drops a span puts it back into the list of free spans, under the list's lock.
//!
//! The bug: a thread counts itself off, and then reads the count in a second step. If the last two threads
//! have both counted themselves off before one of them reads, both read zero, and both put the span back. The
//! span is then twice in the list and so follows itself. The next thread that looks for the end of the list,
//! with the lock held, never finds it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pace::due;
use crate::pthread::Mutex;
use crate::spans::{Links, NO_SPAN, SPANS};

/// Number of threads that share a span.
const SHARERS: u32 = 4;

/// Protects the words of this file, except for the reference counts.
#[unsafe(no_mangle)]
static g_span_list_lock: Mutex = Mutex::new();
/// The free span that was put back last.
static FIRST: AtomicU32 = AtomicU32::new(NO_SPAN);
static LINKS: Links = Links::new();
/// Number of spans that were made so far.
static MADE: AtomicU32 = AtomicU32::new(0);
/// The span that the next threads get, and how many threads more.
static SHARED: AtomicU32 = AtomicU32::new(NO_SPAN);
static SHARES_LEFT: AtomicU32 = AtomicU32::new(0);

/// For each span, how many threads have not dropped it yet. A thread that
/// will still get the span counts too.
static REFERENCES: [AtomicU32; SPANS] = [const { AtomicU32::new(0) }; SPANS];

thread_local! {
    // The value is constant and has no destructor, so std allocates and registers nothing for it.
    static MINE: Cell<u32> = const { Cell::new(NO_SPAN) };
}

const OPERATIONS: u32 = 4096;

pub(crate) fn operation(_lock: usize) {
    if due(0, OPERATIONS) {
        MINE.with(|mine| {
            refcount_twice_drop(mine.get());
            mine.set(refcount_twice_get());
        });
    }
}

pub(crate) fn thread_exit() {
    MINE.with(|mine| refcount_twice_drop(mine.replace(NO_SPAN)));
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn refcount_twice_drop(span: u32) {
    if span == NO_SPAN {
        return;
    }
    let references = &REFERENCES[span as usize];
    // race: begin
    references.fetch_sub(1, Ordering::AcqRel);
    if references.load(Ordering::Acquire) == 0 {
        refcount_twice_put(span);
    }
    // race: end
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn refcount_twice_put(span: u32) {
    g_span_list_lock.lock();
    LINKS.set_after(span, FIRST.load(Ordering::Relaxed));
    FIRST.store(span, Ordering::Relaxed);
    g_span_list_lock.unlock();
}

/// Returns a share of a span, or [`NO_SPAN`] if all spans are in use.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn refcount_twice_get() -> u32 {
    g_span_list_lock.lock();
    if SHARES_LEFT.load(Ordering::Relaxed) == 0 {
        let span = refcount_twice_take_last();
        SHARED.store(span, Ordering::Relaxed);
        if span != NO_SPAN {
            REFERENCES[span as usize].store(SHARERS, Ordering::Release);
            SHARES_LEFT.store(SHARERS, Ordering::Relaxed);
        }
    }
    let span = SHARED.load(Ordering::Relaxed);
    if span != NO_SPAN {
        SHARES_LEFT.store(SHARES_LEFT.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
    g_span_list_lock.unlock();
    span
}

/// Takes the span that was free for the longest time, which is the last one. Makes a span if none is free.
/// The caller holds the lock.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn refcount_twice_take_last() -> u32 {
    let mut last = FIRST.load(Ordering::Relaxed);
    if last == NO_SPAN {
        let made = MADE.load(Ordering::Relaxed);
        if made as usize == SPANS {
            return NO_SPAN;
        }
        MADE.store(made + 1, Ordering::Relaxed);
        return made;
    }
    let mut before = NO_SPAN;
    loop {
        match LINKS.after(last) {
            NO_SPAN => break,
            next => (before, last) = (last, next),
        }
    }
    match before {
        NO_SPAN => FIRST.store(NO_SPAN, Ordering::Relaxed),
        before => LINKS.set_after(before, NO_SPAN),
    }
    last
}
