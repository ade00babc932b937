//! A hold: a thread waits on a futex word for a drawn time. And the holds of the process that were last.
//!
//! Who writes and who reads:
//!
//! - The watchdog stores `ON`. A thread counts itself in `HELD`, then the kernel compares `ON` before the
//!   thread sleeps. [`stop`] stores `ON`, wakes, then reads `HELD`: so it sees the thread and waits for it,
//!   or the thread does not sleep (the same argument as in the shim's `signal/stops`). A hold ends by itself,
//!   too, and `stop` has a limit: neither depends on the other.
//! - An entry of `HOLDS` belongs to the thread that drew its number, until 64 later numbers were drawn.
//!   `number` is 0 while it is written, and is stored last (release). The watchdog reads entries after
//!   [`stop`], and passes over one whose number is another.
//! - The shim raises the number at `FILTERS` before the program installs a filter of system calls. From then
//!   on no thread of the host makes a call here. One that is held goes on without a look at the clock.
//! - A forked child has copies of the counts, and its watchdog sets them anew ([`start`]).

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use hangscope_protocol::Record;
use hangscope_protocol::random::Random;
use hangscope_protocol::stir::{HOLD_STACK, HoldRecord, MOST_HOLDS, count};

use crate::plan::{self, SETTINGS};
use crate::{arch, sys};

/// Threads that may be held at a time. The others have to meet who is held.
const MOST_HELD: u32 = 2;
/// All held threads have gone on within this time, ns, if there are processors for them.
const PATIENCE: u64 = 100_000_000;
/// A hold is ended early by at most so many signals.
const MOST_WAITS: u32 = 1000;
/// A wait is far longer than usual if it takes longer than this many of the longest holds, and longer than
/// [`LEAST_LONG`].
const LONG_IN_HOLDS: u64 = 4;
const LEAST_LONG: u64 = 20_000_000;

/// 1 while threads may be held. A futex word: held threads wait on it.
static ON: AtomicU32 = AtomicU32::new(0);
/// What the shim says of filters of system calls; null: nothing.
static FILTERS: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
/// Number of threads that are held. A futex word.
static HELD: AtomicU32 = AtomicU32::new(0);
/// Holds so far.
static NEXT: AtomicU64 = AtomicU64::new(0);
static HOLDS: [Entry; MOST_HOLDS] = [const { Entry::none() }; MOST_HOLDS];
/// When threads were first allowed to be held: in ns, and in ticks.
static BEGAN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// A wait of more ticks is a long one. It is known a while after the beginning.
static LONG: AtomicU64 = AtomicU64::new(u64::MAX);

struct Entry {
    /// The number of the hold, from 1.
    number: AtomicU64,
    began_ns: AtomicU64,
    held_ns: AtomicU64,
    address: AtomicU64,
    /// The thread, and above 32 bits where it was held.
    thread: AtomicU64,
    times: AtomicU32,
    stack: AtomicU64,
    stack_len: AtomicU32,
    waited_us: AtomicU32,
    bytes: UnsafeCell<[u8; HOLD_STACK]>,
}

// SAFETY: `bytes` are written by the thread that has drawn the number, through the kernel, before it stores
// `number`. The watchdog copies them through the kernel, too, and then looks whether the number is still the
// same: what was written over meanwhile is not taken.
unsafe impl Sync for Entry {}

/// Where a thread is held.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// As in [`HoldRecord`].
    pub(crate) address: u64,
    pub(crate) stack: u64,
    pub(crate) waited_us: u32,
    /// A value of [`hold_at`](hangscope_protocol::stir::hold_at).
    pub(crate) at: u16,
}

impl Entry {
    const fn none() -> Entry {
        Entry {
            number: AtomicU64::new(0),
            began_ns: AtomicU64::new(0),
            held_ns: AtomicU64::new(0),
            address: AtomicU64::new(0),
            thread: AtomicU64::new(0),
            times: AtomicU32::new(0),
            stack: AtomicU64::new(0),
            stack_len: AtomicU32::new(0),
            waited_us: AtomicU32::new(0),
            bytes: UnsafeCell::new([0; HOLD_STACK]),
        }
    }
}

fn entry(number: u64) -> Option<&'static Entry> {
    HOLDS.get(number as usize % MOST_HOLDS)
}

/// Whether threads may be held.
#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Acquire) != 0
}

