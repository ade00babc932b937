//! System calls about when and where threads run: affinity, priorities, timers on their CPU clocks.

use super::{Errno, raw};

pub(crate) use rustix::thread::CpuSet;

/// A thread for rustix.
fn thread(tid: u32) -> Option<rustix::thread::Pid> {
    rustix::thread::Pid::from_raw(tid as i32)
}

/// Processors that a thread may use. More than 1024 in the machine are EINVAL.
pub(crate) fn affinity(tid: u32) -> Result<CpuSet, Errno> {
    rustix::thread::sched_getaffinity(thread(tid))
}

pub(crate) fn set_affinity(tid: u32, cpus: &CpuSet) -> Result<(), Errno> {
    rustix::thread::sched_setaffinity(thread(tid), cpus)
}

/// The kernel's `struct sched_attr` in its first version, which every kernel since 3.14 takes (sched_setattr(2)).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    size: u32,
    pub(crate) policy: u32,
    flags: u64,
    pub(crate) nice: i32,
    priority: u32,
    /// Of an ordinary thread: its slice, ns, since Linux 6.12; older kernels say 0 and pass over it.
    pub(crate) runtime: u64,
    deadline: u64,
    period: u64,
}

impl Schedule {
    /// The same with another policy, nice value and slice.
    pub(crate) fn with(self, policy: u32, nice: i32, runtime: u64) -> Schedule {
        Schedule { policy, nice, runtime, ..self }
    }

    /// Whether it is the same but for the slice.
    pub(crate) fn differs_in_slice_at_most(&self, other: &Schedule) -> bool {
        Schedule { runtime: other.runtime, ..*self } == *other
    }
}

/// How a thread is scheduled.
pub(crate) fn schedule(tid: u32) -> Result<Schedule, Errno> {
    let size = size_of::<Schedule>();
    let mut schedule =
        Schedule { size: 0, policy: 0, flags: 0, nice: 0, priority: 0, runtime: 0, deadline: 0, period: 0 };
    // SAFETY: the structure is live, and of the size that is given.
    unsafe { raw(libc::SYS_sched_getattr, [tid as usize, &raw mut schedule as usize, size, 0, 0, 0]) }?;
    Ok(schedule)
}

pub(crate) fn set_schedule(tid: u32, schedule: &Schedule) -> Result<(), Errno> {
    // SAFETY: the structure is live and only read; it says its own size.
    unsafe {
        raw(libc::SYS_sched_setattr, [tid as usize, core::ptr::from_ref(schedule) as usize, 0, 0, 0, 0])
    }
    .map(|_| ())
}

/// Timeouts of this thread may be so late, ns; 0: the default again.
pub(crate) fn set_timer_slack(ns: usize) {
    // SAFETY: no pointers.
    let _ = unsafe { raw(libc::SYS_prctl, [libc::PR_SET_TIMERSLACK as usize, ns, 0, 0, 0, 0]) };
}

/// `si_code` of a timer's signal (asm-generic/siginfo.h).
pub(crate) const SI_TIMER: i32 = -2;

/// A timer of the process, by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timer(i32);

/// Makes a timer on the CPU clock of a thread of this process, not armed yet. It sends that thread `signal` with `value`:
/// only when the thread has used CPU, so never while it sleeps.
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
    // SAFETY: `event` is 64 bytes, the size of a sigevent, and only read; the number is written to a live int.
    unsafe { raw(libc::SYS_timer_create, args) }?;
    Ok(Timer(id))
}

impl Timer {
    /// Goes off after `first` of its clock, and then each `next`; 0, 0: never.
    pub(crate) fn arm(self, first: u64, next: u64) -> Result<(), Errno> {
        let setting = [super::timespec(next), super::timespec(first)];
        // SAFETY: an itimerspec is two timespecs, the interval first; only read.
        unsafe { raw(libc::SYS_timer_settime, [self.0 as usize, 0, setting.as_ptr() as usize, 0, 0, 0]) }
            .map(|_| ())
    }

    /// Removes it.
    pub(crate) fn delete(self) {
        // SAFETY: no pointers.
        let _ = unsafe { raw(libc::SYS_timer_delete, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}
