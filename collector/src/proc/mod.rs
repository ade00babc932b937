//! A live process, seen through `/proc` and a pidfd.
//!
//! - [`task`]: the thread through which the memory and files of a process can be read
//! - [`pidfd`]: a descriptor that means one process
//! - [`ending`]: how a process ended that is not our child
//! - [`sockets`]: where a process listens
//! - [`sysconf`]: clock ticks and pages

pub(crate) mod ending;
pub(crate) mod pidfd;
pub(crate) mod sockets;
pub(crate) mod sysconf;
pub(crate) mod task;
