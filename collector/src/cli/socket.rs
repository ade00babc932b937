//! Where a standing collector listens by default.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hangscope_protocol::variable;

use crate::files::private;
use crate::launch::runtime_dir;

/// `HANGSCOPE_SOCKET`, else `hangscope/collector.sock` in XDG_RUNTIME_DIR, else
/// `/tmp/hangscope-UID/collector.sock`. The folder of the last two is made here, for this user alone.
///
/// # Errors
/// The folder cannot be made, or another user could put a socket in it.
pub(super) fn default_socket() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(socket) = set(variable::SOCKET) {
        return Ok(socket);
    }
    let dir = runtime_dir::path();
    runtime_dir::make(&dir).with_context(|| format!("{}; give --socket", dir.display()))?;
    Ok(dir.join("collector.sock"))
}

/// Checks that no other user can put a socket in the place of this one.
///
/// # Errors
/// The folder that is at fault.
pub(super) fn check(socket: &Path) -> anyhow::Result<()> {
    let socket = std::path::absolute(socket)?;
    Ok(private::check(socket.parent().unwrap_or(Path::new("/")))?)
}
