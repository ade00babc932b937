//! The records that payloads are made of.
//!
//! They carry raw facts, never conclusions: what a number means is said by the collector's analysis, so
//! that a recorded dump can be looked at again by a later version.

use crate::decode::{Malformed, Reader};
use crate::encode::{Full, Writer};
use crate::layout::record;

/// `arch` of [`HelloRecord`]: x86-64 (the ELF machine number).
pub const ARCH_X86_64: u16 = 62;
/// `arch` of [`HelloRecord`]: aarch64 (the ELF machine number).
pub const ARCH_AARCH64: u16 = 183;

/// Bits of [`HelloRecord::flags`].
pub mod hello_flags {
    /// A watchdog that was started in a forked child.
    pub const FORKED: u32 = 1;
    /// Not the first hello of this process: the connection had been lost.
    pub const AGAIN: u32 = 2;
    /// The allocator was named with HANGSCOPE_TARGET.
    pub const TARGET_NAMED: u32 = 4;
    /// HANGSCOPE_TARGET was set, but no mapped DSO has that name.
    pub const TARGET_MISSING: u32 = 8;
}

record! {
    /// Who speaks. Times are nanoseconds.
    pub struct HelloRecord {
        /// [`crate::VERSION`].
        pub version: u16,
        /// ELF machine number.
        pub arch: u16,
        /// Process.
        pub pid: u32,
        /// Its parent.
        pub ppid: u32,
        /// Real user.
        pub uid: u32,
        /// Effective user.
        pub euid: u32,
        /// The shim's own thread, 0 if none could be started.
        pub watchdog_tid: u32,
        /// [`hello_flags`].
        pub flags: u32,
        /// Page size in bytes.
        pub page_size: u32,
        /// Start of the process in clock ticks since boot (field 22 of `/proc/PID/stat`): with `pid` it
        /// names a process for ever.
        pub start_ticks: u64,
        /// CLOCK_MONOTONIC at the constructor (of this program image; in a forked child: at the fork).
        pub init_ns: u64,
        /// CLOCK_REALTIME at the same moment.
        pub wall_ns: u64,
        /// Deadline after `init_ns`; 0: only on request.
        pub hang_after_ns: u64,
        /// Without progress for so long counts as a stall; 0: off.
        pub stall_ns: u64,
        /// Between two looks.
        pub tick_ns: u64,
        /// `id` of the allocator's [`DsoRecord`], `u32::MAX` if it is not known.
        pub allocator: u32,
        /// Number of [`DsoRecord`]s that follow.
        pub dsos: u32,
        /// Address of the `malloc` that comes first in symbol order, 0 if none was found.
        pub malloc: u64,
        /// What the constructor took, nanoseconds.
        pub init_cost_ns: u64,
        /// Signal that will be used to ask running threads (0: off).
        pub probe_signal: u32,
        /// Clock ticks a second (for `start_ticks`).
        pub clk_tck: u32,
        /// Reserved, 0.
        pub reserved: u64,
    }
}

/// A [`HelloRecord`] with its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The numbers.
    pub fixed: HelloRecord,
    /// HANGSCOPE_LABEL.
    pub label: &'a [u8],
    /// Target of `/proc/self/exe`.
    pub exe: &'a [u8],
    /// `/proc/self/cmdline`, NUL-separated, at most 4096 bytes.
    pub cmdline: &'a [u8],
    /// LD_PRELOAD as the process got it.
    pub ld_preload: &'a [u8],
    /// HANGSCOPE_TARGET.
    pub target: &'a [u8],
    /// The shim's version.
    pub shim: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Writes it.
    pub fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.record(&self.fixed)?;
        for text in [self.label, self.exe, self.cmdline, self.ld_preload, self.target, self.shim] {
            w.bytes(text)?;
        }
        Ok(())
    }

    /// Reads it.
    pub fn get(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Hello {
            fixed: r.record()?,
            label: r.bytes()?,
            exe: r.bytes()?,
            cmdline: r.bytes()?,
            ld_preload: r.bytes()?,
            target: r.bytes()?,
            shim: r.bytes()?,
        })
    }
}

