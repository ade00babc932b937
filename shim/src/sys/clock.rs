//! Clocks, in nanoseconds.
//!
//! The call is made raw. rustix would look for the vdso first: it would read the auxiliary vector, on older
//! kernels from a file that stands for a moment in the host's descriptor table, and it would bring a tenth
//! of the shim's code.

use rustix::event::Timespec;

use super::raw::raw;

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = Timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which is live. On x86-64 and aarch64 rustix's is the kernel's.
    let _ = unsafe { raw(libc::SYS_clock_gettime, [clock as usize, &raw mut time as usize, 0, 0, 0, 0]) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

pub(crate) fn now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

pub(crate) fn wall_clock() -> u64 {
    nanoseconds(libc::CLOCK_REALTIME)
}

/// CPU time of this thread, ns.
pub(crate) fn thread_cpu() -> u64 {
    nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of the process, ns.
pub(crate) fn process_cpu() -> u64 {
    nanoseconds(libc::CLOCK_PROCESS_CPUTIME_ID)
}

pub(super) fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}
