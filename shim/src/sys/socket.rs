//! The socket to the collector.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::AsFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::file::OwnedFd;
use super::raw::Errno;

/// Connects to the collector; never blocks (a full backlog is EAGAIN).
pub(crate) fn connect(path: &CStr) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // As much as the system allows, so that a dump can be sent without waiting.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, 4 << 20);
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Sends one message, whole or not at all; EAGAIN if the socket is full.
pub(crate) fn send(socket: &OwnedFd, message: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(|_| ())
}

/// Sends one message with a descriptor.
pub(crate) fn send_with_fd(socket: &OwnedFd, message: &[u8], fd: &OwnedFd) -> Result<(), Errno> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let data = [rustix::io::IoSlice::new(message)];
    sendmsg(socket, &data, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(|_| ())
}

/// Receives one message; EAGAIN if there is none, `Ok(0)` if the other side is gone.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(_, n)| n)
}
