//! A descriptor that means one process, and no later process with the same id. nix has neither of the two
//! calls, rustix has both.

use std::io;
use std::os::fd::OwnedFd;

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

/// Fails with ESRCH if there is no such process, and with EMFILE or ENFILE if no descriptor is free.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Fails with ESRCH if the process has ended, and with EPERM if it belongs to another user.
pub(crate) fn send(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    Ok(pidfd_send_signal(pidfd, signal)?)
}
