//! What a session begins with, and what it takes.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::collect::record::SessionRecord;
use crate::listen::{ConnId, Event, Peer, What};
use crate::session::Identity;
use crate::session::copy;

/// Number of the requests of people.
pub(super) const WANTED: u32 = 1;

/// A copy of more bytes is read by the threads for dumps.
const LARGE_COPY: u64 = 32 << 20;

/// What a session begins with.
pub(in crate::collect) struct Beginning {
    pub(in crate::collect) identity: Identity,
    pub(in crate::collect) peer: Peer,
    /// The record of the same program from before this collector was started.
    pub(in crate::collect) before: Option<SessionRecord>,
}

/// What a session takes.
pub(in crate::collect) enum Input {
    /// From one of the session's connections.
    Event(Box<Event>),
    /// Somebody wants a dump.
    Wanted(Asked),
    /// A signal that ends the process is about to be sent, by a program that waits for the answer.
    Stopping {
        asked: Asked,
        signal: i32,
    },
    Exited,
    /// The process runs another program now.
    Superseded,
    Close,
}

impl Input {
    /// Whether it may take long.
    pub(in crate::collect) fn is_heavy(&self) -> bool {
        match self {
            Input::Event(event) => match &event.what {
                What::Dump(_) => true,
                What::Copy { fd, .. } => copy::len(fd) > LARGE_COPY,
                _ => false,
            },
            _ => false,
        }
    }
}

/// A request for a dump.
#[derive(Clone, Debug)]
pub(in crate::collect) struct Asked {
    /// Who gets the answer; none: nobody waits for it.
    pub(in crate::collect) asker: Option<ConnId>,
    /// Number of answers that are still to be given.
    pub(in crate::collect) left: Arc<AtomicU32>,
    /// From the first look to the second; zero: as usual.
    pub(in crate::collect) second_look: Duration,
    /// Only the last answer is sent.
    pub(in crate::collect) only_last: bool,
    /// Its drop tells that the request is done.
    pub(in crate::collect) done: Option<Sender<()>>,
}
