//! A shim that calls the process's allocator, in one of three ways, so that a test can see the tripwire trip.
//! It counts as the shim under the name `libhangscope.so`.
//!
//! `NAUGHTY`: `1` calls malloc itself; `2` has libc call it (`strdup`); `3` has libc call it in a thread that is
//! named `hangscope`; anything else does nothing.

use std::ffi::c_void;
use std::ptr;

use hangscope_test_allocators::raw;

extern "C" fn start() {
    match raw::number_from_env(c"NAUGHTY", 0) {
        // SAFETY: malloc may be called with any size; the block is freed once.
        1 => unsafe { libc::free(std::hint::black_box(libc::malloc(24))) },
        2 => call_by_libc(),
        3 => in_a_thread(),
        _ => {}
    }
}

#[inline(never)]
fn call_by_libc() {
    // SAFETY: a C string; the copy is freed once.
    unsafe { libc::free(std::hint::black_box(libc::strdup(c"a copy".as_ptr())).cast()) };
}

extern "C" fn named_thread(_: *mut c_void) -> *mut c_void {
    // SAFETY: a C string of less than 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"hangscope".as_ptr()) };
    call_by_libc();
    ptr::null_mut()
}

fn in_a_thread() {
    // SAFETY: the thread uses nothing of this one, and is joined.
    unsafe {
        let mut thread = 0;
        if libc::pthread_create(&raw mut thread, ptr::null(), named_thread, ptr::null_mut()) == 0 {
            libc::pthread_join(thread, ptr::null_mut());
        }
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;
