//! Whether the hello is out: threads of the host wait for it at the end of a short process.
//!
//! `GREETED` is a futex word that goes from 0 to 1 once. It is stored before the wake, and the kernel compares it
//! again before a thread sleeps, so no wake is lost; the wait has a time limit. The flags publish nothing:
//! whoever reads one decides only whether to make a call. A forked child sets its own before it has a watchdog,
//! and the clone that starts the watchdog orders that.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::host::filters;
use crate::signal::crash;
use crate::sys;

/// A futex word: 0 before the watchdog's first hello (or its first failure to connect), then 1.
static GREETED: AtomicU32 = AtomicU32::new(0);
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
/// from the start has let the constructor pass. One that was installed through libc is known at once; else the
/// watchdog looks once a second, at the first thread.
pub(crate) fn is_filtered() -> bool {
    was_filtered() || filters::may_be_new()
}

/// For a forked child, before its own watchdog starts.
pub(crate) fn forked() {
    FORKED.store(true, Ordering::Relaxed);
    GREETED.store(1, Ordering::Relaxed);
}

/// Waits until the hello is out; at most 200 ms, for a machine so loaded that the thread has not run yet.
pub(crate) fn let_it_say_hello() {
    if GREETED.load(Ordering::Acquire) == 0 {
        sys::futex_wait(&GREETED, 0, 200_000_000);
    }
}

/// Nobody needs to wait any more: the hello is out, or none will come.
pub(crate) fn ended() {
    crash::ready();
    mark_out();
}

/// Marks that the hello is out, or that there is no collector to say it to.
pub(super) fn mark_out() {
    if GREETED.swap(1, Ordering::Release) == 0 {
        sys::futex_wake(&GREETED);
    }
}

pub(super) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}
