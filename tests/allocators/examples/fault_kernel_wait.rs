//! A thread sleeps uninterruptibly in the kernel (state D). Like a thread in vfork, it waits for a child that
//! shares its memory. The child never calls exec or exit. Its parent death signal ends it with the process.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};

use common::Hooks;
use hangscope_test_allocators::fault::Once;
use hangscope_test_allocators::raw;

struct Fault;

static HELPER_STARTED: Once = Once::new();

#[repr(align(16))]
struct Stack(UnsafeCell<[u8; 16384]>);

// SAFETY: only the one child uses the stack.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; 16384]));

impl Hooks for Fault {
    fn before_lock(_lock: usize) {
        if HELPER_STARTED.claim() {
            raw::tell_truth("culprit", 0);
            kernel_wait_start_helper();
        }
    }
}

extern "C" fn helper(_: *mut c_void) -> c_int {
    // SAFETY: neither call reads or writes memory.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        loop {
            libc::pause();
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn kernel_wait_start_helper() {
    // culprit: begin
    // SAFETY: the child has its own stack and never returns from `helper`.
    let child = unsafe {
        let top = STACK.0.get().cast::<u8>().add(16384);
        libc::clone(
            helper,
            top.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            std::ptr::null_mut(),
        )
    };
    // culprit: end
    raw::die(format_args!("clone: {child}, {}", std::io::Error::last_os_error()));
}
