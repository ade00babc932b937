//! The dump as data: the facts of the shim's records, without conclusions.
//!
//! Its JSON form leaves out all bytes that were copied from memory. No finding needs
//! them, and they are private.

use std::collections::BTreeMap;
use std::ops::Range;

use hangscope_protocol::record::{
    DsoNowRecord, DsoRecord, DumpBeginRecord, DumpEndRecord, HeartbeatRecord, HeartbeatThread, Hello,
    HelloRecord, MarkRecord, MemoryRecord, NoteRecord, ProbeRecord, StackRecord, ThreadRecord, dump_flags,
    maps_deleted, mark_part, note_code,
};
use hangscope_protocol::stir::{HoldRecord, PatchedRecord};
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::patched;

/// The process that sent the frames: its hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub fixed: HelloRecord,
    /// HANGSCOPE_LABEL; empty if not set.
    pub label: String,
    /// Target of `/proc/self/exe`.
    pub exe: String,
    /// Command line, one item an argument.
    pub command: Vec<String>,
    /// LD_PRELOAD of the process.
    pub ld_preload: String,
    /// HANGSCOPE_TARGET; empty if not set.
    pub(crate) target: String,
    pub(crate) shim: String,
}

impl Identity {
    /// Bytes that are not UTF-8 become U+FFFD.
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

/// A DSO: its snapshot from init, and the last look at it. In a dump: the look of the dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dso {
    pub init: DsoRecord,
    pub path: String,
    /// The last look; none before the first one.
    pub now: Option<DsoNowRecord>,
}

impl Dso {
    /// Whether a flag of [`hangscope_protocol::record::dso_flags`] is set.
    pub fn is(&self, flag: u32) -> bool {
        self.init.flags & flag != 0
    }

    /// Takes a later look. If it did not read maps, the `(deleted)` of an earlier look stays: a mapping never
    /// loses that mark.
    pub(crate) fn look(&mut self, mut now: DsoNowRecord) {
        let was_deleted = self.now.is_some_and(|before| before.maps_deleted == maps_deleted::YES);
        if was_deleted && now.maps_deleted == maps_deleted::NOT_SEEN {
            now.maps_deleted = maps_deleted::YES;
        }
        self.now = Some(now);
    }

    /// The build-id that was in memory at init, as hex, at most 32 bytes of it; none if there is none.
    pub(crate) fn build_id(&self) -> Option<String> {
        let id = self.init.build_id_bytes();
        (!id.is_empty()).then(|| hex::encode(id))
    }
}

/// A message of the shim, for example about a setting that it could not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub record: NoteRecord,
    pub text: String,
}

impl Note {
    /// Whether it is a fact for the analysis, and no sentence for people.
    pub(crate) fn is_of_analysis(&self) -> bool {
        matches!(
            self.record.code,
            note_code::OWN_ID
                | note_code::OTHER_PROCESS
                | note_code::OTHER_END
                | note_code::OWNER_ENDED
                | note_code::CHAIN
        )
    }
}

/// Raw stack of a blocked thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    pub record: StackRecord,
    /// Bytes from `record.sp` upwards.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// The answer of a thread to the shim's signal, or a sample of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub record: ProbeRecord,
    /// Bytes from the stack pointer upwards.
    #[serde(skip)]
    pub stack: Vec<u8>,
}

/// A time that a thread was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) record: HoldRecord,
    /// Bytes from its stack pointer upwards.
    #[serde(skip)]
    pub(crate) stack: Vec<u8>,
}

/// A range of memory that the collector requested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub(crate) record: MemoryRecord,
    /// The bytes from the address on that could be read.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// A limit on memory, and how much of it is used, bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimit {
    /// `RLIMIT_AS`, `RLIMIT_DATA`, `memory.max of the cgroup`, `overcommit`.
    pub(crate) name: String,
    pub(crate) limit: u64,
    pub(crate) used: u64,
}

/// The limits on memory that hold for a process. A limit that is not set is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimits(pub(crate) Vec<MemoryLimit>);

/// One look of the watchdog, assembled from all of its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// CLOCK_MONOTONIC, ns.
    pub t_ns: u64,
    /// Of the last frame, with `first` 0.
    pub record: HeartbeatRecord,
    pub threads: Vec<HeartbeatThread>,
}

/// A thread that owns a lock in shared memory, and is no thread of the process of the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder<'d> {
    /// In the PID namespace of the process of the dump.
    pub(crate) tid: u32,
    /// Its process, as the collector sees it; 0 if no process has such a thread any more.
    pub(crate) pid: u32,
    /// Its name.
    pub(crate) comm: &'d str,
    /// As in `/proc/TID/stat`; 0 if there is no such thread.
    pub(crate) state: u8,
}

