//! A live process, seen through `/proc` and a pidfd.
//!
//! - [`task`]: the thread through which the memory and files of a process can be read
//! - [`pidfd`]: a descriptor that means one process
//! - [`clock`]: when a program began
//! - [`ending`]: how a process ended that is not our child
//! - [`sockets`]: where a process listens
//! - [`sysconf`]: clock ticks and pages
//! - [`namespace`]: thread ids in the process's own PID namespace
//! - [`pages`], [`slow`]: memory that may never come, read with a time limit

pub(crate) mod clock;
pub(crate) mod ending;
pub(crate) mod namespace;
pub(crate) mod pages;
pub(crate) mod pidfd;
pub(crate) mod slow;
pub(crate) mod sockets;
pub(crate) mod sysconf;
pub(crate) mod task;
