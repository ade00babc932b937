//! A thread sleeps in the kernel, uninterruptibly (state D): it waits, as after vfork, for a child that shares
//! its memory and neither execs nor exits. The child ends with the process, by its parent death signal.

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

// SAFETY: only the one child uses it.
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
    // SAFETY: system calls that touch no memory.
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
    // SAFETY: the child has a stack of its own and never comes back from `helper`.
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
