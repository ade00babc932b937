//! Which session an event belongs to. A process has one connection at a time; after a lost connection it has
//! another. Each program that it runs (exec) is a session.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use hangscope_protocol::record::hello_flags;

use super::desk::Desk;
use super::session::{Asked, Input, Session};
use crate::listen::request::{Answer, Problem};
use crate::listen::{ConnId, Event, What};
use crate::proc::ending::ExitWatch;
use crate::session::Identity;

/// Most sessions that are captured when the collector ends: more would take longer than a person waits.
const MOST_AT_END: usize = 4;

/// Identifies a program image: equal in all its hellos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    start_ticks: u64,
    init_ns: u64,
}

impl Image {
    fn of(identity: &Identity) -> Image {
        Image { start_ticks: identity.fixed.start_ticks, init_ns: identity.fixed.init_ns }
    }
}

/// A session with its thread.
struct Live {
    pid: u32,
    image: Image,
    input: Sender<Input>,
    thread: JoinHandle<()>,
}

pub(super) struct Router {
    desk: Arc<Desk>,
    exits: ExitWatch,
    next: u64,
    live: HashMap<u64, Live>,
    /// The session of a connection.
    conns: HashMap<ConnId, u64>,
}

impl Router {
    pub(super) fn new(desk: Arc<Desk>) -> std::io::Result<Router> {
        let exits = ExitWatch::new()?;
        Ok(Router { desk, exits, next: 0, live: HashMap::new(), conns: HashMap::new() })
    }

    /// Keys of sessions whose process has ended, for [`Router::exited`].
    pub(super) fn exits(&self) -> &Receiver<u64> {
        self.exits.ended()
    }

    pub(super) fn exited(&mut self, key: u64) {
        self.send(key, Input::Exited);
    }

    pub(super) fn event(&mut self, event: Event) {
        let conn = event.conn;
        if let What::Wanted { pid } = event.what {
            self.want(pid, Some(conn));
            return;
        }
        if let What::Hello(identity) = &event.what {
            let key = self.session_of(&event, identity);
            self.conns.insert(conn, key);
        }
        let ends = matches!(event.what, What::End);
        match self.conns.get(&conn) {
            Some(key) => self.send(*key, Input::Event(Box::new(event))),
            None => self.stranger(&event),
        }
        if ends {
            self.conns.remove(&conn);
            self.reap();
        }
    }

    /// Asks the sessions of a process for a dump; all sessions if the process is this collector.
    pub(super) fn want(&self, pid: u32, asker: Option<ConnId>) {
        let all = pid == std::process::id();
        let keys: Vec<u64> =
            self.living().filter(|(_, live)| all || live.pid == pid).map(|(k, _)| *k).collect();
        if let (Some(asker), true) = (asker, keys.is_empty()) {
            self.desk.asker.answer(asker, &Answer::problem(pid, Problem::NoShim));
        }
        let left = Arc::new(AtomicU32::new(keys.len() as u32));
        for key in keys {
            let asked = Asked { asker, left: left.clone(), second_look: Duration::ZERO, done: None };
            self.send(key, Input::Wanted(asked));
        }
    }

    /// Asks the oldest sessions for a dump with an early second look, because the collector is about to end.
    /// The channel is closed when all of them are done.
    pub(super) fn dump_at_end(&self, second_look: Duration) -> Receiver<()> {
        let (done, all_done) = crossbeam_channel::bounded(0);
        let left = Arc::new(AtomicU32::new(0));
        let mut keys: Vec<u64> = self.living().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        for key in keys.into_iter().take(MOST_AT_END) {
            let asked = Asked { asker: None, left: left.clone(), second_look, done: Some(done.clone()) };
            left.fetch_add(1, Ordering::SeqCst);
            self.send(key, Input::Wanted(asked));
        }
        all_done
    }

    fn living(&self) -> impl Iterator<Item = (&u64, &Live)> {
        self.live.iter().filter(|(_, live)| !live.thread.is_finished())
    }

    /// The session that a hello belongs to: a new one, or one that lost its connection.
    fn session_of(&mut self, event: &Event, identity: &Identity) -> u64 {
        let (pid, image) = (event.peer.pid, Image::of(identity));
        let before = self.live.iter().filter(|(_, live)| live.pid == pid && !live.thread.is_finished());
        let before: Vec<(u64, Image)> = before.map(|(key, live)| (*key, live.image)).collect();
        let again = identity.fixed.flags & hello_flags::AGAIN != 0;
        if again && let Some((key, _)) = before.iter().find(|(_, other)| *other == image) {
            return *key;
        }
        // The process runs another program now. If the pid was used again, the pidfd shows the end of the
        // first.
        for (key, other) in before {
            if other.start_ticks == image.start_ticks {
                self.send(key, Input::Superseded);
            }
        }
        self.next += 1;
        let key = self.next;
        let (input, inputs) = crossbeam_channel::unbounded();
        let session = Session::begin(self.desk.clone(), identity, &event.peer);
        let body = move || session.run(&inputs);
        match std::thread::Builder::new().name(format!("hs-session-{pid}")).spawn(body) {
            Ok(thread) => {
                self.live.insert(key, Live { pid, image, input, thread });
                if let Some(pidfd) = &event.peer.pidfd {
                    self.exits.watch(key, pidfd.clone());
                }
            }
            Err(error) => {
                self.desk.say(format_args!("hangscope: no thread for the session of {pid}: {error}"))
            }
        }
        key
    }

    fn send(&self, key: u64, input: Input) {
        if let Some(live) = self.live.get(&key) {
            // The thread of a session that is over takes no input.
            let _ = live.input.send(input);
        }
    }

    /// A connection without a well-formed hello.
    fn stranger(&self, event: &Event) {
        if let What::Rejected(reason) = &event.what {
            self.desk.say(format_args!("[REJECTED] pid {}: {reason}", event.peer.pid));
        }
    }

    fn reap(&mut self) {
        self.live.retain(|_, live| !live.thread.is_finished());
    }

    /// Ends all sessions.
    pub(super) fn close(self) {
        for live in self.live.values() {
            let _ = live.input.send(Input::Close);
        }
        for live in self.live.into_values() {
            let _ = live.thread.join();
        }
    }
}
