//! A tracer stops the owner of a central lock, like a debugger at its prompt. The tracer is a child process.
//! The allocator also has the tripwire: it aborts if the shim calls it.

#[path = "common/mod.rs"]
mod common;
#[path = "common/tripwire.rs"]
mod exports;

use std::ptr;

use common::{Hooks, mutexes, shelf::Shelf};
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
    let stop_event = start_stopper(raw::gettid());
    // The child may stop this thread at any point after the signal.
    // culprit: begin
    raw::event_signal(stop_event);
    loop {
        // SAFETY: pause has no preconditions.
        unsafe { libc::pause() };
    }
    // culprit: end
}

/// Starts the child and returns an event. When the event is signalled, the child stops the thread `tid`.
#[inline(never)]
fn start_stopper(tid: u32) -> i32 {
    let stop_event = raw::event();
    // `fork` would take the lock that this thread already holds, so the clone is a raw system call.
    // SAFETY: the child is a copy of the process that only makes system calls.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    match child {
        0 => {
            raw::event_wait(stop_event);
            stop(tid)
        }
        1.. => {
            // Yama lets a child attach to its parent only if the parent allows it.
            // SAFETY: the call reads and writes no memory.
            unsafe { libc::prctl(libc::PR_SET_PTRACER, child) };
        }
        _ => raw::die(format_args!("clone: {}", std::io::Error::last_os_error())),
    }
    stop_event
}

/// Stops the thread. Runs in the child and never returns, because a thread continues when its tracer ends.
fn stop(tid: u32) -> ! {
    // SAFETY: these calls read and write no memory.
    let stopped = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let no = ptr::null_mut::<libc::c_void>();
        libc::ptrace(libc::PTRACE_SEIZE, tid, no, no) == 0
            && libc::ptrace(libc::PTRACE_INTERRUPT, tid, no, no) == 0
    };
    if !stopped {
        raw::die(format_args!(
            "the child cannot stop a thread of its parent: {}",
            std::io::Error::last_os_error()
        ));
    }
    loop {
        // SAFETY: pause has no preconditions.
        unsafe { libc::pause() };
    }
}
