//! Threads held at synchronisation operations (`libhangscope_stir.so`): the plan that the collector makes for
//! a run, what the run leaves in it, and what the DSO offers the shim.
//!
//! The plan is one file. The process maps it shared, so what the process counts stays there, however it ends.
//! All numbers are little-endian.
//!
//! 1. [`PlanHeader`]
//! 2. at `counts_at`: [`COUNTS`] numbers (u64) that the process writes, see [`count`]
//! 3. at `sites_at`: `sites` [`SiteRecord`]s
//! 4. at `hits_at`: `sites` numbers (u32): how often the process held a thread at each site
//! 5. at `fixups_at`: `fixups` offsets (u32) into the code, of 32-bit words that are relative to the
//!    instruction pointer and name a place in the allocator: see [`CODE_DISTANCE`]
//! 6. at `code_at`: `code` bytes that take the place of the allocator's instructions
//!
//! What the code begins with is [`code`].

use core::sync::atomic::AtomicU32;

use crate::layout::record;

/// First eight bytes of a plan: `HSSTIR01`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HSSTIR01");
/// Name of the symbol by which the shim finds the [`Api`].
pub const API: &[u8] = b"hangscope_stir";
/// Version of [`Api`] and of the plan.
pub const VERSION: u32 = 1;
/// A plan is at most so long, bytes.
pub const MOST_BYTES: u64 = 16 << 20;
/// No hold of a plan lasts longer, ns.
pub const LONGEST_HOLD: u64 = 100_000_000;
/// Largest number of places that are chosen at a time.
pub const MOST_CHOSEN: u32 = 64;
/// Largest number of sites of a plan.
pub const MOST_SITES: u32 = 4096;
/// Number of holds that a process remembers.
pub const MOST_HOLDS: usize = 64;
/// Bytes of the stack that are kept of a hold, at most: enough for some frames.
pub const HOLD_STACK: usize = 768;
/// Number of [`count`]s.
pub const COUNTS: usize = 8;
/// Words of the code that [`PlanHeader::fixups_at`] lists were made as if the code began so many bytes above
/// the load bias of the allocator.
pub const CODE_DISTANCE: u64 = 0x4000_0000;

record! {
    /// What to do in this run.
    pub struct PlanHeader {
        /// [`MAGIC`].
        pub magic: u64,
        /// [`VERSION`].
        pub version: u32,
        /// Seed of what is held when, for how long.
        pub seed: u32,
        /// A call of a synchronisation function holds its thread once in so many times; 0: never so.
        pub one_in: u32,
        /// Number of call sites of such functions at which the next thread is held, chosen each `every_ns`.
        pub call_sites: u32,
        /// Number of the [`SiteRecord`]s at which the next thread is held, chosen each `every_ns`.
        pub armed: u32,
        /// Time between two choices, ns.
        pub every_ns: u32,
        /// Shortest hold, ns.
        pub least_ns: u32,
        /// A hold lasts up to `least_ns << octaves`, each octave as likely as any other.
        pub octaves: u32,
        pub counts_at: u32,
        pub sites: u32,
        pub sites_at: u32,
        pub hits_at: u32,
        pub fixups: u32,
        pub fixups_at: u32,
        pub code: u32,
        pub code_at: u32,
    }
}

record! {
    /// An atomic instruction of the allocator. Offsets in the allocator are from its load bias.
    pub struct SiteRecord {
        /// Offset of the instruction in the allocator.
        pub at: u32,
        /// Offset of the first instruction that is replaced.
        pub patch: u32,
        /// Number of bytes that are replaced, 5 to 32: whole instructions.
        pub len: u8,
        /// Flags of [`site`].
        pub flags: u8,
        /// Bytes of code of this site.
        pub code_len: u16,
        /// Offset of its code.
        pub code_at: u32,
        /// The bytes of the file that are replaced, then zeros.
        pub original: [u8; 32],
        /// Offset of the instruction behind `at`.
        pub next: u32,
        /// Offsets within this site's code of its two [checks](code::CHECK): the first stands directly before
        /// the instruction of `at`, the second directly behind it.
        pub checks: [u16; 2],
    }
}

/// Flags of a [`SiteRecord`].
pub mod site {
    /// Near the last steps of a hang of an earlier run: chosen more often.
    pub const PREFERRED: u8 = 1;
}

