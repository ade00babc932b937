//! Chooses the part that serves a size, and keeps each thread's
//! own cache of small blocks. The cache takes no lock.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use hangscope_test_allocators::raw;

use super::hooks::Hooks;
use super::mid::{self, MID_ABOVE, mid_free, mid_malloc};
use super::shelf::Node;
use super::system::{
    __libc_calloc, __libc_free, __libc_malloc, __libc_memalign, __libc_realloc, usable_size,
};
use crate::Fault;

/// Small sizes are rounded up to a multiple of this many bytes.
const STEP: usize = 64;
const CLASSES: usize = MID_ABOVE / STEP;
/// Number of blocks of each class that a thread keeps.
const ROOM: u32 = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// The thread's exit does not empty the cache yet.
    New,
    InUse,
    /// The thread exits. The cache takes no more blocks.
    Ending,
}

struct Cache {
    life: Life,
    /// One list for each class. A class is a size in steps, so index 0 is not used.
    heads: [*mut Node; CLASSES + 1],
    counts: [u32; CLASSES + 1],
}

thread_local! {
    // The value is constant and has no destructor, so std allocates and registers nothing for it.
    static CACHE: UnsafeCell<Cache> = const {
        UnsafeCell::new(Cache {
            life: Life::New,
            heads: [ptr::null_mut(); CLASSES + 1],
            counts: [0; CLASSES + 1],
        })
    };
}

/// The key whose destructor runs when a thread exits. `u32::MAX` until the constructor has made the key.
static KEY: AtomicU32 = AtomicU32::new(u32::MAX);

/// Makes the key. The constructor calls this.
pub(crate) fn start() {
    let mut key = 0;
    // SAFETY: the destructor stays mapped until the process ends.
    let error = unsafe { libc::pthread_key_create(&raw mut key, Some(front_thread_exit)) };
    if error != 0 {
        raw::die(format_args!("pthread_key_create: errno {error}"));
    }
    KEY.store(key, Ordering::Relaxed);
}

/// Gives the blocks of the exiting thread's cache back to glibc.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn front_thread_exit(_value: *mut c_void) {
    with_cache(|cache| {
        cache.life = Life::Ending;
        for head in &mut cache.heads {
            while !head.is_null() {
                let node = std::mem::replace(head, ptr::null_mut());
                // SAFETY: a node in the cache is a free block that only this thread has.
                unsafe {
                    *head = (*node).next;
                    __libc_free(node.cast());
                }
            }
        }
    });
    Fault::thread_exit();
}

#[inline(always)]
fn with_cache<T>(work: impl FnOnce(&mut Cache) -> T) -> T {
    // SAFETY: only this thread uses the cache, and `work` never calls this function again. It calls only
    // glibc's own names and pthread_setspecific, which does not allocate for the first 32 keys.
    CACHE.with(|cache| work(unsafe { &mut *cache.get() }))
}

/// Makes the thread's exit empty the cache. Called at the first use of the cache.
#[cold]
fn empty_at_thread_exit(cache: &mut Cache) {
    let key = KEY.load(Ordering::Relaxed);
    if key == u32::MAX {
        return;
    }
    cache.life = Life::InUse;
    // SAFETY: the key exists. The destructor ignores the value, which only must not be null.
    let error = unsafe { libc::pthread_setspecific(key, (&raw const KEY).cast()) };
    if error != 0 {
        raw::die(format_args!("pthread_setspecific: errno {error}"));
    }
}

/// Implements malloc. The size decides between the cache, the central part and glibc.
#[inline(always)]
pub(crate) fn allocate(size: usize) -> *mut c_void {
    if let Some(bucket) = mid::bucket_for_request(size) {
        // The exit hook of a fault must also run in a thread that allocates only middle sizes.
        with_cache(|cache| {
            if cache.life == Life::New {
                empty_at_thread_exit(cache);
            }
        });
        return mid_malloc(bucket);
    }
    if size > MID_ABOVE {
        // SAFETY: malloc has no preconditions.
        return unsafe { __libc_malloc(size) };
    }
    let class = size.div_ceil(STEP).max(1);
    let cached = with_cache(|cache| {
        if cache.life == Life::New {
            empty_at_thread_exit(cache);
        }
        let node = cache.heads[class];
        if !node.is_null() {
            // SAFETY: a node in the cache is a free block that only this thread has.
            cache.heads[class] = unsafe { (*node).next };
            cache.counts[class] -= 1;
        }
        node
    });
    if !cached.is_null() {
        return cached.cast();
    }
    // SAFETY: malloc has no preconditions.
    unsafe { __libc_malloc(class * STEP) }
}

