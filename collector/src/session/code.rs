//! The instructions of a loop with what samples and the followed code say of them: an output of `symbolize`.

use serde::{Deserialize, Serialize};

use super::frame::Frame;

/// The code of the loop in which a thread runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopCode {
    /// Ascending by address.
    pub(crate) instructions: Vec<CodeLine>,
    /// Instructions of the loop that are left out.
    #[serde(default)]
    pub(crate) more: u32,
    /// All samples of the thread.
    pub(crate) samples: u32,
    /// Samples at one of `instructions` that have registers.
    pub(crate) with_registers: u32,
    /// The code was followed from the registers of samples, and each instruction was executed more than once.
    /// If not, these are the instructions from which branches lead back to a sample.
    pub(crate) followed: bool,
    /// Only the registers that the loop uses.
    #[serde(default)]
    pub(crate) registers: Vec<RegisterValues>,
    /// What the loop does with words that it reads again and again.
    #[serde(default)]
    pub(crate) uses: Vec<WordUse>,
    /// The code was followed, and none of its branches leads out of the loop.
    #[serde(default)]
    pub(crate) endless: bool,
    /// No instruction reads memory but that of the thread's own stack.
    #[serde(default)]
    pub(crate) no_loads: bool,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodeLine {
    /// The frames at the instruction: of functions that are inlined there, innermost first, and of the function
    /// that holds it. Never empty.
    pub(crate) frames: Vec<Frame>,
    /// In AT&T syntax.
    pub(crate) text: String,
    pub(crate) samples: u32,
}

/// The values of a register over the samples in the loop, in order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegisterValues {
    /// `rax`.
    pub(crate) name: String,
    /// Samples that have it.
    pub(crate) samples: u32,
    /// Different values.
    pub(crate) distinct: u32,
    /// The different values in the order in which they came, where they are few, and none of them came once
    /// only; else the first and the last one of a register that only rises or falls; else empty.
    pub(crate) values: Vec<u64>,
    pub(crate) rises: bool,
    pub(crate) falls: bool,
    /// What the first of `values` points to.
    pub(crate) points_to: Option<String>,
}

/// How a loop uses a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WordUse {
    /// Of the word.
    pub(crate) address: u64,
    /// Bytes that are read.
    pub(crate) size: u32,
    /// Name of an instruction that reads and changes it in one step: `lock cmpxchg`. A barrier is none.
    pub(crate) atomic: Option<String>,
    pub(crate) compared: Option<Compared>,
    /// Samples in which a register held what was read.
    pub(crate) samples: u32,
    /// The value in all of them. None: there were different values, or no sample.
    pub(crate) value: Option<u64>,
    /// The samples right after the load had different values. Further on, code that was not followed may have
    /// put something else into the register.
    #[serde(default)]
    pub(crate) varies: bool,
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Compared {
    Number(u64),
    /// These bits are tested.
    Bits(u64),
}
