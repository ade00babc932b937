//! Sizes, and the thread's own cache for small ones, which takes no lock.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use hangscope_test_allocators::raw;

use super::Hooks;
use super::mid::{self, MID_ABOVE, Node, mid_free, mid_malloc};
use super::system::{
    __libc_calloc, __libc_free, __libc_malloc, __libc_memalign, __libc_realloc, usable_size,
};
use crate::Fault;

/// Small blocks come in steps of this.
const STEP: usize = 64;
const CLASSES: usize = MID_ABOVE / STEP;
/// Blocks of each class that a thread keeps.
const ROOM: u32 = 32;

/// How far a thread's cache is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Its end is not yet taken care of.
    New,
    Usual,
    /// The thread ends: nothing is kept any more.
    Ending,
}

struct Cache {
    life: Life,
    /// Index 0 is not used: a class is its size in steps.
    heads: [*mut Node; CLASSES + 1],
    counts: [u32; CLASSES + 1],
}

thread_local! {
    // Constant and without a destructor: std then neither allocates nor registers anything for it.
    static CACHE: UnsafeCell<Cache> = const {
        UnsafeCell::new(Cache {
            life: Life::New,
            heads: [ptr::null_mut(); CLASSES + 1],
            counts: [0; CLASSES + 1],
        })
    };
}

/// The key whose destructor runs at a thread's end; `u32::MAX` until there is one.
static KEY: AtomicU32 = AtomicU32::new(u32::MAX);

/// In the constructor.
pub(crate) fn start() {
    let mut key = 0;
    // SAFETY: the destructor stays for as long as the process.
    let error = unsafe { libc::pthread_key_create(&raw mut key, Some(front_thread_exit)) };
    if error != 0 {
        raw::die(format_args!("pthread_key_create: errno {error}"));
    }
    KEY.store(key, Ordering::Relaxed);
}

