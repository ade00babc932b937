//! The only calls of the shim that block. Each has a timeout.

use core::sync::atomic::AtomicU32;

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd};

use super::clock::timespec;
use super::file::OwnedFd;

/// What to wait for on a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
}

/// Waits until the socket can be read (or written), or the time is over. Without a socket, just the time.
/// True if the socket is ready (or broken: the next call on it will tell).
pub(crate) fn wait(socket: Option<&OwnedFd>, what: For, ns: u64) -> bool {
    let flags = if what == For::Reading { PollFlags::IN } else { PollFlags::OUT };
    let timeout = timespec(ns);
    let ready = match socket {
        Some(socket) => {
            let fd: BorrowedFd<'_> = socket.as_fd();
            rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&timeout))
        }
        None => rustix::event::poll(&mut [], Some(&timeout)),
    };
    matches!(ready, Ok(n) if n > 0)
}

/// Waits until `word` is no longer `value`, or for `ns`.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, ns: u64) {
    let _ =
        rustix::thread::futex::wait(word, rustix::thread::futex::Flags::PRIVATE, value, Some(&timespec(ns)));
}

/// Lets another thread have this processor.
pub(crate) fn yield_now() {
    rustix::thread::sched_yield();
}

pub(crate) fn futex_wake(word: &AtomicU32) {
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::PRIVATE, i32::MAX as u32);
}
