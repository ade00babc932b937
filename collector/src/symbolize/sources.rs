//! Where names may come from.

use std::path::PathBuf;
use std::time::Duration;

use super::debuginfod::Debuginfod;
use super::kept::KeptNames;
use crate::session::lists::ListHeads;

/// Where names may come from, besides the files at the mapped paths.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The allocator's bytes from the start of the process: the saved memfd copy. It is used if the file
    /// at the path is gone or is not the mapped one.
    pub allocator_copy: Option<PathBuf>,
    /// Further copies, for example the pinned one. Each is used for the DSO with the same build-id.
    pub copies: Vec<PathBuf>,
    /// Folders with separate debug files, as in gdb's `debug-file-directory`.
    pub debug_dirs: Vec<PathBuf>,
    /// The process, if it still runs here. Files that only the process can see (another mount namespace,
    /// removed files) are then read through it.
    pub live_pid: Option<u32>,
    /// The dump was taken on this machine since its last boot, so the kernel's own DSO is the same.
    pub same_boot: bool,
    /// Names that earlier dumps asked for.
    pub kept: KeptNames,
    /// Where the allocator keeps the heads of its lists.
    pub lists: Vec<ListHeads>,
    /// Servers that are asked for debug files. None in a capture: a server may not answer.
    pub debuginfod: Option<Debuginfod>,
    /// Time limit for everything. What is not done by then has no names, and a note says so.
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
            kept: KeptNames::default(),
            lists: vec![],
            debuginfod: None,
            budget: Duration::from_secs(20),
        }
    }
}
