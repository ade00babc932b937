//! The accept thread, and the threads that it starts.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use nix::errno::Errno;
use nix::sys::socket::SockFlag;

use super::connection::{self, Outlet};
use super::event::{ConnId, Event, What};
use super::peer;
use super::shared::{Open, Shared};

/// The body of the accept thread. It ends when the listener is dropped.
///
/// # Errors
/// The socket can accept no more connections.
pub(super) fn accept_all(
    socket: &OwnedFd,
    shared: &Arc<Shared>,
    events: &Sender<Event>,
) -> Result<(), Errno> {
    let mut next = 0u64;
    while !shared.stop.load(Ordering::SeqCst) {
        let fd = match nix::sys::socket::accept4(socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: accept4 returned a new descriptor, and nothing else owns it.
            Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
            Err(Errno::EINTR | Errno::ECONNABORTED) => continue,
            Err(error @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                // No event tells when a descriptor is free again. Meanwhile the shims wait in the backlog.
                tracing::warn!("cannot take a connection: {error}; raise the limit (ulimit -n)");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            Err(_) if shared.stop.load(Ordering::SeqCst) => break,
            Err(error) => return Err(error),
        };
        next += 1;
        admit(fd, ConnId(next), shared, events);
        shared.threads().retain(|thread| !thread.is_finished());
    }
    Ok(())
}

/// Starts the thread of a new connection, or refuses the connection.
fn admit(socket: OwnedFd, conn: ConnId, shared: &Arc<Shared>, events: &Sender<Event>) {
    let peer = match peer::of(&socket) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!("a connection whose peer is not known was refused: {error}");
            return;
        }
    };
    let outlet = Arc::new(Outlet::new(conn, peer, events.clone(), shared.limits.waiting_bytes));
    let reason = peer::refusal(outlet.peer()).or_else(|| {
        (shared.open().len() >= shared.limits.connections)
            .then(|| format!("more than {} connections", shared.limits.connections))
    });
    if let Some(reason) = reason {
        outlet.send(What::Rejected(reason), 0);
        outlet.end();
        return;
    }
    let socket = Arc::new(socket);
    let open = Open { socket: socket.clone(), outlet: outlet.clone(), asks: AtomicU32::new(0) };
    shared.open().insert(conn.0, open);
    let body = {
        let (shared, outlet) = (shared.clone(), outlet.clone());
        move || {
            connection::serve(&socket, &outlet, &shared.limits);
            shared.open().remove(&conn.0);
            outlet.end();
        }
    };
    match std::thread::Builder::new().name(format!("hs-conn-{}", conn.0)).spawn(body) {
        Ok(thread) => shared.threads().push(thread),
        Err(error) => {
            shared.open().remove(&conn.0);
            outlet.send(What::Rejected(format!("no thread could be started for it: {error}")), 0);
            outlet.end();
        }
    }
}
