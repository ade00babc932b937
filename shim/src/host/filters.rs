//! Filters of system calls (seccomp) that the program installs after its start.
//!
//! A filter may end the process for any call that it does not know, so the shim must know of it without a
//! call. Those that the program was started with are no danger: a container has one, and all that the shim
//! does was done under it. A later one is noted when it is installed through libc ([`crate::arch`]), and for
//! the first thread also at each look at its `status`. What remains unseen is a filter that another thread
//! installs with a system call of its own.

use core::sync::atomic::{AtomicU32, Ordering};

use hangscope_reader::status::Status;

use crate::arch;

/// Number of filters at the start, plus one; 0: not known.
static AT_START: AtomicU32 = AtomicU32::new(0);
/// The first thread has more filters than at the start.
static GREW: AtomicU32 = AtomicU32::new(0);

/// Looks at the `status` of the first thread.
pub(crate) fn look(status: Status<'_>) {
    let mode = status.number(b"Seccomp:").unwrap_or(0) as u32;
    // Not printed before Linux 5.9: then only a filter where there was none is seen.
    let filters = status.number(b"Seccomp_filters:").map_or(mode, |n| n as u32);
    let at_start = AT_START.load(Ordering::Relaxed);
    if at_start == 0 {
        AT_START.store(filters + 1, Ordering::Relaxed);
    } else if filters + 1 > at_start {
        GREW.store(1, Ordering::Relaxed);
    }
}

/// Whether a filter that was installed after the start may be in force on a thread of the host.
pub(crate) fn may_be_new() -> bool {
    GREW.load(Ordering::Relaxed) != 0 || arch::FILTERS.load(Ordering::Relaxed) != 0
}

/// Whether such a filter was installed on all threads, the watchdog's too.
pub(crate) fn reach_all() -> bool {
    arch::FILTERS.load(Ordering::Relaxed) & arch::FILTER_OF_ALL != 0
}
