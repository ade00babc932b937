//! Filters of system calls (seccomp) that the program installs after its start.
//!
//! A filter may end the process for any call that it does not know, so the shim must know of it without a
//! call. Those that the program was started with are no danger: a container has one, and all that the shim
//! does was done under it. A later one is noted when it is installed through libc ([`crate::arch`]), and for
//! the first thread also at each look at its `status`. What remains unseen is a filter that another thread
//! installs with a system call of its own.
//!
//! What is noted publishes nothing else: whoever reads it decides only whether to make a call. libc's
//! functions note a filter before the call that installs it (a locked instruction), so no thread can be under
//! a filter that it would not see here. A forked child inherits filters and notes, an exec keeps the filters:
//! they are then those of the start.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hangscope_reader::status::Status;

use crate::arch;
use crate::sys;

/// How long a thread that installs a filter on all threads waits for the watchdog, ns.
const PATIENCE: u64 = 300_000_000;

/// What is in force at the start, plus one; 0: not known.
static AT_START: AtomicU32 = AtomicU32::new(0);
/// The first thread has more filters than at the start.
static GREW: AtomicBool = AtomicBool::new(false);
/// 1 while the watchdog disturbs the host. A futex word.
static DISTURBED: AtomicU32 = AtomicU32::new(0);
/// A thread waits before it installs a filter on all threads: the watchdog may still make calls.
static WAITS: AtomicBool = AtomicBool::new(false);

/// Mode, and number of filters, as one number.
fn in_force(status: Status<'_>) -> u32 {
    let (mode, filters) = status.filters();
    mode.unwrap_or(0) as u32 | (filters.unwrap_or(0) as u32) << 2
}

/// Takes what is in force now for what was there before the program did anything. For a new watchdog: what
/// its parent had noted of the first thread is over.
pub(crate) fn begin(status: Status<'_>) {
    AT_START.store(in_force(status) + 1, Ordering::Relaxed);
    GREW.store(false, Ordering::Relaxed);
    WAITS.store(false, Ordering::Relaxed);
}

/// Looks at the `status` of the first thread.
pub(crate) fn look(status: Status<'_>) {
    match AT_START.load(Ordering::Relaxed) {
        0 => begin(status),
        at_start if in_force(status) + 1 != at_start => GREW.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// Whether a filter that was installed after the start may be in force on a thread of the host.
pub(crate) fn may_be_new() -> bool {
    GREW.load(Ordering::Relaxed) || arch::FILTERS.load(Ordering::Relaxed) != 0
}

/// Whether such a filter was installed on all threads, the watchdog's too.
pub(crate) fn reach_all() -> bool {
    arch::FILTERS.load(Ordering::Relaxed) & arch::FILTER_OF_ALL != 0
}

/// What becomes another number than 0 before libc's functions install a filter.
pub(crate) fn noted() -> &'static AtomicU32 {
    &arch::FILTERS
}

/// The watchdog begins to disturb the host, or the host is again as it was.
pub(crate) fn disturbed(is: bool) {
    DISTURBED.store(is.into(), Ordering::SeqCst);
    arch::CALM.store(wait_for_calm as *const () as usize, Ordering::SeqCst);
    if !is {
        sys::futex_wake(&DISTURBED);
    }
}

/// Whether the watchdog may give back what it has changed: it is under no filter of all threads yet.
pub(crate) fn may_give_back() -> bool {
    !reach_all() || WAITS.load(Ordering::SeqCst)
}

/// Called on a thread of the host that is about to install a filter on all threads, after that is noted.
/// Under that filter the watchdog can give nothing back: priorities that it has given would stay. So this
/// waits, for a while, until it has done so.
extern "C" fn wait_for_calm() {
    // This thread may have a filter already, and then makes no call here. The watchdog knows of that one.
    if arch::FILTERS.load(Ordering::SeqCst) & !arch::FILTER_OF_ALL != 0
        || DISTURBED.load(Ordering::SeqCst) == 0
    {
        return;
    }
    WAITS.store(true, Ordering::SeqCst);
    let until = sys::now() + PATIENCE;
    while DISTURBED.load(Ordering::SeqCst) != 0 {
        let left = until.saturating_sub(sys::now());
        if left == 0 {
            break;
        }
        sys::futex_wait(&DISTURBED, 1, left);
    }
    WAITS.store(false, Ordering::SeqCst);
}
