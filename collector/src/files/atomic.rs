//! Files are written whole or not at all: a temporary file is written in the same folder, then renamed.
//! After a full disk or a kill, the old file is still there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::folder::{self, Folder};
use crate::text::escape;

/// How the names of files begin that are not whole yet.
pub(crate) const TEMPORARY: &str = ".hangscope-";

/// A file could not be written. No half-written file is left.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}{}", path.display(), remedy(source))]
pub struct WriteError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl WriteError {
    /// The error and its remedy, without the path.
    pub(crate) fn reason(&self) -> String {
        format!("{}{}", self.source, remedy(&self.source))
    }

    /// Whether the disk has no room, or the user's share of it is used up.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room, or give another --out",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; give another --out",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "; a file is in the way",
        _ => "",
    }
}

/// Writes `bytes` to `path`, with the mode that files have here. After an error, the old file is still there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_with(path, WRITABLE, |file| file.write_all(bytes))
}

/// The same for a text with names of the process in it.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), WriteError> {
    write(path, escape::lines(text).as_bytes())
}

/// Mode of a file, before the mask.
pub(crate) const WRITABLE: u32 = 0o666;
/// The same for a file that nobody changes: a pinned copy.
pub(crate) const READ_ONLY: u32 = 0o444;

/// Writes `path` through `fill`, then renames the file into place. After an error, also one of `fill`,
/// the old file is still there. `mode` is [`WRITABLE`] or [`READ_ONLY`].
pub(crate) fn write_with(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> Result<(), WriteError> {
    let fail = |source| WriteError { path: path.to_owned(), source };
    let (folder, name) = Folder::of(path).map_err(fail)?;
    let mut beside = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(mode | 0o200))
        .tempfile_in(folder.path())
        .map_err(fail)?;
    fill(beside.as_file_mut()).map_err(fail)?;
    if mode & 0o200 == 0 {
        let mut read_only = beside.as_file().metadata().map_err(fail)?.permissions();
        read_only.set_readonly(true);
        beside.as_file().set_permissions(read_only).map_err(fail)?;
    }
    beside.persist(folder.path().join(name)).map_err(|e| fail(e.error))?;
    Ok(())
}

/// Writes a value as indented JSON with a newline at the end.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), WriteError> {
    let mut bytes = escape::json(value, escape::Json::pretty())
        .map_err(|e| WriteError { path: path.to_owned(), source: e.into() })?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Makes a folder and all folders above it.
pub(crate) fn make_dir(path: &Path) -> Result<(), WriteError> {
    folder::make(path).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Appends lines to a file. Each [`Lines::push`] is one write, so a reader never sees half a line unless
/// the disk is full.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: fs::File,
}

impl Lines {
    /// Opens or creates `path` for appending.
    pub(crate) fn open(path: &Path) -> Result<Lines, WriteError> {
        let file = folder::open(path, fs::File::options().append(true).create(true));
        let file = file.map_err(|source| WriteError { path: path.to_owned(), source })?;
        Ok(Lines { path: path.to_owned(), file })
    }

    /// Appends `line` and a newline. If the disk is full, the part that was written is removed again.
    pub(crate) fn push(&mut self, line: &str) -> Result<(), WriteError> {
        self.append(format!("{}\n", escape::row(line)).as_bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let fail = |source| WriteError { path: self.path.clone(), source };
        let before = self.file.metadata().map_err(fail)?.len();
        self.file.write_all(bytes).map_err(|source| {
            let _ = self.file.set_len(before);
            WriteError { path: self.path.clone(), source }
        })
    }

    /// Whether the file has no name any more: somebody has removed it, or its folder.
    pub(crate) fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| std::os::unix::fs::MetadataExt::nlink(&meta) == 0)
    }

    /// Appends values, each as one line of JSON, in one write.
    pub(crate) fn push_all<T: serde::Serialize>(&mut self, values: &[T]) -> Result<(), WriteError> {
        let mut lines = String::new();
        for value in values {
            let line = escape::json(value, escape::Json::compact())
                .map_err(|e| WriteError { path: self.path.clone(), source: e.into() })?;
            lines.push_str(escape::row(&String::from_utf8_lossy(&line)).as_ref());
            lines.push('\n');
        }
        self.append(lines.as_bytes())
    }

    /// Appends a value as one line of JSON.
    pub(crate) fn push_json(&mut self, value: &impl serde::Serialize) -> Result<(), WriteError> {
        let line = self.line(value)?;
        self.push(&line)
    }

    /// A value as one line of JSON, without a line end.
    ///
    /// # Errors
    /// It cannot be JSON.
    pub(crate) fn line(&self, value: &impl serde::Serialize) -> Result<String, WriteError> {
        let line = escape::json(value, escape::Json::compact())
            .map_err(|e| WriteError { path: self.path.clone(), source: e.into() })?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// A file on a disk without room.
    #[cfg(test)]
    pub(crate) fn full() -> Lines {
        let file = fs::File::options().append(true).open("/dev/full").unwrap();
        Lines { path: "/dev/full".into(), file }
    }
}

#[cfg(test)]
mod tests {
    use crate::files::atomic::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_failed_write_leaves_what_was_there_and_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, WRITABLE, |f| {
            f.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.unwrap_err().to_string().contains("make room"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_mode_is_what_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        write_with(&path, READ_ONLY, |f| f.write_all(b"x")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
        // This works over a read-only file too: only the permission of the folder counts.
        write_with(&path, WRITABLE, |f| f.write_all(b"y")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"y");
    }

    #[test]
    fn lines_are_appended_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.jsonl");
        Lines::open(&path).unwrap().push_json(&serde_json::json!({"a": 1})).unwrap();
        Lines::open(&path).unwrap().push("two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\ntwo\n");
    }
}
