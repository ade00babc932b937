//! How a process is started under the shim.
//!
//! - [`preload`]: LD_PRELOAD and the settings of the shim
//! - [`shim_path`]: where the shim is
//! - [`program`], [`cpus`]: which word of the command is the benchmark; which processors it may use
//! - [`bench`]: a run as processes: started, waited for, stopped whole
//! - [`descriptors`]: the limit of open files

pub(crate) mod bench;
pub(crate) mod cpus;
pub(crate) mod descriptors;
pub(crate) mod preload;
pub(crate) mod program;
pub(crate) mod shim_path;