/// The code: its fixed parts, and what both sides know of them.
pub mod code {
    /// Offset of an address (u64) that the process writes: of the function that decides about a hold. The
    /// function gets a number on the stack, above the return address, and takes it away.
    pub const DECIDE: usize = 8;
    /// Offset of a byte for each site that says whether a thread is to be held there, or 0.
    pub const ARMED: usize = 4096;
    /// Offset of the instructions. What is before is written, what follows is executed. They begin with a
    /// jump to the address at [`DECIDE`].
    pub const INSTRUCTIONS: usize = 8192;
    /// Values of such a byte: the next thread is held before the instruction, or behind it.
    pub const BEFORE: u8 = 1;
    pub const BEHIND: u8 = 2;
    /// No thread is held; it is noted that one came by.
    pub const NOTE: u8 = 4;
    /// Bit of the number that the function gets: the thread is behind the instruction. The other bits are the
    /// index of the site.
    pub const IS_BEHIND: u32 = 1 << 16;

    /// A check asks whether a thread is to be held. It changes no register and no flag, and leaves the red
    /// zone alone (psABI, "The Stack Frame").
    ///
    /// ```text
    ///  0  lea rsp, [rsp - 128]
    ///  5  push rcx
    ///  6  movzx ecx, byte ptr [rip + ARMED + index]
    /// 13  jrcxz 25
    /// 15  push index
    /// 20  call (the jump at INSTRUCTIONS)
    /// 25  pop rcx
    /// 26  lea rsp, [rsp + 128]
    /// ```
    pub const CHECK: [u8; 34] = [
        0x48, 0x8d, 0x64, 0x24, 0x80, 0x51, 0x0f, 0xb6, 0x0d, 0, 0, 0, 0, 0xe3, 0x0a, 0x68, 0, 0, 0, 0, 0xe8,
        0, 0, 0, 0, 0x59, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0,
    ];
    /// Where the 32-bit words of a check are that are filled in: the byte's distance, the number, the jump's
    /// distance. Distances are from the end of the word.
    pub const CHECK_BYTE: usize = 9;
    pub const CHECK_NUMBER: usize = 16;
    pub const CHECK_CALL: usize = 21;

    /// How much lower the stack pointer is at this offset in a check than without it.
    pub fn displaced(at: u64) -> u64 {
        match at {
            5 | 26 => 128,
            6..=15 | 25 => 136,
            20 => 144,
            _ => 0,
        }
    }
}

/// Indices of the numbers that a process writes into its plan.
pub mod count {
    /// Why no instruction was replaced: a value of [`patched`](super::patched).
    pub const PATCHED: usize = 0;
    /// Holds at calls, and at instructions.
    pub const AT_CALLS: usize = 1;
    pub const AT_SITES: usize = 2;
    /// Time in all holds, ns.
    pub const HELD_NS: usize = 3;
    /// The longest wait in a call of a synchronisation function, ns.
    pub const LONGEST_WAIT_NS: usize = 4;
    /// Waits that were far longer than any hold can explain, and ended.
    pub const LONG_WAITS: usize = 5;
    /// Sites at which a thread came by.
    pub const LIVE_SITES: usize = 6;
}

/// Values of [`count::PATCHED`].
pub mod patched {
    /// The DSO did not run, or the plan has no sites.
    pub const NOT_TRIED: u64 = 0;
    pub const DONE: u64 = 1;
    /// A constructor before had started threads: they may execute what would be replaced.
    pub const THREADS: u64 = 2;
    /// The allocator is another file than the plan is for.
    pub const OTHER_BYTES: u64 = 3;
    /// No room within reach of the allocator.
    pub const NO_ROOM: u64 = 4;
    /// The kernel refuses to make the allocator's code writable.
    pub const REFUSED: u64 = 5;
    /// Nothing provides malloc but libc.
    pub const NO_ALLOCATOR: u64 = 6;
}

record! {
    /// One hold. In a dump, in the order in which their places came, each with the bytes of the stack from
    /// `stack` upwards.
    pub struct HoldRecord {
        /// When it began, ns of CLOCK_MONOTONIC.
        pub began_ns: u64,
        /// How long it lasted, ns; 0: it was not over.
        pub held_ns: u64,
        /// Address of the instruction, or of the return of the call.
        pub address: u64,
        /// The stack pointer there: of the instruction, or after the return of the call.
        pub stack: u64,
        /// Thread that was held.
        pub tid: u32,
        /// Value of [`hold_at`].
        pub at: u16,
        pub reserved: u16,
        /// How often this thread was held at this address; the times are those of the last.
        pub times: u32,
        /// How long the place had been chosen when the thread came by, us: long where threads come by rarely.
        /// 0 for a hold by chance.
        pub waited_us: u32,
    }
}

record! {
    /// Code that stands for an instruction of the allocator, in this process: a thread there would be in the
    /// allocator otherwise. Only sites that a thread came by.
    pub struct PatchedRecord {
        /// Address of the code.
        pub code: u64,
        /// Its bytes.
        pub len: u32,
        /// As in [`SiteRecord`].
        pub checks: [u16; 2],
        /// Addresses in the allocator of the first replaced instruction, of the atomic one, and of the one
        /// behind it.
        pub patch: u64,
        pub at: u64,
        pub next: u64,
    }
}

