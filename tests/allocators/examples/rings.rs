//! Lists that are walked for ever. `RING` chooses what is wrong: 1: a block that links to itself; 2: a ring of
//! three blocks; 3: a ring of 5,000; 4: nothing: a list of 5,000 that ends, and is walked again and again; 5: no
//! list: a loop that counts.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use common::Hooks;
use hangscope_test_allocators::fault::Once;
use hangscope_test_allocators::raw;

/// A free block. The pointer to the next one is not its first word.
#[repr(C)]
struct Block {
    size: AtomicU64,
    next: AtomicPtr<Block>,
    rest: [u64; 6],
}

/// A list of blocks of one size.
#[repr(C)]
struct Bin {
    lock: AtomicU64,
    first: AtomicPtr<Block>,
}

const MOST: usize = 5000;

/// The list is in the fifth bin.
#[unsafe(no_mangle)]
static g_ring_bins: [Bin; 8] =
    [const { Bin { lock: AtomicU64::new(0), first: AtomicPtr::new(std::ptr::null_mut()) } }; 8];
static BLOCKS: [Block; MOST] =
    [const { Block { size: AtomicU64::new(32), next: AtomicPtr::new(std::ptr::null_mut()), rest: [0; 6] } };
        MOST];
static BROKEN: Once = Once::new();
static FOUND: AtomicU64 = AtomicU64::new(0);

struct Fault;

impl Hooks for Fault {
    fn before_lock(_lock: usize) {
        if !BROKEN.claim() {
            return;
        }
        let kind = raw::number_from_env(c"RING", 0);
        raw::tell_truth("culprit", 0);
        match kind {
            1 => {
                link(1, true);
                rings_walk(64);
            }
            2 => {
                link(3, true);
                rings_walk(64);
            }
            3 => {
                link(MOST, true);
                rings_walk(64);
            }
            4 => {
                link(MOST, false);
                rings_walk_again(64);
            }
            5 => rings_count(),
            _ => raw::die(format_args!("RING={kind}: there are 1 to 5")),
        }
    }
}

/// Links so many blocks, and closes the ring or ends the list.
fn link(count: usize, ring: bool) {
    for (i, block) in BLOCKS.iter().enumerate().take(count) {
        let last = i + 1 == count;
        let next = match (last, ring) {
            (true, false) => std::ptr::null_mut(),
            _ => at((i + 1) % count),
        };
        block.next.store(next, Ordering::Relaxed);
    }
    g_ring_bins[4].first.store(at(0), Ordering::Release);
}

fn at(i: usize) -> *mut Block {
    std::ptr::from_ref(&BLOCKS[i]).cast_mut()
}

/// Searches the list for a block that is large enough. There is none.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn rings_walk(wanted: u64) {
    let mut block = g_ring_bins[4].first.load(Ordering::Acquire);
    // culprit: begin
    // SAFETY: the list holds blocks of BLOCKS only.
    while let Some(this) = unsafe { block.as_ref() } {
        if this.size.load(Ordering::Relaxed) >= wanted {
            FOUND.fetch_add(1, Ordering::Relaxed);
            return;
        }
        block = this.next.load(Ordering::Relaxed);
    }
    // culprit: end
}

/// Searches the list, which ends, again and again.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn rings_walk_again(wanted: u64) {
    while FOUND.load(Ordering::Relaxed) == 0 {
        rings_walk(wanted);
    }
}

/// Counts for longer than anybody waits.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn rings_count() {
    let mut n = 0u64;
    while FOUND.load(Ordering::Relaxed) == 0 {
        n = n.wrapping_add(1);
        std::hint::black_box(n);
    }
}
