//! One message from a socket with its descriptors.
//!
//! rustix and not nix: after MSG_CTRUNC nix's `RecvMsg::cmsgs` returns an error. The kernel may have
//! installed some descriptors already, and they would stay open for ever.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use hangscope_protocol::MAX_FRAME;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

/// SCM_MAX_FD: the kernel passes at most this many descriptors with one message.
const MAX_FDS: usize = 253;

#[derive(Debug)]
pub(super) enum Received {
    Message {
        /// Bytes in the buffer: see [`Inbox::message`].
        len: usize,
        fds: Vec<OwnedFd>,
        /// The message had more descriptors, but this process has no free ones.
        fds_lost: bool,
    },
    /// The peer closed the connection.
    End,
    /// No message is there.
    Nothing,
    /// The message breaks the protocol: the reason.
    Unusable(&'static str),
}

/// Receives messages into its own buffers.
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

    /// The next message, without waiting for it.
    pub(super) fn receive(&mut self, socket: &OwnedFd) -> Result<Received, Errno> {
        let mut resets = 0;
        let (len, flags, fds) = loop {
            let mut slices = [IoSliceMut::new(&mut self.message)];
            let mut control = RecvAncillaryBuffer::new(&mut self.control);
            match recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT) {
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
                Err(rustix::io::Errno::AGAIN) => return Ok(Received::Nothing),
                // The peer died with an unread request. The kernel reports this error once. Messages that
                // the peer sent before are still in the queue.
                Err(rustix::io::Errno::CONNRESET) if resets == 0 => resets += 1,
                Err(error) => return Err(Errno::from_raw(error.raw_os_error())),
            }
        };
        if flags.contains(ReturnFlags::TRUNC) {
            return Ok(Received::Unusable("a message longer than a frame may be"));
        }
        if len == 0 {
            // The end of the stream and an empty message differ only in the hang-up.
            return Ok(if hung_up(socket)? { Received::End } else { Received::Unusable("an empty message") });
        }
        Ok(Received::Message { len, fds, fds_lost: flags.contains(ReturnFlags::CTRUNC) })
    }
}

fn hung_up(socket: &OwnedFd) -> Result<bool, Errno> {
    // nix has no name for POLLRDHUP: the peer has shut down its writing half.
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
    fn a_message_with_lost_descriptors_is_kept() {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        let kind = (AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
        let (socket, ours) = socketpair(kind.0, kind.1, None, kind.2).unwrap();
        let shim = FakeShim { socket, frames: Frames::default() };
        let (mut reader, writer) = std::io::pipe().unwrap();
        // Too small a buffer has the same effect as too few free descriptors.
        for (room, sent, most) in [(0, 1, 0), (rustix::cmsg_space!(ScmRights(2)), 20, 19)] {
            shim.send_with(b"said", &vec![writer.as_raw_fd(); sent]).unwrap();
            let mut inbox = Inbox::with_room(room);
            let got = inbox.receive(&ours).unwrap();
            let Received::Message { len: 4, fds, fds_lost: true } = got else { panic!("{got:?}") };
            assert_eq!(inbox.message(4), b"said");
            assert!(fds.len() <= most, "{fds:?}");
        }
        shim.send_with(b"said", &[writer.as_raw_fd()]).unwrap();
        let got = Inbox::new().receive(&ours).unwrap();
        assert!(matches!(&got, Received::Message { fds, fds_lost: false, .. } if fds.len() == 1), "{got:?}");
        drop((got, writer));
        std::io::Read::read_to_end(&mut reader, &mut vec![]).unwrap();
    }
}
