//! The socket to the collector.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, AsRawFd};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::file::OwnedFd;
use super::raw::{Errno, raw};

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

/// The user behind the other end: the one that listens, as it was when it called listen(2) (SO_PEERCRED). A
/// user that has no number in this user namespace shows as the overflow uid.
pub(crate) fn peer_user(socket: &OwnedFd) -> Result<u32, Errno> {
    peer(socket).map(|peer| peer.uid)
}

/// The process that listens, in this PID namespace; 0 if it is in another one.
pub(crate) fn peer_process(socket: &OwnedFd) -> Result<u32, Errno> {
    peer(socket).map(|peer| peer.pid as u32)
}

fn peer(socket: &OwnedFd) -> Result<libc::ucred, Errno> {
    // rustix has no way to say a peer of another pid namespace, whose pid is 0.
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let args = [
        socket.as_raw_fd() as usize,
        libc::SOL_SOCKET as usize,
        libc::SO_PEERCRED as usize,
        &raw mut peer as usize,
        &raw mut len as usize,
        0,
    ];
    // SAFETY: the kernel writes one ucred and its length; both live.
    unsafe { raw(libc::SYS_getsockopt, args) }?;
    Ok(peer)
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
