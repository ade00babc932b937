//! Folders that hangscope fills: nothing below them is reached through a link. Somebody else may have put a
//! link there, where the folder is shared or was made by another program.
//!
//! A file is reached by a descriptor of its folder, which `openat2` found below the user's own folder
//! (RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, openat2(2)). Its name in that folder is never followed.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

/// The claimed folders, absolute.
static CLAIMED: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

/// From now on nothing below `out` is reached through a link. `out` itself may be one, the user's own.
pub(crate) fn claim(out: &Path) {
    if let Ok(out) = std::path::absolute(out) {
        CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).push(out);
    }
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// The folder that a file is in, with the file's name.
    ///
    /// # Errors
    /// It does not exist, or is reached through a link that may be somebody else's (ELOOP).
    pub(crate) fn of(path: &Path) -> io::Result<(Folder, &OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok((Folder::at(parent)?, name))
    }

    /// The folder at a path.
    ///
    /// # Errors
    /// As [`Folder::of`].
    pub(crate) fn at(dir: &Path) -> io::Result<Folder> {
        let dir = std::path::absolute(dir)?;
        let (root, below) = split(&dir);
        let root = Folder(rustix::fs::openat(CWD, root, FOLDER, Mode::empty())?);
        if below.as_os_str().is_empty() { Ok(root) } else { root.below(below) }
    }

    fn below(&self, relative: &Path) -> io::Result<Folder> {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.0, relative, FOLDER, Mode::empty(), beneath) {
            // Before Linux 5.6, or refused by a filter.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => self.step_by_step(relative),
            opened => Ok(Folder(opened?)),
        }
    }

    fn step_by_step(&self, relative: &Path) -> io::Result<Folder> {
        let mut at = Folder(self.0.try_clone()?);
        for part in relative.components() {
            let std::path::Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            at = Folder(rustix::fs::openat(&at.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?);
        }
        Ok(at)
    }

    /// A path of the folder in this process, through its descriptor. It is the same folder whatever happens
    /// to the names on the way to it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The claimed folder that a path is in, and the rest of the path. For any other path: itself.
fn split(path: &Path) -> (&Path, &Path) {
    let claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    let root = claimed.iter().filter(|root| path.starts_with(root)).max_by_key(|root| root.as_os_str().len());
    let below = root.and_then(|root| path.strip_prefix(root).ok());
    let Some(below) = below else { return (path, Path::new("")) };
    let root = path.ancestors().nth(below.components().count()).unwrap_or(path);
    (root, below)
}

/// Makes a folder and all folders above it.
///
/// # Errors
/// Also where something else has its name.
pub(crate) fn make(dir: &Path) -> io::Result<()> {
    let dir = std::path::absolute(dir)?;
    let (root, below) = split(&dir);
    std::fs::create_dir_all(root)?;
    let mut at = Folder::at(root)?;
    for part in below.components() {
        let name = Path::new(part.as_os_str());
        match rustix::fs::mkdirat(&at.0, name, Mode::from_raw_mode(0o777)) {
            Err(rustix::io::Errno::EXIST) | Ok(()) => at = at.below(name)?,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Opens a file for writing with these options. It is a plain file, and no link.
///
/// # Errors
/// Also where the name is a link, a pipe, a device or a folder.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let (folder, name) = Folder::of(path)?;
    // A pipe without a reader would block.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(folder.path().join(name))?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no plain file")),
    }
}

/// Opens a new or emptied file for writing, as [`open`].
///
/// # Errors
/// As [`open`].
pub(crate) fn create(path: &Path) -> io::Result<File> {
    open(path, File::options().write(true).create(true).truncate(true))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_below_a_claimed_folder_is_reached_through_a_link() {
        let top = tempfile::tempdir().unwrap();
        let (out, elsewhere) = (top.path().join("out"), top.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).unwrap();
        // The folder itself may be a link.
        std::fs::create_dir(top.path().join("real")).unwrap();
        symlink("real", &out).unwrap();
        claim(&out);
        make(&out.join("a/b")).unwrap();
        create(&out.join("a/b/x")).unwrap();
        symlink(&elsewhere, out.join("planted")).unwrap();
        symlink(elsewhere.join("file"), out.join("a/file")).unwrap();
        let refused = |done: io::Result<()>| assert!(done.is_err());
        refused(make(&out.join("planted")));
        refused(make(&out.join("planted/c")));
        refused(create(&out.join("planted/file")).map(drop));
        refused(create(&out.join("a/file")).map(drop));
        refused(Folder::at(&out.join("planted")).map(drop));
        refused(Folder::at(&out).unwrap().step_by_step(Path::new("planted")).map(drop));
        assert!(Folder::at(&out).unwrap().step_by_step(Path::new("a/b")).is_ok());
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_plain_file_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for bad in [&pipe, dir.path()] {
            assert!(create(bad).is_err(), "{bad:?}");
        }
    }
}