/// Codes of [`NoteRecord::code`].
pub mod note_code {
    /// An environment value made no sense; the default is used. Text: `NAME=value: why`.
    pub const BAD_SETTING: u16 = 1;
    /// Something could not be read; the text says what, `value` is the errno.
    pub const UNREADABLE: u16 = 2;
    /// Looks less often than asked for, because it would cost too much; `value` is the new tick in ms.
    pub const SLOWER: u16 = 3;
    /// The shim followed a change of credentials; `value` is the new effective uid.
    pub const FOLLOWED_CREDENTIALS: u16 = 4;
    /// It could not follow, and leaves.
    pub const LEAVES_CREDENTIALS: u16 = 5;
    /// No other thread lives; it leaves so that the process can end.
    pub const LEAVES_ALONE: u16 = 6;
    /// The table of DSOs is full; `value` is how many there are.
    pub const DSOS_LEFT_OUT: u16 = 7;
    /// The signal for running threads is used by the host; `value` is the signal.
    pub const SIGNAL_TAKEN: u16 = 8;
    /// The allocator's bytes could not be copied; `value` is the errno.
    pub const NO_COPY: u16 = 9;
    /// A bug of the shim itself stopped a part of it.
    pub const SHIM_BUG: u16 = 10;
}

record! {
    /// Something worth saying; text goes with it.
    pub struct NoteRecord {
        /// [`note_code`].
        pub code: u16,
        /// Reserved, 0.
        pub reserved: u16,
        /// Thread it is about, 0 if none.
        pub tid: u32,
        /// A number, by code.
        pub value: u64,
    }
}

/// Bits of [`DsoRecord::flags`].
pub mod dso_flags {
    /// The main program.
    pub const EXECUTABLE: u32 = 1;
    /// The allocator under test.
    pub const ALLOCATOR: u32 = 2;
    /// The shim itself.
    pub const SHIM: u32 = 4;
    /// Provides the `malloc` that comes first in symbol order.
    pub const PROVIDES_MALLOC: u32 = 8;
    /// Its line in maps said `(deleted)` at init.
    pub const DELETED_AT_INIT: u32 = 16;
    /// At init the file at its path was the mapped one (same device and inode, or, on file systems where
    /// maps shows other numbers than stat, the same first page).
    pub const SAME_FILE_AT_INIT: u32 = 32;
}

record! {
    /// A mapped DSO as it was at init. Path goes with it. `stat` fields are 0 if `errno` is not.
    pub struct DsoRecord {
        /// Index, from 0.
        pub id: u32,
        /// [`dso_flags`].
        pub flags: u32,
        /// First mapped address.
        pub start: u64,
        /// End of the last mapping.
        pub end: u64,
        /// Load bias: what is added to an address of the file.
        pub bias: u64,
        /// Inode that maps shows.
        pub map_ino: u64,
        /// Device that maps shows (`major << 32 | minor`).
        pub map_dev: u64,
        /// `stat` of the path: device (`major << 32 | minor`, as `map_dev`).
        pub dev: u64,
        /// Inode.
        pub ino: u64,
        /// Size in bytes.
        pub size: u64,
        /// Modification time, ns since the epoch.
        pub mtime_ns: i64,
        /// Change time, ns since the epoch.
        pub ctime_ns: i64,
        /// Links.
        pub nlink: u32,
        /// Mode bits.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Why `stat` failed, 0 if it did not.
        pub errno: u32,
        /// A word that the loader relocated (in RELRO, so that nobody writes it later), 0 if none.
        pub got_addr: u64,
        /// Its value.
        pub got_value: u64,
        /// The build-id in memory.
        pub build_id: [u8; 32],
        /// Its length, 0 if there is none.
        pub build_id_len: u32,
        /// Reserved, 0.
        pub reserved: u32,
    }
}

/// Values of [`DsoNowRecord::maps_deleted`].
pub mod maps_deleted {
    /// maps was not looked at this time.
    pub const NOT_SEEN: u32 = 0;
    /// No `(deleted)` on its lines.
    pub const NO: u32 = 1;
    /// `(deleted)` on at least one of them.
    pub const YES: u32 = 2;
    /// It is not mapped any more.
    pub const GONE: u32 = 3;
}

