//! The hello (which process speaks) and notes.

use crate::decode::{Malformed, Reader};
use crate::encode::{Full, Writer};
use crate::layout::record;

/// `arch` of [`HelloRecord`] for x86-64: the ELF machine number.
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
    /// The `/proc` of the process is that of another PID namespace. The threads' ids are from there, and
    /// `gettid` and the locks have others.
    pub const OTHER_IDS: u32 = 16;
}

record! {
    /// Who speaks. Times are nanoseconds.
    pub struct HelloRecord {
        /// [`crate::VERSION`] of the shim. A collector refuses another one.
        pub version: u16,
        /// ELF machine number (`e_machine`), such as [`ARCH_X86_64`].
        pub arch: u16,
        pub pid: u32,
        pub ppid: u32,
        pub uid: u32,
        pub euid: u32,
        /// The shim's own thread, 0 if none could be started.
        pub watchdog_tid: u32,
        /// Bits of [`hello_flags`], combined.
        pub flags: u32,
        /// Size of a page of memory, bytes.
        pub page_size: u32,
        /// Start of the process in clock ticks since boot (field 22 of `/proc/PID/stat`). With `pid` it
        /// names a process uniquely.
        pub start_ticks: u64,
        /// CLOCK_MONOTONIC at the constructor (of this program image; in a forked child: at the fork).
        pub init_ns: u64,
        /// CLOCK_REALTIME at the same moment.
        pub wall_ns: u64,
        /// Deadline after `init_ns`; 0: only on request.
        pub hang_after_ns: u64,
        /// Without progress for so long counts as a stall; 0: off.
        pub stall_ns: u64,
        /// Pause between two looks, ns.
        pub tick_ns: u64,
        /// `id` of the allocator's [`super::DsoRecord`], `u32::MAX` if it is not known.
        pub allocator: u32,
        /// Number of [`super::DsoRecord`]s that follow.
        pub dsos: u32,
        /// Address of the `malloc` that comes first in symbol order, 0 if none was found.
        pub malloc: u64,
        /// What the constructor took, nanoseconds.
        pub init_cost_ns: u64,
        /// Signal that will be used to ask running threads (0: off).
        pub probe_signal: u32,
        /// Clock ticks a second (for `start_ticks`).
        pub clk_tck: u32,
        /// How the process is disturbed: a code of [`strategy`](crate::stir::strategy), 0 for not at all.
        pub stir_level: u32,
        /// Seed of what it disturbs when.
        pub stir_seed: u32,
    }
}

/// A [`HelloRecord`] with its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    pub fixed: HelloRecord,
    /// Value of HANGSCOPE_LABEL; empty if it is not set.
    pub label: &'a [u8],
    pub exe: &'a [u8],
    /// `/proc/self/cmdline`, NUL-separated, at most 4096 bytes.
    pub cmdline: &'a [u8],
    /// LD_PRELOAD as the process got it.
    pub ld_preload: &'a [u8],
    /// Value of HANGSCOPE_TARGET; empty if it is not set.
    pub target: &'a [u8],
    pub shim: &'a [u8],
}

impl<'a> Hello<'a> {
    pub fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.record(&self.fixed)?;
        for text in [self.label, self.exe, self.cmdline, self.ld_preload, self.target, self.shim] {
            w.bytes(text)?;
        }
        Ok(())
    }

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

/// Codes of [`NoteRecord::code`]. 8, 10 and 12 have been used.
pub mod note_code {
    /// An environment value made no sense; the default is used. Text: `NAME=value: why`.
    pub const BAD_SETTING: u16 = 1;
    /// Something could not be read; the text says what, `value` is the errno.
    pub const UNREADABLE: u16 = 2;
    /// Looks less often than asked for, because it would cost too much; `value` is the new tick in ms.
    pub const SLOWER: u16 = 3;
    /// The shim followed a change of credentials; `value` is the new effective uid.
    pub const FOLLOWED_CREDENTIALS: u16 = 4;
    /// The shim could not follow a change of credentials, and leaves.
    pub const LEAVES_CREDENTIALS: u16 = 5;
    /// No other thread lives. The shim leaves, so that the process can end.
    pub const LEAVES_ALONE: u16 = 6;
    /// The table of DSOs is full; `value` is how many there are.
    pub const DSOS_LEFT_OUT: u16 = 7;
    /// The allocator's bytes could not be copied; `value` is the errno.
    pub const NO_COPY: u16 = 9;
    /// Scheduling cannot be disturbed as was asked for; the text says what is lacking.
    pub const STIR_LIMITED: u16 = 11;
    /// The futex word at address `value` names `tid` as its owner, and the process has no such thread: it was
    /// asked for by its id after the second look, and the word named it still. `reserved`: the low bits of
    /// the dump's number. No text.
    pub const OWNER_ENDED: u16 = 12;
    /// From the collector: thread `tid` of the dump has the id `value` in the process's own PID namespace.
    pub const OWN_ID: u16 = 20;
    /// From the collector: the owner of a lock in shared memory, `tid`, is a thread of process `value`, which
    /// maps that memory too. 0: no process has such a thread. Text: the name of the thread; `reserved`: its
    /// state, as in `/proc/TID/stat`.
    pub const OTHER_PROCESS: u16 = 21;
    /// From the collector: process `value` can end the wait of thread `tid`: it has the other end of a pipe,
    /// the lock of a file, or is the child. Text: its name; `reserved`: flags of
    /// [`other_end`](super::other_end).
    pub const OTHER_END: u16 = 22;
    /// From the collector: a chain of pointers that was read in the memory of the process. `tid`: the thread
    /// that walks it, 0 if none was seen to. The text is JSON.
    pub const CHAIN: u16 = 23;
    /// From the collector: each stack was cut to `value` bytes, so that the file is small.
    pub const STACKS_CUT: u16 = 30;
}

/// Flags of a note with [`note_code::OTHER_END`].
pub mod other_end {
    /// It is the process of the dump.
    pub const OWN: u16 = 1;
    /// It waits itself for the process of the dump, and has one thread.
    pub const WAITS: u16 = 2;
    /// Something else may end the wait too: a signal handler, a process that could not be looked at.
    pub const OPEN: u16 = 4;
}

record! {
    /// An event that the collector should know of. A text goes with it.
    pub struct NoteRecord {
        /// One of the values of [`note_code`].
        pub code: u16,
        pub reserved: u16,
        /// Thread it is about, 0 if none.
        pub tid: u32,
        /// A number; its meaning depends on `code`.
        pub value: u64,
    }
}
