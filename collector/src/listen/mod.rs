//! Listens to the shims: one thread with an event loop for all connections. Everything that the shims send
//! becomes an [`Event`].
//!
//! A connection ends with [`What::Rejected`] if it sends something malformed, sends too much, or sends no
//! hello. Other connections go on. Memory is bounded: dumps go to a file while they arrive, and a connection
//! whose events nobody takes is not read any further. Its shim then drops frames (it never blocks its host)
//! and reports that.
//!
//! - [`event`]: what a listener gives
//! - `error`: [`ListenError`]
//! - `limits`: what one connection may cost
//! - `socket`: where a socket may be made, stale sockets, permissions
//! - `by_number`: maps
//! - `event_loop`: accepts, reads in turns, ends silent connections
//! - `flow`: what may wait to be taken
//! - `spool`: a dump while it arrives, in a file
//! - `remark`: what the listener says about itself
//! - `ask`: requests to shims
//! - [`request`]: a person asks the collector for a dump
//! - `peer`: the process on the other end
//! - `receive`: one message with its descriptors
//! - `connection`: from the frames of one connection to events
//! - `traffic`: counts over all connections
//! - `shared`: what the event loop shares with those who send requests

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use hangscope_protocol::record::AskRecord;
use nix::errno::Errno;

mod ask;
mod by_number;
mod connection;
mod error;
pub(crate) mod event;
mod event_loop;
mod flow;
mod limits;
mod peer;
mod receive;
mod remark;
pub(crate) mod request;
mod shared;
mod socket;
mod spool;
#[cfg(test)]
mod tests;
mod traffic;

pub use ask::Asker;
pub(crate) use by_number::ByNumber;
pub(crate) use connection::NO_DESCRIPTOR;
pub use error::ListenError;
pub(crate) use error::MAX_PATH;
pub use event::{ConnId, Event, Peer, What};
use event_loop::{Ears, EventLoop};
pub(crate) use limits::ConnectionLimits;
pub(crate) use peer::refusal_of;
pub(crate) use remark::Remark;
use shared::Shared;
pub use spool::{RecordedDump, Spooled};
pub(crate) use traffic::Traffic;

/// A listening socket and its thread. Dropping it closes every connection, joins the thread and removes the
/// socket's file, unless another socket has taken its place.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    events: Receiver<Event>,
    failed: Receiver<ListenError>,
    remarks: Receiver<Remark>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    socket: Arc<std::os::fd::OwnedFd>,
}

impl Listener {
    /// Creates the socket with mode 0600, and its folder with mode 0700 if it does not exist. A stale
    /// socket is replaced. Processes of the same effective user and of root may connect.
    pub fn bind(path: &Path) -> Result<Listener, ListenError> {
        Self::bind_with(path, ConnectionLimits::default())
    }

    /// The same with a limit for the bytes of all events that nobody has taken yet.
    pub(crate) fn bind_within(path: &Path, bytes: u64) -> Result<Listener, ListenError> {
        let all_waiting_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self::bind_with(path, ConnectionLimits { all_waiting_bytes, ..ConnectionLimits::default() })
    }

    pub(crate) fn bind_with(path: &Path, limits: ConnectionLimits) -> Result<Listener, ListenError> {
        let file = socket::listen_at(path)?;
        let path = file.path().to_owned();
        let failed = |doing| {
            let path = path.clone();
            move |e: std::io::Error| ListenError::System {
                doing,
                path,
                source: e.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw),
            }
        };
        let poll = mio::Poll::new().map_err(failed("wait for connections on"))?;
        let waker = mio::Waker::new(poll.registry(), event_loop::WAKE);
        let waker = waker.map_err(failed("wait for connections on"))?;
        let shared = Arc::new(Shared::new(limits, waker));
        let (sender, events) = crossbeam_channel::unbounded();
        let (fail, failures) = crossbeam_channel::bounded(2);
        let (remark, remarks) = crossbeam_channel::bounded(4);
        #[cfg(test)]
        let socket = file.socket().clone();
        let ears = Ears { events: sender, failed: fail, remarks: remark };
        let body = EventLoop::new(poll, file, shared.clone(), ears);
        let body = body.map_err(failed("wait for connections on"))?;
        let thread = std::thread::Builder::new().name("hs-listen".into()).spawn(move || body.run());
        let thread = thread.map_err(failed("start a thread for"))?;
        Ok(Listener {
            path,
            events,
            failed: failures,
            remarks,
            shared,
            thread: Some(thread),
            #[cfg(test)]
            socket,
        })
    }

    /// Dumps that are being received are in this folder, in files without a name.
    pub(crate) fn spool_in(&self, folder: &Path) {
        self.shared.set_spool(folder);
    }

    /// From now on counts in `traffic`, too, what is received. The first call counts.
    pub(crate) fn count_in(&self, traffic: &Arc<Traffic>) {
        let _ = self.shared.traffic.set(traffic.clone());
    }

    /// The absolute path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Receives an error if the listener can accept no more connections. Open connections go on.
    pub(crate) fn failed(&self) -> &Receiver<ListenError> {
        &self.failed
    }

    /// What a person should know. Remarks that nobody takes are dropped.
    pub(crate) fn remarks(&self) -> &Receiver<Remark> {
        &self.remarks
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
        use std::os::fd::AsRawFd as _;
        let both = nix::sys::socket::Shutdown::Both;
        nix::sys::socket::shutdown(self.socket.as_raw_fd(), both).unwrap();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.flow.wake();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
