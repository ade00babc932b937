//! Threads: in a heartbeat, in a dump, their stacks, their registers.

use crate::layout::record;

record! {
    /// One look of the watchdog. Threads follow; with many of them, in several frames of the same `tick`.
    pub struct HeartbeatRecord {
        /// Number of the look in this process, from 1.
        pub tick: u32,
        /// Threads of the process, the watchdog left out.
        pub threads: u32,
        /// Index of the first thread in this frame.
        pub first: u32,
        /// 1 if this is the last frame of the look.
        pub last: u32,
        /// Pause until the next look, ns. Longer than the tick where a look is expensive.
        pub interval_ns: u64,
        /// Resident set of the process, KiB.
        pub rss_kib: u64,
        /// CPU that the watchdog has used since its start, ns.
        pub watchdog_cpu_ns: u64,
        /// CPU that this look used (until this frame), ns.
        pub look_cpu_ns: u64,
        /// Time since `init_ns` of the hello, ns.
        pub since_init_ns: u64,
        /// CPU of the process (utime + stime), ns.
        pub process_cpu_ns: u64,
        /// Looks in a row that saw no progress at all (stall detection), 0 if some thread moved.
        pub still: u32,
        pub dumps: u32,
    }
}

record! {
    pub struct HeartbeatThread {
        pub tid: u32,
        /// State letter of `/proc/PID/task/TID/stat`; 0 if it could not be read.
        pub state: u8,
        pub reserved: u8,
        /// Processor that it last ran on.
        pub cpu: u16,
        /// System call number, -1: blocked outside one, [`SYSCALL_RUNNING`], or [`SYSCALL_UNREADABLE`].
        pub syscall: i32,
        /// Low 32 bits of the call's second argument (a futex operation).
        pub arg1: u32,
        pub arg0: u64,
        /// Stack pointer, 0 for a running thread.
        pub sp: u64,
        /// Program counter, 0 for a running thread.
        pub pc: u64,
        /// utime + stime, ns (a multiple of the clock tick).
        pub cpu_ns: u64,
        /// Name, padded with NULs. It need not be UTF-8.
        pub comm: [u8; 16],
    }
}

/// `syscall` of a thread that is running (or runnable).
pub const SYSCALL_RUNNING: i32 = -2;
/// `syscall` of a thread whose `syscall` file could not be read.
pub const SYSCALL_UNREADABLE: i32 = -3;

/// Bits of [`ThreadRecord::flags`].
pub mod thread_flags {
    /// The first thread of the process.
    pub const MAIN: u16 = 1;
    /// The memory around the futex word is in `near`.
    pub const NEAR: u16 = 2;
    /// Not a thread: a child that was started by vfork. It shares the memory of the process until it starts a
    /// program. The thread that started it waits in vfork, and its stack pointer is in the same stack. Only a
    /// look from outside finds it.
    pub const VFORKED: u16 = 4;
}

/// `near` of a [`ThreadRecord`] starts so many bytes before the futex word.
pub const NEAR_BEFORE: usize = 48;
pub const NEAR_LEN: usize = 96;

record! {
    pub struct ThreadRecord {
        pub tid: u32,
        /// 1 or 2: first or second look.
        pub look: u8,
        /// State letter; 0 if it could not be read (the thread had ended).
        pub state: u8,
        /// Bits of [`thread_flags`], combined.
        pub flags: u16,
        /// Name, padded with NULs. It need not be UTF-8.
        pub comm: [u8; 16],
        /// Processor that it last ran on.
        pub cpu: u16,
        /// errno of reading `stat`, or 0 if it was read.
        pub err_stat: u8,
        /// errno of reading `status`, or 0.
        pub err_status: u8,
        /// errno of reading `syscall`, or 0.
        pub err_syscall: u8,
        /// errno of reading `wchan`, or 0.
        pub err_wchan: u8,
        /// errno of reading `schedstat`, or 0.
        pub err_schedstat: u8,
        /// errno of reading the memory around the futex word, or 0.
        pub err_near: u8,
        /// Wait channel, NUL-padded; empty if running or not readable.
        pub wchan: [u8; 32],
        /// CPU time from schedstat, ns (exact).
        pub cpu_ns: u64,
        /// Time spent waiting for a processor, ns (schedstat).
        pub runqueue_ns: u64,
        /// utime + stime, ns (stat; a multiple of the clock tick).
        pub tick_cpu_ns: u64,
        /// Number of voluntary context switches.
        pub nvcsw: u64,
        /// Involuntary context switches.
        pub nivcsw: u64,
        /// Blocked signals: SigBlk of `status`.
        pub sigblk: u64,
        /// Pending signals of the thread (SigPnd).
        pub sigpnd: u64,
        /// System call number, or one of the values of [`HeartbeatThread::syscall`].
        pub syscall: i32,
        /// Index of the first valid byte in `near`.
        pub near_from: u16,
        /// End of the valid bytes in `near`.
        pub near_to: u16,
        /// Arguments of the call; 0 for a running thread.
        pub args: [u64; 6],
        /// Stack pointer, 0 for a running thread.
        pub sp: u64,
        /// Program counter, 0 for a running thread.
        pub pc: u64,
        /// For a futex wait: memory from [`NEAR_BEFORE`] bytes before the futex word.
        #[cfg_attr(feature = "serde", serde(with = "serde_big_array::BigArray"))]
        pub near: [u8; 96],
    }
}

