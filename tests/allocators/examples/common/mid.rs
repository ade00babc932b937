//! The central part: free blocks of middle size on shelves, a shelf a bucket of sizes, under eight locks.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;

use hangscope_test_allocators::fault;

use super::Hooks;
use super::mutexes::LOCKS;
use super::system::{__libc_free, __libc_malloc};
use crate::Fault;

/// Blocks of one bucket differ in size by less than this.
const STEP: usize = 512;
/// Smallest and largest bucket: blocks of 1536 bytes to 32 KiB.
const SMALLEST: usize = 3;
const LARGEST: usize = 64;
/// Blocks that a shelf keeps; what comes then goes to the system.
const ROOM: usize = 32;

/// Requests from here (exclusive) to [`MID_MAX`] (inclusive) are served by the central part.
pub(crate) const MID_ABOVE: usize = (SMALLEST - 1) * STEP;
pub(crate) const MID_MAX: usize = LARGEST * STEP;

/// A free block: its first word points to the next.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) next: *mut Node,
}

/// The free blocks of a bucket, the last freed first.
pub(crate) struct Shelf {
    pub(crate) head: *mut Node,
    count: usize,
}

struct Shelves(UnsafeCell<[Shelf; LARGEST + 1]>);

// SAFETY: a shelf is touched only under the lock of its bucket.
unsafe impl Sync for Shelves {}

static SHELVES: Shelves =
    Shelves(UnsafeCell::new([const { Shelf { head: ptr::null_mut(), count: 0 } }; LARGEST + 1]));

/// The bucket that serves a request.
pub(crate) fn bucket_for_request(size: usize) -> Option<usize> {
    (size > MID_ABOVE && size <= MID_MAX).then(|| size.div_ceil(STEP))
}

/// The bucket that takes a block of so many usable bytes.
pub(crate) fn bucket_for_block(usable: usize) -> Option<usize> {
    let bucket = usable / STEP;
    (SMALLEST..=LARGEST).contains(&bucket).then_some(bucket)
}

/// A block of the bucket, from its shelf or from the system.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mid_malloc(bucket: usize) -> *mut c_void {
    let block = with_shelf(bucket, |shelf| {
        let node = shelf.head;
        if !node.is_null() {
            // SAFETY: nodes on a shelf are free blocks, which are ours.
            shelf.head = unsafe { (*node).next };
            shelf.count -= 1;
        }
        node
    });
    if !block.is_null() {
        return block.cast();
    }
    // SAFETY: malloc may be called with any size.
    unsafe { __libc_malloc(bucket * STEP) }
}

/// Puts a block on its shelf, or gives it to the system.
///
/// # Safety
/// The block is ours, of this bucket or a larger one, and the caller has no more use for it.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mid_free(block: *mut c_void, bucket: usize) {
    let kept = with_shelf(bucket, |shelf| {
        let room = shelf.count < ROOM;
        if room {
            let node = block.cast::<Node>();
            // SAFETY: the block is ours, and larger than a node.
            unsafe { (*node).next = shelf.head };
            shelf.head = node;
            shelf.count += 1;
        }
        room
    });
    if !kept {
        // SAFETY: as the caller promised.
        unsafe { __libc_free(block) };
    }
}

#[inline(always)]
fn with_shelf<T>(bucket: usize, work: impl FnOnce(&mut Shelf) -> T) -> T {
    fault::count();
    let lock = bucket % LOCKS;
    Fault::before_lock(lock);
    Fault::acquire(lock);
    assert!(bucket <= LARGEST);
    // SAFETY: the index is in the array, and the shelf is ours for as long as we have the lock.
    let shelf = unsafe { &mut *SHELVES.0.get().cast::<Shelf>().add(bucket) };
    Fault::under_lock(lock, shelf);
    let result = work(shelf);
    Fault::release(lock);
    result
}
