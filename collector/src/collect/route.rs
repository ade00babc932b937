//! Which session an event belongs to. A process has one connection at a time; after a lost connection it has
//! another. Each program that it runs (exec) is a session.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, select};
use hangscope_protocol::record::hello_flags;

use super::before::Before;
use super::desk::Desk;
use super::pool::{Actor, Pool};
use super::session::{Asked, Beginning, Input};
use crate::console::cancel;
use crate::listen::request::{Answer, Problem};
use crate::listen::{ByNumber, ConnId, Event, What};
use crate::proc::ending::ExitWatch;
use crate::proc::task;
use crate::session::Identity;

/// Most sessions that are captured when the collector ends: more would take longer than a person waits.
const MOST_AT_END: usize = 4;

/// From the first look to the second, of a process that is about to be ended.
const SECOND_LOOK_OF_STOPPED: Duration = Duration::from_millis(300);
/// A person who waits longer for the end is told why.
const SOON: Duration = Duration::from_secs(1);

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

struct Live {
    pid: u32,
    image: Image,
    actor: Arc<Actor>,
}

pub(super) struct Router {
    desk: Arc<Desk>,
    exits: ExitWatch,
    pool: Pool,
    /// Sessions that an earlier collector has left open.
    before: Before,
    next: u64,
    live: ByNumber<u64, Live>,
    /// The session of a process, by its id and start: that of the program that it runs now.
    of_process: HashMap<(u32, u64), u64>,
    /// The session of a connection.
    conns: ByNumber<ConnId, Arc<Actor>>,
}

impl Router {
    pub(super) fn new(desk: Arc<Desk>, before: Before) -> std::io::Result<Router> {
        Ok(Router {
            exits: ExitWatch::new()?,
            pool: Pool::new(&desk)?,
            desk,
            before,
            next: 0,
            live: ByNumber::default(),
            of_process: HashMap::new(),
            conns: ByNumber::default(),
        })
    }

    /// Keys of sessions that are over, for [`Router::over`].
    pub(super) fn ends(&self) -> &Receiver<u64> {
        self.pool.over()
    }

    pub(super) fn over(&mut self, key: u64) {
        if let Some(live) = self.live.remove(&key) {
            let process = (live.pid, live.image.start_ticks);
            if self.of_process.get(&process) == Some(&key) {
                self.of_process.remove(&process);
            }
        }
        self.desk.set_live(self.live.len());
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
        if let What::Wanted { pid, second_look } = event.what {
            self.want(pid, Some(conn), second_look);
            return;
        }
        if let What::Stopping { target, signal } = event.what {
            self.stopping(target, signal, conn);
            return;
        }
        if let What::Hello(identity) = &event.what {
            let actor = self.session_of(&event, identity);
            self.conns.insert(conn, actor);
        }
        let ends = matches!(event.what, What::End);
        match self.conns.get(&conn) {
            Some(actor) => self.pool.send(actor, Input::Event(Box::new(event))),
            None => self.stranger(&event),
        }
        if ends {
            self.conns.remove(&conn);
        }
    }

    /// Asks the sessions of a process for a dump; all sessions if the process is this collector.
    pub(super) fn want(&self, pid: u32, asker: Option<ConnId>, second_look: Duration) {
        let all = pid == std::process::id();
        let keys: Vec<u64> =
            self.living().filter(|(_, live)| all || live.pid == pid).map(|(k, _)| *k).collect();
        if let (Some(asker), true) = (asker, keys.is_empty()) {
            self.desk.asker.answer(asker, &Answer::problem(pid, Problem::NoShim));
        }
        let left = Arc::new(AtomicU32::new(keys.len() as u32));
        for key in keys {
            let asked = Asked { asker, left: left.clone(), second_look, done: None, only_last: false };
            self.send(key, Input::Wanted(asked));
        }
    }

    /// Asks the sessions of a process, or of a group (below 0), that is about to be ended by a signal, for a
    /// dump if nothing moves in it.
    fn stopping(&self, target: i32, signal: i32, sender: ConnId) {
        let is_meant = |pid: u32| match u32::try_from(target) {
            Ok(target) => pid == target,
            Err(_) => task::group(pid) == Some(target.unsigned_abs()),
        };
        let keys: Vec<u64> =
            self.living().filter(|(_, live)| is_meant(live.pid)).map(|(key, _)| *key).collect();
        if keys.is_empty() {
            self.desk.asker.answer(sender, &Answer::default());
        }
        let left = Arc::new(AtomicU32::new(keys.len() as u32));
        for key in keys {
            let second_look = SECOND_LOOK_OF_STOPPED;
            let left = left.clone();
            let asked = Asked { asker: Some(sender), left, second_look, done: None, only_last: true };
            self.send(key, Input::Stopping { asked, signal });
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
            let asked = Asked {
                asker: None,
                left: left.clone(),
                second_look,
                done: Some(done.clone()),
                only_last: false,
            };
            left.fetch_add(1, Ordering::SeqCst);
            self.send(key, Input::Wanted(asked));
        }
        all_done
    }

    fn living(&self) -> impl Iterator<Item = (&u64, &Live)> {
        self.live.iter().filter(|(_, live)| !live.actor.is_over())
    }

    /// The session that a hello belongs to: a new one, or one that lost its connection.
    fn session_of(&mut self, event: &Event, identity: &Identity) -> Arc<Actor> {
        let (pid, image) = (event.peer.pid, Image::of(identity));
        let process = (pid, image.start_ticks);
        let before =
            self.of_process.get(&process).and_then(|key| self.live.get(key).map(|live| (*key, live)));
        let before = before.filter(|(_, live)| !live.actor.is_over());
        let before = before.map(|(key, live)| (key, live.image, live.actor.clone()));
        let again = identity.fixed.flags & hello_flags::AGAIN != 0;
        if let Some((key, other, actor)) = before {
            if again && other == image {
                return actor;
            }
            // The process runs another program now.
            self.send(key, Input::Superseded);
        }
        self.next += 1;
        let key = self.next;
        let before = if again { self.before.take(pid, identity) } else { None };
        let beginning = Beginning { identity: identity.clone(), peer: event.peer.clone(), before };
        let actor = self.pool.begin(key, beginning);
        self.live.insert(key, Live { pid, image, actor: actor.clone() });
        self.of_process.insert(process, key);
        self.desk.set_live(self.live.len());
        if let Some(pidfd) = &event.peer.pidfd {
            self.exits.watch(key, pidfd.clone());
        }
        actor
    }

    fn send(&self, key: u64, input: Input) {
        if let Some(live) = self.live.get(&key) {
            self.pool.send(&live.actor, input);
        }
    }

    /// A connection without a well-formed hello.
    fn stranger(&self, event: &Event) {
        if let What::Rejected(reason) = &event.what {
            self.desk.count_refused();
            self.desk.say(format_args!("[REJECTED] pid {}: {reason}", event.peer.pid));
        }
    }

    /// Ends all sessions.
    pub(super) fn close(mut self) {
        let keys: Vec<u64> = self.live.keys().copied().collect();
        keys.iter().for_each(|key| self.send(*key, Input::Close));
        let mut soon = crossbeam_channel::after(SOON);
        while !self.live.is_empty() {
            select! {
                recv(self.pool.over()) -> key => match key {
                    Ok(key) => self.over(key),
                    Err(_) => break,
                },
                recv(soon) -> _ => {
                    self.desk.closing(self.live.len());
                    soon = crossbeam_channel::never();
                }
            }
            cancel::still_ending();
        }
        self.pool.close();
    }
}
