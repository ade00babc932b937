//! Memory that the collector asks for: counters of the allocator.

use crate::layout::record;

/// Ranges that a shim keeps; what is asked for beyond them is passed over.
pub const MOST_RANGES: usize = 200;
/// Bytes of all ranges together: with their records they fit one frame.
pub const MOST_RANGE_BYTES: usize = 32 * 1024;

/// The address of no memory. A range of 8 bytes with it asks for the peak of the process's own resident set
/// (`VmHWM` of proc_pid_status(5)), a u64 in KiB.
pub const PEAK_RSS: u64 = 0;

record! {
    /// A range of memory, to be read in every dump and at the exit of the process. With
    /// [`super::ask_what::MEMORY`]. The first request of a process counts.
    pub struct RangeRecord {
        pub address: u64,
        pub len: u32,
        pub reserved: u32,
    }
}

record! {
    /// What was read of a range. Its bytes go with it. They are fewer than asked for where a page could not
    /// be read.
    pub struct MemoryRecord {
        pub address: u64,
        /// Number of bytes that were asked for.
        pub wanted: u32,
        /// errno if not even the first could be read, else 0.
        pub errno: u32,
    }
}

record! {
    /// The descriptor of this message will hold the memory of the ranges at the exit of the process, by
    /// `exit` or a return from `main`. Its file begins with the length (u32) of what follows, 0 until the
    /// exit. Then come [`MemoryRecord`]s with their bytes, as in a [`crate::Kind::Memory`] frame.
    pub struct LastMemoryRecord {
        /// Bytes of the descriptor's file.
        pub size: u32,
        pub ranges: u32,
    }
}
