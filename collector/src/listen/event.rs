//! The events of a [`super::Listener`].

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{
    CopyRecord, CrashPageRecord, DumpBeginRecord, LastMemoryRecord, MarkRecord,
};

use super::flow::Charge;
use super::spool::Spooled;
use crate::session::{Dso, Heartbeat, Identity, Note};

/// Number of a connection, in the order of their arrival. A process that lost its
/// connection gets a new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// The process on the other end, as the kernel reported it at its connect.
#[derive(Clone, Debug)]
pub struct Peer {
    /// In the collector's pid namespace. The pid of the hello is in the namespace of the process.
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    /// A pidfd: it becomes readable when the process ends. None if the process had already ended.
    pub(crate) pidfd: Option<Arc<OwnedFd>>,
}

#[derive(Debug)]
pub struct Event {
    pub conn: ConnId,
    /// When the event was complete.
    pub at: Instant,
    pub(crate) peer: Peer,
    pub what: What,
    /// Counts the event's bytes against the connection's limit until the event is dropped.
    _charge: Option<Charge>,
}

impl Event {
    /// An event that counts against no limit; for tests.
    pub(crate) fn new(conn: ConnId, peer: Peer, what: What) -> Event {
        Event { conn, at: Instant::now(), peer, what, _charge: None }
    }

    pub(super) fn charged(conn: ConnId, peer: Peer, what: What, charge: Charge) -> Event {
        Event { _charge: Some(charge), ..Event::new(conn, peer, what) }
    }
}

#[derive(Debug)]
pub enum What {
    /// The first event of every connection that is not rejected.
    Hello(Box<Identity>),
    /// The DSOs: once all snapshots from init have arrived, and again when a later look differs.
    Dsos(Vec<Dso>),
    /// A copy of the allocator: see [`crate::session::copy::take`].
    Copy {
        record: CopyRecord,
        /// As the process sent it. It need not be a plain file.
        fd: OwnedFd,
    },
    /// The file that will have the requested memory at the exit of the process: see
    /// [`crate::session::memory::read`].
    LastMemory {
        record: LastMemoryRecord,
        /// As in [`What::Copy`].
        fd: OwnedFd,
    },
    /// The file that will have a crash of the process: see [`crate::session::crash::read`].
    CrashPage {
        record: CrashPageRecord,
        /// As in [`What::Copy`].
        fd: OwnedFd,
    },
    /// A person wants a dump of the process with this id, of all processes if it is the collector's own. The
    /// connection gets the answer ([`super::request::Answer`]). It never has a hello.
    Wanted {
        pid: u32,
        /// When the second look is wanted, after the first: somebody waits, and perf takes too long. Zero: as
        /// usual.
        second_look: Duration,
    },
    /// A program is about to send a signal that ends a process, or a group (below 0, as for kill(2)). It
    /// waits for an answer, as in [`What::Wanted`], but not for long.
    Stopping {
        target: i32,
        signal: i32,
    },
    /// One look of the watchdog.
    Heartbeat(Heartbeat),
    Note(Note),
    DumpBegin(DumpBeginRecord),
    /// A part of the dump is complete.
    Mark(MarkRecord),
    /// The first look of a dump: threads, waits, and the stacks of blocked threads. The other parts follow.
    FirstLook(Box<Spooled>),
    /// A dump: complete, or cut off (`end` is none) by the end of the connection or by the next dump.
    Dump(Box<Spooled>),
    /// The shim ends the session: the reason.
    Bye(Note),
    /// A frame was malformed, or a limit was exceeded: the reason. The connection ends.
    Rejected(String),
    /// The connection has ended. The last event of every connection that had one before.
    End,
}
