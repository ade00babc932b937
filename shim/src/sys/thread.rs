//! System calls about threads: signals, the watchdog's start and end, its descriptors, its credentials.

use super::{Errno, raw, users};
use crate::arch;

/// Ends this thread, not the process.
pub(crate) fn exit_thread() -> ! {
    loop {
        // SAFETY: exit takes no pointer and does not return.
        let _ = unsafe { raw(libc::SYS_exit, [0; 6]) };
    }
}

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

/// Starts the watchdog's thread: shares memory and signal handlers, and for the moment the descriptor table,
/// which it leaves with [`own_descriptors`] before anything else. Not the file system context: the host may
/// change directory or root, and may want to be the only user of its own (setns(2)).
///
/// # Safety
/// As [`arch::clone_thread`].
pub(crate) unsafe fn start_thread(
    stack_top: *mut u8,
    tls: *mut u8,
    entry: extern "C" fn(*mut u8),
    arg: *mut u8,
) -> Result<u32, Errno> {
    let flags = libc::CLONE_VM
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS;
    // SAFETY: passed on to the caller.
    let tid = unsafe { arch::clone_thread(flags as usize, stack_top, tls, entry, arg) };
    if tid < 0 { Err(Errno::from_raw_os_error(-tid as i32)) } else { Ok(tid as u32) }
}

/// Gives this thread an empty descriptor table of its own. In one step where the kernel can (close_range(2),
/// Linux 5.9): the host's descriptors are then never held twice, not even for a moment.
pub(crate) fn own_descriptors() -> Result<(), Errno> {
    const CLOSE_RANGE_UNSHARE: usize = 2;
    // SAFETY: no pointers; the table that is closed is this thread's own copy.
    if unsafe { raw(libc::SYS_close_range, [0, u32::MAX as usize, CLOSE_RANGE_UNSHARE, 0, 0, 0]) }.is_ok() {
        return Ok(());
    }
    // SAFETY: no pointers.
    unsafe { raw(libc::SYS_unshare, [libc::CLONE_FILES as usize, 0, 0, 0, 0, 0]) }?;
    for fd in 0..65536 {
        // SAFETY: after unshare this closes only in this thread's own table, where nothing is ours yet.
        let _ = unsafe { raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
    }
    Ok(())
}

/// Leaves the host's working directory, so that it does not stay busy after the host left it.
pub(crate) fn leave_directory() {
    let _ = rustix::process::chdir(c"/");
}

/// PR_GET_DUMPABLE.
pub(crate) fn dumpable() -> usize {
    // SAFETY: no pointers.
    unsafe { raw(libc::SYS_prctl, [libc::PR_GET_DUMPABLE as usize, 0, 0, 0, 0, 0]) }.unwrap_or(0)
}

/// PR_SET_DUMPABLE, 0 or 1.
pub(crate) fn set_dumpable(value: usize) {
    // SAFETY: no pointers.
    let _ = unsafe { raw(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, value, 0, 0, 0, 0]) };
}

pub(crate) fn set_no_new_privileges() {
    // SAFETY: no pointers.
    let _ = unsafe { raw(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0, 0]) };
}

/// Drops a capability from this thread's bounding set.
pub(crate) fn drop_bounding(capability: u32) {
    // SAFETY: no pointers.
    let _ =
        unsafe { raw(libc::SYS_prctl, [libc::PR_CAPBSET_DROP as usize, capability as usize, 0, 0, 0, 0]) };
}

/// Supplementary groups of this thread alone (the raw call, not libc's, which speaks for all threads).
pub(crate) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the list is live and as long as is said.
    unsafe { raw(libc::SYS_setgroups, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Real, effective, saved and file system group of this thread alone.
pub(crate) fn set_gids(ids: &[u32; 4]) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        raw(libc::SYS_setresgid, [ids[0] as usize, ids[1] as usize, ids[2] as usize, 0, 0, 0])?;
        raw(libc::SYS_setfsgid, [ids[3] as usize, 0, 0, 0, 0, 0]).map(|_| ())
    }
}

/// Real, effective, saved and file system user of this thread alone.
pub(crate) fn set_uids(ids: &[u32; 4]) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        raw(libc::SYS_setresuid, [ids[0] as usize, ids[1] as usize, ids[2] as usize, 0, 0, 0])?;
        raw(libc::SYS_setfsuid, [ids[3] as usize, 0, 0, 0, 0, 0]).map(|_| ())
    }
}

/// Capabilities of this thread (capset(2), version 3: two words of each, low halves first).
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [
        low(effective),
        low(permitted),
        low(inheritable),
        high(effective),
        high(permitted),
        high(inheritable),
    ];
    // SAFETY: both are live and of the sizes that version 3 has.
    unsafe { raw(libc::SYS_capset, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }
        .map(|_| ())
}
