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

use crate::layout::record;

/// First eight bytes of a plan: `HSSTIR01`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HSSTIR01");
/// Name of the symbol by which the shim finds the [`Api`].
pub const API: &[u8] = b"hangscope_stir";
/// Version of [`Api`] and of the plan.
pub const VERSION: u32 = 1;
/// Largest number of sites of a plan.
pub const MOST_SITES: u32 = 4096;
/// Number of holds that a process remembers.
pub const MOST_HOLDS: usize = 64;
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
        /// Where in this site's code the stack pointer is displaced, from (inclusive) and to (exclusive):
        /// before the instruction, and behind it.
        pub displaced: [u16; 4],
        /// Where in this site's code the code stands that belongs to `at` and to what follows it: a thread
        /// before the first is at `patch`, before the second at `at`, else at `next`.
        pub phases: [u16; 2],
        /// Offset of the instruction behind `at`.
        pub next: u32,
    }
}

/// Flags of a [`SiteRecord`].
pub mod site {
    /// Near the last steps of a hang of an earlier run: chosen more often.
    pub const PREFERRED: u8 = 1;
}

/// The beginning of the code, and how it asks.
pub mod code {
    /// Offset of an address (u64) that the process writes: of the function that decides about a hold.
    pub const DECIDE: usize = 8;
    /// Offset of the first byte that says whether a thread is to be held at a site; a byte a site, and as
    /// many as [`MOST_SITES`](super::MOST_SITES). Written by the process.
    pub const ARMED: usize = 4096;
    /// Offset of the instructions: what is before is written, what follows is executed.
    pub const INSTRUCTIONS: usize = 8192;
    /// Value of such a byte: the next thread is held before the instruction, or behind it.
    pub const BEFORE: u8 = 1;
    pub const BEHIND: u8 = 2;
    /// No thread is held, and it is noted that one came by.
    pub const NOTE: u8 = 4;
    /// Bit of what the code tells the function: the thread is behind the instruction. The other bits are the
    /// number of the site.
    pub const IS_BEHIND: u32 = 1 << 16;
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
    /// One hold. In a dump, in the order of their beginnings.
    pub struct HoldRecord {
        /// When it began, ns of CLOCK_MONOTONIC.
        pub began_ns: u64,
        /// How long it lasted, ns; 0: it was not over.
        pub held_ns: u64,
        /// Address of the instruction, or of the return of the call.
        pub address: u64,
        /// Thread that was held.
        pub tid: u32,
        /// Value of [`hold_at`].
        pub at: u16,
        pub reserved: u16,
        /// How often this thread was held at this address in a row; the times are those of the last.
        pub times: u32,
        pub reserved2: u32,
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
}

/// What `libhangscope_stir.so` offers the shim's watchdog, as a symbol named [`API`]. Each function may be
/// called on any thread of the process, one at a time; none allocates, locks, or touches thread-local data.
#[repr(C)]
pub struct Api {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Threads may be held from now on.
    pub start: extern "C" fn(),
    /// Chooses where the next threads are held. Gives the time until it is due again, ns; 0: never.
    pub tick: extern "C" fn() -> u64,
    /// No thread is held any more. Returns when all held threads have gone on, after 100 ms at most.
    pub stop: extern "C" fn(),
    /// Writes hold `index`, 0 the oldest, into the bytes at `to`, which hold a [`HoldRecord`]; false if there
    /// is none.
    pub hold: unsafe extern "C" fn(index: u32, to: *mut u8) -> bool,
    /// For a thread whose instruction pointer is in replaced code: writes where it would be without, and adds
    /// to the stack pointer what the code has taken.
    pub original: unsafe extern "C" fn(pc: *mut u64, sp: *mut u64),
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
