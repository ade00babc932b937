//! Who is on the other end of a connection, and whether he may be.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};

use super::event::Peer;

/// What the kernel says about the peer.
pub(super) fn of(socket: &OwnedFd) -> Result<Peer, Errno> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
    let pid = credentials.pid().unsigned_abs();
    Ok(Peer { pid, uid: credentials.uid(), pidfd: pidfd(socket, pid).map(Arc::new) })
}

/// A descriptor of the peer's process. The kernel's own (Linux 6.5) cannot be of another process that got the
/// same number; before it, pidfd_open is the next best.
fn pidfd(socket: &OwnedFd, pid: u32) -> Option<OwnedFd> {
    if let Ok(fd) = getsockopt(socket, sockopt::PeerPidfd) {
        return Some(fd);
    }
    let pid = rustix::process::Pid::from_raw(pid.cast_signed())?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

/// Why a peer may not connect, if he may not. The same effective user may, and root, who could read and write
/// everything here anyway (a benchmark under sudo).
pub(super) fn refusal(peer: &Peer) -> Option<String> {
    let own = nix::unistd::geteuid().as_raw();
    (peer.uid != own && peer.uid != 0)
        .then(|| format!("its user {} is not the collector's user {own}", peer.uid))
}
