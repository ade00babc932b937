//! A dump's beginning, parts and end; what the collector asks.

use crate::layout::record;

/// Values of [`DumpBeginRecord::reason`].
pub mod dump_reason {
    /// The deadline passed.
    pub const DEADLINE: u8 = 1;
    /// The collector asked.
    pub const ASKED: u8 = 2;
    /// It still hangs, a minute later.
    pub const STILL: u8 = 3;
    /// Nothing moved for as long as HANGSCOPE_STALL says.
    pub const STALL: u8 = 4;
}

record! {
    /// A dump begins.
    pub struct DumpBeginRecord {
        /// Number of the dump in this process, from 1.
        pub number: u32,
        /// [`dump_reason`].
        pub reason: u8,
        /// Reserved, 0.
        pub reserved: [u8; 3],
        /// Threads found, the watchdog left out.
        pub threads: u32,
        /// The request it answers, 0 if none.
        pub request: u32,
        /// When it was triggered, CLOCK_MONOTONIC, ns.
        pub trigger_ns: u64,
        /// Since init, ns.
        pub since_init_ns: u64,
        /// The second look comes so long after the first, ns.
        pub second_look_after_ns: u64,
        /// Resident set, KiB.
        pub rss_kib: u64,
    }
}

/// Values of [`MarkRecord::part`].
pub mod mark_part {
    /// Identity, integrity, maps.
    pub const IDENTITY: u32 = 1;
    /// Thread states and waits, first look.
    pub const THREADS: u32 = 2;
    /// Stacks read without a signal.
    pub const STACKS: u32 = 3;
    /// Answers to signals.
    pub const PROBES: u32 = 4;
    /// Samples of hot threads.
    pub const SAMPLES: u32 = 5;
    /// Second look.
    pub const SECOND_LOOK: u32 = 6;
}

record! {
    /// A part of the dump is complete.
    pub struct MarkRecord {
        /// [`mark_part`].
        pub part: u32,
        /// Records sent in it.
        pub records: u32,
        /// Records that had to be dropped.
        pub dropped: u32,
        /// Reserved, 0.
        pub reserved: u32,
        /// What it took, ns.
        pub took_ns: u64,
        /// CPU that it took, ns.
        pub cpu_ns: u64,
    }
}

/// Bits of [`DumpEndRecord::flags`].
pub mod dump_flags {
    /// Something had to be left out: see the counts.
    pub const SHORT: u32 = 1;
    /// The budget of time was used up.
    pub const OUT_OF_TIME: u32 = 2;
    /// Not all threads fit.
    pub const THREADS_LEFT_OUT: u32 = 4;
}

record! {
    /// A dump is complete, as far as it goes.
    pub struct DumpEndRecord {
        /// Number of the dump.
        pub number: u32,
        /// [`dump_flags`].
        pub flags: u32,
        /// Frames sent.
        pub frames: u32,
        /// Frames dropped.
        pub frames_dropped: u32,
        /// Records dropped.
        pub records_dropped: u32,
        /// Threads found in the second look.
        pub threads: u32,
        /// Bytes sent.
        pub bytes: u64,
        /// From the trigger to the end of the first look and its stacks, ns.
        pub first_look_ns: u64,
        /// From the trigger to this frame, ns.
        pub took_ns: u64,
        /// CPU of the watchdog for it, ns.
        pub cpu_ns: u64,
        /// Reserved, 0.
        pub reserved: u64,
    }
}

record! {
    /// What a descriptor of the host is; the target of its link goes with it (`pipe:[123]`, a path).
    pub struct FdRecord {
        /// Descriptor.
        pub fd: i32,
        /// errno of the look, 0 if it went well.
        pub errno: u32,
    }
}

/// Values of [`AskRecord::what`].
pub mod ask_what {
    /// Make a dump now.
    pub const DUMP: u32 = 1;
    /// Ask the threads whose tids follow with a signal: their stacks were cut short.
    pub const PROBE: u32 = 2;
    /// Read the memory of the `RangeRecord`s that follow in every dump from now on, and at the exit.
    pub const MEMORY: u32 = 3;
    /// Call the function at the address `arg0`, which takes and gives nothing, on the thread `arg1`: it prints counters. Only
    /// once all evidence is there, in a process that will be killed. Answered with a note
    /// (`note_code::CALLED`).
    pub const CALL: u32 = 4;
}

/// What became of a call: `value` of its note.
pub mod called {
    /// It came back.
    pub const RETURNED: u32 = 1;
    /// There was no room on the thread's stack (or the handler came on an alternate one): it was not made.
    pub const NO_ROOM: u32 = 2;
    /// It has not come back in time.
    pub const NOT_BACK: u32 = 3;
    /// The thread did not take the signal in time: it was not made, and will not be.
    pub const LATE: u32 = 4;
    /// The thread blocks the signal, is gone, or no signal is free: it was not made.
    pub const NOT_SENT: u32 = 5;
    /// The collector is another user's, or the address is not in the allocator: it was not made.
    pub const NOT_ALLOWED: u32 = 6;
}

record! {
    /// What the collector asks.
    pub struct AskRecord {
        /// [`ask_what`].
        pub what: u32,
        /// Number of the request, given back in [`DumpBeginRecord::request`].
        pub request: u32,
        /// By `what`.
        pub arg0: u64,
        /// By `what`.
        pub arg1: u64,
        /// Reserved, 0.
        pub reserved: u64,
    }
}
