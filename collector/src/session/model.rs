//! The dump as data. Raw facts of the shim's records, owned; nothing here is a conclusion.
//!
//! As JSON it is without what was copied from memory: no finding is made from that, and it is nobody's business.

use std::collections::BTreeMap;

use hangscope_protocol::record::{
    DsoNowRecord, DsoRecord, DumpBeginRecord, DumpEndRecord, HeartbeatRecord, HeartbeatThread, Hello,
    HelloRecord, MarkRecord, MemoryRecord, NoteRecord, ProbeRecord, StackRecord, ThreadRecord, dump_flags,
    mark_part,
};
use serde::{Deserialize, Serialize};

/// Who spoke: the hello with its texts owned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The numbers.
    pub fixed: HelloRecord,
    /// HANGSCOPE_LABEL, empty if none.
    pub label: String,
    /// Target of `/proc/self/exe`.
    pub exe: String,
    /// Command line, an item an argument.
    pub command: Vec<String>,
    /// LD_PRELOAD as the process got it.
    pub ld_preload: String,
    /// HANGSCOPE_TARGET, empty if none.
    pub(crate) target: String,
    /// The shim's version.
    pub(crate) shim: String,
}

impl Identity {
    /// Owns a decoded hello. Bytes that are not UTF-8 are replaced (U+FFFD).
    pub(crate) fn from_hello(hello: &Hello<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let cmdline = hello.cmdline.strip_suffix(b"\0").unwrap_or(hello.cmdline);
        Identity {
            fixed: hello.fixed,
            label: text(hello.label),
            exe: text(hello.exe),
            command: if cmdline.is_empty() { vec![] } else { cmdline.split(|b| *b == 0).map(text).collect() },
            ld_preload: text(hello.ld_preload),
            target: text(hello.target),
            shim: text(hello.shim),
        }
    }
}

/// A DSO: its snapshot from init, and the last look at it (in the dump: the look of the dump).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dso {
    /// Snapshot from init.
    pub init: DsoRecord,
    /// Path, without ` (deleted)`.
    pub path: String,
    /// The last look.
    pub now: Option<DsoNowRecord>,
}

impl Dso {
    /// Whether a flag of [`hangscope_protocol::record::dso_flags`] is set.
    pub fn is(&self, flag: u32) -> bool {
        self.init.flags & flag != 0
    }
}

/// Something that the shim thought worth saying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Code, thread and number.
    pub record: NoteRecord,
    /// Text.
    pub text: String,
}

/// Raw stack of a blocked thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Thread, look, flags, address.
    pub record: StackRecord,
    /// Bytes from `record.sp` upwards.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// What a thread answered to the signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Outcome and registers.
    pub record: ProbeRecord,
    /// Bytes from SP upwards.
    #[serde(skip)]
    pub stack: Vec<u8>,
}

/// Memory that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Address, bytes wanted, error.
    pub(crate) record: MemoryRecord,
    /// What could be read from there on.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// One look of the watchdog, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// CLOCK_MONOTONIC, ns.
    pub t_ns: u64,
    /// The numbers (`first` is 0).
    pub record: HeartbeatRecord,
    /// All threads.
    pub threads: Vec<HeartbeatThread>,
}

/// A dump, as far as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Who spoke.
    pub identity: Identity,
    /// Its beginning.
    pub begin: DumpBeginRecord,
    /// Its end; none if it never came (a truncated dump is a legal dump).
    pub end: Option<DumpEndRecord>,
    /// DSOs, init and now.
    pub dsos: Vec<Dso>,
    /// `/proc/self/maps` as the kernel printed it.
    #[serde(with = "text")]
    pub maps: Vec<u8>,
    /// First look, by tid.
    pub threads: Vec<ThreadRecord>,
    /// Second look (2 s later), by tid; empty if it did not come.
    pub second: Vec<ThreadRecord>,
    /// Raw stacks of blocked threads (looks 1 and 2).
    pub stacks: Vec<Stack>,
    /// Answers to the signal (`sample` 0).
    pub probes: Vec<Probe>,
    /// Samples of hot threads (`sample` from 1), in order.
    pub samples: Vec<Probe>,
    /// What descriptors are that threads wait on.
    pub(crate) fds: BTreeMap<i32, String>,
    /// Memory that was asked for, as it was after the first look.
    pub memory: Vec<Memory>,
    /// Parts that are complete.
    pub marks: Vec<MarkRecord>,
    /// Notes, those from before the dump too.
    pub(crate) notes: Vec<Note>,
    /// Frames that the shim had to drop within this dump.
    pub(crate) gaps: u32,
    /// When the first records of each look were sent, CLOCK_MONOTONIC, ns; 0 if that did not come.
    #[serde(default)]
    pub(crate) looks_ns: [u64; 2],
}

impl Dump {
    /// One of which only the beginning has come.
    pub(crate) fn begun(identity: Identity, begin: DumpBeginRecord) -> Dump {
        Dump {
            identity,
            begin,
            end: None,
            dsos: vec![],
            maps: vec![],
            threads: vec![],
            second: vec![],
            stacks: vec![],
            probes: vec![],
            samples: vec![],
            fds: BTreeMap::new(),
            memory: vec![],
            marks: vec![],
            notes: vec![],
            gaps: 0,
            looks_ns: [0; 2],
        }
    }

    /// With what was seen from outside beside it: answers take the place of those that their threads did not give, samples
    /// and notes are added.
    #[must_use]
    pub(crate) fn with_outside(&self, outside: &Dump) -> Dump {
        let mut dump = self.clone();
        for answer in &outside.probes {
            dump.probes.retain(|p| p.record.tid != answer.record.tid);
            dump.probes.push(answer.clone());
        }
        dump.samples.extend_from_slice(&outside.samples);
        dump.notes.extend_from_slice(&outside.notes);
        dump
    }

    /// The allocator's DSO, if the shim knew it.
    pub fn allocator(&self) -> Option<&Dso> {
        self.dsos.iter().find(|d| d.init.id == self.identity.fixed.allocator)
    }

    /// Between the two looks, ns: as it was measured, else as it was meant to be; none without a second look. A watchdog that
    /// gets no processor looks later than it meant to.
    pub(crate) fn between_ns(&self) -> Option<u64> {
        let [first, second] = self.looks_ns;
        let measured = (first > 0).then(|| second.saturating_sub(first)).filter(|ns| *ns > 0);
        let ns = measured.unwrap_or(self.begin.second_look_after_ns);
        (!self.second.is_empty() && ns > 0).then_some(ns)
    }

    /// Whether the first look is known to have every thread that it found.
    pub(crate) fn first_look_is_whole(&self) -> bool {
        let mark = self.marks.iter().find(|m| m.part == mark_part::THREADS);
        let left_out = self.end.is_some_and(|end| end.flags & dump_flags::THREADS_LEFT_OUT != 0);
        mark.is_some_and(|m| m.dropped == 0 && self.threads.len() >= m.records as usize) && !left_out
    }

    /// A thread of the first look.
    pub fn thread(&self, tid: u32) -> Option<&ThreadRecord> {
        self.threads.iter().find(|t| t.tid == tid)
    }

    /// The same thread in the second look.
    pub fn second_look(&self, tid: u32) -> Option<&ThreadRecord> {
        self.second.iter().find(|t| t.tid == tid)
    }
}

/// Bytes as text; what is not UTF-8 is replaced (U+FFFD).
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(bytes))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(from).map(String::into_bytes)
    }
}
