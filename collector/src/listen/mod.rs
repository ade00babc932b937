//! Listens to the shims: one accept thread, one thread a connection, everything they say as [`Event`]s.
//!
//! A connection that says something that is not well-formed, floods, or never says hello ends with a
//! [`What::Rejected`]; no other connection feels it. Memory is bounded: a connection whose events nobody takes
//! is not read any further, so that its shim drops frames (it never blocks its host) and says so.
//!
//! - [`event`]: what comes out
//! - `socket`: where a socket may be made, stale ones, permissions
//! - `peer`: who is on the other end
//! - `receive`: one message with its descriptors
//! - `connection`: the frames of one connection made into events

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use hangscope_protocol::record::{AskRecord, RangeRecord, ask_what};
use hangscope_protocol::{MAX_PAYLOAD, Record};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, SockFlag};

mod connection;
pub(crate) mod event;
mod peer;
mod receive;
mod socket;

pub(crate) use connection::NO_DESCRIPTOR;
pub use event::{ConnId, Event, Peer, RecordedDump, What};
pub(crate) use socket::MAX_PATH;

use connection::Outlet;

/// The socket could not be made, or a request could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The path does not fit into a socket address.
    #[error(
        "socket path is {len} bytes, the system takes at most {MAX_PATH}: {}; give a shorter --socket",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Another collector listens there.
    #[error("socket in use: {}; another collector listens on it, give another --socket", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no socket is there.
    #[error("not a socket: {}; give another --socket or remove it", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Its folder belongs to somebody else.
    #[error("the socket's folder {} belongs to user {uid}; give a --socket in a folder of your own", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// A system call failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The error.
        source: Errno,
    },
    /// The connection to be asked has ended.
    #[error("connection {} has ended", .0.0)]
    Ended(ConnId),
    /// The shim did not take the request (its socket is full).
    #[error("connection {} takes no request: {source}", conn.0)]
    NotTaken {
        /// The connection.
        conn: ConnId,
        /// The error.
        source: Errno,
    },
    /// More threads (or ranges of memory) than fit into one request.
    #[error("{0} items do not fit into one request")]
    TooManyTids(usize),
}

/// Bounds on what one connection may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A hello must come within.
    pub(crate) hello_within: Duration,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Bytes of events of a connection that nobody took yet; one event may always wait.
    pub(crate) waiting_bytes: usize,
    /// Bytes of one dump.
    pub(crate) dump_bytes: usize,
    /// Frames outside a dump in [`Limits::window`].
    pub(crate) window_frames: u32,
    /// Dumps in [`Limits::window`].
    pub(crate) window_dumps: u32,
    /// Over which the two above count.
    pub(crate) window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            hello_within: Duration::from_secs(30),
            connections: 4096,
            waiting_bytes: 64 << 20,
            // 8000 threads with small stacks make 62 MB.
            dump_bytes: 512 << 20,
            // A look at 8000 threads is 8 frames, 10 looks a second are asked for in tests: 800 in 10 s.
            window_frames: 20_000,
            window_dumps: 100,
            window: Duration::from_secs(10),
        }
    }
}

/// An open connection, for requests and for the end.
#[derive(Debug)]
struct Open {
    socket: Arc<OwnedFd>,
    outlet: Arc<Outlet>,
    asks: AtomicU32,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    limits: Limits,
    stop: AtomicBool,
    open: Mutex<HashMap<u64, Open>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listening socket and its threads. Dropping it ends every connection, waits for the threads and removes
/// the socket (if it is still this one).
#[derive(Debug)]
pub struct Listener {
    place: socket::Place,
    events: Receiver<Event>,
    failed: Receiver<ListenError>,
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

impl Listener {
    /// Makes the socket (mode 0600, its folder 0700 if it has to be made) and begins to listen. A socket that
    /// nobody listens on any more is replaced.
    ///
    /// Who may connect: processes of the same effective user, and root's.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: &Path) -> Result<Listener, ListenError> {
        Self::bind_with(path, Limits::default())
    }

