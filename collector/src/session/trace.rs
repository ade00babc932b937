//! Stacks with names: the output of `symbolize`, and an input of the analysis.

use std::collections::BTreeMap;

use hangscope_protocol::stir::HoldRecord;
use serde::{Deserialize, Serialize};

use super::code::LoopCode;
pub use super::frame::Frame;
pub(crate) use super::frame::{SIGNAL_FRAME, is_signal_frame};
use crate::text::message::Text;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceSource {
    /// The memory of a blocked thread, from SP and PC of `/proc`.
    Blocked,
    /// A sample of a perf event: registers and stack.
    Perf,
    /// Registers and stack of a thread that was stopped by ptrace for a moment.
    Ptrace,
    /// The answer to a signal: registers and stack.
    Signal,
    /// There is no stack: see [`ThreadTrace::problem`].
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadTrace {
    pub tid: u32,
    pub source: TraceSource,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// The stack does not reach the start of the thread.
    pub truncated: bool,
    /// Why there is no stack, or why it is truncated: "blocks signal 62", "cut at frame 2".
    pub problem: Option<Text>,
}

/// A time that a thread was held (`libhangscope_stir.so`), with names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub hold: HoldRecord,
    /// Where it was held, innermost first; not empty. The outer frames may be missing.
    pub frames: Vec<Frame>,
}

/// How a loop reads a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadHow {
    Load,
    /// It changes the word in one step: `lock cmpxchg`, `xchg`.
    Atomic,
    /// It gives the address to `pthread_mutex_trylock`.
    TryLock,
}

/// A word of memory that the loop of a thread reads again and again. Words of its own stack and of
/// read-only mappings are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopRead {
    pub address: u64,
    /// Bytes.
    pub(crate) size: u32,
    pub how: ReadHow,
    /// 32-bit numbers from the address on, read twice with some time between; empty if they could not be
    /// read.
    pub(crate) words: [Vec<u32>; 2],
    /// The 64-bit number at the address points into the stack or the thread-locals of this thread.
    pub(crate) points_to: Option<u32>,
}

impl LoopRead {
    /// The number at the address, of [`LoopRead::size`] bytes; `reading` is 0 or 1. None if it could not be
    /// read, or has more than 8 bytes.
    pub(crate) fn value(&self, reading: usize) -> Option<u64> {
        let words = self.words.get(reading)?;
        let low = u64::from(*words.first()?);
        match self.size {
            1 => Some(low & 0xff),
            2 => Some(low & 0xffff),
            4 => Some(low),
            8 => Some(u64::from(*words.get(1)?) << 32 | low),
            _ => None,
        }
    }
}

/// A list that leads back into itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    pub(crate) nodes: u32,
    /// Addresses of the first of them.
    pub(crate) addresses: Vec<u64>,
    /// The mapping of the first, as maps names it; empty for an anonymous one.
    pub(crate) mapping: String,
    /// Offset of the next pointer in a block, bytes; none where it is not known.
    #[serde(default)]
    pub(crate) next: Option<i64>,
    /// Blocks of the list before the ring.
    #[serde(default)]
    pub(crate) before: u32,
    /// A second reading of the whole ring gave the same.
    #[serde(default)]
    pub(crate) again: bool,
    /// Name of the list's head: from a profile, else the one variable that points into the ring.
    #[serde(default)]
    pub(crate) head: Option<String>,
    /// Size of the blocks, bytes, where a profile knows it.
    #[serde(default)]
    pub(crate) size: Option<u64>,
    /// What is mapped at each of `addresses`.
    #[serde(default)]
    pub(crate) within: Vec<Option<String>>,
    /// A block, and what else points to it: `g_bins+64`, `stack of tid 4711`.
    #[serde(default)]
    pub(crate) pointed: Vec<(u64, String)>,
    /// A block, and a thread that is in `free` and has its address in the part of its stack that belongs to
    /// that call.
    #[serde(default)]
    pub(crate) freed: Vec<(u64, u32)>,
}

/// System calls that failed for want of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoMemory {
    /// Samples in which one had just failed.
    pub(crate) samples: u32,
    /// All samples with registers.
    pub(crate) of: u32,
    /// Length of the last request, bytes; 0: not known.
    pub(crate) wanted: u64,
    /// What the thread does after the last of them was followed far enough to see who asks again.
    #[serde(default)]
    pub(crate) followed: bool,
}

/// What a running thread does next: its code, followed from the registers of its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loop {
    pub reads: Vec<LoopRead>,
    pub ring: Option<Ring>,
    /// It walks a list, which ends.
    #[serde(default)]
    pub(crate) list_ends: bool,
    /// The loop was seen to turn, and changes no memory but the thread's own stack.
    #[serde(default)]
    pub(crate) only_reads: bool,
    /// Functions of the program that the allocator called on the way.
    pub(crate) callbacks: Vec<Frame>,
    /// The allocator returned to the program.
    #[serde(default)]
    pub(crate) returns: bool,
    pub(crate) no_memory: Option<NoMemory>,
    /// Its instructions; none where the code is not known.
    #[serde(default)]
    pub(crate) code: Option<LoopCode>,
}

/// A DSO of the allocator under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatorDso {
    /// Without ` (deleted)`.
    pub path: String,
    pub membership: Membership,
}

/// How much of a DSO is the allocator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    Whole,
    /// Other parts of the program use it too: only frames that the allocator called are the allocator's.
    Shared,
    /// The allocator calls it. It may be a part of the allocator, or a plug-in of the program.
    Unproven,
}

/// All stacks of a dump with names, and the names of data addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// By tid; one for every thread of the dump.
    pub threads: BTreeMap<u32, ThreadTrace>,
    /// Samples of hot threads by tid, in order of time.
    pub samples: BTreeMap<u32, Vec<ThreadTrace>>,
    /// Names of futex words and lock addresses: `g_hz4_mid_sc_locks+160`, `heap`, `stack of tid 8170`.
    pub addresses: BTreeMap<u64, String>,
    /// By tid, for threads that run and whose code could be followed.
    #[serde(default)]
    pub loops: BTreeMap<u32, Loop>,
    /// Lists that are rings, whose heads a profile names, and that no thread was seen to walk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rings: Vec<Ring>,
    /// The DSOs that make up the allocator. The one that provides malloc comes first.
    #[serde(default)]
    pub allocator: Vec<AllocatorDso>,
    /// Functions that the program imports and that end a call without its return: `siglongjmp`,
    /// `pthread_cancel`.
    #[serde(default)]
    pub(crate) ways_out: Vec<String>,
    /// The holds of the dump, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Held>,
    /// Files without names and the reason, one line each.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Traces {
    /// Whether it is not known of a frame if it is the allocator's: it is not [`Frame::in_allocator`], but
    /// its DSO is, in part or perhaps.
    pub(crate) fn is_doubtful(&self, frame: &Frame) -> bool {
        let of_dso = |dso: &AllocatorDso| frame.dso.as_ref() == Some(&dso.path);
        !frame.in_allocator
            && self.allocator.iter().any(|dso| dso.membership != Membership::Whole && of_dso(dso))
    }
}