/// Time since threads were first allowed to be held, us, modulo 2^32; 0 under a filter of system calls.
pub(crate) fn since_begin_us() -> u32 {
    if !may_call() {
        return 0;
    }
    let [ns, _] = &BEGAN;
    (sys::now().saturating_sub(ns.load(Ordering::Relaxed)) / 1000) as u32
}

/// Whether a thread of the host may make a system call here.
fn may_call() -> bool {
    // SAFETY: null, or a number that stays for ever (`start`).
    unsafe { FILTERS.load(Ordering::Relaxed).as_ref() }.is_none_or(|n| n.load(Ordering::SeqCst) == 0)
}

/// Threads may be held from now on, while this number is 0.
pub(crate) fn start(filters: Option<&'static AtomicU32>) {
    FILTERS.store(filters.map_or(null_mut(), |n| core::ptr::from_ref(n).cast_mut()), Ordering::Relaxed);
    let [ns, ticks] = &BEGAN;
    ns.store(sys::now(), Ordering::Relaxed);
    ticks.store(arch::ticks(), Ordering::Relaxed);
    HELD.store(0, Ordering::Release);
    ON.store(1, Ordering::Release);
}

/// No thread is held any more. Waits until all have gone on, at most [`PATIENCE`].
pub(crate) extern "C" fn stop() {
    ON.store(0, Ordering::SeqCst);
    sys::futex_wake_all(&ON);
    let until = sys::now() + PATIENCE;
    loop {
        let held = HELD.load(Ordering::SeqCst);
        let left = until.saturating_sub(sys::now());
        if held == 0 || left == 0 {
            return;
        }
        sys::futex_wait(&HELD, held, left);
    }
}

/// Holds this thread for a drawn time. `counted` is the number of the plan that counts it. False if it was
/// not held.
pub(crate) fn hold(random: &mut Random, place: Place, counted: usize) -> bool {
    let others = HELD.fetch_add(1, Ordering::SeqCst);
    if others >= MOST_HELD || ON.load(Ordering::SeqCst) == 0 || !may_call() {
        go_on();
        return false;
    }
    let least = SETTINGS.least_ns.load(Ordering::Relaxed).max(1);
    let wanted = random.spread(least.into(), SETTINGS.octaves.load(Ordering::Relaxed).max(1).into());
    let began = sys::now();
    let number = note(began, place);
    let mut held = 0;
    // Signals end a wait early. Their number has a limit: a clock that stands still keeps no thread for ever.
    for _ in 0..MOST_WAITS {
        if held >= wanted || ON.load(Ordering::SeqCst) == 0 {
            break;
        }
        let is_over = sys::futex_wait(&ON, 1, wanted - held);
        if !may_call() {
            held = wanted;
            break;
        }
        held = sys::now().saturating_sub(began);
        if is_over {
            break;
        }
    }
    if let Some(entry) = entry(number).filter(|e| e.number.load(Ordering::Acquire) == number + 1) {
        entry.held_ns.store(held, Ordering::Relaxed);
    }
    plan::add(counted, 1);
    plan::add(count::HELD_NS, held);
    go_on();
    true
}

/// This thread is not held any more.
fn go_on() {
    // `start` sets the count anew, also when threads are still counted.
    let before = HELD.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |held| held.checked_sub(1));
    if before == Ok(1) && ON.load(Ordering::SeqCst) == 0 && may_call() {
        sys::futex_wake_all(&HELD);
    }
}

