//! The limit of open files: raised for this process, and given back to what it starts.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// As it was before it was raised: soft and hard.
static BEFORE: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// Raises the soft limit to the hard one. Each watched process takes a few descriptors here; the limit is often 1024.
pub(crate) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        // Before it is raised: no child may be started with a limit that is not its own.
        let _ = BEFORE.set((soft, hard));
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    });
    if let Err(error) = raised {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}

/// Gives its caller the limit from before [`raise`], if that was called. For a child between fork and exec: one system
/// call, no lock and no heap.
///
/// # Errors
/// What the system says.
pub(crate) fn give_back() -> std::io::Result<()> {
    match BEFORE.get() {
        Some((soft, hard)) => Ok(setrlimit(Resource::RLIMIT_NOFILE, *soft, *hard)?),
        None => Ok(()),
    }
}
