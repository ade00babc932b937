//! Named frames and stacks: what `symbolize` makes of a dump's raw stacks, and what findings are made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::message::Text;

/// One frame, innermost first. Inlined functions are frames of their own, before the one they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Address in the process. For all but the innermost frame the return address.
    pub pc: u64,
    /// Function, demangled if it was mangled; none where there is no symbol.
    pub function: Option<String>,
    /// Offset in the function.
    pub(crate) offset: Option<u64>,
    /// Source file, as the debug information has it.
    pub file: Option<String>,
    /// Line.
    pub line: Option<u32>,
    /// Path of the DSO, without ` (deleted)`.
    pub dso: Option<String>,
    /// Address in the DSO's file.
    pub dso_offset: Option<u64>,
    /// Inlined into the frame after it.
    pub(crate) inlined: bool,
    /// Inside the allocator under test.
    pub(crate) in_allocator: bool,
    /// Canonical frame address: what SP is once this frame has returned. Frames that are inlined into one
    /// function share its CFA. With `pc` of the next frame it names one activation of a function.
    #[serde(default)]
    pub(crate) cfa: Option<u64>,
    /// Digest of what cannot stay the same if this frame returned and its caller went on: the stack's bytes
    /// from `cfa` up to the CFA of the outermost frame, and the callee-saved registers at the return. Only
    /// compared with digests of the same thread; none where bytes are missing in between, or where not all of
    /// those registers are known (a blocked thread's are as far as inner frames have saved them).
    #[serde(default)]
    pub(crate) kept: Option<u64>,
}

/// Where a stack came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceSource {
    /// Memory of a blocked thread, from SP and PC of `/proc`, no signal.
    Blocked,
    /// Registers and stack from the answer to a signal.
    Signal,
    /// There is none; [`ThreadTrace::problem`] says why.
    None,
}

/// The stack of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadTrace {
    /// Thread.
    pub tid: u32,
    /// Where it came from.
    pub source: TraceSource,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// The stack does not reach the thread's start.
    pub truncated: bool,
    /// What could not be had ("blocks signal 62", "left before the answer", "cut at frame 2").
    pub problem: Option<Text>,
}

/// All stacks of a dump with their names, and names for addresses of data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// By tid, one for every thread of the dump.
    pub threads: BTreeMap<u32, ThreadTrace>,
    /// Samples of hot threads, by tid, in order of time.
    pub samples: BTreeMap<u32, Vec<ThreadTrace>>,
    /// Names of futex words and lock addresses: `g_hz4_mid_sc_locks+160`, `heap`, `stack of tid 8170`.
    pub addresses: BTreeMap<u64, String>,
    /// What is missing from all of it: files without names and why, a line each.
    #[serde(default)]
    pub notes: Vec<String>,
}
