//! A function of the host's (it prints an allocator's counters) called on a thread of the host's, because the collector
//! asks for it: once the evidence of a hang is complete, in a process that is about to be killed. Never otherwise.
//!
//! The collector picks the thread: one that waits without a time limit, on a stack of its own with room on it, in a process in
//! which nothing moves and nobody is inside the allocator or at a place of the C library where locks are held. Whether the
//! function comes back is only watched: nobody waits for it for long. It runs in a handler without an alternate stack
//! (8 KiB are not enough for a printf); that there is room is looked at here once more.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use hangscope_protocol::record::called;

use crate::sys;

/// In the value of a signal: it is for this, with the number of the request below it.
pub(crate) const MARK: u64 = 0xca11 << 48;
/// How long the watchdog waits for it.
pub(crate) const PATIENCE: u64 = 500_000_000;
/// Bytes of stack that the function may use.
const ROOM: u64 = 64 * 1024;
const PAGE: u64 = 4096;

/// Low bits of [`STATE`]; the number of the request is above them, so that a late signal of another one changes nothing.
const IDLE: u32 = 0;
const ASKED: u32 = 1;
const RUNNING: u32 = 2;
const RETURNED: u32 = 3;
const NO_ROOM: u32 = 4;
const STATES: u32 = 7;

unsafe extern "C" {
    /// Where the calling thread's errno is (LSB, Interfaces for libc).
    safe fn __errno_location() -> *mut core::ffi::c_int;
}

static STATE: AtomicU32 = AtomicU32::new(IDLE);
static FUNCTION: AtomicU64 = AtomicU64::new(0);

/// Makes a request; the value of its signal. None while another one runs.
pub(crate) fn begin(function: u64) -> Option<u64> {
    let before = STATE.load(Ordering::Acquire);
    if before & STATES == RUNNING {
        return None;
    }
    let number = (before | STATES).wrapping_add(1);
    // Nobody takes a request that is not there yet.
    STATE.store(number | IDLE, Ordering::Release);
    FUNCTION.store(function, Ordering::Release);
    STATE.store(number | ASKED, Ordering::Release);
    Some(MARK | u64::from(number))
}

/// Waits for what becomes of it: one of [`called`]. One that has not begun by then will not.
pub(crate) fn outcome() -> u32 {
    let until = sys::now() + PATIENCE;
    loop {
        let state = STATE.load(Ordering::Acquire);
        let left = until.saturating_sub(sys::now());
        let withdrawn = state & !STATES | IDLE;
        match state & STATES {
            RETURNED => return called::RETURNED,
            NO_ROOM => return called::NO_ROOM,
            _ if left > 0 => sys::futex_wait(&STATE, state, left),
            RUNNING => return called::NOT_BACK,
            ASKED
                if STATE.compare_exchange(state, withdrawn, Ordering::AcqRel, Ordering::Acquire).is_err() => {
            }
            _ => return called::LATE,
        }
    }
}

/// In the handler, on the thread that was asked; `sp` is where it was interrupted.
pub(crate) fn on_signal(value: u64, sp: u64) {
    let number = value as u32 & !STATES;
    let taken = STATE.compare_exchange(number | ASKED, number | RUNNING, Ordering::AcqRel, Ordering::Relaxed);
    if taken.is_err() {
        return;
    }
    let mark = 0u8;
    let here = &raw const mark as u64;
    let on_its_stack = here < sp && sp - here < ROOM;
    let is_there = |page: u64| sys::peek_word(here.saturating_sub(page * PAGE) & !7).is_ok();
    let done = if on_its_stack && (1..=ROOM / PAGE).all(is_there) {
        // SAFETY: the collector proved that the address is that of the function in the file that is mapped, which takes
        // nothing and gives nothing (the profile's word); there is stack for it; what it does is its own business, in a
        // process that is not needed any more.
        let function = unsafe {
            core::mem::transmute::<usize, extern "C" fn()>(FUNCTION.load(Ordering::Acquire) as usize)
        };
        let errno = __errno_location();
        // SAFETY: the thread's own errno, which is there as long as the thread.
        let before = unsafe { errno.read() };
        function();
        // SAFETY: as above.
        unsafe { errno.write(before) };
        RETURNED
    } else {
        NO_ROOM
    };
    STATE.store(number | done, Ordering::Release);
    sys::futex_wake(&STATE);
}