record! {
    /// A later look at a DSO. `path_*` is a fresh stat of its path, `fd_*` of the descriptor kept since init.
    pub struct DsoNowRecord {
        /// `id` of its [`DsoRecord`].
        pub id: u32,
        /// [`maps_deleted`].
        pub maps_deleted: u32,
        /// Why the stat of the path failed (2: the file is gone), 0 if it did not.
        pub path_errno: u32,
        /// Why there is no fstat, 0 if there is one.
        pub fd_errno: u32,
        /// Device at the path.
        pub path_dev: u64,
        /// Inode at the path.
        pub path_ino: u64,
        /// Size at the path.
        pub path_size: u64,
        /// Modification time at the path, ns since the epoch.
        pub path_mtime_ns: i64,
        /// Change time at the path, ns since the epoch.
        pub path_ctime_ns: i64,
        /// Links at the path.
        pub path_nlink: u32,
        /// Mode at the path.
        pub path_mode: u32,
        /// Links of the mapped file.
        pub fd_nlink: u32,
        /// Owner at the path.
        pub path_uid: u32,
        /// Change time of the mapped file.
        pub fd_ctime_ns: i64,
        /// The relocated word now.
        pub got_value: u64,
        /// Why it could not be read (14, EFAULT: its page is gone), 0 if it could.
        pub got_errno: u32,
        /// Length of the build-id in memory now; 0 if it could not be read.
        pub build_id_len: u32,
        /// The build-id in memory now.
        pub build_id: [u8; 32],
        /// Size of the mapped file.
        pub fd_size: u64,
        /// Reserved, 0.
        pub reserved: u64,
    }
}

record! {
    /// The bytes of the allocator, in the descriptor that comes with this message.
    pub struct CopyRecord {
        /// `id` of the DSO.
        pub id: u32,
        /// 1: read from the file that is mapped; 2: from memory, because the file was not to be had (then
        /// relocated words are as the loader left them).
        pub source: u32,
        /// Bytes.
        pub size: u64,
        /// What the copy took, ns.
        pub took_ns: u64,
    }
}

record! {
    /// One look of the watchdog. Threads follow; with many of them, in several frames of the same `tick`.
    pub struct HeartbeatRecord {
        /// Counts the looks, from 1.
        pub tick: u32,
        /// Threads of the process, the watchdog left out.
        pub threads: u32,
        /// Index of the first thread in this frame.
        pub first: u32,
        /// 1 if this is the last frame of the look.
        pub last: u32,
        /// Pause until the next look, ns: longer than asked for where a look is dear.
        pub interval_ns: u64,
        /// Resident set of the process, KiB.
        pub rss_kib: u64,
        /// CPU that the watchdog has used since its start, ns.
        pub watchdog_cpu_ns: u64,
        /// CPU that this look used (until this frame), ns.
        pub look_cpu_ns: u64,
        /// Since init, ns.
        pub since_init_ns: u64,
        /// CPU of the process (utime + stime), ns.
        pub process_cpu_ns: u64,
        /// Looks in a row that saw no progress at all (stall detection), 0 if some thread moved.
        pub still: u32,
        /// Dumps made so far.
        pub dumps: u32,
    }
}

