//! Threads stopped inside the allocator (level 3), for microseconds to milliseconds, with whatever locks they hold there.
//!
//! By a signal, but never one to a thread that sleeps: that would end a wait whose wake was lost, and so cure the very
//! hang that is looked for. Each signal comes from a timer on the CPU clock of the thread that gets it. Such a
//! clock stands while its thread sleeps; it goes off in the kernel's tick while the thread runs, and since Linux 5.10 the
//! thread itself sends it, on its way back to its own code. (Before, a tick within a call that was about to
//! sleep could send it: the call saw the signal before it had slept, and was begun again.) An exec deletes
//! timers and what they have sent.
//!
//! A tick is a few milliseconds, a race's window a few instructions. So a thread that is interrupted in the
//! allocator is mostly not stopped at once but slowed: it traps after each instruction (SIGTRAP, a signal that nobody
//! sends), for about a thousand of them, and is stopped before some of the atomic ones, between which races are lost.
//!
//! A stop is a wait on a futex word of the shim's, with a timeout, in the handler.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::arch::{self, Next};
use crate::host::task::Tasks;
use crate::random::{self, Random};
use crate::signal::probe::Prober;
use crate::sys::{self, Timer};

const MICROSECOND: u64 = 1000;
/// Value of the signals: whoever else may send one with another value is passed over.
pub(crate) const MARK: u64 = 0x6861_6e67_7374_6972;
/// Threads that have a timer at a time.
const MOST: usize = 32;
/// The timers: at the next tick of the kernel in which their thread runs, and at each after it.
const EACH_TICK: u64 = MICROSECOND;
/// A thread that is interrupted in the allocator is stopped right there once in so many times, else slowed.
const STOPPED_AT_ONCE: u64 = 4;
/// Instructions in slow motion, on average.
const STEPS: u64 = 1024;
/// In slow motion a thread is stopped before one in so many of the allocator's atomic instructions.
const STOPPED_BEFORE: u64 = 3;
/// A stop takes 60 us to 2 ms: [`Random::spread`] of these.
const STOP: (u64, u64) = (60 * MICROSECOND, 5);
/// Words of an interrupted stack in which a return into the allocator is looked for: it may be in a function of libc's.
const WORDS: usize = 32;
/// The handlers are out of their stops within this time, if there are processors for them.
const PATIENCE: u64 = 100_000 * MICROSECOND;
/// SIGTRAP as a bit of the kernel's set.
const TRAP: u64 = 1 << (libc::SIGTRAP - 1);
/// System calls within which a thread may stay in slow motion: they neither change its signals nor make a thread.
const HARMLESS: [i64; 6] = [
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_mprotect,
];

/// 1 while threads may be stopped. A futex word: those that are stopped wait on it.
static ON: AtomicU32 = AtomicU32::new(0);
/// Threads that are stopped. A futex word.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// The allocator.
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// Threads can be slowed: SIGTRAP is ours.
static SLOWS: AtomicBool = AtomicBool::new(false);
/// State of the generator that the handlers draw from.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// In the handler of a timer's signal, on the thread that the timer is of.
pub(crate) fn on_timer(context: &mut libc::ucontext_t) {
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

/// In the handler of SIGTRAP: a thread in slow motion has made an instruction, and this is about the next.
pub(crate) fn on_step(context: &mut libc::ucontext_t) {
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

/// Numbers for one interruption: threads share a sequence and never wait for each other.
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

/// Whether a word at the top of the stack leads back into the allocator. It may be a stale one: then a thread is
/// stopped just outside, which does no harm.
fn called_from_inside(sp: u64) -> bool {
    let mut bytes = [0; WORDS * 8];
    let n = sys::peek(sp, &mut bytes).unwrap_or(0);
    let words = bytes.get(..n).unwrap_or(&[]).chunks_exact(8);
    words.filter_map(|word| word.try_into().ok()).any(|word| inside(u64::from_le_bytes(word)))
}

/// The timers of a watchdog.
pub(crate) struct Stops {
    timers: [Option<(u32, Timer)>; MOST],
    next: usize,
}

impl Stops {
    /// For an allocator that is mapped from `start` to `end`.
    pub(crate) fn new((start, end): (u64, u64), random: &mut Random) -> Stops {
        START.store(start, Ordering::Relaxed);
        END.store(end, Ordering::Relaxed);
        DRAWN.store(random.draw(), Ordering::Relaxed);
        // In a forked child the words are a copy of whatever they were.
        ON.store(0, Ordering::Release);
        STOPPED.store(0, Ordering::Release);
        Stops { timers: [None; MOST], next: 0 }
    }

    /// Gives a thread a timer; takes it from another where there are too many. False if there can be none: no signal
    /// is free, or the host has taken ours.
    pub(crate) fn arm(&mut self, tid: u32, prober: &mut Prober, tasks: &Tasks, text: &mut [u8]) -> bool {
        if !prober.install_for_good() {
            return false;
        }
        SLOWS.store(super::trap::install(), Ordering::Relaxed);
        let at = self.timers.iter().position(|t| t.is_some_and(|(of, _)| of == tid));
        let armed = at.and_then(|at| self.timers.get(at).copied().flatten());
        // One whose thread is gone cannot be armed, and somebody else may have the tid by now.
        if armed.is_none_or(|(_, timer)| timer.arm(EACH_TICK, EACH_TICK).is_err())
            && !prober.is_blocked_by(tid, tasks, text)
            && let Ok(timer) = sys::cpu_timer(tid, prober.signal(), MARK)
        {
            let _ = timer.arm(EACH_TICK, EACH_TICK);
            let at = at.unwrap_or(self.next);
            self.next = (self.next + 1) % MOST;
            if let Some((_, old)) = self.timers.get_mut(at).and_then(|slot| slot.replace((tid, timer))) {
                old.delete();
            }
        }
        ON.store(1, Ordering::Release);
        true
    }

    /// Ends them for good.
    pub(crate) fn end(&mut self) {
        for (_, timer) in self.timers.iter_mut().filter_map(Option::take) {
            timer.delete();
        }
        self.pause();
    }

    /// Nobody is stopped or slowed until a timer is given again: waits until nobody stands in a stop.
    pub(crate) fn pause(&mut self) {
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
}
