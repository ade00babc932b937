//! A list that leads back into itself.

use serde::{Deserialize, Serialize};

use crate::text::message::Text;

/// A ring in the data that a thread walks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListRing {
    /// The thread that walks it; 0: none was seen to.
    pub(crate) tid: u32,
    /// Where it walks.
    pub(crate) function: Option<String>,
    /// `file:line`, the file without its folders.
    pub(crate) source: Option<String>,
    /// Blocks of the ring, all of them.
    pub(crate) nodes: u32,
    /// Offset of the next pointer in a block, bytes; none where it is not known.
    pub(crate) next: Option<i64>,
    /// The list's head: `bin[4].free`, a symbol.
    pub(crate) head: Option<String>,
    /// The chain was read again a moment later, and was the same ring.
    pub(crate) both_looks: bool,
    /// One sentence: the list, the number of blocks, the way round.
    pub(crate) summary: Text,
    /// The first blocks, in the order of the walk.
    pub(crate) blocks: Vec<RingBlock>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RingBlock {
    /// Hex.
    pub(crate) address: String,
    /// `heap`, a symbol, the path of the mapping.
    pub(crate) within: Option<String>,
    /// Size class, bytes, where the profile knows it.
    pub(crate) size: Option<u64>,
    /// What else points to it: `g_bins+64`, `stack of tid 4711`.
    pub(crate) pointed_by: Vec<String>,
    /// Threads that are in `free`, and have it in the part of their stack that belongs to that call.
    pub(crate) freed_by: Vec<u32>,
}
