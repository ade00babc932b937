//! The central part: lists of free blocks of middle size, called shelves. There is one shelf for each bucket
//! of sizes. Eight locks protect the shelves.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;

use hangscope_test_allocators::fault;

use super::hooks::Hooks;
use super::mutexes::LOCKS;
use super::shelf::{Node, Shelf};
use super::system::{__libc_free, __libc_malloc};
use crate::Fault;

/// Width of a bucket in bytes: block sizes within one bucket differ by less than this.
const STEP: usize = 512;
/// Smallest and largest bucket, in steps: blocks of 1536 bytes to 32 KiB.
const SMALLEST: usize = 3;
const LARGEST: usize = 64;
/// Number of blocks that a shelf keeps. Further blocks go to glibc.
const ROOM: usize = 32;

/// The central part serves requests of more than this many bytes and at most [`MID_MAX`] bytes.
pub(crate) const MID_ABOVE: usize = (SMALLEST - 1) * STEP;
pub(crate) const MID_MAX: usize = LARGEST * STEP;

struct Shelves(UnsafeCell<[Shelf; LARGEST + 1]>);

// SAFETY: a thread uses a shelf only while it holds the lock of its bucket.
unsafe impl Sync for Shelves {}

static SHELVES: Shelves =
    Shelves(UnsafeCell::new([const { Shelf { head: ptr::null_mut(), count: 0 } }; LARGEST + 1]));

/// Returns the bucket for a request of `size` bytes. None if the central part does not serve it.
pub(crate) fn bucket_for_request(size: usize) -> Option<usize> {
    (size > MID_ABOVE && size <= MID_MAX).then(|| size.div_ceil(STEP))
}

/// Returns the bucket for a block with `usable` bytes. None if the central part does not keep it.
pub(crate) fn bucket_for_block(usable: usize) -> Option<usize> {
    let bucket = usable / STEP;
    (SMALLEST..=LARGEST).contains(&bucket).then_some(bucket)
}

/// Takes a block from the shelf of the bucket, or from glibc if the shelf is empty.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mid_malloc(bucket: usize) -> *mut c_void {
    let block = with_shelf(bucket, |shelf| {
        let node = shelf.head;
        if !node.is_null() {
            // SAFETY: a node on a shelf is a free block, and this thread holds the shelf's lock.
            shelf.head = unsafe { (*node).next };
            shelf.count -= 1;
        }
        node
    });
    if !block.is_null() {
        return block.cast();
    }
    // SAFETY: malloc has no preconditions.
    unsafe { __libc_malloc(bucket * STEP) }
}

/// Puts a block on the shelf of its bucket, or frees it with glibc if the shelf is full.
///
/// # Safety
/// The block is from this allocator, and at least as large
/// as the bucket's blocks. The caller no longer uses it.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mid_free(block: *mut c_void, bucket: usize) {
    let kept = with_shelf(bucket, |shelf| {
        let room = shelf.count < ROOM;
        if room {
            let node = block.cast::<Node>();
            // SAFETY: the caller has freed the block, and it is larger than a node.
            unsafe { (*node).next = shelf.head };
            shelf.head = node;
            shelf.count += 1;
        }
        room
    });
    if !kept {
        // SAFETY: the caller keeps the contract of this function.
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
    // SAFETY: the index is within the array, and only the holder of the lock uses the shelf.
    let shelf = unsafe { &mut *SHELVES.0.get().cast::<Shelf>().add(bucket) };
    Fault::under_lock(lock, shelf);
    let result = work(shelf);
    Fault::release(lock);
    result
}
