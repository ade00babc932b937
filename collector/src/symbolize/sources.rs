//! Where names may come from.

use std::path::PathBuf;
use std::time::Duration;

/// Where names may come from, beside the files at the paths that were mapped.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The allocator's bytes as they were when the process started: the memfd copy, saved. Used where the file
    /// at its path is gone or is not the one that was mapped.
    pub allocator_copy: Option<PathBuf>,
    /// Further copies (the pinned one); each is used for the DSO whose build-id it has.
    pub copies: Vec<PathBuf>,
    /// Where separate debug files are, as gdb's `debug-file-directory`.
    pub debug_dirs: Vec<PathBuf>,
    /// The process, if it still runs here: then files can be had that only it still sees (another mount
    /// namespace, removed files).
    pub live_pid: Option<u32>,
    /// The dump was taken on this machine since it was started, so that the kernel's own DSO is the same.
    pub same_boot: bool,
    /// Time that all of it may take; what is not done by then is left without names, and said so.
    pub budget: Duration,
}

impl Default for Sources {
    fn default() -> Self {
        Sources {
            allocator_copy: None,
            copies: vec![],
            debug_dirs: vec![PathBuf::from("/usr/lib/debug")],
            live_pid: None,
            same_boot: false,
            budget: Duration::from_secs(20),
        }
    }
}
