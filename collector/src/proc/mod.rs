//! A live process, seen through `/proc` and a pidfd.
//!
//! - [`task`]: the thread through which the memory and files of a process can be read
//! - [`ending`]: how a process ended that is not our child

pub(crate) mod ending;
pub(crate) mod task;
