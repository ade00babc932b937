//! Where and how threads are scheduled.

use core::num::NonZeroU64;

pub(crate) use rustix::thread::CpuSet;

use super::raw::{Errno, raw};

fn thread(tid: u32) -> Option<rustix::thread::Pid> {
    rustix::thread::Pid::from_raw(tid as i32)
}

/// Processors that a thread may use. EINVAL on a machine with more than 1024.
pub(crate) fn affinity(tid: u32) -> Result<CpuSet, Errno> {
    rustix::thread::sched_getaffinity(thread(tid))
}

pub(crate) fn set_affinity(tid: u32, cpus: &CpuSet) -> Result<(), Errno> {
    rustix::thread::sched_setaffinity(thread(tid), cpus)
}

/// The kernel's `struct sched_attr`, first version. Every kernel since 3.14 takes it (sched_setattr(2)).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    size: u32,
    pub(crate) policy: u32,
    flags: u64,
    pub(crate) nice: i32,
    priority: u32,
    /// The slice of an ordinary thread, ns, since Linux 6.12. Older kernels say 0 and ignore it.
    pub(crate) runtime: u64,
    deadline: u64,
    period: u64,
}

impl Schedule {
    /// The same with another policy, nice value and slice.
    pub(crate) fn with(self, policy: u32, nice: i32, runtime: u64) -> Schedule {
        Schedule { policy, nice, runtime, ..self }
    }

    /// A real-time one (SCHED_FIFO) with this priority, 1 to 99. What the thread forks is ordinary.
    pub(crate) fn real_time(self, priority: u32) -> Schedule {
        let flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
        Schedule { policy: libc::SCHED_FIFO as u32, flags, nice: 0, priority, runtime: 0, ..self }
    }

    /// Whether a thread with it can be given another policy and get its own back.
    pub(crate) fn is_ordinary(&self) -> bool {
        [libc::SCHED_OTHER, libc::SCHED_BATCH].contains(&(self.policy as i32))
    }

    /// Its real-time priority; 0 for an ordinary one.
    pub(crate) fn priority(&self) -> u32 {
        self.priority
    }

    /// Whether it is the same but for the slice.
    pub(crate) fn differs_in_slice_at_most(&self, other: &Schedule) -> bool {
        Schedule { runtime: other.runtime, ..*self } == *other
    }
}

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

/// Sets how late timeouts of this thread may be, ns. 0 restores the default.
pub(crate) fn set_timer_slack(ns: u64) {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(ns));
}