/// Implements free. The size decides between the cache, the central part and glibc.
///
/// # Safety
/// The contract of free(3).
#[inline(always)]
pub(crate) unsafe fn release(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: glibc's malloc made the block, like every block of this allocator.
    let usable = unsafe { usable_size(block) };
    if let Some(bucket) = mid::bucket_for_block(usable) {
        // SAFETY: the caller keeps the contract of this function.
        return unsafe { mid_free(block, bucket) };
    }
    let class = usable / STEP;
    let kept = (1..=CLASSES).contains(&class)
        && with_cache(|cache| {
            let room = cache.life == Life::InUse && cache.counts[class] < ROOM;
            if room {
                let node = block.cast::<Node>();
                // SAFETY: the caller has freed the block, and it is larger than a node.
                unsafe { (*node).next = cache.heads[class] };
                cache.heads[class] = node;
                cache.counts[class] += 1;
            }
            room
        });
    if !kept {
        // SAFETY: the caller keeps the contract of this function.
        unsafe { __libc_free(block) };
    }
}

/// Implements calloc. Blocks from a cache or a shelf were used before, so this function clears them.
#[inline(always)]
pub(crate) fn allocate_zeroed(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) if bytes <= mid::MID_MAX => {
            let block = allocate(bytes);
            if !block.is_null() {
                // SAFETY: the block has at least `bytes` bytes.
                unsafe { ptr::write_bytes(block.cast::<u8>(), 0, bytes) };
            }
            block
        }
        // If the product overflows, glibc's calloc reports it.
        // SAFETY: calloc has no preconditions.
        _ => unsafe { __libc_calloc(count, size) },
    }
}

/// Implements realloc. A block stays if the new size fits and is at least half of the block.
///
/// # Safety
/// The contract of realloc(3).
#[inline(always)]
pub(crate) unsafe fn reallocate(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return allocate(size);
    }
    // SAFETY: glibc's malloc made the block, like every block of this allocator.
    let usable = unsafe { usable_size(block) };
    if size == 0 || (usable > mid::MID_MAX && size > mid::MID_MAX) {
        // SAFETY: the caller keeps the contract of this function.
        return unsafe { __libc_realloc(block, size) };
    }
    if size <= usable && size >= usable / 2 {
        return block;
    }
    let new = allocate(size);
    if !new.is_null() {
        // SAFETY: both blocks have as many bytes as are copied, and the caller gave the old block up.
        unsafe {
            ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), usable.min(size));
            release(block);
        }
    }
    new
}

/// Implements memalign and aligned_alloc. glibc rounds the alignment up to a power of two.
pub(crate) fn allocate_aligned(alignment: usize, size: usize) -> *mut c_void {
    // SAFETY: memalign has no preconditions.
    unsafe { __libc_memalign(alignment, size) }
}

/// Implements posix_memalign. Returns 0 or an errno, and writes to `out` only if it returns 0.
///
/// # Safety
/// The contract of posix_memalign(3).
pub(crate) unsafe fn allocate_posix(out: *mut *mut c_void, alignment: usize, size: usize) -> libc::c_int {
    if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    // posix_memalign must not change errno.
    // SAFETY: errno belongs to this thread.
    let errno = unsafe { *libc::__errno_location() };
    let block = allocate_aligned(alignment, size);
    if block.is_null() {
        set_errno(errno);
        return libc::ENOMEM;
    }
    // SAFETY: the caller keeps the contract of this function.
    unsafe { out.write(block) };
    0
}

/// Implements valloc. With `whole`, implements pvalloc, which rounds the size up to whole pages.
pub(crate) fn allocate_pages(size: usize, whole: bool) -> *mut c_void {
    // SAFETY: sysconf has no preconditions. The page size is positive, so the cast loses nothing.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let rounded = if whole { size.max(1).checked_next_multiple_of(page) } else { Some(size) };
    match rounded {
        Some(size) => allocate_aligned(page, size),
        None => {
            set_errno(libc::ENOMEM);
            ptr::null_mut()
        }
    }
}

/// Implements reallocarray.
///
/// # Safety
/// The contract of reallocarray(3).
pub(crate) unsafe fn reallocate_array(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller keeps the contract of this function.
        Some(bytes) => unsafe { reallocate(block, bytes) },
        None => {
            set_errno(libc::ENOMEM);
            ptr::null_mut()
        }
    }
}

/// Implements malloc_usable_size.
///
/// # Safety
/// The contract of malloc_usable_size(3).
pub(crate) unsafe fn usable(block: *mut c_void) -> usize {
    // SAFETY: the caller keeps the contract of this function.
    if block.is_null() { 0 } else { unsafe { usable_size(block) } }
}

fn set_errno(errno: libc::c_int) {
    // SAFETY: errno belongs to this thread.
    unsafe { *libc::__errno_location() = errno };
}
