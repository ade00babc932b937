//! How a process is started under the shim.
//!
//! - [`preload`]: values of LD_PRELOAD
//! - [`settings`]: the shim's settings, applied to a command
//! - [`follow`]: what is preloaded into a command, and follows into what that starts
//! - [`shim_path`]: where the shim is
//! - [`program`], [`cpus`]: which word of the command is the benchmark; which CPUs it may use
//! - [`cpu_sets`]: CPUs cut into sets, for runs side by side
//! - [`mod@bench`]: the processes of a run: started, waited for, stopped together; [`members`]: how they are
//!   found
//! - [`census`]: which programs a run has, as /proc shows them
//! - [`runner`]: a command that a standing collector follows; [`chain`]: which programs it started
//! - [`sockets`]: the folder for the sockets of runs
//! - [`descriptors`]: the limit of open files

pub(crate) mod bench;
pub(crate) mod census;
pub(crate) mod chain;
pub(crate) mod cpu_sets;
pub(crate) mod cpus;
pub(crate) mod descriptors;
pub(crate) mod follow;
pub(crate) mod members;
pub(crate) mod preload;
pub(crate) mod program;
pub(crate) mod runner;
pub(crate) mod runtime_dir;
pub(crate) mod settings;
pub(crate) mod shim_path;
pub(crate) mod sockets;
