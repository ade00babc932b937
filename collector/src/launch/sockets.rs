//! The folder for the sockets of runs, and for links to files that LD_PRELOAD cannot name.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::preload::{self, NotPreloadable};
use crate::files::pin;
use crate::files::private::{self, NotPrivate};
use crate::listen::MAX_PATH;

/// What is added to the folder's path at most: `/` and a name such as `a12_4294967295`.
const NAME: usize = 15;
/// What tempfile adds to the temporary folder's path: `/hangscope-` and six letters.
const OWN: usize = 17;

/// A folder of mode 0700. A temporary one is removed on drop.
#[derive(Debug)]
pub(crate) struct SocketDir {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadSocketDir {
    #[error(
        "a socket in it has a path of {len} bytes, the system takes at most {MAX_PATH}; give a shorter one"
    )]
    TooLong { len: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
}

impl SocketDir {
    /// The user's own folder, absolute, made if it does not exist.
    pub(crate) fn at(path: PathBuf) -> Result<SocketDir, BadSocketDir> {
        let len = path.as_os_str().len() + NAME;
        if len > MAX_PATH {
            return Err(BadSocketDir::TooLong { len });
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        private::check(&path)?;
        Ok(SocketDir { path, _temporary: None })
    }

    /// A new folder in TMPDIR; in /tmp if the path there is too long for a socket, or LD_PRELOAD cannot hold
    /// it.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn temporary() -> io::Result<SocketDir> {
        let fits =
            |dir: &Path| dir.as_os_str().len() + OWN + NAME <= MAX_PATH && preload::value([dir]).is_ok();
        let dir = std::env::temp_dir();
        let dir = if fits(&dir) { dir } else { PathBuf::from("/tmp") };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let temporary = tempfile::Builder::new().prefix("hangscope-").permissions(mode).tempdir_in(&dir);
        let temporary = temporary.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", dir.display())))?;
        private::check(temporary.path()).map_err(io::Error::other)?;
        Ok(SocketDir { path: temporary.path().to_owned(), _temporary: Some(temporary) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The path, or a link to it in the folder `links` if LD_PRELOAD cannot hold the path. The loader maps the
/// file behind the link, so /proc/PID/maps shows the path itself.
///
/// # Errors
/// [`NotPreloadable`] if no link could be made either.
pub(crate) fn preloadable(path: &Path, links: &Path) -> Result<PathBuf, NotPreloadable> {
    let Err(bad) = preload::value([path]) else { return Ok(path.to_owned()) };
    let digest = pin::sha1_hex(path.as_os_str().as_encoded_bytes());
    let link = links.join(format!("{}.so", digest.get(..16).unwrap_or(&digest)));
    match std::os::unix::fs::symlink(path, &link) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(bad),
        _ => Ok(link),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_folder_is_private_and_its_sockets_fit() {
        let dir = SocketDir::temporary().unwrap();
        assert_eq!(std::fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
        assert!(dir.path().as_os_str().len() + NAME <= MAX_PATH);
        let (gone, parent) = (dir.path().to_owned(), tempfile::tempdir().unwrap());
        drop(dir);
        assert!(!gone.exists());
        let named = parent.path().join("a/b");
        assert_eq!(SocketDir::at(named.clone()).unwrap().path(), named);
        assert!(named.exists(), "a folder of the user's own stays");
        let long = parent.path().join("x".repeat(MAX_PATH));
        assert!(matches!(SocketDir::at(long), Err(BadSocketDir::TooLong { .. })));
    }

    #[test]
    fn a_path_that_ld_preload_cannot_hold_gets_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("x.so");
        assert_eq!(preloadable(&plain, dir.path()).unwrap(), plain);
        let spaced = dir.path().join("a b.so");
        let link = preloadable(&spaced, dir.path()).unwrap();
        assert_eq!(std::fs::read_link(&link).unwrap(), spaced);
        assert_eq!(preloadable(&spaced, dir.path()).unwrap(), link, "the same link again");
        assert!(preloadable(&spaced, &dir.path().join("none")).is_err());
    }
}
