//! Where a standing collector listens by default.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hangscope_protocol::variable;

use crate::files::private;

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
    let dir = match set("XDG_RUNTIME_DIR") {
        Some(dir) => dir.join("hangscope"),
        None => PathBuf::from(format!("/tmp/hangscope-{}", nix::unistd::geteuid())),
    };
    own(&dir).with_context(|| format!("{}; give --socket", dir.display()))?;
    Ok(dir.join("collector.sock"))
}

/// Makes a folder of mode 0700.
fn own(dir: &Path) -> anyhow::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e.into()),
        _ => private::check(dir)?,
    }
    // It is ours, so nobody else changes what it is.
    if std::fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Checks that no other user can put a socket in the place of this one.
///
/// # Errors
/// The folder that is at fault.
pub(super) fn check(socket: &Path) -> anyhow::Result<()> {
    let socket = std::path::absolute(socket)?;
    Ok(private::check(socket.parent().unwrap_or(Path::new("/")))?)
}
