//! Signals, by raw system calls. The host may have taken over libc's functions.

use super::process::{gettid, users};
use super::raw::{Errno, raw};

/// A signal set as the kernel has it: bit n-1 is signal n.
const SIGSET_BYTES: usize = 8;

/// Sets this thread's mask of blocked signals and gives the old one.
pub(crate) fn set_signal_mask(mask: u64) -> Result<u64, Errno> {
    let mut old = 0u64;
    let args =
        [libc::SIG_SETMASK as usize, &raw const mask as usize, &raw mut old as usize, SIGSET_BYTES, 0, 0];
    // SAFETY: both sets are live words of the size that is given.
    unsafe { raw(libc::SYS_rt_sigprocmask, args) }?;
    Ok(old)
}

/// The kernel's `struct sigaction` (not libc's).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KernelAction {
    pub(crate) handler: usize,
    pub(crate) flags: u64,
    pub(crate) restorer: usize,
    pub(crate) mask: u64,
}

/// Reads, and with `new` sets, what a signal does.
///
/// # Safety
/// A handler in `new` must be safe to run on any thread of the process at any instruction.
pub(crate) unsafe fn action(signal: u32, new: Option<&KernelAction>) -> Result<KernelAction, Errno> {
    let mut old = KernelAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    let new = new.map_or(0, |n| core::ptr::from_ref(n) as usize);
    // SAFETY: both structures are the kernel's own layout and live; the handler is the caller's promise.
    unsafe {
        raw(libc::SYS_rt_sigaction, [signal as usize, new, &raw mut old as usize, SIGSET_BYTES, 0, 0])
    }?;
    Ok(old)
}

/// Sends `signal` with `value` to one thread of this process.
pub(crate) fn queue_signal(pid: u32, tid: u32, signal: u32, value: u64) -> Result<(), Errno> {
    // siginfo_t as rt_tgsigqueueinfo(2) wants it: si_signo, si_errno, si_code, then (8-aligned) si_pid,
    // si_uid, si_value.
    let mut info = [0u64; 16];
    info[0] = u64::from(signal);
    info[1] = u64::from(libc::SI_QUEUE as u32);
    info[2] = u64::from(pid) | u64::from(users().0) << 32;
    info[3] = value;
    let args = [pid as usize, tid as usize, signal as usize, info.as_ptr() as usize, 0, 0];
    // SAFETY: `info` is 128 bytes, the size of a siginfo_t, and only read.
    unsafe { raw(libc::SYS_rt_tgsigqueueinfo, args) }.map(|_| ())
}

/// Ends the process by a signal, whatever the program wants done with it. Only for its last thread. Comes
/// back if the signal does not end it.
pub(crate) fn end_by_signal(signal: u32) {
    let default = KernelAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: no handler. SIGKILL is refused, and needs none.
    let _ = unsafe { action(signal, Some(&default)) };
    let _ = set_signal_mask(!(1 << (signal - 1)));
    let process = rustix::process::getpid().as_raw_nonzero().get() as usize;
    // SAFETY: takes numbers.
    let _ = unsafe { raw(libc::SYS_tgkill, [process, gettid() as usize, signal as usize, 0, 0, 0]) };
}

/// Words of the kernel's `siginfo_t`: 128 bytes.
pub(crate) const SIGINFO_WORDS: usize = 16;

/// Sends this thread a signal as it came, with all that the kernel or a sender said of it. A process may give its
/// own signals any `si_code` (rt_tgsigqueueinfo(2)).
pub(crate) fn send_again(signal: u32, info: &[u64; SIGINFO_WORDS]) -> Result<(), Errno> {
    let process = rustix::process::getpid().as_raw_nonzero().get() as usize;
    let args = [process, gettid() as usize, signal as usize, info.as_ptr() as usize, 0, 0];
    // SAFETY: `info` is 128 bytes, the size of a siginfo_t, and only read.
    unsafe { raw(libc::SYS_rt_tgsigqueueinfo, args) }.map(|_| ())
}
