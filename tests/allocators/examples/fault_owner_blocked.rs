//! The owner of a central lock reads from a pipe that nothing writes to.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::{Hooks, mutexes, shelf::Shelf};
use hangscope_test_allocators::fault::{FAULTY_LOCK, Once};
use hangscope_test_allocators::raw;

struct Fault;

static HINT_ASKED_FOR: Once = Once::new();

impl Hooks for Fault {
    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK && HINT_ASKED_FOR.claim() {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            owner_blocked_read_hint();
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn owner_blocked_read_hint() {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        raw::die(format_args!("pipe2: {}", std::io::Error::last_os_error()));
    }
    let mut hint = 0_u8;
    // Both ends stay open, so there is no end of file. After a signal, the loop reads again.
    // culprit: begin
    // SAFETY: the call writes at most the one byte of `hint`.
    while unsafe { libc::read(ends[0], (&raw mut hint).cast(), 1) } != 1 {}
    // culprit: end
}
