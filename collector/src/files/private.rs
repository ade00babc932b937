//! What hangscope writes is for its user alone: a dump holds pieces of the memory of a process.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::{Mode, umask};

/// The mode mask of before.
static BEFORE: OnceLock<Mode> = OnceLock::new();
/// Whether the group may read.
static GROUP: AtomicBool = AtomicBool::new(false);

/// From now on files of this process and of the tools that it starts are 0600 and folders 0700, whatever the
/// mode mask was. `group`: 0640 and 0750. Call it before the first file, and once.
pub(crate) fn keep(group: bool) {
    let mask = if group { 0o027 } else { 0o077 };
    GROUP.store(group, Ordering::Relaxed);
    let _ = BEFORE.set(umask(Mode::from_bits_truncate(mask)));
}

/// Whether the group may read what is written here.
pub(crate) fn is_for_group() -> bool {
    GROUP.load(Ordering::Relaxed)
}

/// Gives a file that another program made the mode that files have here.
///
/// # Errors
/// Those of fchmod(2).
pub(crate) fn set_mode(file: &File) -> io::Result<()> {
    let mode = if is_for_group() { 0o640 } else { 0o600 };
    file.set_permissions(PermissionsExt::from_mode(mode))
}

/// Restores the mode mask from before [`keep`], for a program of the user's. For a child between fork and
/// exec: one system call, no lock, no heap.
pub(crate) fn give_back() {
    if let Some(mask) = BEFORE.get() {
        umask(*mask);
    }
}

/// A folder in which other users could put a socket of theirs.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    #[error("{} belongs to user {uid}; give a folder of your own", dir.display())]
    Foreign { dir: PathBuf, uid: u32 },
    #[error("{} can be written by other users (mode {mode:04o}); chmod go-w it, or give another folder", dir.display())]
    Open { dir: PathBuf, mode: u32 },
    #[error("{} is a link; give the folder itself", dir.display())]
    Link { dir: PathBuf },
    #[error("cannot look at {}: {source}", dir.display())]
    Unknown { dir: PathBuf, source: io::Error },
}

/// Checks that nobody but this user and root can put a file in a folder, or another folder in its place: it
/// is the user's own, no one else may write to it, and each folder above it that others may write is sticky.
/// A missing folder is what its nearest parent is.
///
/// # Errors
/// [`NotPrivate`] names the folder that is at fault.
pub(crate) fn check(dir: &Path) -> Result<(), NotPrivate> {
    let unknown = |dir: &Path| {
        let dir = dir.to_owned();
        move |source| NotPrivate::Unknown { dir, source }
    };
    let dir = std::path::absolute(dir).map_err(unknown(dir))?;
    let own = nix::unistd::geteuid().as_raw();
    let mut above = PathBuf::new();
    let mut parts = dir.components().peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        if part == Component::ParentDir {
            // Lexically this is another folder than the kernel finds through a link.
            above = std::fs::canonicalize(above.join("..")).map_err(unknown(&dir))?;
            continue;
        }
        above.push(part);
        let meta = match std::fs::symlink_metadata(&above) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(NotPrivate::Unknown { dir: above, source }),
        };
        let (uid, mode) = (meta.uid(), meta.mode() & 0o7777);
        if meta.is_symlink() {
            if last {
                return Err(NotPrivate::Link { dir });
            }
            // Its owner says where it leads.
            if uid != own && uid != 0 {
                return Err(NotPrivate::Foreign { dir: above, uid });
            }
            above = std::fs::canonicalize(&above).map_err(unknown(&dir))?;
            continue;
        }
        if uid != own && (last || uid != 0) {
            return Err(NotPrivate::Foreign { dir: above, uid });
        }
        if mode & 0o022 != 0 && (last || mode & 0o1000 == 0) {
            return Err(NotPrivate::Open { dir: above, mode });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_others_could_use_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let dir = top.path().join(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
            dir
        };
        for mode in [0o700, 0o755, 0o711] {
            assert!(check(&make("own", mode)).is_ok(), "{mode:o}");
        }
        for mode in [0o777, 0o1777, 0o770] {
            assert!(matches!(check(&make("open", mode)), Err(NotPrivate::Open { .. })), "{mode:o}");
        }
        // What somebody else may still replace is refused, however private it is itself.
        make("above", 0o777);
        let below = make("above/own", 0o700);
        assert!(matches!(check(&below), Err(NotPrivate::Open { dir, .. }) if dir.ends_with("above")));
        make("above", 0o1777);
        assert!(check(&below).is_ok(), "a sticky folder keeps what is in it");
        assert!(check(&top.path().join("own/not/there")).is_ok());
        symlink(top.path().join("own"), top.path().join("link")).unwrap();
        assert!(matches!(check(&top.path().join("link")), Err(NotPrivate::Link { .. })));
        assert!(check(&top.path().join("link/x")).is_ok(), "a link of one's own on the way");
        make("own/open", 0o777);
        let through = check(&top.path().join("link/open"));
        assert!(matches!(through, Err(NotPrivate::Open { .. })), "{through:?}");
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root can make a folder of another user");
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let theirs = top.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap();
        for dir in [theirs.clone(), theirs.join("mine")] {
            std::fs::create_dir_all(&dir).unwrap();
            assert!(matches!(check(&dir), Err(NotPrivate::Foreign { uid: 65534, .. })), "{dir:?}");
        }
        let link = top.path().join("link");
        symlink("/", &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        assert!(matches!(check(&link.join("root")), Err(NotPrivate::Foreign { .. })));
    }
}
