//! The files that perf takes names from, where the file at a path is gone or has other bytes.
//!
//! perf finds the names of code by the path of its file. The path of a removed file ends in ` (deleted)`. A
//! file that was copied over has the wrong names. So `perf inject --known-build-ids` writes the build-ids of
//! the bytes that ran into the recorded data, and the bundle is a build-id cache with those bytes (`perf
//! --buildid-dir`): whoever has the bundle has the names. An old perf cannot do that: then a tree of links
//! (`--symfs`) serves, for our own report only.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::tables::maps_file;
use crate::files::{elf, folder};

/// What was mapped in the process that perf records.
#[derive(Clone, Debug, Default)]
pub struct NameSources {
    /// The maps of the process, as the kernel printed them.
    pub maps: Vec<u8>,
    /// A path as maps has it, without ` (deleted)`, and a file with the bytes that were mapped from it.
    pub copies: Vec<(PathBuf, PathBuf)>,
}

/// A file that perf knows by its build-id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Hexadecimal.
    build_id: String,
    /// The path as perf has it: as it is, and with ` (deleted)`.
    paths: [PathBuf; 2],
}

impl Known {
    /// The file for `perf inject --known-build-ids=file://...`: one path a line.
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

/// Makes `dir` a build-id cache of the copies: `.build-id/64/bd1f…/elf` is a link to the copy. The link is
/// relative where the copy is in `dir` itself, so that the folder can be moved. A copy without a build-id is
/// left out.
///
/// # Errors
/// A copy that cannot be read, a link that cannot be made.
pub(super) fn cache(dir: &Path, copies: &[(PathBuf, PathBuf)]) -> io::Result<Vec<Known>> {
    let mut known = vec![];
    for (path, copy) in copies {
        let build_id = elf::read(&std::fs::read(copy)?).ok().and_then(|elf| elf.build_id).unwrap_or_default();
        let Some((first, rest)) = build_id.split_at_checked(2) else { continue };
        let folder = dir.join(".build-id").join(first).join(rest);
        folder::make(&folder)?;
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

/// Whether the file at each path still has the bytes of its copy.
pub(super) fn are_at_their_paths(copies: &[(PathBuf, PathBuf)]) -> bool {
    let same = |(path, copy): &(PathBuf, PathBuf)| {
        std::fs::read(path).is_ok_and(|at_path| std::fs::read(copy).is_ok_and(|copy| copy == at_path))
    };
    copies.iter().all(same)
}

/// A tree with a link for every file of the maps, at the path of the file: to a copy with the bytes that were
/// mapped, else to the file itself.
///
/// # Errors
/// A folder or a link that cannot be made.
pub(super) fn symfs(sources: &NameSources) -> io::Result<tempfile::TempDir> {
    let tree = tempfile::tempdir()?;
    let link = |at: &Path, to: &Path| -> io::Result<()> {
        let at = tree.path().join(at.strip_prefix("/").unwrap_or(at));
        std::fs::create_dir_all(at.parent().unwrap_or(tree.path()))?;
        match symlink(to, &at) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    };
    for (path, copy) in &sources.copies {
        let copy = std::path::absolute(copy)?;
        link(path, &copy)?;
        link(&deleted(path), &copy)?;
    }
    for line in sources.maps.split_inclusive(|b| *b == b'\n') {
        if let Some(file) = maps_file(line) {
            link(file, file)?;
        }
    }
    Ok(tree)
}
