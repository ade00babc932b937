//! Chains of pointers in the memory of a process: a list, read from one of its blocks on.

use serde::{Deserialize, Serialize};

/// How the reading of a chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChainEnd {
    /// At a block that was there before.
    Ring,
    /// At a pointer that is 0, or another mark for the end.
    Ends,
    /// At the bound of blocks or of time, or at a pointer that leads to no memory.
    NotRead,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) end: ChainEnd,
    /// Offset of the next pointer in a block, bytes.
    pub(crate) next: i64,
    /// Blocks of the ring; of a chain without a ring, all that were read.
    pub(crate) blocks: u32,
    /// Blocks before the ring.
    #[serde(default)]
    pub(crate) before: u32,
    /// Addresses of the first blocks, of a ring in the order of the walk.
    #[serde(default)]
    pub(crate) first: Vec<u64>,
    /// Whether a second reading, a moment later, gave the same. None: it was read once.
    #[serde(default)]
    pub(crate) again: Option<bool>,
    /// The head of the list, where a profile names it: `g_bins[4]`.
    #[serde(default)]
    pub(crate) head: Option<String>,
    /// Size of its blocks, bytes, where a profile knows it.
    #[serde(default)]
    pub(crate) size: Option<u64>,
    /// Words of global variables that point to one of `first`: address of the word, and what it holds.
    #[serde(default)]
    pub(crate) pointers: Vec<(u64, u64)>,
}
