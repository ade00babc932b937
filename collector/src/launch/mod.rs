//! How a process is started under the shim.
//!
//! - [`preload`]: LD_PRELOAD and the settings of the shim
//! - [`shim_path`]: where the shim is
//! - [`program`], [`cpus`]: which word of the command is the benchmark; which processors it may use
//! - [`bench`]: a run as processes: started, waited for, stopped whole
//! - [`descriptors`]: the limit of open files

pub mod bench;
pub mod cpus;
pub mod descriptors;
pub mod preload;
pub mod program;
pub mod shim_path;
