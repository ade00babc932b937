//! The header of a frame, and the kinds of frame.

use crate::decode::{Malformed, Reader};
use crate::encode::{Full, Writer};
use crate::layout::{Record, record};

/// First four bytes of every frame: `HSC1`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"HSC1");
/// Version of the records; said in the hello. A collector refuses another one.
pub const VERSION: u16 = 2;
pub const HEADER_LEN: usize = <Header as Record>::SIZE;
/// Largest frame, header included: small enough for the default socket buffer (208 KiB) to hold three.
pub const MAX_FRAME: usize = 64 * 1024;
pub const MAX_PAYLOAD: usize = MAX_FRAME - HEADER_LEN;

record! {
    /// What stands in front of every payload.
    pub struct Header {
        /// Always [`MAGIC`]: a frame of another kind of program is refused.
        pub magic: u32,
        /// The number of a [`Kind`] of frame.
        pub kind: u16,
        pub flags: u16,
        /// Bytes of payload after the header.
        pub len: u32,
        /// Counts the frames of a connection from 0; a gap is a frame that the shim had to drop.
        pub seq: u32,
        /// Number of the dump that it belongs to, from 1; 0 outside a dump.
        pub dump: u32,
        /// Process that the frame is about.
        pub pid: u32,
        /// CLOCK_MONOTONIC when it was made, nanoseconds.
        pub t_ns: u64,
    }
}

/// The kinds of frame, with what their payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Kind {
    /// First frame of a connection: one [`crate::record::Hello`].
    Hello = 1,
    /// [`crate::record::NoteRecord`] with text, one or more.
    Note = 2,
    /// [`crate::record::DsoRecord`] with its path, one or more: the snapshot from init.
    Dsos = 3,
    /// One [`crate::record::CopyRecord`]; the message carries a descriptor (SCM_RIGHTS) with the
    /// allocator's bytes.
    Copy = 4,
    /// One [`crate::record::HeartbeatRecord`], then [`crate::record::HeartbeatThread`]s.
    Heartbeat = 5,
    /// [`crate::record::DsoNowRecord`]s: a later look at what `Dsos` listed.
    DsosNow = 6,
    /// One [`crate::record::DumpBeginRecord`].
    DumpBegin = 7,
    /// An offset (u64), then raw bytes of `/proc/self/maps` from there on.
    Maps = 8,
    /// [`crate::record::ThreadRecord`]s.
    Threads = 9,
    /// [`crate::record::StackRecord`]s, each with its bytes.
    Stacks = 10,
    /// [`crate::record::ProbeRecord`]s, each with its stack bytes: answers to the signal.
    Probes = 11,
    /// One [`crate::record::MarkRecord`]: a part of the dump is complete.
    Mark = 12,
    /// One [`crate::record::DumpEndRecord`].
    DumpEnd = 13,
    /// One [`crate::record::NoteRecord`] with text: the shim leaves, and why.
    Bye = 14,
    /// What a descriptor is: [`crate::record::FdRecord`]s, each with the target of its link.
    Fds = 15,
    /// In a dump: [`crate::record::MemoryRecord`]s, each with its bytes: memory that was asked for.
    Memory = 16,
    /// One [`crate::record::LastMemoryRecord`]; the message carries a descriptor (SCM_RIGHTS).
    LastMemory = 17,
    /// One [`crate::record::CrashPageRecord`]; the message carries a descriptor (SCM_RIGHTS). Only where
    /// HANGSCOPE_CRASH is on.
    CrashPage = 18,
    /// In a dump: [`crate::stir::HoldRecord`]s, the oldest first, each with the top of its stack.
    Holds = 19,
    /// In a dump: [`crate::stir::PatchedRecord`]s.
    Patched = 20,
    /// A person to a collector, in place of a hello: the id (u32) of the process that shall make a dump.
    Request = 101,
    /// A collector to that person: JSON.
    Answer = 102,
    /// Collector to shim: one [`crate::record::AskRecord`], then tids (u32) or
    /// [`crate::record::RangeRecord`]s.
    Ask = 100,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub fn from_u16(n: u16) -> Option<Kind> {
        use Kind::*;
        [
            Hello, Note, Dsos, Copy, Heartbeat, DsosNow, DumpBegin, Maps, Threads, Stacks, Probes, Mark,
            DumpEnd, Bye, Fds, Memory, LastMemory, CrashPage, Holds, Patched, Ask, Request, Answer,
        ]
        .into_iter()
        .find(|k| *k as u16 == n)
    }
}

impl Header {
    /// Reads a frame's header and gives it with its kind and its payload.
    ///
    /// # Errors
    /// [`Malformed`] if the magic, the kind or the length is not right; `bytes` must be one whole frame.
    pub fn split(bytes: &[u8]) -> Result<(Header, Kind, &[u8]), Malformed> {
        let mut r = Reader::new(bytes);
        let header: Header = r.record()?;
        if header.magic != MAGIC {
            return Err(Malformed { at: 0, expected: "the magic HSC1" });
        }
        let kind = Kind::from_u16(header.kind).ok_or(Malformed { at: 4, expected: "a known kind" })?;
        let payload = bytes.get(HEADER_LEN..).unwrap_or(&[]);
        if header.len as usize != payload.len() || payload.len() > MAX_PAYLOAD {
            return Err(Malformed { at: 8, expected: "the length of the payload" });
        }
        Ok((header, kind, payload))
    }

    /// Writes a header into the first [`HEADER_LEN`] bytes of `frame`.
    pub fn write_to(&self, frame: &mut [u8]) -> Result<(), Full> {
        Writer::new(frame).record(self)
    }
}
