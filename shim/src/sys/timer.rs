//! Timers on the CPU clocks of threads.

use super::clock::timespec;
use super::raw::{Errno, raw};

/// `si_code` of a timer's signal (asm-generic/siginfo.h).
pub(crate) const SI_TIMER: i32 = -2;

/// A timer of the process, by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timer(i32);

/// Makes a timer on the CPU clock of a thread of this process, not armed yet. The timer sends `signal` with
/// `value` to that thread. It does so only when the thread has used CPU time, so never while the thread
/// sleeps.
pub(crate) fn cpu_timer(tid: u32, signal: u32, value: u64) -> Result<Timer, Errno> {
    /// Notify by a signal to one thread (asm-generic/siginfo.h).
    const SIGEV_THREAD_ID: u64 = 4;
    /// Clock of one thread (4) by the scheduler's count (2): linux/posix-timers_types.h.
    const CPUCLOCK_PERTHREAD_SCHED: i32 = 4 | 2;
    let clock = (!(tid as i32) << 3) | CPUCLOCK_PERTHREAD_SCHED;
    // struct sigevent: value, then signo and notify, then the thread.
    let mut event = [0u64; 8];
    event[0] = value;
    event[1] = u64::from(signal) | SIGEV_THREAD_ID << 32;
    event[2] = u64::from(tid);
    let mut id = 0i32;
    let args = [clock as usize, event.as_ptr() as usize, &raw mut id as usize, 0, 0, 0];
    // SAFETY: `event` is 64 bytes, the size of a sigevent, and only read; the number is written to a live
    // int.
    unsafe { raw(libc::SYS_timer_create, args) }?;
    Ok(Timer(id))
}

impl Timer {
    /// Arms the timer: it goes off after `first` ns of its clock, and then each `next` ns. 0, 0 disarms it.
    pub(crate) fn arm(self, first: u64, next: u64) -> Result<(), Errno> {
        let setting = [timespec(next), timespec(first)];
        // SAFETY: an itimerspec is two timespecs, the interval first; only read.
        unsafe { raw(libc::SYS_timer_settime, [self.0 as usize, 0, setting.as_ptr() as usize, 0, 0, 0]) }
            .map(|_| ())
    }

    pub(crate) fn delete(self) {
        // SAFETY: no pointers.
        let _ = unsafe { raw(libc::SYS_timer_delete, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}
