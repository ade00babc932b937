//! Memory that the collector asks for: counters of the allocator.

use crate::layout::record;

/// Ranges that a shim keeps; what is asked for beyond them is passed over.
pub const MOST_RANGES: usize = 200;
/// Bytes of all ranges together: with their records they fit one frame.
pub const MOST_RANGE_BYTES: usize = 32 * 1024;

record! {
    /// A range of memory, to be read in every dump and at the exit of the process. With [`super::ask_what::MEMORY`]. The first
    /// request of a process counts.
    pub struct RangeRecord {
        /// Address of its first byte.
        pub address: u64,
        /// Bytes.
        pub len: u32,
        /// Reserved, 0.
        pub reserved: u32,
    }
}

record! {
    /// What was read of a range; its bytes go with it, fewer than were asked for where a page could not be read.
    pub struct MemoryRecord {
        /// Address of the first byte.
        pub address: u64,
        /// Bytes that were asked for.
        pub wanted: u32,
        /// errno if not even the first could be read, else 0.
        pub errno: u32,
    }
}

record! {
    /// The memory of the ranges at the exit of the process is in the descriptor of this message, once it has exited
    /// by `exit` or a return from `main`: the bytes (u32) of what follows, 0 until then, and [`MemoryRecord`]s with their bytes,
    /// as in a [`crate::Kind::Memory`] frame.
    pub struct LastMemoryRecord {
        /// Bytes of the descriptor's file.
        pub size: u32,
        /// Ranges that are kept.
        pub ranges: u32,
    }
}
