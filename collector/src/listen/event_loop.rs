//! The event loop: one thread accepts, reads all connections in turns, and ends the silent ones.
//!
//! A connection that has something to say stands in a queue. In its turn it is read for a bounded number of
//! messages, then it goes to the end of the queue. A connection of which too much waits to be taken leaves
//! the queue until that was taken.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockFlag};

use super::by_number::ByNumber;
use super::connection::{Outlet, Talk};
use super::error::ListenError;
use super::event::{ConnId, Event, What};
use super::peer;
use super::receive::{Inbox, Received};
use super::remark::Remark;
use super::shared::{Open, Shared};
use super::socket::{self, SocketFile};

pub(super) const WAKE: Token = Token(0);
const ACCEPT: Token = Token(1);
/// Tokens below are not those of connections.
const FIRST: u64 = 2;

/// Messages of one connection in one turn.
const TURN: usize = 32;
/// Connections that are accepted in one turn.
const ACCEPTS: usize = 64;
/// Messages of one connection that are still read when the listener ends.
const LAST_MESSAGES: usize = 1 << 14;
/// With more connections, messages are read together that come within [`TOGETHER`].
const MANY: usize = 64;
/// The price of a thread that wakes is higher than that of a message. Nobody waits for so short a time: a
/// shim that says hello or beats does not wait for the collector at all.
const TOGETHER: Duration = Duration::from_millis(20);
/// How often the socket's file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// No event tells when a descriptor is free again.
const AGAIN: Duration = Duration::from_millis(100);

/// Who is told of what.
pub(super) struct Ears {
    pub(super) events: Sender<Event>,
    pub(super) failed: Sender<ListenError>,
    pub(super) remarks: Sender<Remark>,
}

pub(super) struct EventLoop {
    poll: Poll,
    /// None after it failed: open connections go on.
    listening: Option<SocketFile>,
    shared: Arc<Shared>,
    ears: Ears,
    talks: ByNumber<u64, Talk>,
    next: u64,
    inbox: Inbox,
    /// Connections to read, in order.
    ready: VecDeque<u64>,
    /// When a connection must have said hello, in order.
    silent: VecDeque<(Instant, u64)>,
    /// Connections wait to be accepted.
    knocked: bool,
    /// Not before this: no descriptor was free.
    accept_at: Option<Instant>,
    look_at: Instant,
    file_lost: bool,
    no_pidfd_said: bool,
    /// A dump is being received, or a connection had more than a message to read.
    busy: bool,
}

