//! Random numbers of each thread. Threads are numbered in the order in which they first come by, and each has
//! a sequence of its own that follows from the seed and from this number.
//!
//! The table is keyed by the thread pointer. Two threads whose pointers fall into one slot take turns in it,
//! and then begin new sequences: that is as random, only not the same in the next run. A slot is written by
//! whoever uses it, without a lock: the worst that can come of it is one number twice.

use core::sync::atomic::{AtomicU64, Ordering};

use hangscope_protocol::random::{Random, STEP};

use crate::{arch, plan};

const SLOTS: usize = 1024;

struct Slot {
    thread: AtomicU64,
    state: AtomicU64,
}

static TABLE: [Slot; SLOTS] = [const { Slot { thread: AtomicU64::new(0), state: AtomicU64::new(0) } }; SLOTS];
static SEEN: AtomicU64 = AtomicU64::new(0);

/// Numbers for one decision of this thread.
pub(crate) fn draw() -> Random {
    let thread = arch::thread_pointer();
    // Thread control blocks are aligned to 64 bytes and mostly lie at the ends of mapped stacks: Fibonacci
    // hashing (Knuth, TAOCP 3, 6.4) spreads them.
    let index = (thread.wrapping_mul(STEP) >> 54) as usize % SLOTS;
    let Some(slot) = TABLE.get(index) else { return Random::from(thread) };
    if slot.thread.load(Ordering::Relaxed) != thread {
        slot.thread.store(thread, Ordering::Relaxed);
        let number = SEEN.fetch_add(1, Ordering::Relaxed);
        let seed = u64::from(plan::seed()) << 32 | number;
        slot.state.store(Random::from(seed).draw(), Ordering::Relaxed);
    }
    let state = slot.state.load(Ordering::Relaxed).wrapping_add(STEP);
    slot.state.store(state, Ordering::Relaxed);
    Random::from(state)
}
