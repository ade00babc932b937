//! The holder of a central lock is stopped, as by a debugger that was left at its prompt: a child attaches to
//! that thread alone and stops it. Ends the process when the shim calls it, as the tripwire does.

#[path = "common/mod.rs"]
mod common;
#[path = "common/tripwire.rs"]
mod exports;

use std::ptr;

use common::{Hooks, Shelf, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

static STOPPED: Once = Once::new();

impl Hooks for Fault {
    fn start() {
        exports::arm();
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && STOPPED.claim() {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            owner_stopped_be_stopped();
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn owner_stopped_be_stopped() {
    let go = start_stopper(raw::gettid());
    // From its next line on it may be stopped anywhere.
    // culprit: begin
    raw::event_tell(go);
    loop {
        // SAFETY: always.
        unsafe { libc::pause() };
    }
    // culprit: end
}

/// Starts the child, which stops the thread `tid` as soon as the event that this gives is told.
#[inline(never)]
fn start_stopper(tid: u32) -> i32 {
    let go = raw::event();
    // Not `fork`, which would wait for this very lock.
    // SAFETY: the child is a copy that makes system calls alone.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    match child {
        0 => {
            raw::event_await(go);
            stop(tid)
        }
        1.. => {
            // Under Yama a child may attach to its parent only if the parent says so.
            // SAFETY: no memory is touched.
            unsafe { libc::prctl(libc::PR_SET_PTRACER, child) };
        }
        _ => raw::die(format_args!("clone: {}", std::io::Error::last_os_error())),
    }
    go
}

/// In the child: stops the thread and stays, since a thread whose tracer ends goes on.
fn stop(tid: u32) -> ! {
    // SAFETY: system calls that touch no memory.
    let stopped = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let no = ptr::null_mut::<libc::c_void>();
        libc::ptrace(libc::PTRACE_SEIZE, tid, no, no) == 0
            && libc::ptrace(libc::PTRACE_INTERRUPT, tid, no, no) == 0
    };
    if !stopped {
        raw::die(format_args!(
            "a child may not stop a thread of its parent: {}",
            std::io::Error::last_os_error()
        ));
    }
    loop {
        // SAFETY: always.
        unsafe { libc::pause() };
    }
}