impl EventLoop {
    pub(super) fn new(
        poll: Poll,
        listening: SocketFile,
        shared: Arc<Shared>,
        ears: Ears,
    ) -> std::io::Result<EventLoop> {
        let fd = listening.socket().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), ACCEPT, Interest::READABLE)?;
        Ok(EventLoop {
            poll,
            listening: Some(listening),
            shared,
            ears,
            talks: ByNumber::default(),
            next: FIRST,
            inbox: Inbox::new(),
            ready: VecDeque::new(),
            silent: VecDeque::new(),
            knocked: true,
            accept_at: None,
            look_at: Instant::now() + LOOK,
            file_lost: false,
            no_pidfd_said: false,
            busy: false,
        })
    }

    /// Runs until the listener is dropped.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.shared.stop.load(Ordering::SeqCst) {
            match self.poll.poll(&mut events, Some(self.patience())) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
                    self.fail("wait for connections on", errno);
                    break;
                }
            }
            for event in &events {
                match event.token() {
                    WAKE => {}
                    // The socket was shut down: it gives no connection any more.
                    ACCEPT if event.is_read_closed() => self.fail("accept connections on", Errno::EINVAL),
                    ACCEPT => self.knocked = true,
                    Token(conn) => self.ready.push_back(conn as u64),
                }
            }
            self.ready.extend(self.shared.flow.take_resumed());
            self.accept();
            for _ in 0..self.ready.len() {
                if let Some(conn) = self.ready.pop_front() {
                    self.turn(conn);
                }
            }
            self.end_silent();
            self.look_at_file();
            self.look_at_pidfds();
            if !std::mem::take(&mut self.busy) && !self.knocked && self.talks.len() > MANY {
                // The listener's drop unparks.
                std::thread::park_timeout(TOGETHER);
            }
        }
        self.close();
    }

    /// How long to wait for an event.
    fn patience(&self) -> Duration {
        let accept = if self.knocked { Some(self.accept_at) } else { None };
        if !self.ready.is_empty() || accept == Some(None) {
            return Duration::ZERO;
        }
        let until = [Some(self.look_at), accept.flatten(), self.silent.front().map(|(at, _)| *at)];
        let until = until.into_iter().flatten().min().unwrap_or(self.look_at);
        // A millisecond more: the kernel's clock of poll has no finer one.
        until.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }

    /// Accepts some of the connections that wait.
    fn accept(&mut self) {
        if !self.knocked || self.accept_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.accept_at = None;
        for _ in 0..ACCEPTS {
            let Some(listening) = &self.listening else { return };
            match nix::sys::socket::accept4(listening.socket().as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
                // SAFETY: accept4 returned a new descriptor, and nothing else owns it.
                Ok(fd) => self.admit(unsafe { OwnedFd::from_raw_fd(fd) }),
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(Errno::EAGAIN) => {
                    self.knocked = false;
                    return;
                }
                Err(error @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    // Meanwhile the shims wait in the backlog.
                    self.remark(Remark::NoConnection { error, open: self.talks.len() });
                    if !self.end_most_silent() {
                        self.accept_at = Some(Instant::now() + AGAIN);
                        return;
                    }
                }
                Err(error) => {
                    self.fail("accept connections on", error);
                    return;
                }
            }
        }
    }

    fn fail(&mut self, doing: &'static str, source: Errno) {
        let path = self.listening.as_ref().map(|file| file.path().to_owned()).unwrap_or_default();
        let error = ListenError::System { doing, path, source };
        tracing::error!("{error}");
        let _ = self.ears.failed.send(error);
        self.knocked = false;
        self.listening = None;
    }

    fn remark(&self, remark: Remark) {
        // Nobody has to listen, and one word of a kind is enough.
        let _ = self.ears.remarks.try_send(remark);
    }

    /// Begins to read a new connection, or refuses it.
    fn admit(&mut self, socket: OwnedFd) {
        self.busy = true;
        let peer = match peer::of(&socket) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!("a connection whose peer is not known was refused: {error}");
                return;
            }
        };
        let conn = self.next;
        self.next += 1;
        let id = ConnId(conn - FIRST + 1);
        let mut outlet = Outlet::new(id, peer, self.ears.events.clone(), self.shared.waiting(conn));
        let most = self.shared.limits.connections;
        let reason = peer::refusal(outlet.peer())
            .or_else(|| (self.talks.len() >= most).then(|| format!("more than {most} connections")))
            .or_else(|| {
                let (fd, token) = (socket.as_raw_fd(), Token(conn as usize));
                let registered = self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE);
                registered.err().map(|error| format!("it cannot be waited for: {error}"))
            });
        if let Some(reason) = reason {
            outlet.send(What::Rejected(reason), 0);
            outlet.end();
            return;
        }
        let socket = Arc::new(socket);
        self.shared.open().insert(id.0, Open { socket: socket.clone(), asks: AtomicU32::new(0) });
        self.talks.insert(conn, Talk::new(outlet, self.shared.clone(), socket));
        self.silent.push_back((Instant::now() + self.shared.limits.hello_within, conn));
        self.ready.push_back(conn);
    }

    /// Reads some messages of a connection.
    fn turn(&mut self, conn: u64) {
        let Some(talk) = self.talks.get_mut(&conn) else { return };
        for message in 0..TURN {
            if talk.outlet.must_pause() {
                return;
            }
            match read(&mut self.inbox, talk) {
                Read::Message => self.busy |= message > 0,
                Read::Nothing => return,
                Read::End(reason) => {
                    self.end(conn, reason);
                    return;
                }
            }
        }
        self.ready.push_back(conn);
    }

    fn end(&mut self, conn: u64, reason: Option<String>) {
        if let Some(mut talk) = self.talks.remove(&conn) {
            let fd = talk.socket.as_raw_fd();
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
            // Those who send requests may hold the socket a little longer.
            let _ = nix::sys::socket::shutdown(fd, Shutdown::Both);
            self.shared.open().remove(&(conn - FIRST + 1));
            talk.end(reason);
        }
    }

    /// Ends the connections that have not said hello in time.
    fn end_silent(&mut self) {
        let now = Instant::now();
        while let Some((_, conn)) = self.silent.front().filter(|(at, _)| *at <= now).copied() {
            self.silent.pop_front();
            if self.talks.get(&conn).is_some_and(Talk::is_silent) {
                let within = self.shared.limits.hello_within;
                self.end(conn, Some(format!("no hello within {within:?}")));
            }
        }
    }

    /// Ends the silent connection that has been here longest. Whether there was one.
    fn end_most_silent(&mut self) -> bool {
        while let Some((_, conn)) = self.silent.pop_front() {
            if self.talks.get(&conn).is_some_and(Talk::is_silent) {
                self.end(conn, Some("no hello yet, and its descriptor is needed".into()));
                return true;
            }
        }
        false
    }

    /// Makes the socket's file again if it is gone: else no process could connect any more.
    fn look_at_file(&mut self) {
        if self.look_at > Instant::now() {
            return;
        }
        self.look_at = Instant::now() + LOOK;
        let Some(listening) = self.listening.as_ref().filter(|file| !file.is_there()) else { return };
        let path = listening.path().to_owned();
        let again = socket::listen_at(&path).and_then(|file| {
            let fd = file.socket().as_raw_fd();
            let registered = self.poll.registry().register(&mut SourceFd(&fd), ACCEPT, Interest::READABLE);
            registered.map_err(|e| ListenError::System {
                doing: "wait for connections on",
                path: path.clone(),
                source: Errno::from_raw(e.raw_os_error().unwrap_or(0)),
            })?;
            Ok(file)
        });
        match again {
            Ok(file) => {
                // Who connected to the old one is in its backlog.
                while self.knocked && self.accept_at.is_none() {
                    self.accept();
                }
                self.listening = Some(file);
                self.knocked = true;
                self.file_lost = false;
                self.remark(Remark::ListensAgain { path });
            }
            Err(error) if !self.file_lost => {
                self.file_lost = true;
                self.remark(Remark::SocketLost { error: error.to_string() });
            }
            Err(_) => {}
        }
    }

    /// Says once that connections get no pidfd any more.
    fn look_at_pidfds(&mut self) {
        if self.shared.no_pidfd.load(Ordering::Relaxed) && !self.no_pidfd_said {
            let remark = Remark::NoPidfd { open: self.talks.len() };
            // With a full channel it is said later.
            self.no_pidfd_said = self.ears.remarks.try_send(remark).is_ok();
        }
    }

    /// Ends all connections. What they have sent still counts.
    fn close(mut self) {
        // Who connected before the end waits in the backlog.
        self.knocked = true;
        while self.knocked && self.listening.is_some() && self.accept_at.is_none() {
            self.accept();
        }
        self.listening = None;
        for talk in self.talks.values() {
            let _ = nix::sys::socket::shutdown(talk.socket.as_raw_fd(), Shutdown::Both);
        }
        let conns: Vec<u64> = self.talks.keys().copied().collect();
        for conn in conns {
            let mut reason = None;
            if let Some(talk) = self.talks.get_mut(&conn) {
                for _ in 0..LAST_MESSAGES {
                    match read(&mut self.inbox, talk) {
                        Read::Message => {}
                        Read::Nothing => break,
                        Read::End(why) => {
                            reason = why;
                            break;
                        }
                    }
                }
            }
            self.end(conn, reason);
        }
    }
}

enum Read {
    Message,
    Nothing,
    /// The connection has ended, or is ended for this reason.
    End(Option<String>),
}

fn read(inbox: &mut Inbox, talk: &mut Talk) -> Read {
    match inbox.receive(&talk.socket) {
        Ok(Received::Message { len, fds, fds_lost }) => match talk.frame(inbox.message(len), fds, fds_lost) {
            Ok(()) => Read::Message,
            Err(reason) => Read::End(Some(reason)),
        },
        Ok(Received::Nothing) => Read::Nothing,
        Ok(Received::End) => Read::End(None),
        Ok(Received::Unusable(why)) => Read::End(Some(why.into())),
        Err(error) => Read::End(Some(format!("cannot be read: {error}"))),
    }
}
