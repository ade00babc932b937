//! Who this process and this thread are.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::raw::raw;

pub(crate) fn gettid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// This process, as [`know_pid`] found it.
static PID: AtomicU32 = AtomicU32::new(0);

/// Asks the kernel once, for all later [`getpid`]s. For the constructor and for a forked child.
pub(crate) fn know_pid() {
    PID.store(rustix::process::getpid().as_raw_nonzero().get() as u32, Ordering::Relaxed);
}

pub(crate) fn getpid() -> u32 {
    PID.load(Ordering::Relaxed)
}

/// Whether this is the process that [`know_pid`] asked for, and not a child made without fork handlers.
pub(crate) fn is_the_same_process() -> bool {
    rustix::process::getpid().as_raw_nonzero().get() as u32 == getpid()
}

/// The larger of this process's peak resident set and that of the program that it was before its exec, KiB
/// (getrusage(2): the kernel keeps the latter in `signal_struct.maxrss`).
pub(crate) fn most_resident_kib() -> u64 {
    let mut usage = core::mem::MaybeUninit::<libc::rusage>::zeroed();
    let to = usage.as_mut_ptr() as usize;
    // SAFETY: the kernel writes a `rusage` there, which outlives the call.
    let _ = unsafe { raw(libc::SYS_getrusage, [libc::RUSAGE_SELF as usize, to, 0, 0, 0, 0]) };
    // SAFETY: numbers, for which zero is a value.
    unsafe { usage.assume_init() }.ru_maxrss as u64
}

pub(crate) fn getppid() -> u32 {
    rustix::process::getppid().map_or(0, |p| p.as_raw_nonzero().get() as u32)
}

pub(crate) fn users() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw())
}

/// The effective user of this thread.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Leaves the host's working directory, so that it does not stay busy after the host left it.
pub(crate) fn leave_directory() {
    let _ = rustix::process::chdir(c"/");
}

/// Lets a process trace this one where Yama asks for it (prctl(2), PR_SET_PTRACER); 0: no longer.
pub(crate) fn set_tracer(pid: u32) {
    // SAFETY: takes numbers.
    let _ = unsafe { raw(libc::SYS_prctl, [libc::PR_SET_PTRACER as usize, pid as usize, 0, 0, 0, 0]) };
}
