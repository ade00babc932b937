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
    let tid = raw::gettid();
    // culprit: begin
    // Not `fork`, which would wait for this very lock.
    // SAFETY: the child is a copy that makes system calls alone.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    match child {
        0 => stop(tid),
        1.. => {
            // Under Yama a child may attach to its parent only if the parent says so.
            // SAFETY: no memory is touched.
            unsafe { libc::prctl(libc::PR_SET_PTRACER, child) };
        }
        _ => raw::die(format_args!("clone: {}", std::io::Error::last_os_error())),
    }
    loop {
        // SAFETY: always.
        unsafe { libc::pause() };
    }
    // culprit: end
}

/// In the child: stops the thread and stays, since a thread whose tracer ends goes on.
fn stop(tid: u32) -> ! {
    const TRIES: u32 = 5000;
    for _ in 0..TRIES {
        // SAFETY: system calls that touch no memory of ours but the timespec.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            let no = ptr::null_mut::<libc::c_void>();
            if libc::ptrace(libc::PTRACE_SEIZE, tid, no, no) == 0 {
                if libc::ptrace(libc::PTRACE_INTERRUPT, tid, no, no) != 0 {
                    break;
                }
                loop {
                    libc::pause();
                }
            }
        }
        raw::sleep(std::time::Duration::from_millis(1));
    }
    raw::die(format_args!("a child may not stop a thread of its parent: {}", std::io::Error::last_os_error()))
}