impl PatchedRecord {
    /// Where a thread with this instruction pointer would be without the code, and how much higher its stack
    /// pointer; `None` if it is not in this code.
    pub fn original(&self, pc: u64) -> Option<(u64, u64)> {
        let within = pc.checked_sub(self.code).filter(|at| *at < u64::from(self.len))?;
        let [first, second] = self.checks.map(u64::from);
        let place = match within {
            at if at < first => self.patch,
            at if at < second => self.at,
            _ => self.next,
        };
        let displaced = |check| within.checked_sub(check).map_or(0, code::displaced);
        Some((place, displaced(first) + displaced(second)))
    }
}

/// Where a thread was held.
pub mod hold_at {
    pub const BEFORE_INSTRUCTION: u16 = 1;
    pub const BEHIND_INSTRUCTION: u16 = 2;
    /// A lock was taken.
    pub const LOCKED: u16 = 3;
    /// Before a lock is released, and behind it.
    pub const UNLOCKS: u16 = 4;
    pub const UNLOCKED: u16 = 5;
    /// Between a check and its sleep.
    pub const SLEEPS: u16 = 6;
    /// Before threads are woken.
    pub const WAKES: u16 = 7;
    /// A thread yields.
    pub const YIELDS: u16 = 8;
    /// A wait of a futex is over, and a wake has been made.
    pub const WOKEN: u16 = 9;
    pub const WOKE: u16 = 10;
}

/// What `libhangscope_stir.so` offers the shim's watchdog, as a symbol named [`API`]. Each function may be
/// called on any thread of the process, one at a time; none allocates, locks, or touches thread-local data.
#[repr(C)]
pub struct Api {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Threads may be held from now on, while the number at `filters` is 0: otherwise the program has filters
    /// of system calls, and a call that they do not know might end the process. The number must stay for
    /// ever.
    pub start: unsafe extern "C" fn(filters: *const AtomicU32),
    /// libc's syscall(2) for futex calls, which holds threads, too: the shim's own comes before it in the
    /// order of symbol search, and goes on here.
    pub futex: unsafe extern "C" fn() -> isize,
    /// Chooses where the next threads are held. Gives the time until it is due again, ns; 0: never.
    pub tick: extern "C" fn() -> u64,
    /// No thread is held any more. Returns when all held threads have gone on, after 100 ms at most.
    pub stop: extern "C" fn(),
    /// Writes hold `index`, 0 the oldest, into the bytes at `to`: a [`HoldRecord`], and up to [`HOLD_STACK`]
    /// bytes of its stack. Gives the number of bytes, 0 if there is no such hold.
    pub hold: unsafe extern "C" fn(index: u32, to: *mut u8) -> usize,
    /// Writes a [`PatchedRecord`] into the bytes at `to`, for the `index`th site that a thread came by; false
    /// if there is none.
    pub patched: unsafe extern "C" fn(index: u32, to: *mut u8) -> bool,
    /// Gives where a thread with this instruction pointer would be without replaced code, and adds to `sp`
    /// what the code has taken from the stack. For a signal handler.
    pub original: unsafe extern "C" fn(pc: u64, sp: *mut u64) -> u64,
}

/// Codes of the strategies, for [`STIR`](crate::variable::STIR) and the hello: 1 to 3 are levels of disturbed
/// scheduling; the others are one of these plus a strength from 1 to 3.
pub mod strategy {
    /// Threads held at calls of synchronisation functions.
    pub const CALLS: u32 = 16;
    /// Threads held at atomic instructions of the allocator.
    pub const SITES: u32 = 32;
    /// Both.
    pub const BOTH: u32 = 48;
    /// Strict priorities on one processor.
    pub const STRICT: u32 = 64;
    /// Largest strength, and largest level of disturbed scheduling.
    pub const MOST: u32 = 3;

    /// Whether a code is one of these, or 0 for none.
    pub fn is_known(code: u32) -> bool {
        let (kind, strength) = (code & !15, code & 15);
        code == 0 || (1..=MOST).contains(&strength) && kind <= STRICT
    }

    /// Whether threads are held (`libhangscope_stir.so`).
    pub fn holds(code: u32) -> bool {
        matches!(code & !15, CALLS | SITES | BOTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_strategies() {
        let known: std::vec::Vec<u32> = (0..200).filter(|code| strategy::is_known(*code)).collect();
        assert_eq!(known, [0, 1, 2, 3, 17, 18, 19, 33, 34, 35, 49, 50, 51, 65, 66, 67]);
        let holds = known.into_iter().filter(|code| strategy::holds(*code));
        assert_eq!(holds.collect::<std::vec::Vec<u32>>(), [17, 18, 19, 33, 34, 35, 49, 50, 51]);
    }
}
