//! The folder for sockets that other commands of the same user find by themselves.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::files::private;

/// `hangscope` in XDG_RUNTIME_DIR, else `/tmp/hangscope-UID`.
pub(crate) fn path() -> PathBuf {
    given().unwrap_or_else(temporary)
}

/// The same, but in `/tmp` also where XDG_RUNTIME_DIR names a folder that is not there (as after `su`), or
/// whose sockets would have paths of more than `most` bytes with these `more`.
pub(crate) fn usable(more: usize, most: usize) -> PathBuf {
    let is_usable =
        |dir: &PathBuf| dir.parent().is_some_and(Path::is_dir) && dir.as_os_str().len() + more <= most;
    given().filter(is_usable).unwrap_or_else(temporary)
}

fn given() -> Option<PathBuf> {
    let dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty())?;
    Some(PathBuf::from(dir).join("hangscope"))
}

fn temporary() -> PathBuf {
    PathBuf::from(format!("/tmp/hangscope-{}", nix::unistd::geteuid()))
}

/// Makes a folder of mode 0700. Its parent must be there.
///
/// # Errors
/// It cannot be made, or another user could put a socket in it.
pub(crate) fn make(dir: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => private::check(dir).map_err(io::Error::other)?,
    }
    // It is ours, so nobody else changes what it is.
    if std::fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}
