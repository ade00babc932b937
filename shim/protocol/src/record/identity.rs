//! Who speaks, and what the shim thinks worth saying.

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
        /// How much the shim disturbs scheduling, 0 (not at all) to 3.
        pub stir_level: u32,
        /// Seed of what it disturbs when.
        pub stir_seed: u32,
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
    /// Scheduling cannot be disturbed as was asked for; the text says what is lacking.
    pub const STIR_LIMITED: u16 = 11;
    /// What became of a call that the collector asked for; `value` is one of `called`.
    pub const CALLED: u16 = 12;
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
