//! Listens to the shims: one accept thread, one thread for each connection. Everything that the shims
//! send becomes an [`Event`].
//!
//! A connection ends with [`What::Rejected`] if it sends something malformed, sends too much, or sends no
//! hello. Other connections go on. Memory is bounded: a connection whose events nobody takes is not read any
//! further. Its shim then drops frames (it never blocks its host) and reports that.
//!
//! - [`event`]: what a listener gives
//! - `error`: [`ListenError`]
//! - `limits`: what one connection may cost
//! - `socket`: where a socket may be made, stale sockets, permissions
//! - `accept`: the accept thread
//! - `ask`: requests to shims
//! - [`request`]: a person asks the collector for a dump
//! - `peer`: the process on the other end
//! - `receive`: one message with its descriptors
//! - `connection`: from the frames of one connection to events
//! - `shared`: what the threads share

use std::collections::HashMap;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use hangscope_protocol::record::AskRecord;
use nix::errno::Errno;
use nix::sys::socket::Shutdown;

mod accept;
mod ask;
mod connection;
mod error;
pub(crate) mod event;
mod limits;
mod peer;
mod receive;
pub(crate) mod request;
mod shared;
mod socket;
#[cfg(test)]
mod tests;

pub use ask::Asker;
pub(crate) use connection::NO_DESCRIPTOR;
pub use error::ListenError;
pub(crate) use error::MAX_PATH;
pub use event::{ConnId, Event, Peer, RecordedDump, What};
use limits::ConnectionLimits;
use shared::Shared;

/// A listening socket and its threads. Dropping it closes every connection, joins the threads and removes the
/// socket's file, unless another socket has taken its place.
#[derive(Debug)]
pub struct Listener {
    file: socket::SocketFile,
    events: Receiver<Event>,
    failed: Receiver<ListenError>,
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

impl Listener {
    /// Creates the socket with mode 0600, and its folder with mode 0700 if it does not exist. A stale
    /// socket is replaced. Processes of the same effective user and of root may connect.
    pub fn bind(path: &Path) -> Result<Listener, ListenError> {
        Self::bind_with(path, ConnectionLimits::default())
    }

    pub(crate) fn bind_with(path: &Path, limits: ConnectionLimits) -> Result<Listener, ListenError> {
        let (socket, file) = socket::listen_at(path)?;
        let (sender, events) = crossbeam_channel::unbounded();
        let (fail, failed) = crossbeam_channel::bounded(1);
        let shared = Arc::new(Shared {
            limits,
            stop: AtomicBool::new(false),
            open: Mutex::new(HashMap::new()),
            threads: Mutex::new(vec![]),
        });
        let socket = Arc::new(socket);
        let accept = std::thread::Builder::new().name("hs-accept".into()).spawn({
            let (shared, socket, path) = (shared.clone(), socket.clone(), file.path().to_owned());
            move || {
                if let Err(source) = accept::accept_all(&socket, &shared, &sender) {
                    let error = ListenError::System { doing: "accept connections on", path, source };
                    tracing::error!("{error}");
                    let _ = fail.send(error);
                }
            }
        });
        let accept = accept.map_err(|e| ListenError::System {
            doing: "start a thread for",
            path: path.to_owned(),
            source: e.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw),
        })?;
        Ok(Listener { file: file.with(socket), events, failed, shared, accept: Some(accept) })
    }

    /// The absolute path of the socket.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Receives an error if the listener can accept no more connections. Open connections go on.
    pub(crate) fn failed(&self) -> &Receiver<ListenError> {
        &self.failed
    }

    pub fn ask(&self, conn: ConnId, ask: &AskRecord, tids: &[u32]) -> Result<(), ListenError> {
        self.asker().ask(conn, ask, tids)
    }

    /// Sends requests without the listener itself.
    pub fn asker(&self) -> Asker {
        Asker::new(self.shared.clone())
    }

    #[cfg(test)]
    pub(crate) fn fail(&self) {
        self.file.shut();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.file.shut();
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
        for open in self.shared.open().values() {
            let _ = nix::sys::socket::shutdown(open.socket.as_raw_fd(), Shutdown::Both);
            open.outlet.stop();
        }
        let threads = std::mem::take(&mut *self.shared.threads());
        for thread in threads {
            let _ = thread.join();
        }
    }
}