/// A dump as far as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    pub identity: Identity,
    pub begin: DumpBeginRecord,
    /// None if the end did not arrive. A truncated dump is a legal dump.
    pub end: Option<DumpEndRecord>,
    pub dsos: Vec<Dso>,
    /// `/proc/self/maps` as the kernel printed it.
    #[serde(with = "super::record_text")]
    pub maps: Vec<u8>,
    /// The first look, ascending by tid.
    pub threads: Vec<ThreadRecord>,
    /// The second look (2 s later), ascending by tid; empty if it did not arrive.
    pub second: Vec<ThreadRecord>,
    /// Raw stacks of blocked threads, from both looks.
    pub stacks: Vec<Stack>,
    /// Answers to the signal (`sample` 0).
    pub probes: Vec<Probe>,
    /// Samples of hot threads (`sample` from 1), in order of time.
    pub samples: Vec<Probe>,
    /// Targets of the descriptors that threads wait on: `pipe:[123]`.
    pub(crate) fds: BTreeMap<i32, String>,
    /// The requested memory, as it was after the first look.
    pub memory: Vec<Memory>,
    /// One for each part that is complete.
    pub marks: Vec<MarkRecord>,
    /// All notes of the process, from before the dump too.
    pub(crate) notes: Vec<Note>,
    /// Number of frames of the dump that the shim had to drop.
    pub(crate) gaps: u32,
    /// When the first records of each look were sent, CLOCK_MONOTONIC, ns; 0 if none arrived.
    #[serde(default)]
    pub(crate) looks_ns: [u64; 2],
    /// How much memory the process may have and has, seen from outside.
    #[serde(default)]
    pub(crate) limits: Option<MemoryLimits>,
    /// The last times that a thread was held (`libhangscope_stir.so`), the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) holds: Vec<Hold>,
    /// Code that stands for instructions of the allocator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) patched: Vec<PatchedRecord>,
}

