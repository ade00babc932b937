//! The functions that the host calls. Their contracts are those of malloc(3).

use std::ffi::{c_int, c_void};

use crate::common::front;

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    front::allocate(size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    front::allocate_zeroed(count, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller keeps malloc(3)'s contract, which is also that of the function below.
    unsafe { front::reallocate(block, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller keeps malloc(3)'s contract, which is also that of the function below.
    unsafe { front::reallocate_array(block, count, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller keeps malloc(3)'s contract, which is also that of the function below.
    unsafe { front::release(block) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    // SAFETY: the caller keeps malloc(3)'s contract, which is also that of the function below.
    unsafe { front::allocate_posix(out, alignment, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    front::allocate_aligned(alignment, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    front::allocate_aligned(alignment, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    front::allocate_pages(size, false)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    front::allocate_pages(size, true)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller keeps malloc(3)'s contract, which is also that of the function below.
    unsafe { front::usable(block) }
}