/// Gives a thread's cache to the system at the thread's end.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn front_thread_exit(_value: *mut c_void) {
    with_cache(|cache| {
        cache.life = Life::Ending;
        for head in &mut cache.heads {
            while !head.is_null() {
                let node = std::mem::replace(head, ptr::null_mut());
                // SAFETY: a node in the cache is a free block of this thread's.
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
    // SAFETY: the cache is this thread's, and nothing within `work` comes back here: it calls glibc's own
    // names only, and pthread_setspecific, which for the first 32 keys does not allocate.
    CACHE.with(|cache| work(unsafe { &mut *cache.get() }))
}

/// Has the thread's end taken care of, at the first use of its cache.
#[cold]
fn begin(cache: &mut Cache) {
    let key = KEY.load(Ordering::Relaxed);
    if key == u32::MAX {
        return;
    }
    cache.life = Life::Usual;
    // SAFETY: the key exists; the value only has to be something other than null.
    let error = unsafe { libc::pthread_setspecific(key, (&raw const KEY).cast()) };
    if error != 0 {
        raw::die(format_args!("pthread_setspecific: errno {error}"));
    }
}

/// malloc.
#[inline(always)]
pub(crate) fn allocate(size: usize) -> *mut c_void {
    if let Some(bucket) = mid::bucket_for_request(size) {
        // Threads that take middle sizes alone have an end too.
        with_cache(|cache| {
            if cache.life == Life::New {
                begin(cache);
            }
        });
        return mid_malloc(bucket);
    }
    if size > MID_ABOVE {
        // SAFETY: malloc may be called with any size.
        return unsafe { __libc_malloc(size) };
    }
    let class = size.div_ceil(STEP).max(1);
    let cached = with_cache(|cache| {
        if cache.life == Life::New {
            begin(cache);
        }
        let node = cache.heads[class];
        if !node.is_null() {
            // SAFETY: a node in the cache is a free block of this thread's.
            cache.heads[class] = unsafe { (*node).next };
            cache.counts[class] -= 1;
        }
        node
    });
    if !cached.is_null() {
        return cached.cast();
    }
    // SAFETY: malloc may be called with any size.
    unsafe { __libc_malloc(class * STEP) }
}

/// free.
///
/// # Safety
/// As free.
#[inline(always)]
pub(crate) unsafe fn release(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: the block is from glibc's malloc, as all of ours are.
    let usable = unsafe { usable_size(block) };
    if let Some(bucket) = mid::bucket_for_block(usable) {
        // SAFETY: as the caller promised.
        return unsafe { mid_free(block, bucket) };
    }
    let class = usable / STEP;
    let kept = (1..=CLASSES).contains(&class)
        && with_cache(|cache| {
            let room = cache.life == Life::Usual && cache.counts[class] < ROOM;
            if room {
                let node = block.cast::<Node>();
                // SAFETY: the block is ours, and larger than a node.
                unsafe { (*node).next = cache.heads[class] };
                cache.heads[class] = node;
                cache.counts[class] += 1;
            }
            room
        });
    if !kept {
        // SAFETY: as the caller promised.
        unsafe { __libc_free(block) };
    }
}

/// calloc. What comes from a cache or a shelf was used before.
#[inline(always)]
pub(crate) fn allocate_zeroed(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) if bytes <= mid::MID_MAX => {
            let block = allocate(bytes);
            if !block.is_null() {
                // SAFETY: the block has at least so many bytes.
                unsafe { ptr::write_bytes(block.cast::<u8>(), 0, bytes) };
            }
            block
        }
        // Also where the product is too large: glibc then says so.
        // SAFETY: calloc may be called with any numbers.
        _ => unsafe { __libc_calloc(count, size) },
    }
}

/// realloc.
///
/// # Safety
/// As realloc.
#[inline(always)]
pub(crate) unsafe fn reallocate(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return allocate(size);
    }
    // SAFETY: the block is from glibc's malloc, as all of ours are.
    let usable = unsafe { usable_size(block) };
    if size == 0 || (usable > mid::MID_MAX && size > mid::MID_MAX) {
        // SAFETY: as the caller promised.
        return unsafe { __libc_realloc(block, size) };
    }
    if size <= usable && size >= usable / 2 {
        return block;
    }
    let new = allocate(size);
    if !new.is_null() {
        // SAFETY: both have as many bytes as are copied, and the old one is the caller's to free.
        unsafe {
            ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), usable.min(size));
            release(block);
        }
    }
    new
}

/// memalign and aligned_alloc: glibc rounds an alignment up that is no power of two.
pub(crate) fn allocate_aligned(alignment: usize, size: usize) -> *mut c_void {
    // SAFETY: memalign may be called with any numbers.
    unsafe { __libc_memalign(alignment, size) }
}

/// posix_memalign: 0 or an errno; the block is written only where there is one.
///
/// # Safety
/// As posix_memalign.
pub(crate) unsafe fn allocate_posix(out: *mut *mut c_void, alignment: usize, size: usize) -> libc::c_int {
    if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    // SAFETY: errno is this thread's; posix_memalign leaves it as it was.
    let errno = unsafe { *libc::__errno_location() };
    let block = allocate_aligned(alignment, size);
    if block.is_null() {
        set_errno(errno);
        return libc::ENOMEM;
    }
    // SAFETY: as the caller promised.
    unsafe { out.write(block) };
    0
}

/// valloc; with `whole`, pvalloc.
pub(crate) fn allocate_pages(size: usize, whole: bool) -> *mut c_void {
    // SAFETY: always; the page size is positive.
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

/// reallocarray.
///
/// # Safety
/// As realloc.
pub(crate) unsafe fn reallocate_array(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: as the caller promised.
        Some(bytes) => unsafe { reallocate(block, bytes) },
        None => {
            set_errno(libc::ENOMEM);
            ptr::null_mut()
        }
    }
}

/// malloc_usable_size.
///
/// # Safety
/// As malloc_usable_size.
pub(crate) unsafe fn usable(block: *mut c_void) -> usize {
    // SAFETY: as the caller promised.
    if block.is_null() { 0 } else { unsafe { usable_size(block) } }
}

fn set_errno(errno: libc::c_int) {
    // SAFETY: errno is this thread's.
    unsafe { *libc::__errno_location() = errno };
}