    pub(crate) fn bind_with(path: &Path, limits: Limits) -> Result<Listener, ListenError> {
        let (socket, place) = socket::listen_at(path)?;
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
            let (shared, socket, path) = (shared.clone(), socket.clone(), place.path().to_owned());
            move || {
                if let Err(source) = accept_all(&socket, &shared, &sender) {
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
        Ok(Listener { place: place.with(socket), events, failed, shared, accept: Some(accept) })
    }

    /// Where it listens, as an absolute path.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// What the shims say.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Says why nobody can connect any more, if that happens. Those who are connected go on.
    pub(crate) fn failed(&self) -> &Receiver<ListenError> {
        &self.failed
    }

    /// Asks a shim for something: see [`Asker::ask`].
    ///
    /// # Errors
    /// Those of [`Asker::ask`].
    pub fn ask(&self, conn: ConnId, ask: &AskRecord, tids: &[u32]) -> Result<(), ListenError> {
        self.asker().ask(conn, ask, tids)
    }

    /// What asks the shims, for whoever does not have the listener itself.
    pub fn asker(&self) -> Asker {
        Asker { shared: self.shared.clone() }
    }

    /// What a failure of its socket looks like.
    #[cfg(test)]
    pub(crate) fn fail(&self) {
        self.place.shut();
    }

    /// Ends a connection from this side; its [`What::End`] comes as an event.
    pub(crate) fn close(&self, conn: ConnId) {
        if let Some(open) = self.shared.open().get(&conn.0) {
            // Its thread sees the end of the stream.
            let _ = nix::sys::socket::shutdown(open.socket.as_raw_fd(), Shutdown::Both);
        }
    }
}

/// Asks shims on behalf of a listener. After the listener's end there is nobody to be asked.
#[derive(Clone, Debug)]
pub struct Asker {
    shared: Arc<Shared>,
}

impl Asker {
    /// Asks a shim for something; its answer comes as events. Never waits.
    ///
    /// # Errors
    /// [`ListenError::Ended`], [`ListenError::NotTaken`], [`ListenError::TooManyTids`].
    pub(crate) fn ask(&self, conn: ConnId, ask: &AskRecord, tids: &[u32]) -> Result<(), ListenError> {
        self.send(conn, ask, tids)
    }

    /// Asks a shim to read memory in every dump from now on and at the exit of its process. Of several requests to a
    /// process the first counts.
    ///
    /// # Errors
    /// Those of [`Asker::ask`].
    pub(crate) fn ask_memory(&self, conn: ConnId, ranges: &[RangeRecord]) -> Result<(), ListenError> {
        let ask = AskRecord { what: ask_what::MEMORY, request: 0, arg0: 0, arg1: 0, reserved: 0 };
        self.send(conn, &ask, ranges)
    }

    fn send<R: Record>(&self, conn: ConnId, ask: &AskRecord, items: &[R]) -> Result<(), ListenError> {
        if AskRecord::SIZE + items.len() * R::SIZE > MAX_PAYLOAD {
            return Err(ListenError::TooManyTids(items.len()));
        }
        let open = self.shared.open();
        let to = open.get(&conn.0).ok_or(ListenError::Ended(conn))?;
        let frame = crate::session::assemble::ask_frame(ask, items, to.asks.fetch_add(1, Ordering::Relaxed));
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        match nix::sys::socket::send(to.socket.as_raw_fd(), &frame, flags) {
            Ok(_) => Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => Err(ListenError::Ended(conn)),
            Err(source) => Err(ListenError::NotTaken { conn, source }),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.place.shut();
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

/// The accept thread: until the listener is dropped, or the socket can give no connection any more.
fn accept_all(socket: &OwnedFd, shared: &Arc<Shared>, events: &Sender<Event>) -> Result<(), Errno> {
    let mut next = 0u64;
    while !shared.stop.load(Ordering::SeqCst) {
        let fd = match nix::sys::socket::accept4(socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: accept4 gave this descriptor to us alone.
            Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
            Err(Errno::EINTR | Errno::ECONNABORTED) => continue,
            Err(error @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                // Nothing tells when a descriptor is free again; the shims wait in the backlog meanwhile.
                tracing::warn!("cannot take a connection: {error}; raise the limit (ulimit -n)");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            Err(_) if shared.stop.load(Ordering::SeqCst) => break,
            Err(error) => return Err(error),
        };
        next += 1;
        take(fd, ConnId(next), shared, events);
        shared.threads().retain(|thread| !thread.is_finished());
    }
    Ok(())
}

/// Starts the thread of a new connection, or refuses it.
fn take(socket: OwnedFd, conn: ConnId, shared: &Arc<Shared>, events: &Sender<Event>) {
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

#[cfg(test)]
mod tests;
