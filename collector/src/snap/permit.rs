//! Whether a process may be looked at, and what is missing where it may not.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;

use super::memory::Memory;
use super::threads;
use crate::session::maps;

/// Why no dump can be taken of a process.
#[derive(Debug, thiserror::Error)]
pub enum NotPossible {
    /// There is no such process (any more).
    #[error("there is no process {0}: `ps -e` lists those that there are")]
    Ended(u32),
    /// It belongs to somebody else.
    #[error(
        "process {pid} runs as user {uid}, and this command does not: run it as that user or as root (CAP_SYS_PTRACE)"
    )]
    OtherUser {
        /// Process.
        pid: u32,
        /// Its user.
        uid: u32,
    },
    /// Yama keeps processes apart.
    #[error("process {pid} may not be looked at (kernel.yama.ptrace_scope is {scope}): {remedy}")]
    Yama {
        /// Process.
        pid: u32,
        /// The setting.
        scope: u32,
        /// What helps.
        remedy: &'static str,
    },
    /// It is not dumpable, or a capability is missing.
    #[error(
        "process {0} may not be looked at: it is not dumpable (it changed its user, or said so), or this is a container without SYS_PTRACE: run as root with CAP_SYS_PTRACE"
    )]
    NotPermitted(u32),
    /// A kernel thread, or a zombie.
    #[error(
        "process {0} has no memory of its own to look at: it is a kernel thread, or it has ended and waits for its parent"
    )]
    NoMemory(u32),
    /// The allocator that was named is not there.
    #[error("process {pid} has no DSO {target:?} mapped: /proc/{pid}/maps lists those that it has")]
    NoTarget {
        /// Process.
        pid: u32,
        /// What was asked for.
        target: String,
    },
    /// Something else.
    #[error("process {pid} could not be looked at: {error}")]
    Other {
        /// Process.
        pid: u32,
        /// The kernel's word.
        error: String,
    },
}

impl NotPossible {
    /// Why a file of `/proc/PID` could not be read.
    pub(super) fn reading(pid: u32, error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(libc::ESRCH)) => NotPossible::Ended(pid),
            (io::ErrorKind::PermissionDenied, _) => refused(pid),
            _ => NotPossible::Other { pid, error: error.to_string() },
        }
    }
}

/// Tries the two things that all of it rests on: maps, and a byte of memory.
///
/// # Errors
/// What is missing.
pub(super) fn check(pid: u32, memory: Memory) -> Result<(), NotPossible> {
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

/// Which of the reasons for EPERM it is.
fn refused(pid: u32) -> NotPossible {
    let own = nix::unistd::geteuid();
    if let Ok(theirs) = fs::metadata(format!("/proc/{pid}"))
        && !own.is_root()
        && theirs.uid() != own.as_raw()
    {
        // A process that is not dumpable shows root as its owner.
        let status = fs::read(format!("/proc/{pid}/status")).ok().and_then(|b| threads::status(&b).ok());
        return match status {
            Some(status) if status.ruid == own.as_raw() => NotPossible::NotPermitted(pid),
            Some(status) => NotPossible::OtherUser { pid, uid: status.ruid },
            None => NotPossible::OtherUser { pid, uid: theirs.uid() },
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
