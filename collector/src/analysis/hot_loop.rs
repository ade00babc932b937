//! The loop in which the hot thread runs, instruction by instruction.

use serde::{Deserialize, Serialize};

use crate::text::message::Text;

/// The hot loop of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HotLoop {
    pub(crate) tid: u32,
    /// The function that has most of the samples.
    pub(crate) function: Option<String>,
    /// `file:line` of the instruction with most samples, the file without its folders.
    pub(crate) source: Option<String>,
    /// Path of the DSO, without ` (deleted)`.
    pub(crate) dso: Option<String>,
    /// All samples of the thread.
    pub(crate) samples: u32,
    /// Samples at one of `instructions`.
    pub(crate) inside: u32,
    /// One sentence: what the loop does.
    pub(crate) summary: Text,
    /// Ascending by address.
    pub(crate) instructions: Vec<LoopInstruction>,
    pub(crate) registers: Vec<LoopRegister>,
    /// Words that the loop reads in memory.
    pub(crate) words: Vec<LoopWord>,
    /// Samples in the loop that have registers.
    #[serde(default)]
    pub(crate) with_registers: u32,
    /// Instructions of the loop that are left out of `instructions`.
    #[serde(default)]
    pub(crate) more: u32,
    /// The code was followed: each instruction was executed more than once. If not, these are the
    /// instructions from which branches lead back to a sample.
    #[serde(default)]
    pub(crate) followed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoopInstruction {
    /// Hex.
    pub(crate) pc: String,
    /// Address in the DSO's file, hex.
    pub(crate) dso_offset: Option<String>,
    /// Offset in the function, bytes.
    pub(crate) offset: Option<u64>,
    /// The instruction as GNU tools write it (AT&T syntax).
    pub(crate) text: String,
    pub(crate) samples: u32,
    /// The function that holds the instruction; `offset` is in it.
    #[serde(default)]
    pub(crate) within: Option<String>,
    /// The innermost function at the instruction that is not of a standard library: an inlined one, else that
    /// of the loop.
    pub(crate) function: Option<String>,
    /// The source file as in the debug information, with its folders.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// A register over the samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoopRegister {
    /// `rax`.
    pub(crate) name: String,
    pub(crate) how: RegisterHow,
    /// Values, hex: the one; the first and the last; those that it goes round through.
    pub(crate) values: Vec<String>,
    /// What the first value points to: a symbol, a mapping.
    pub(crate) points_to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RegisterHow {
    /// The same value in all samples.
    Constant,
    /// Only up, or only down.
    Counting,
    /// A small set of values, which come again.
    Round,
    /// None of these.
    Varying,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoopWord {
    /// Hex.
    pub(crate) address: String,
    /// `mid_shelf+64`, `heap`.
    pub(crate) symbol: Option<String>,
    /// Bytes.
    pub(crate) size: u32,
    /// Hex, at the first and at the second reading; none where it could not be read.
    pub(crate) values: [Option<String>; 2],
}
