//! One message from a socket, with the descriptors that came along.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use hangscope_protocol::MAX_FRAME;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

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
        /// There were more of them, for which none is free here.
        cut: bool,
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
    control: Vec<MaybeUninit<u8>>,
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        Inbox::with_room(rustix::cmsg_space!(ScmRights(MAX_FDS)))
    }

    fn with_room(control: usize) -> Inbox {
        Inbox { message: vec![0; MAX_FRAME], control: vec![MaybeUninit::uninit(); control] }
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
            let mut control = RecvAncillaryBuffer::new(&mut self.control);
            match recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(got) => {
                    let mut fds = vec![];
                    for part in control.drain() {
                        if let RecvAncillaryMessage::ScmRights(some) = part {
                            fds.extend(some);
                        }
                    }
                    break (got.bytes, got.flags, fds);
                }
                Err(rustix::io::Errno::INTR) => {}
                // The peer died with a request unread. The error is said once; what it sent before is still
                // in the queue, and is the last that it had to say.
                Err(rustix::io::Errno::CONNRESET) if resets == 0 => resets += 1,
                Err(error) => return Err(Errno::from_raw(error.raw_os_error())),
            }
        };
        if flags.contains(ReturnFlags::TRUNC) {
            return Ok(Received::Unusable("a message longer than a frame may be"));
        }
        if len == 0 {
            // The end of the stream and an empty message look the same but for this.
            return Ok(if hung_up(socket)? { Received::End } else { Received::Unusable("an empty message") });
        }
        Ok(Received::Message { len, fds, cut: flags.contains(ReturnFlags::CTRUNC) })
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::testkit::fake_shim::{FakeShim, Frames};

    #[test]
    fn a_message_is_kept_where_its_descriptors_could_not_be() {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        let kind = (AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
        let (socket, ours) = socketpair(kind.0, kind.1, None, kind.2).unwrap();
        let shim = FakeShim { socket, frames: Frames::default() };
        let (mut reader, writer) = std::io::pipe().unwrap();
        // Too little room looks the same as too few descriptors.
        for (room, sent, most) in [(0, 1, 0), (rustix::cmsg_space!(ScmRights(2)), 20, 19)] {
            shim.send_with(b"said", &vec![writer.as_raw_fd(); sent]).unwrap();
            let mut inbox = Inbox::with_room(room);
            let got = inbox.receive(&ours, None).unwrap();
            let Received::Message { len: 4, fds, cut: true } = got else { panic!("{got:?}") };
            assert_eq!(inbox.message(4), b"said");
            assert!(fds.len() <= most, "{fds:?}");
        }
        shim.send_with(b"said", &[writer.as_raw_fd()]).unwrap();
        let got = Inbox::new().receive(&ours, None).unwrap();
        assert!(matches!(&got, Received::Message { fds, cut: false, .. } if fds.len() == 1), "{got:?}");
        drop((got, writer));
        std::io::Read::read_to_end(&mut reader, &mut vec![]).unwrap();
    }
}