/// Bits of [`StackRecord::flags`].
pub mod stack_flags {
    /// The end of the readable stack was reached (not the limit of the copy).
    pub const TO_THE_END: u16 = 1;
    pub const FAULT: u16 = 2;
    /// Pages within the copy were not in memory, and were not waited for: they are zeros.
    pub const HOLES: u16 = 4;
}

record! {
    /// Raw stack of a blocked thread, from SP upwards; the bytes go with it.
    pub struct StackRecord {
        pub tid: u32,
        /// 1 or 2: first or second look.
        pub look: u16,
        /// Bits of [`stack_flags`], combined.
        pub flags: u16,
        pub sp: u64,
    }
}

/// Values of [`ProbeRecord::outcome`].
pub mod probe_outcome {
    /// It answered; registers and stack are there.
    pub const ANSWERED: u8 = 1;
    /// It blocks the signal, so none was sent.
    pub const BLOCKED: u8 = 2;
    /// It had ended before it was asked.
    pub const GONE: u8 = 3;
    pub const LATE: u8 = 4;
    /// It ended after the signal was sent, without an answer.
    pub const LEFT: u8 = 5;
    /// The host uses every signal that could be taken.
    pub const NO_SIGNAL: u8 = 6;
    /// The signal could not be sent; `errno` says why.
    pub const NOT_SENT: u8 = 7;
    /// It was blocked, and was read without being asked or stopped: of its registers only SP and PC are
    /// known.
    pub const READ: u8 = 8;
    /// The kernel refuses the shim its perf events (`errno` says why; 0: a filter of system calls is in
    /// force, so the shim did not try). The collector may look, by ptrace.
    pub const NOT_SEEN: u8 = 9;
    /// No signal was sent: it might have harmed the thread. The stack may have no room for a handler, the
    /// call would be cut short, or a filter of system calls is in force.
    pub const NOT_SAFE: u8 = 10;
}

/// Values of [`ProbeRecord::way`]: how a thread was seen, or was to be seen.
pub mod probe_way {
    /// Not told: a dump of an older shim, which sent signals.
    pub const UNTOLD: u8 = 0;
    pub const SIGNAL: u8 = 1;
    /// A sample of a perf event: nothing was sent, and nothing stopped.
    pub const PERF: u8 = 2;
    /// Stopped by the collector for a moment: from `asked_ns` to `answered_ns`.
    pub const PTRACE: u8 = 3;
    /// Its memory was read while it was blocked.
    pub const MEMORY: u8 = 4;
}

/// Registers in a [`ProbeRecord`]: DWARF numbering of the architecture. x86-64: rax rdx rcx rbx rsi rdi rbp
/// rsp r8..r15 rip, then eflags at 17. aarch64: x0..x30, sp at 31, pc at 32.
pub const PROBE_REGS: usize = 33;

/// Bytes below SP that belong to the innermost function (x86-64 psABI, 3.2.2). Registers that the end of
/// the function has just popped are still there, and its unwind table says so.
pub const RED_ZONE: u64 = 128;

record! {
    /// Registers of a thread, and how they were got. Its stack goes with it.
    pub struct ProbeRecord {
        pub tid: u32,
        /// Number of the question in this process.
        pub generation: u32,
        /// 0 in a dump; in sampling the number of the sample, from 1.
        pub sample: u32,
        /// One of the values of [`probe_outcome`].
        pub outcome: u8,
        /// 1 if the thread was blocked in a system call when it was asked.
        pub was_blocked: u8,
        /// errno for [`probe_outcome::NOT_SENT`] and [`probe_outcome::NOT_SEEN`].
        pub errno: u8,
        /// One of the values of [`probe_way`].
        #[cfg_attr(feature = "serde", serde(default))]
        pub way: u8,
        /// CLOCK_MONOTONIC of the question, ns.
        pub asked_ns: u64,
        /// CLOCK_MONOTONIC of the answer, ns.
        pub answered_ns: u64,
        /// CPU time of the thread at the answer, ns; 0 if it was not read.
        pub cpu_ns: u64,
        /// Address of the first byte of the stack: SP less [`RED_ZONE`], or SP where that was not read.
        pub stack: u64,
        /// Registers ([`PROBE_REGS`]). In no file but dump.bin: they hold what the program works on.
        #[cfg_attr(feature = "serde", serde(skip, default = "no_registers"))]
        pub regs: [u64; 33],
    }
}

#[cfg(feature = "serde")]
pub(super) fn no_registers() -> [u64; 33] {
    [0; 33]
}
