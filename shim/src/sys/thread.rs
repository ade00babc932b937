//! The watchdog's thread: its start, its descriptors, its end.

use rustix::thread::UnshareFlags;

use super::raw::{Errno, raw};
use crate::arch;

/// Ends this thread, not the process. The last thread of a process gives the process its exit status.
pub(crate) fn exit_thread(status: u8) -> ! {
    loop {
        // SAFETY: exit takes no pointer and does not return.
        let _ = unsafe { raw(libc::SYS_exit, [status.into(), 0, 0, 0, 0, 0]) };
    }
}

/// Starts the watchdog's thread. The thread shares memory and signal handlers. It also shares the
/// descriptor table until its first act, [`own_descriptors`]. It does not share the file system context:
/// the host may change directory or root, and may need to be the only user of its own (setns(2)).
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

/// Gives this thread an empty descriptor table of its own. Since Linux 5.9 this is one step (close_range(2)),
/// so the host's descriptors are never held twice, not even for a moment. With `keep_stderr`
/// (HANGSCOPE_DEBUG) the table keeps descriptor 2.
pub(crate) fn own_descriptors(keep_stderr: bool) -> Result<(), Errno> {
    const CLOSE_RANGE_UNSHARE: usize = 2;
    let first = if keep_stderr { 3 } else { 0 };
    // SAFETY: no pointers. The table that is closed is this thread's own copy.
    if unsafe { raw(libc::SYS_close_range, [first, u32::MAX as usize, CLOSE_RANGE_UNSHARE, 0, 0, 0]) }.is_ok()
    {
        if keep_stderr {
            // SAFETY: as above.
            let _ = unsafe { raw(libc::SYS_close_range, [0, 1, 0, 0, 0, 0]) };
        }
        return Ok(());
    }
    // SAFETY: this thread has made no descriptor yet, and none of its descriptors is used by another thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) }?;
    for fd in (0..65536).filter(|fd| !keep_stderr || *fd != 2) {
        // SAFETY: after unshare this closes only in this thread's own table, where nothing is ours yet.
        unsafe { rustix::io::close(fd) }
    }
    Ok(())
}

/// The list of robust locks that libc registered for a thread of this process (get_robust_list(2)).
pub(crate) fn robust_list(tid: u32) -> Result<u64, Errno> {
    let (mut head, mut len) = (0u64, 0usize);
    let args = [tid as usize, &raw mut head as usize, &raw mut len as usize, 0, 0, 0];
    // SAFETY: the kernel writes two words, which are live.
    unsafe { raw(libc::SYS_get_robust_list, args) }?;
    Ok(head)
}
