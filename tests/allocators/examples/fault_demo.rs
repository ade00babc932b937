//! The demonstration. In one of four processes, a thread loops while it holds a central lock. This happens
//! after some ten thousand operations. The bug: a block is put on its shelf twice, so that the shelf's list
//! becomes circular. The walk to the end of the list then never ends.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::shelf::{Node, Shelf};
use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

static FREED_TWICE: Once = Once::new();

impl Hooks for Fault {
    const ONE_IN: u64 = 4;

    fn under_lock(lock: usize, shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && !shelf.head.is_null() && FREED_TWICE.claim() {
            // SAFETY: the head is a free block on a shelf, and this thread holds the shelf's lock.
            unsafe { (*shelf.head).next = shelf.head };
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            demo_shelf_last(shelf.head);
        }
    }
}

/// Walks to the last block of a shelf. In a circular list, the walk never ends.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn demo_shelf_last(mut node: *mut Node) -> *mut Node {
    // culprit: begin
    loop {
        // The read is volatile so that the compiler keeps the loop.
        // SAFETY: nodes on a shelf are free blocks.
        let next = unsafe { (&raw const (*node).next).read_volatile() };
        if next.is_null() {
            return node;
        }
        node = next;
    }
    // culprit: end
}
