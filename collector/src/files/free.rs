//! Free space of a disk. Large files leave some of it: the small files that come after them say more.

use std::io;
use std::path::Path;

use super::atomic::{self, WriteError};
use crate::text::escape;

/// What large files leave free for small ones, bytes; an eighth of a smaller disk.
const FOR_SMALL_FILES: u64 = 256 << 10;
/// Free space of a disk that nothing of ours fills soon, bytes.
const PLENTY: u64 = 64 << 20;

/// Free bytes for this user, and all bytes; none if it is not known, or has no limit.
fn space(dir: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    (disk.f_blocks > 0).then(|| (bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

/// Whether the disk of a folder has room for so many bytes, and for all that will follow soon.
pub(crate) fn is_plenty(dir: &Path, bytes: u64) -> bool {
    space(dir).is_none_or(|(free, _)| free >= bytes.saturating_add(PLENTY))
}

/// Whether a file of so many bytes leaves room for small files.
fn leaves_room(dir: &Path, bytes: u64) -> bool {
    space(dir).is_none_or(|(free, all)| free >= bytes.saturating_add(FOR_SMALL_FILES.min(all / 8)))
}

/// Writes a large file, as [`atomic::write`], if it leaves room for small ones.
///
/// # Errors
/// [`WriteError`]; for want of room, too. After it, the old file is still there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    check(path, bytes.len() as u64)?;
    atomic::write(path, bytes)
}

/// The same for a page, with [`escape::lines`]. It says nothing that the small files do not.
///
/// # Errors
/// As [`write()`].
pub(crate) fn write_page(path: &Path, text: &str) -> Result<(), WriteError> {
    write(path, escape::lines(text).as_bytes())
}

/// Whether a file of so many bytes may be written at this path.
///
/// # Errors
/// [`io::ErrorKind::StorageFull`].
pub(crate) fn check(path: &Path, bytes: u64) -> Result<(), WriteError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if leaves_room(dir, bytes) {
        return Ok(());
    }
    let source = io::Error::from_raw_os_error(libc::ENOSPC);
    Err(WriteError { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_leaves_no_room_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.bin");
        write(&path, b"fits").unwrap();
        let error = check(&path, u64::MAX).unwrap_err();
        assert!(error.is_full() && error.to_string().contains("make room"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"fits");
        assert!(!is_plenty(dir.path(), u64::MAX) && !is_plenty(dir.path(), space(dir.path()).unwrap().0));
        assert!(is_plenty(Path::new("/nowhere"), u64::MAX), "what is not known stops nobody");
    }
}
