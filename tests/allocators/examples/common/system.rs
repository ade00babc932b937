//! glibc's allocator, by the names that nobody interposes.

use std::ffi::c_void;

unsafe extern "C" {
    pub(crate) fn __libc_malloc(size: usize) -> *mut c_void;
    pub(crate) fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    pub(crate) fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    pub(crate) fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    pub(crate) fn __libc_free(block: *mut c_void);
}

/// Bytes of a block that can be used. glibc exports `malloc_usable_size` under no second name, so the size is
/// read where its `malloc.c` has kept it since 1996: in the word before the block, three low bits of which
/// are flags (bit 1: the block has a mapping of its own, and one word more in front).
///
/// # Safety
/// `block` came from glibc's malloc and was not freed.
pub(crate) unsafe fn usable_size(block: *mut c_void) -> usize {
    const WORD: usize = size_of::<usize>();
    // SAFETY: every chunk has this word in front.
    let head = unsafe { block.cast::<usize>().sub(1).read() };
    let overhead = if head & 2 != 0 { 2 * WORD } else { WORD };
    (head & !7) - overhead
}
