//! The process on the other end of a connection, and whether it may connect.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};

use super::event::Peer;
use crate::proc::pidfd;

/// The peer's credentials, from the kernel, without a pidfd.
pub(super) fn of(socket: &OwnedFd) -> Result<Peer, Errno> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
    let pid = credentials.pid().unsigned_abs();
    Ok(Peer { pid, uid: credentials.uid(), pidfd: None })
}

/// A pidfd of the peer; none if it has ended. SO_PEERPIDFD (Linux 6.5) cannot return another process that
/// reused the pid. On older kernels pidfd_open is the best there is.
pub(super) fn pidfd(socket: &OwnedFd, pid: u32) -> Option<Arc<OwnedFd>> {
    if let Ok(fd) = getsockopt(socket, sockopt::PeerPidfd) {
        return Some(Arc::new(fd));
    }
    pidfd::open(pid).ok().map(Arc::new)
}

/// The reason to refuse the process on the other end of a Unix socket, as for a connection of a shim; none if
/// it may connect. What the kernel does not tell is refused, too.
pub(crate) fn refusal_of(socket: &impl AsFd) -> Option<String> {
    match getsockopt(socket, sockopt::PeerCredentials) {
        Ok(credentials) => {
            let (pid, uid) = (credentials.pid().unsigned_abs(), credentials.uid());
            refusal(&Peer { pid, uid, pidfd: None })
        }
        Err(error) => Some(format!("its user is not known: {error}")),
    }
}

/// The reason to refuse a peer; none if it may connect. Processes of the same effective user may, and those
/// of root (a benchmark under sudo): root could read and write everything here anyway.
pub(super) fn refusal(peer: &Peer) -> Option<String> {
    let own = nix::unistd::geteuid().as_raw();
    (peer.uid != own && peer.uid != 0)
        .then(|| format!("its user {} is not the collector's user {own}", peer.uid))
}
