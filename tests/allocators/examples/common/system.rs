//! glibc's allocator, by the names that no other library replaces.

use std::ffi::c_void;

unsafe extern "C" {
    pub(crate) fn __libc_malloc(size: usize) -> *mut c_void;
    pub(crate) fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    pub(crate) fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    pub(crate) fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    pub(crate) fn __libc_free(block: *mut c_void);
}

/// Returns the usable bytes of a block. glibc exports `malloc_usable_size` under no
/// second name, so this function reads the size from the word before the block.
/// glibc's `malloc.c` has kept the size there since 1996. The three low bits are
/// flags. Bit 1 says that the block has its own mapping and one more word of overhead.
///
/// # Safety
/// glibc's malloc made `block`, and the block was not freed since.
pub(crate) unsafe fn usable_size(block: *mut c_void) -> usize {
    const WORD: usize = size_of::<usize>();
    // SAFETY: every block of glibc's malloc has this word before it.
    let head = unsafe { block.cast::<usize>().sub(1).read() };
    let overhead = if head & 2 != 0 { 2 * WORD } else { WORD };
    (head & !7) - overhead
}
