//! What comes out of a [`super::Listener`].

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use hangscope_protocol::record::{CopyRecord, DumpBeginRecord, LastMemoryRecord, MarkRecord};

use crate::session::{Dso, Dump, Heartbeat, Identity, Note};

/// A connection, by the order in which they came. A process that lost its connection comes back with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Who is on the other end, as the kernel says it (at the time of its connect).
#[derive(Clone, Debug)]
pub struct Peer {
    /// Process, in the collector's pid namespace (the hello's pid is that of the process's own).
    pub(crate) pid: u32,
    /// Effective user.
    pub(crate) uid: u32,
    /// A descriptor of the process: becomes readable when it ends, and tells how. None if it was gone
    /// already.
    pub(crate) pidfd: Option<Arc<OwnedFd>>,
}

/// Something that a connection brought.
#[derive(Debug)]
pub struct Event {
    /// Connection.
    pub conn: ConnId,
    /// When it was complete.
    pub at: Instant,
    /// Who said it.
    pub(crate) peer: Peer,
    /// What it is.
    pub what: What,
    /// Gives the event's bytes back to the connection's bound when the event is dropped.
    _charge: Option<Charge>,
}

impl Event {
    /// An event; for tests of what reads events.
    pub(crate) fn new(conn: ConnId, peer: Peer, what: What) -> Event {
        Event { conn, at: Instant::now(), peer, what, _charge: None }
    }

    pub(super) fn charged(conn: ConnId, peer: Peer, what: What, charge: Charge) -> Event {
        Event { _charge: Some(charge), ..Event::new(conn, peer, what) }
    }
}

/// What an [`Event`] is.
#[derive(Debug)]
pub enum What {
    /// The process said who it is. First of every connection that is not rejected before.
    Hello(Box<Identity>),
    /// The DSOs: after all snapshots from init arrived, and again when a later look differs.
    Dsos(Vec<Dso>),
    /// The allocator's bytes: see [`crate::session::copy::read`].
    Copy {
        /// Which DSO, how many bytes.
        record: CopyRecord,
        /// A descriptor with the bytes, as the process sent it: not to be trusted to be a plain file.
        fd: OwnedFd,
    },
    /// Where the memory that was asked for will be at the exit of the process: see [`crate::session::memory::read`].
    LastMemory {
        /// How many bytes.
        record: LastMemoryRecord,
        /// As of [`What::Copy`].
        fd: OwnedFd,
    },
    /// A look of the watchdog, whole.
    Heartbeat(Heartbeat),
    /// A note.
    Note(Note),
    /// A dump has begun.
    DumpBegin(DumpBeginRecord),
    /// A part of the dump is complete.
    Mark(MarkRecord),
    /// The first look of the dump: threads, waits, the stacks of those that are blocked. The rest is still to come.
    FirstLook(Box<Dump>),
    /// A dump: complete, or cut off (`dump.end` is none) by the end of the connection or the next dump.
    Dump(Box<RecordedDump>),
    /// The shim leaves, and why.
    Bye(Note),
    /// What came was not well-formed, or too much: the reason. The connection ends.
    Rejected(String),
    /// The connection has ended. Last of every connection that said anything.
    End,
}

/// A dump, and the frames that it was made from.
#[derive(Clone, Debug)]
pub struct RecordedDump {
    /// The dump.
    pub dump: Dump,
    /// `dump.bin`: the hello, notes and DSO frames that came before, then every frame from the dump's beginning
    /// to its end, as sent; [`crate::session::read_dumps`] makes the same dump of it.
    pub raw: Vec<u8>,
}

/// Bytes of a connection that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Waiting {
    /// Waits until `bytes` more fit under `most` (or nothing else waits), then counts them.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize, most: usize) -> Charge {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |s: &mut (usize, bool)| !s.1 && s.0 != 0 && s.0.saturating_add(bytes) > most;
        let mut state = self.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_add(bytes);
        Charge { waiting: self.clone(), bytes }
    }

    /// Nobody waits any more: the listener ends.
    pub(super) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}

/// Bytes counted in [`Waiting`] until dropped.
#[derive(Debug)]
pub(super) struct Charge {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut state = self.waiting.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(self.bytes);
        drop(state);
        self.waiting.changed.notify_all();
    }
}
