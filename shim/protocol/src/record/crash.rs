//! What a process leaves of its crash.

use crate::layout::record;

/// Bytes of the file that a crash is written to: the length, the record, the stack, the mappings.
pub const CRASH_BYTES: usize = 112 * 1024;
/// Bytes of the stack of the thread that crashed.
pub const CRASH_STACK: usize = 32 * 1024;

record! {
    /// The descriptor of this message will hold a crash of the process. Its file begins with the length (u32) of
    /// what follows, 0 until a crash. Then comes a [`CrashRecord`] with the bytes of the stack, and a length (u32)
    /// with lines of `/proc/self/maps`: those that have a name, as far as there is room.
    pub struct CrashPageRecord {
        /// Bytes of the descriptor's file.
        pub size: u32,
        pub reserved: u32,
    }
}

record! {
    /// A signal that ends the process, and the thread that got it.
    pub struct CrashRecord {
        pub tid: u32,
        pub signal: u32,
        /// `si_code` (sigaction(2)): positive for a fault, else somebody sent the signal.
        pub code: i32,
        pub reserved: u32,
        /// `si_addr` of a fault; for a signal that was sent the pid of the sender.
        pub address: u64,
        /// CLOCK_MONOTONIC, ns.
        pub t_ns: u64,
        /// Address of the first byte of the stack: SP less [`super::RED_ZONE`], or SP where that is not readable.
        pub stack: u64,
        /// Registers ([`super::PROBE_REGS`]).
        #[cfg_attr(feature = "serde", serde(skip, default = "super::thread::no_registers"))]
        pub regs: [u64; 33],
    }
}
