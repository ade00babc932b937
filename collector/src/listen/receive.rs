//! One message from a socket, with the descriptors that came along.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use hangscope_protocol::MAX_FRAME;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// Most descriptors that the kernel passes with one message (SCM_MAX_FD): with room for all of them, none is
/// ever installed in this process without being seen.
const MAX_FDS: usize = 253;

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// A message of so many bytes.
    Message {
        /// Bytes in the buffer.
        len: usize,
        /// Descriptors, each closed when dropped.
        fds: Vec<OwnedFd>,
    },
    /// The other end is closed.
    End,
    /// Nothing came in time.
    Nothing,
    /// It is no message of the protocol: why.
    Unusable(&'static str),
}

/// Receives messages into buffers of its own.
#[derive(Debug)]
pub(super) struct Inbox {
    message: Vec<u8>,
    control: Vec<u8>,
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        Inbox { message: vec![0; MAX_FRAME], control: nix::cmsg_space!([RawFd; MAX_FDS]) }
    }

    /// The first `len` bytes of the last message.
    pub(super) fn message(&self, len: usize) -> &[u8] {
        self.message.get(..len).unwrap_or(&[])
    }

    /// Waits for the next message, at most so long.
    pub(super) fn receive(&mut self, socket: &OwnedFd, within: Option<Duration>) -> Result<Received, Errno> {
        if let Some(within) = within
            && !readable(socket, within)?
        {
            return Ok(Received::Nothing);
        }
        let mut resets = 0;
        let (len, flags, fds) = loop {
            let mut slices = [IoSliceMut::new(&mut self.message)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut self.control), flags) {
                Ok(got) => {
                    let mut fds = vec![];
                    for part in got.cmsgs()? {
                        if let ControlMessageOwned::ScmRights(raw) = part {
                            // SAFETY: the kernel installed these descriptors for this message alone.
                            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                        }
                    }
                    break (got.bytes, got.flags, fds);
                }
                Err(Errno::EINTR) => {}
                // The peer died with a request unread. The error is said once; what it sent before is still
                // in the queue, and is the last that it had to say.
                Err(Errno::ECONNRESET) if resets == 0 => resets += 1,
                Err(error) => return Err(error),
            }
        };
        if flags.contains(MsgFlags::MSG_TRUNC) {
            return Ok(Received::Unusable("a message longer than a frame may be"));
        }
        if len == 0 {
            // The end of the stream and an empty message look the same but for this.
            return Ok(if hung_up(socket)? { Received::End } else { Received::Unusable("an empty message") });
        }
        Ok(Received::Message { len, fds })
    }
}

fn readable(socket: &OwnedFd, within: Duration) -> Result<bool, Errno> {
    let ms = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, ms) {
        Err(Errno::EINTR) => Ok(false),
        got => got.map(|n| n > 0),
    }
}

fn hung_up(socket: &OwnedFd) -> Result<bool, Errno> {
    // POLLRDHUP: the other end writes no more, which nix has no name for.
    let half = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut fds = [PollFd::new(socket.as_fd(), half)];
    loop {
        match poll(&mut fds, PollTimeout::ZERO) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let seen = fds[0].revents();
    Ok(seen.is_none_or(|seen| seen.intersects(half | PollFlags::POLLHUP | PollFlags::POLLERR)))
}