record! {
    /// A thread in a heartbeat.
    pub struct HeartbeatThread {
        /// Thread.
        pub tid: u32,
        /// State letter of `/proc/PID/task/TID/stat`; 0 if it could not be read.
        pub state: u8,
        /// Reserved, 0.
        pub reserved: u8,
        /// Processor it last ran on.
        pub cpu: u16,
        /// System call number, -1: blocked outside one, [`SYSCALL_RUNNING`], or [`SYSCALL_UNREADABLE`].
        pub syscall: i32,
        /// Low 32 bits of the call's second argument (a futex operation).
        pub arg1: u32,
        /// The call's first argument.
        pub arg0: u64,
        /// Stack pointer, 0 for a running thread.
        pub sp: u64,
        /// Program counter, 0 for a running thread.
        pub pc: u64,
        /// utime + stime, ns (a multiple of the clock tick).
        pub cpu_ns: u64,
        /// First bytes of its name.
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
    /// `near` was read.
    pub const NEAR: u16 = 2;
}

/// `near` of a [`ThreadRecord`] starts so many bytes before the futex word.
pub const NEAR_BEFORE: usize = 48;
/// Bytes of `near`.
pub const NEAR_LEN: usize = 96;

record! {
    /// A thread in a dump.
    pub struct ThreadRecord {
        /// Thread.
        pub tid: u32,
        /// 1 or 2: first or second look.
        pub look: u8,
        /// State letter; 0 if it could not be read (it left in between).
        pub state: u8,
        /// [`thread_flags`].
        pub flags: u16,
        /// Name.
        pub comm: [u8; 16],
        /// Processor it last ran on.
        pub cpu: u16,
        /// errno of reading `stat`, 0 if it was read; and so on.
        pub err_stat: u8,
        /// Of `status`.
        pub err_status: u8,
        /// Of `syscall`.
        pub err_syscall: u8,
        /// Of `wchan`.
        pub err_wchan: u8,
        /// Of `schedstat`.
        pub err_schedstat: u8,
        /// Of the memory around the futex word.
        pub err_near: u8,
        /// Wait channel, NUL-padded; empty if running or not readable.
        pub wchan: [u8; 32],
        /// CPU time, ns (schedstat).
        pub cpu_ns: u64,
        /// Time spent waiting for a processor, ns (schedstat).
        pub runqueue_ns: u64,
        /// utime + stime, ns (stat; a multiple of the clock tick).
        pub tick_cpu_ns: u64,
        /// Voluntary context switches.
        pub nvcsw: u64,
        /// Involuntary context switches.
        pub nivcsw: u64,
        /// Blocked signals (SigBlk).
        pub sigblk: u64,
        /// Pending signals of the thread (SigPnd).
        pub sigpnd: u64,
        /// System call number, or one of the values of [`HeartbeatThread::syscall`].
        pub syscall: i32,
        /// First valid byte in `near`.
        pub near_from: u16,
        /// End of the valid bytes in `near`.
        pub near_to: u16,
        /// Its six arguments.
        pub args: [u64; 6],
        /// Stack pointer, 0 for a running thread.
        pub sp: u64,
        /// Program counter, 0 for a running thread.
        pub pc: u64,
        /// For a futex wait: memory from [`NEAR_BEFORE`] bytes before the futex word.
        pub near: [u8; 96],
    }
}

/// Bits of [`StackRecord::flags`].
pub mod stack_flags {
    /// The end of the readable stack was reached (not the limit of the copy).
    pub const TO_THE_END: u16 = 1;
    /// A page could not be read.
    pub const FAULT: u16 = 2;
}

record! {
    /// Raw stack of a blocked thread, from SP upwards; the bytes go with it.
    pub struct StackRecord {
        /// Thread.
        pub tid: u32,
        /// 1 or 2: first or second look.
        pub look: u16,
        /// [`stack_flags`].
        pub flags: u16,
        /// Address of the first byte.
        pub sp: u64,
    }
}

/// Values of [`ProbeRecord::outcome`].
pub mod probe_outcome {
    /// It answered; registers and stack are there.
    pub const ANSWERED: u8 = 1;
    /// It blocks the signal, so none was sent.
    pub const BLOCKED: u8 = 2;
    /// It was gone before.
    pub const GONE: u8 = 3;
    /// It did not answer in time.
    pub const LATE: u8 = 4;
    /// It left after the signal was sent, without an answer.
    pub const LEFT: u8 = 5;
    /// The host uses every signal that could be taken.
    pub const NO_SIGNAL: u8 = 6;
    /// The signal could not be sent; `errno` says why.
    pub const NOT_SENT: u8 = 7;
}

/// Registers in a [`ProbeRecord`]: DWARF numbering of the architecture. x86-64: rax rdx rcx rbx rsi rdi rbp
/// rsp r8..r15 rip, then eflags at 17. aarch64: x0..x30, sp at 31, pc at 32.
pub const PROBE_REGS: usize = 33;

record! {
    /// What a thread answered to the signal; its stack from SP upwards goes with it.
    pub struct ProbeRecord {
        /// Thread.
        pub tid: u32,
        /// Which round of questions.
        pub generation: u32,
        /// 0 in a dump; in sampling the number of the sample, from 1.
        pub sample: u32,
        /// [`probe_outcome`].
        pub outcome: u8,
        /// 1 if the thread was blocked in a system call when it was asked.
        pub was_blocked: u8,
        /// errno for [`probe_outcome::NOT_SENT`].
        pub errno: u16,
        /// CLOCK_MONOTONIC of the question, ns.
        pub asked_ns: u64,
        /// CLOCK_MONOTONIC of the answer, ns.
        pub answered_ns: u64,
        /// CPU time of the thread at the answer, ns; 0 if it was not read.
        pub cpu_ns: u64,
        /// Registers ([`PROBE_REGS`]).
        pub regs: [u64; 33],
    }
}

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
    /// Sample the threads whose tids follow: `arg0` Hz for `arg1` ns.
    pub const SAMPLE: u32 = 2;
    /// Ask the threads whose tids follow with a signal: their stacks were cut short.
    pub const PROBE: u32 = 3;
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
