//! Whether the hello is out: threads of the host wait for it at the end of a short process.
//!
//! `GREETED` and `FACTS` are futex words that leave 0 once. Each is stored before the wake, and the kernel
//! compares it again before a thread sleeps, so no wake is lost; each wait has a time limit. `FACTS`
//! publishes the constructor's facts and the watchdog's work (release, acquire): the constructor does not
//! touch the work after that. The flags publish nothing: whoever reads one decides only whether to make a
//! call.
//!
//! The fork handler is registered after the facts are written, so a child that has a watchdog has them. It
//! sets its own words before that watchdog starts, and the clone that starts it orders that.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::host::filters;
use crate::signal::crash;
use crate::sys;

/// A futex word: 0 before the watchdog's first hello (or its first failure to connect), then 1.
static GREETED: AtomicU32 = AtomicU32::new(0);
/// A futex word: 0 until the facts are [`WRITTEN`], or [`NONE_WILL_COME`].
static FACTS: AtomicU32 = AtomicU32::new(0);
const WRITTEN: u32 = 1;
const NONE_WILL_COME: u32 = 2;
/// A thread of the host waits for the hello, or has.
static AWAITED: AtomicBool = AtomicBool::new(false);
/// The watchdog's first instruction was reached.
static BEGUN: AtomicBool = AtomicBool::new(false);
/// The watchdog runs in a forked child.
static FORKED: AtomicBool = AtomicBool::new(false);

/// The program has put a filter of system calls in force since its start.
static FILTERED: AtomicBool = AtomicBool::new(false);

/// From now on threads of the host make no call for the shim.
pub(super) fn filtered() {
    FILTERED.store(true, Ordering::Relaxed);
}

/// Whether the watchdog has seen that [`is_filtered`].
pub(super) fn was_filtered() -> bool {
    FILTERED.load(Ordering::Relaxed)
}

/// Whether a thread of the host may be ended for a call that the shim makes on it. A filter that was there
/// from the start has let the constructor pass. One that was installed through libc is known at once; else
/// the watchdog looks once a second, at the first thread.
pub(crate) fn is_filtered() -> bool {
    was_filtered() || filters::may_be_new()
}

/// For a forked child, before its own watchdog starts.
pub(crate) fn forked() {
    FORKED.store(true, Ordering::Relaxed);
    GREETED.store(1, Ordering::Relaxed);
}

/// How long a thread looks for what the other one does before it sleeps, ns. A thread that sleeps takes
/// longer to wake than the whole hello takes, where an idle processor has to wake too (50 to 300 us on a
/// virtual one).
const LOOKS: u64 = 200_000;

/// Waits until the hello is out; at most 200 ms, for a machine so loaded that the thread has not run yet.
/// Afterwards it costs a load.
pub(crate) fn let_it_say_hello() {
    if GREETED.load(Ordering::Acquire) != 0 {
        return;
    }
    AWAITED.store(true, Ordering::Relaxed);
    let until = sys::now() + LOOKS;
    while GREETED.load(Ordering::Acquire) == 0 {
        if sys::now() > until {
            return sys::futex_wait(&GREETED, 0, 200_000_000);
        }
        if BEGUN.load(Ordering::Relaxed) {
            (0..16).for_each(|_| core::hint::spin_loop());
        } else {
            // It may wait for this very processor.
            sys::yield_now();
        }
    }
}

/// The constructor has written the facts, and leaves them and the watchdog's work to it.
pub(crate) fn facts_are_written() {
    FACTS.store(WRITTEN, Ordering::Release);
    sys::futex_wake(&FACTS);
}

/// The constructor is over. If it has written no facts, a watchdog that waits for them ends.
pub(crate) fn no_facts_will_come() {
    if FACTS.compare_exchange(0, NONE_WILL_COME, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        sys::futex_wake(&FACTS);
    }
}

/// Waits for the facts; whether they are written. The constructor takes a little longer than a connection.
pub(super) fn wait_for_facts() -> bool {
    let until = sys::now() + LOOKS;
    loop {
        match FACTS.load(Ordering::Acquire) {
            0 if sys::now() < until => (0..16).for_each(|_| core::hint::spin_loop()),
            // The end of the wait is an event: the time is only a bound.
            0 => sys::futex_wait(&FACTS, 0, 1_000_000_000),
            facts => return facts == WRITTEN,
        }
    }
}

/// The watchdog has begun.
pub(super) fn begun() {
    BEGUN.store(true, Ordering::Relaxed);
}

/// Nobody needs to wait any more: the hello is out, or none will come.
pub(crate) fn ended() {
    crash::ready();
    if GREETED.swap(1, Ordering::Release) == 0 {
        sys::futex_wake(&GREETED);
        if AWAITED.load(Ordering::Relaxed) {
            // It may need this very processor. Otherwise the next step is urgent: to open the files before
            // somebody removes them.
            sys::yield_now();
        }
    }
}

pub(super) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}