/// Writes down the beginning of a hold, over an earlier one of this thread at the same place: threads that
/// loop leave room for the others. Gives its number, from 0.
fn note(began: u64, place: Place) -> u64 {
    let Place { address, stack, waited_us, at } = place;
    let thread = u64::from(sys::gettid()) | u64::from(at) << 32;
    let last = NEXT.load(Ordering::Relaxed);
    for number in (last.saturating_sub(MOST_HOLDS as u64)..last).rev() {
        let Some(entry) = entry(number) else { break };
        if entry.number.load(Ordering::Acquire) == number + 1
            && entry.thread.load(Ordering::Relaxed) == thread
            && entry.address.load(Ordering::Relaxed) == address
        {
            entry.began_ns.store(began, Ordering::Relaxed);
            entry.held_ns.store(0, Ordering::Relaxed);
            entry.times.fetch_add(1, Ordering::Relaxed);
            entry.waited_us.store(waited_us, Ordering::Relaxed);
            entry.keep(stack);
            return number;
        }
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if let Some(entry) = entry(number) {
        entry.number.store(0, Ordering::Release);
        entry.began_ns.store(began, Ordering::Relaxed);
        entry.held_ns.store(0, Ordering::Relaxed);
        entry.address.store(address, Ordering::Relaxed);
        entry.thread.store(thread, Ordering::Relaxed);
        entry.times.store(1, Ordering::Relaxed);
        entry.waited_us.store(waited_us, Ordering::Relaxed);
        entry.keep(stack);
        entry.number.store(number + 1, Ordering::Release);
    }
    number
}

impl Entry {
    /// Keeps the top of this thread's stack.
    fn keep(&self, stack: u64) {
        let kept = sys::copy(stack, self.bytes.get().cast(), HOLD_STACK);
        self.stack.store(stack, Ordering::Relaxed);
        self.stack_len.store(kept as u32, Ordering::Relaxed);
    }
}

/// Copies a hold and its stack: `index` 0 is the oldest that is known. See
/// [`hangscope_protocol::stir::Api::hold`].
///
/// # Safety
/// `to` must have room for a [`HoldRecord`] and [`HOLD_STACK`] bytes.
pub(crate) unsafe extern "C" fn copy(index: u32, to: *mut u8) -> usize {
    let all = NEXT.load(Ordering::Acquire);
    let number = all.saturating_sub(MOST_HOLDS as u64) + u64::from(index);
    let Some(entry) = entry(number).filter(|_| number < all) else { return 0 };
    let thread = entry.thread.load(Ordering::Relaxed);
    let mut record = HoldRecord {
        began_ns: entry.began_ns.load(Ordering::Relaxed),
        held_ns: entry.held_ns.load(Ordering::Relaxed),
        address: entry.address.load(Ordering::Relaxed),
        stack: entry.stack.load(Ordering::Relaxed),
        tid: thread as u32,
        at: (thread >> 32) as u16,
        reserved: 0,
        times: entry.times.load(Ordering::Relaxed),
        waited_us: entry.waited_us.load(Ordering::Relaxed),
    };
    let len = (entry.stack_len.load(Ordering::Relaxed) as usize).min(HOLD_STACK);
    // SAFETY: the caller's promise: behind the record is room for these bytes.
    let kept = sys::copy(entry.bytes.get() as u64, unsafe { to.add(HoldRecord::SIZE) }, len);
    if entry.number.load(Ordering::Acquire) != number + 1 {
        // It was being written over: what has no place is no hold.
        record.at = 0;
    }
    let mut bytes = [0; HoldRecord::SIZE];
    record.put(&mut bytes);
    // SAFETY: the caller's promise.
    unsafe { bytes.as_ptr().copy_to_nonoverlapping(to, bytes.len()) };
    HoldRecord::SIZE + kept
}

/// Notes how long a call waited, in ticks.
#[inline]
pub(crate) fn waited(ticks: u64) {
    if ticks > LONG.load(Ordering::Relaxed) && may_call() {
        long_wait(ticks);
    }
}

#[cold]
fn long_wait(ticks: u64) {
    plan::add(count::LONG_WAITS, 1);
    let (passed_ns, passed_ticks) = passed();
    plan::raise(count::LONGEST_WAIT_NS, scaled(ticks, passed_ns, passed_ticks));
}

/// `n * by / of`; `of` is not 0.
fn scaled(n: u64, by: u64, of: u64) -> u64 {
    (u128::from(n) * u128::from(by) / u128::from(of.max(1))).try_into().unwrap_or(u64::MAX)
}

/// Time since the beginning, in ns and in ticks.
fn passed() -> (u64, u64) {
    let [ns, ticks] = &BEGAN;
    let since = |now: u64, began: &AtomicU64| now.saturating_sub(began.load(Ordering::Relaxed));
    (since(sys::now(), ns), since(arch::ticks(), ticks))
}

/// Compares ticks with the clock, once there is something to compare. For the watchdog.
pub(crate) fn calibrate() {
    const ENOUGH: u64 = 5_000_000;
    if LONG.load(Ordering::Relaxed) != u64::MAX {
        return;
    }
    let (passed_ns, passed_ticks) = passed();
    if passed_ns >= ENOUGH {
        let longest = u64::from(SETTINGS.least_ns.load(Ordering::Relaxed))
            << SETTINGS.octaves.load(Ordering::Relaxed).min(32);
        LONG.store(
            scaled((LONG_IN_HOLDS * longest).max(LEAST_LONG), passed_ticks, passed_ns),
            Ordering::Relaxed,
        );
    }
}
