//! A shim that calls the process's allocator in one of three ways, for the tests of the tripwire. The
//! tripwire takes it for the shim when its file is named `libhangscope.so`.
//!
//! The variable `NAUGHTY` selects the way:
//! - `1`: it calls malloc itself;
//! - `2`: it calls `strdup`, and libc calls malloc;
//! - `3`: it does the same in a thread that is named `hangscope`;
//! - any other number: it does nothing.

use std::ffi::c_void;
use std::ptr;

use hangscope_test_allocators::raw;

extern "C" fn start() {
    match raw::number_from_env(c"NAUGHTY", 0) {
        // SAFETY: malloc has no preconditions, and the block is freed once.
        1 => unsafe { libc::free(std::hint::black_box(libc::malloc(24))) },
        2 => call_by_libc(),
        3 => in_a_thread(),
        _ => {}
    }
}

#[inline(never)]
fn call_by_libc() {
    // SAFETY: the argument is a C string, and the copy is freed once.
    unsafe { libc::free(std::hint::black_box(libc::strdup(c"a copy".as_ptr())).cast()) };
}

extern "C" fn named_thread(_: *mut c_void) -> *mut c_void {
    // SAFETY: the name is a C string of less than 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"hangscope".as_ptr()) };
    call_by_libc();
    ptr::null_mut()
}

fn in_a_thread() {
    // SAFETY: the new thread uses no data of this thread, and this thread joins it.
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
