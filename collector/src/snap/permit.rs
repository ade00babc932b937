//! Whether a process may be looked at; if not, which right is missing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use hangscope_reader::status::Status;
use nix::errno::Errno;

use super::memory::ProcessMemory;
use crate::session::maps;

/// Why no dump can be taken of a process.
#[derive(Debug, thiserror::Error)]
pub enum NotPossible {
    #[error("there is no process {0}: `ps -e` lists those that there are")]
    Ended(u32),
    #[error(
        "process {pid} runs as user {uid}, and this command does not: run it as that user or as root (CAP_SYS_PTRACE)"
    )]
    OtherUser { pid: u32, uid: u32 },
    /// The Yama module of the kernel forbids it. `scope` is the setting.
    #[error("process {pid} may not be looked at (kernel.yama.ptrace_scope is {scope}): {remedy}")]
    Yama { pid: u32, scope: u32, remedy: &'static str },
    #[error(
        "process {0} may not be looked at: it is not dumpable (it changed its user, or said so), or this is a container without SYS_PTRACE: run as root with CAP_SYS_PTRACE"
    )]
    NotPermitted(u32),
    #[error(
        "process {0} has no memory of its own to look at: it is a kernel thread, or it has ended and waits for its parent"
    )]
    NoMemory(u32),
    /// `target` is not mapped.
    #[error("process {pid} has no DSO {target:?} mapped: /proc/{pid}/maps lists those that it has")]
    NoTarget { pid: u32, target: String },
    /// `error` is the text of an errno.
    #[error("process {pid} could not be looked at: {error}")]
    Other { pid: u32, error: String },
}

impl NotPossible {
    /// From the error of reading a file of `/proc/PID`.
    pub(super) fn reading(pid: u32, error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(libc::ESRCH)) => NotPossible::Ended(pid),
            (io::ErrorKind::PermissionDenied, _) => refused(pid),
            _ => NotPossible::Other { pid, error: error.to_string() },
        }
    }
}

/// Tries what a dump needs: to read maps, and a byte of memory.
///
/// # Errors
/// Which right is missing.
pub(super) fn check(pid: u32, memory: &ProcessMemory) -> Result<(), NotPossible> {
    let bytes =
        fs::read(format!("/proc/{}/maps", memory.tid())).map_err(|e| NotPossible::reading(pid, &e))?;
    let Some(first) = maps::parse(&bytes).into_iter().find(|m| m.read) else {
        return Err(NotPossible::NoMemory(pid));
    };
    match memory.up_to(first.start, 1) {
        Ok(_) => Ok(()),
        Err(Errno::ESRCH) => Err(NotPossible::Ended(pid)),
        Err(Errno::EPERM | Errno::EACCES) => Err(refused(pid)),
        Err(e) => Err(NotPossible::Other { pid, error: e.desc().to_owned() }),
    }
}

/// The reason for EPERM.
fn refused(pid: u32) -> NotPossible {
    let own = nix::unistd::geteuid();
    if let Ok(theirs) = fs::metadata(format!("/proc/{pid}"))
        && !own.is_root()
        && theirs.uid() != own.as_raw()
    {
        // The owner of `/proc/PID` is root for a process that is not dumpable.
        let status = fs::read(format!("/proc/{pid}/status")).ok();
        let uid = status.and_then(|status| Status(&status).users()).map_or(theirs.uid(), |[real, ..]| real);
        return if uid == own.as_raw() {
            NotPossible::NotPermitted(pid)
        } else {
            NotPossible::OtherUser { pid, uid }
        };
    }
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    match scope.ok().and_then(|s| s.trim().parse().ok()) {
        Some(scope @ 1) if !own.is_root() => NotPossible::Yama {
            pid,
            scope,
            remedy: "run as root, or `sysctl kernel.yama.ptrace_scope=0` for the time being",
        },
        Some(scope @ 2) => NotPossible::Yama { pid, scope, remedy: "run as root (CAP_SYS_PTRACE)" },
        Some(scope @ 3..) => NotPossible::Yama {
            pid,
            scope,
            remedy: "nobody may until the next boot; start the program under `hangscope hunt` or `hangscope env`",
        },
        _ => NotPossible::NotPermitted(pid),
    }
}
