//! Threads stopped inside the allocator (stir, level 3), for microseconds to milliseconds, with the locks
//! that they hold.
//!
//! The signal that interrupts a thread comes from a timer (`timers`). A tick of the kernel is a few
//! milliseconds, and the window of a race is a few instructions. So a thread that is interrupted in the
//! allocator is mostly not stopped at once but slowed: it traps after each instruction (SIGTRAP, a signal
//! that nobody sends), for about a thousand instructions, and is stopped before some of the atomic ones.
//! Races are lost between those.
//!
//! A stop is a wait on a futex word of the shim, with a timeout, in the handler.
//!
//! Who writes and who reads:
//!
//! - The watchdog stores the allocator's range and the seed, then `ON` (release). A handler loads `ON`
//!   (acquire) before it uses them. The range stays the same while the process lives.
//! - [`forbid`] stores `ON`, then reads `STOPPED`. A handler counts itself in `STOPPED`, then the kernel
//!   compares `ON` before it sleeps (behind a full barrier: futex(2) orders a waiter's load with a waker's
//!   store). So either `forbid` sees the handler and waits for it, or the handler does not sleep. A stop ends
//!   by itself in 2 ms at most, and `forbid` has a limit too: neither depends on the other.
//! - `DRAWN` is a counter of its own. `SLOWS` may be seen late: a thread is then stopped instead of slowed.
//! - A thread in a stop has all signals blocked and cannot fork. A fork by another thread copies the counts;
//!   the child's watchdog sets them anew ([`prepare`]), and timers are not inherited. A thread leaves slow
//!   motion before it makes a call that forks or executes.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use hangscope_protocol::random::{self, Random};

use crate::arch::{self, Next};
use crate::sys::{self, Resident};

const MICROSECOND: u64 = 1000;
/// A thread that is interrupted in the allocator is stopped right there once in so many times, else slowed.
const STOPPED_AT_ONCE: u64 = 4;
/// Average number of instructions in slow motion.
const STEPS: u64 = 1024;
/// In slow motion a thread is stopped before one in so many of the allocator's atomic instructions.
const STOPPED_BEFORE: u64 = 3;
/// A stop takes 60 us to 2 ms: [`Random::spread`] of these.
const STOP: (u64, u64) = (60 * MICROSECOND, 5);
/// Words of an interrupted stack in which a return into the allocator is looked for: the thread may be in a
/// function of libc that the allocator called.
const WORDS: usize = 32;
/// All handlers have left their stops within this time, if there are processors for them.
const PATIENCE: u64 = 100_000 * MICROSECOND;
/// SIGTRAP as a bit of the kernel's set.
const TRAP: u64 = 1 << (libc::SIGTRAP - 1);
/// System calls within which a thread may stay in slow motion: they neither change its signals nor make a
/// thread.
const HARMLESS: [i64; 6] = [
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_mprotect,
];

/// 1 while threads may be stopped. A futex word: stopped threads wait on it.
static ON: AtomicU32 = AtomicU32::new(0);
/// Number of threads that are stopped. A futex word.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// Where the allocator is mapped.
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// Threads can be slowed: SIGTRAP has our handler.
static SLOWS: AtomicBool = AtomicBool::new(false);
/// State of the generator that the handlers draw from.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// For an allocator that is mapped from `start` to `end`. Nobody is stopped until [`allow`].
pub(super) fn prepare((start, end): (u64, u64), seed: u64) {
    START.store(start, Ordering::Relaxed);
    END.store(end, Ordering::Relaxed);
    DRAWN.store(seed, Ordering::Relaxed);
    // In a forked child these are a copy of what the parent had.
    ON.store(0, Ordering::Release);
    STOPPED.store(0, Ordering::Release);
}

/// From now on threads may be stopped, and, if SIGTRAP has our handler, slowed.
pub(super) fn allow(slows: bool) {
    SLOWS.store(slows, Ordering::Relaxed);
    ON.store(1, Ordering::Release);
}

/// Nobody is stopped or slowed until [`allow`]. Waits until no thread is in a stop, at most [`PATIENCE`].
pub(super) fn forbid() {
    ON.store(0, Ordering::SeqCst);
    sys::futex_wake(&ON);
    let until = sys::now() + PATIENCE;
    loop {
        let stopped = STOPPED.load(Ordering::SeqCst);
        let left = until.saturating_sub(sys::now());
        if stopped == 0 || left == 0 {
            return;
        }
        sys::futex_wait(&STOPPED, stopped, left);
    }
}

/// In the handler of a timer's signal, on the thread that the timer belongs to.
pub(super) fn on_timer(context: &mut libc::ucontext_t) {
    if ON.load(Ordering::Acquire) == 0 || !is_inside(context) {
        return;
    }
    let mut random = draw();
    let can_be_slowed = SLOWS.load(Ordering::Relaxed) && arch::blocked_signals(context) & TRAP == 0;
    if random.one_in(STOPPED_AT_ONCE) || !can_be_slowed {
        stop(&mut random);
    } else {
        arch::step(context, true);
    }
}

/// In the handler of SIGTRAP: a thread in slow motion has made an instruction. Decides what comes before
/// the next one.
pub(super) fn on_step(context: &mut libc::ucontext_t) {
    let mut random = draw();
    let mut code = [0; arch::LOOKED_AT];
    let next = match sys::peek(arch::registers(context)[arch::REG_PC], &mut code) {
        Ok(_) => arch::next(code),
        Err(_) => Next::SystemCall,
    };
    let leaves = next == Next::SystemCall && !HARMLESS.contains(&arch::call_number(context));
    if leaves || ON.load(Ordering::Acquire) == 0 || random.one_in(STEPS) {
        arch::step(context, false);
    } else if next == Next::Atomic && random.one_in(STOPPED_BEFORE) && is_inside(context) {
        stop(&mut random);
    }
}

/// Numbers for one interruption. Threads share one sequence and never wait for each other.
fn draw() -> Random {
    Random::from(DRAWN.fetch_add(random::STEP, Ordering::Relaxed))
}

/// Keeps this thread where it is for a while.
fn stop(random: &mut Random) {
    STOPPED.fetch_add(1, Ordering::AcqRel);
    sys::futex_wait(&ON, 1, random.spread(STOP.0, STOP.1));
    if STOPPED.fetch_sub(1, Ordering::AcqRel) == 1 {
        sys::futex_wake(&STOPPED);
    }
}

fn is_inside(context: &libc::ucontext_t) -> bool {
    let regs = arch::registers(context);
    inside(regs[arch::REG_PC]) || called_from_inside(regs[arch::REG_SP])
}

fn inside(pc: u64) -> bool {
    (START.load(Ordering::Relaxed)..END.load(Ordering::Relaxed)).contains(&pc)
}

/// Whether a word at the top of the stack is a return into the allocator. The word may be a stale one: then
/// the thread is stopped just outside, which does no harm.
fn called_from_inside(sp: u64) -> bool {
    let mut bytes = [0; WORDS * 8];
    let n = Resident::BY_MINCORE.peek(sp, &mut bytes).unwrap_or(0);
    let words = bytes.get(..n).unwrap_or(&[]).chunks_exact(8);
    words.filter_map(|word| word.try_into().ok()).any(|word| inside(u64::from_le_bytes(word)))
}
