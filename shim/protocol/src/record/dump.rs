//! A dump's beginning, parts and end; what the collector asks.

use crate::layout::record;

/// Values of [`DumpBeginRecord::reason`].
pub mod dump_reason {
    pub const DEADLINE: u8 = 1;
    pub const ASKED: u8 = 2;
    /// It still hangs, a minute later.
    pub const STILL: u8 = 3;
    /// Nothing moved for as long as HANGSCOPE_STALL says.
    pub const STALL: u8 = 4;
    /// The collector read it from a core: one moment, without times and counts.
    pub const CORE: u8 = 5;
}

record! {
    pub struct DumpBeginRecord {
        /// Number of the dump in this process, from 1.
        pub number: u32,
        /// One of the values of [`dump_reason`].
        pub reason: u8,
        pub reserved: [u8; 3],
        /// Threads found, the watchdog left out.
        pub threads: u32,
        /// The request it answers, 0 if none.
        pub request: u32,
        /// When it was triggered, CLOCK_MONOTONIC, ns.
        pub trigger_ns: u64,
        /// Time from `init_ns` of the hello to the trigger, ns.
        pub since_init_ns: u64,
        /// The second look comes so long after the first, ns.
        pub second_look_after_ns: u64,
        pub rss_kib: u64,
    }
}

/// Values of [`MarkRecord::part`].
pub mod mark_part {
    /// What the process is, its DSOs and its maps.
    pub const IDENTITY: u32 = 1;
    /// Thread states and waits, first look.
    pub const THREADS: u32 = 2;
    /// Stacks read without a signal.
    pub const STACKS: u32 = 3;
    /// Answers of threads that were asked by signal.
    pub const PROBES: u32 = 4;
    /// Samples of threads that ran in the first look.
    pub const SAMPLES: u32 = 5;
    /// Thread states and waits, second look.
    pub const SECOND_LOOK: u32 = 6;
}

record! {
    /// A part of the dump is complete.
    pub struct MarkRecord {
        /// One of the values of [`mark_part`].
        pub part: u32,
        /// Number of records that were sent.
        pub records: u32,
        /// Records that had to be dropped.
        pub dropped: u32,
        pub reserved: u32,
        /// Wall-clock time of the part, ns.
        pub took_ns: u64,
        /// CPU time of the watchdog for it, ns.
        pub cpu_ns: u64,
    }
}

/// Bits of [`DumpEndRecord::flags`]. 2 has been used.
pub mod dump_flags {
    /// Something had to be left out: see the counts.
    pub const SHORT: u32 = 1;
    /// There were more threads than a dump can name.
    pub const THREADS_LEFT_OUT: u32 = 4;
}

record! {
    /// A dump is complete, as far as it goes.
    pub struct DumpEndRecord {
        pub number: u32,
        /// Bits of [`dump_flags`], combined.
        pub flags: u32,
        pub frames: u32,
        pub frames_dropped: u32,
        pub records_dropped: u32,
        /// Threads found in the second look.
        pub threads: u32,
        pub bytes: u64,
        /// From the trigger to the end of the first look and its stacks, ns.
        pub first_look_ns: u64,
        /// From the trigger to this frame, ns.
        pub took_ns: u64,
        /// CPU of the watchdog for it, ns.
        pub cpu_ns: u64,
        pub reserved: u64,
    }
}

record! {
    /// What a descriptor of the host is; the target of its link goes with it (`pipe:[123]`, a path).
    pub struct FdRecord {
        /// Number of the descriptor in the host.
        pub fd: i32,
        /// errno of the look, 0 if it went well.
        pub errno: u32,
    }
}

/// Values of [`AskRecord::what`]. 4 has been used.
pub mod ask_what {
    /// `arg0` of the request: the second look comes so long after the first, ns; 0: as usual. A dump that is
    /// under way is not begun anew, but its second look comes as soon.
    pub const DUMP: u32 = 1;
    /// Ask the threads whose tids follow with a signal: their stacks were cut short.
    pub const PROBE: u32 = 2;
    /// Read the memory of the `RangeRecord`s that follow in every dump from now on, and at the exit.
    pub const MEMORY: u32 = 3;
}

record! {
    pub struct AskRecord {
        /// One of the values of [`ask_what`].
        pub what: u32,
        /// Number of the request, given back in [`DumpBeginRecord::request`].
        pub request: u32,
        pub arg0: u64,
        pub arg1: u64,
        pub reserved: u64,
    }
}
