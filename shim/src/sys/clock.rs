//! Clocks, in nanoseconds.

use rustix::time::{ClockId, Timespec};

fn nanoseconds(clock: ClockId) -> u64 {
    let t = rustix::time::clock_gettime(clock);
    (t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64)
}

/// CLOCK_MONOTONIC, ns.
pub(crate) fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// CLOCK_REALTIME, ns.
pub(crate) fn wall_clock() -> u64 {
    nanoseconds(ClockId::Realtime)
}

/// CPU time of this thread, ns.
pub(crate) fn thread_cpu() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// CPU time of the process, ns.
pub(crate) fn process_cpu() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

pub(super) fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}
