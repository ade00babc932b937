//! The limit of open files: raised for this process, restored for its children.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// The limits before they were raised: soft and hard.
static BEFORE: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// Raises the soft limit to the hard one. Each watched process takes a few descriptors; the soft limit is
/// often 1024.
pub(crate) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        // Before the limit is raised, so that no child starts with the raised one.
        let _ = BEFORE.set((soft, hard));
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    });
    if let Err(error) = raised {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}

/// Restores the limit from before [`raise`]. For a child between fork and exec: one system call, no lock, no
/// heap.
///
/// # Errors
/// `setrlimit` failed.
pub(crate) fn give_back() -> std::io::Result<()> {
    match BEFORE.get() {
        Some((soft, hard)) => Ok(setrlimit(Resource::RLIMIT_NOFILE, *soft, *hard)?),
        None => Ok(()),
    }
}
