//! How perf comes to the names of code whose file is gone or has other bytes by now.
//!
//! perf knows a file by its path; that of a removed one ends in ` (deleted)`, and one that was copied over has the wrong
//! names. So what it recorded is told the build-ids of the bytes that ran (`perf inject --known-build-ids`), and the bundle
//! is a build-id cache with those bytes (`perf --buildid-dir`): whoever has the bundle has the names. Where perf is too old
//! for that, a tree of links (`--symfs`) serves for our own report alone.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::perf::PerfOptions;
use super::tables::maps_file;
use crate::files::elf;

/// What names a file whatever its path has by now: build-id (hexadecimal), path as perf has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    build_id: String,
    paths: [PathBuf; 2],
}

impl Known {
    /// For `perf inject --known-build-ids=file://...`: a line a path.
    pub(super) fn lines(all: &[Known]) -> String {
        let line = |id: &str, path: &PathBuf| format!("{id} {}\n", path.display());
        all.iter().flat_map(|k| k.paths.iter().map(move |path| line(&k.build_id, path))).collect()
    }
}

fn deleted(path: &Path) -> PathBuf {
    let mut deleted = path.as_os_str().to_owned();
    deleted.push(" (deleted)");
    deleted.into()
}

/// Makes `dir` a build-id cache of the copies (`.build-id/64/bd1f…/elf`, a link to the copy, relative where it is in `dir`
/// itself, so that the folder can be moved). A copy that has no build-id is left out.
///
/// # Errors
/// What reading a copy or making a link gives.
pub(super) fn cache(dir: &Path, copies: &[(PathBuf, PathBuf)]) -> io::Result<Vec<Known>> {
    let mut known = vec![];
    for (path, copy) in copies {
        let build_id = elf::read(&std::fs::read(copy)?).ok().and_then(|elf| elf.build_id).unwrap_or_default();
        let Some((first, rest)) = build_id.split_at_checked(2) else { continue };
        let folder = dir.join(".build-id").join(first).join(rest);
        std::fs::create_dir_all(&folder)?;
        let to = match copy.file_name().filter(|_| copy.parent() == Some(dir)) {
            Some(name) => Path::new("../../..").join(name),
            None => std::path::absolute(copy)?,
        };
        let at = folder.join("elf");
        match symlink(to, &at) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => known.push(Known { build_id, paths: [path.clone(), deleted(path)] }),
        }
    }
    Ok(known)
}

/// Whether every copy's bytes are still those at its path.
pub(super) fn are_at_their_paths(copies: &[(PathBuf, PathBuf)]) -> bool {
    let same = |(path, copy): &(PathBuf, PathBuf)| {
        std::fs::read(path).is_ok_and(|at_path| std::fs::read(copy).is_ok_and(|copy| copy == at_path))
    };
    copies.iter().all(same)
}

/// A tree in which every file of the maps is found under its own path, as a link: to itself, or to a copy that still has
/// the bytes that were mapped.
///
/// # Errors
/// What making a folder or a link gives.
pub(super) fn symfs(options: &PerfOptions) -> io::Result<tempfile::TempDir> {
    let tree = tempfile::tempdir()?;
    let link = |at: &Path, to: &Path| -> io::Result<()> {
        let at = tree.path().join(at.strip_prefix("/").unwrap_or(at));
        std::fs::create_dir_all(at.parent().unwrap_or(tree.path()))?;
        match symlink(to, &at) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    };
    for (path, copy) in &options.copies {
        let copy = std::path::absolute(copy)?;
        link(path, &copy)?;
        link(&deleted(path), &copy)?;
    }
    for line in options.maps.split_inclusive(|b| *b == b'\n') {
        if let Some(file) = maps_file(line) {
            link(file, file)?;
        }
    }
    Ok(tree)
}