impl Dump {
    /// A dump of which only the beginning arrived.
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
            limits: None,
            holds: vec![],
            patched: vec![],
        }
    }

    /// Adds what `snap` read from outside. Whole looks (with marks) replace those of the shim, with their
    /// stacks; else threads (vforked children) and stacks are added. An answer from outside replaces the
    /// answer of the same thread; samples and notes are appended. Notes
    /// with ids of the process's own namespace rename the threads.
    #[must_use]
    pub(crate) fn with_outside(&self, outside: &Dump) -> Dump {
        let mut dump = self.clone();
        let own = |tid: u32| {
            let of = outside.notes.iter().find(|n| n.record.code == note_code::OWN_ID && n.record.tid == tid);
            of.and_then(|n| u32::try_from(n.record.value).ok())
        };
        let told = outside.notes.iter().any(|n| n.record.code == note_code::OWN_ID);
        if dump.has_other_ids() && told {
            dump.take_own_ids(own);
        }
        if outside.marks.is_empty() {
            dump.threads.extend_from_slice(&outside.threads);
            // A later look at a thread takes the place of the shim's second one.
            dump.second.retain(|t| outside.second.iter().all(|other| other.tid != t.tid));
            dump.second.extend_from_slice(&outside.second);
            dump.stacks.extend_from_slice(&outside.stacks);
            dump.threads.sort_by_key(|t| t.tid);
            dump.second.sort_by_key(|t| t.tid);
        } else {
            dump.threads.clone_from(&outside.threads);
            dump.second.clone_from(&outside.second);
            dump.stacks.clone_from(&outside.stacks);
            dump.marks.clone_from(&outside.marks);
            dump.looks_ns = outside.looks_ns;
            dump.fds.extend(outside.fds.iter().map(|(fd, target)| (*fd, target.clone())));
        }
        for answer in &outside.probes {
            dump.probes.retain(|p| p.record.tid != answer.record.tid);
            dump.probes.push(answer.clone());
        }
        dump.samples.extend_from_slice(&outside.samples);
        for probe in dump.probes.iter_mut().chain(&mut dump.samples) {
            patched::put_right(&dump.patched, &mut probe.record, &mut probe.stack);
        }
        let said = outside.notes.iter().filter(|n| n.record.code != note_code::OWN_ID);
        dump.notes.extend(said.cloned());
        dump.memory.extend_from_slice(&outside.memory);
        dump.limits = outside.limits.clone().or(dump.limits);
        dump
    }

    /// The allocator's DSO, if the shim identified it.
    pub fn allocator(&self) -> Option<&Dso> {
        self.dsos.iter().find(|d| d.init.id == self.identity.fixed.allocator)
    }

    /// Whether the allocator's DSO is known and mapped: only then does it mean something that no stack has a
    /// frame of it. If maps was lost, the DSOs at init count.
    pub(crate) fn allocator_is_mapped(&self) -> bool {
        let mappings = super::maps::parse(&self.maps);
        let mapped = |dso: &Dso| {
            let of_dso = |m: &super::maps::Mapping| {
                m.path == dso.path && dso.init.start <= m.start && m.start < dso.init.end
            };
            mappings.is_empty() || mappings.iter().any(of_dso)
        };
        self.allocator().is_some_and(mapped)
    }

    /// Time between the two looks, ns; none without a second look. The measured time, else the planned one. A
    /// watchdog that gets no processor looks later than planned.
    pub(crate) fn between_ns(&self) -> Option<u64> {
        let [first, second] = self.looks_ns;
        let measured = (first > 0).then(|| second.saturating_sub(first)).filter(|ns| *ns > 0);
        let ns = measured.unwrap_or(self.begin.second_look_after_ns);
        (!self.second.is_empty() && ns > 0).then_some(ns)
    }

    /// Whether every thread that the first look found is known to have arrived, under the id that locks have.
    pub(crate) fn first_look_is_whole(&self) -> bool {
        let mark = self.marks.iter().find(|m| m.part == mark_part::THREADS);
        let left_out = self.end.is_some_and(|end| end.flags & dump_flags::THREADS_LEFT_OUT != 0);
        let all = mark.is_some_and(|m| m.dropped == 0 && self.threads.len() >= m.records as usize);
        all && !left_out && !self.has_other_ids()
    }

    /// Whether the second look is complete.
    pub(crate) fn second_look_is_whole(&self) -> bool {
        let all = |m: &&MarkRecord| m.part == mark_part::SECOND_LOOK && m.dropped == 0;
        let mark = self.marks.iter().find(all);
        mark.is_some_and(|m| !self.second.is_empty() && self.second.len() >= m.records as usize)
    }

    /// A time in which neither look was made, CLOCK_MONOTONIC, ns: after every record of the first look was
    /// read, and before the second one began. None without both.
    pub(crate) fn between_looks(&self) -> Option<Range<u64>> {
        let [first, second] = self.looks_ns;
        let mark = self.marks.iter().find(|m| m.part == mark_part::THREADS)?;
        let from = self.begin.trigger_ns.max(first).saturating_add(mark.took_ns);
        let planned = self.begin.trigger_ns.saturating_add(self.begin.second_look_after_ns);
        // Both looks of the shim were replaced by later ones.
        let to = if first > planned { second } else { planned };
        (!self.second.is_empty() && from < to).then_some(from..to)
    }

    /// When the samples of each thread were taken, CLOCK_MONOTONIC, ns, in their order.
    pub(crate) fn sample_times(&self) -> BTreeMap<u32, Vec<u64>> {
        let mut times: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for sample in &self.samples {
            times.entry(sample.record.tid).or_default().push(sample.record.answered_ns);
        }
        times
    }

    /// What `/proc` said about owners that are no threads of this process.
    pub(crate) fn holders(&self) -> impl Iterator<Item = Holder<'_>> {
        let told = self.notes.iter().filter(|n| n.record.code == note_code::OTHER_PROCESS);
        told.map(|n| Holder {
            tid: n.record.tid,
            pid: u32::try_from(n.record.value).unwrap_or(0),
            comm: &n.text,
            state: n.record.reserved as u8,
        })
    }

    /// As [`Dump::holders`], for one owner.
    pub(crate) fn holder(&self, tid: u32) -> Option<Holder<'_>> {
        self.holders().find(|holder| holder.tid == tid)
    }

    /// Whether the owner that a futex word names was asked for by its id, and is no thread of the process.
    pub(crate) fn owner_ended(&self, owner: u32, word: Option<u64>) -> bool {
        let number = self.begin.number as u16;
        let of = |n: &Note| {
            (n.record.code, n.record.reserved, n.record.tid) == (note_code::OWNER_ENDED, number, owner)
        };
        self.notes.iter().any(|n| of(n) && word == Some(n.record.value))
    }

    /// The processes that can end the wait of a thread, with the flags of
    /// [`hangscope_protocol::record::other_end`]. Empty where it is not known.
    pub(crate) fn other_ends(&self, tid: u32) -> impl Iterator<Item = (u32, &str, u16)> {
        let of = move |n: &&Note| n.record.code == note_code::OTHER_END && n.record.tid == tid;
        self.notes.iter().filter(of).map(|n| (n.record.value as u32, n.text.as_str(), n.record.reserved))
    }

    /// The chains of pointers that were read, with the thread that walks each, 0 if none was seen to.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (u32, Chain)> {
        let notes = self.notes.iter().filter(|n| n.record.code == note_code::CHAIN);
        notes.filter_map(|note| Some((note.record.tid, serde_json::from_str(&note.text).ok()?)))
    }

    /// A thread in the first look.
    pub fn thread(&self, tid: u32) -> Option<&ThreadRecord> {
        self.threads.iter().find(|t| t.tid == tid)
    }

    /// A thread in the second look.
    pub fn second_look(&self, tid: u32) -> Option<&ThreadRecord> {
        self.second.iter().find(|t| t.tid == tid)
    }
}
