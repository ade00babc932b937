//! Double-checked initialisation that checks the same copy twice.
//!
//! Threads carve spans from the current arena. After some spans, the next arena becomes the current one. The
//! first thread that uses an arena initialises it, with a mutex held, and links it into the list of arenas.
//!
//! The bug: a thread reads the arena's flag once, before it takes the mutex. The second check, with the mutex
//! held, looks at this copy. Two threads that meet at a new arena thus both initialise it, one after the
//! other. The second one finds the arena at the head of the list and makes it its own successor. A purge
//! walks along the list, whose end never comes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::pace::due;
use crate::pthread::Mutex;

struct Arena {
    ready: AtomicBool,
    /// Number of spans that were carved from the arena.
    carved: AtomicU32,
    /// Index of the arena that was initialised before this one.
    next: AtomicU32,
}

/// More than a run of the benchmark uses. When all are used, the last one stays the current one.
const ARENAS: usize = 4096;
const NO_ARENA: u32 = u32::MAX;

#[unsafe(no_mangle)]
static g_arenas: [Arena; ARENAS] = [const {
    Arena { ready: AtomicBool::new(false), carved: AtomicU32::new(0), next: AtomicU32::new(NO_ARENA) }
}; ARENAS];
#[unsafe(no_mangle)]
static g_arena_init_lock: Mutex = Mutex::new();
/// Index of the arena that was initialised last. Only the holder of the mutex changes it.
static FIRST: AtomicU32 = AtomicU32::new(NO_ARENA);
static CURRENT: AtomicU32 = AtomicU32::new(0);

const REFILL: usize = 0;
const PURGE: usize = 1;
const OPERATIONS: u32 = 8192;
/// Number of spans that an arena has.
const ARENA_SPANS: u32 = 8;

pub(crate) fn operation(_lock: usize) {
    if due(REFILL, OPERATIONS) {
        double_checked_init_refill();
    }
    if due(PURGE, OPERATIONS) {
        double_checked_init_purge();
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn double_checked_init_refill() {
    let current = CURRENT.load(Ordering::Acquire);
    double_checked_init_arena(current);
    let carved = g_arenas[current as usize].carved.fetch_add(1, Ordering::AcqRel) + 1;
    if carved >= ARENA_SPANS && (current as usize) < ARENAS - 1 {
        // If this fails, another thread has moved on already.
        let _ = CURRENT.compare_exchange(current, current + 1, Ordering::AcqRel, Ordering::Relaxed);
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn double_checked_init_arena(number: u32) {
    let arena = &g_arenas[number as usize];
    // race: begin
    let ready = arena.ready.load(Ordering::Acquire);
    if !ready {
        g_arena_init_lock.lock();
        if !ready {
            arena.carved.store(0, Ordering::Relaxed);
            arena.next.store(FIRST.load(Ordering::Relaxed), Ordering::Relaxed);
            FIRST.store(number, Ordering::Release);
            arena.ready.store(true, Ordering::Release);
        }
        g_arena_init_lock.unlock();
    }
    // race: end
}

/// Counts the spans of all arenas.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn double_checked_init_purge() -> u32 {
    let mut spans = 0_u32;
    let mut number = FIRST.load(Ordering::Acquire);
    while number != NO_ARENA {
        let arena = &g_arenas[number as usize];
        spans = spans.wrapping_add(arena.carved.load(Ordering::Relaxed));
        number = arena.next.load(Ordering::Relaxed);
    }
    spans
}
