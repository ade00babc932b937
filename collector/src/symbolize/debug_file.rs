//! Separate debug files, in the layout of Debian and gdb: by build-id under `/usr/lib/debug/.build-id`,
//! and by the name in `.gnu_debuglink`. A file is used only if it proves that it belongs to the code: by
//! the build-id, or, for code without one, by the checksum in the link.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::debuginfod::Debuginfod;
use super::elf::{Bytes, Elf};
use super::mini;
use super::sources::Sources;

/// A debug file that belongs to some code.
#[derive(Debug)]
pub(super) struct DebugFile {
    pub(super) elf: Elf,
    /// The path for a library to open.
    pub(super) path: PathBuf,
}

/// What was found at the places of debug files.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The first that belongs to the code.
    pub(super) file: Option<DebugFile>,
    /// Files that exist but cannot be used, a line each with the reason.
    pub(super) refused: Vec<String>,
}

/// The debug file of `code`, else, for a file without symbols, what it brings along itself.
pub(super) fn best(code: &Elf, code_path: &Path, sources: &Sources) -> Found {
    let mut found = DebugFile::find(code, code_path, &sources.debug_dirs);
    if let (None, Some(servers)) = (&found.file, &sources.debuginfod) {
        found.fetch(code, servers);
    }
    if found.file.is_none() && !code.has_symtab {
        match mini::of(code) {
            Some(Ok(elf)) => found.file = Some(DebugFile { path: elf.bytes.path(), elf }),
            Some(Err(why)) => found.refused.push(why),
            None => {}
        }
    }
    found
}

impl Found {
    /// Asks servers for the debug file of `code`.
    fn fetch(&mut self, code: &Elf, servers: &Debuginfod) {
        let path = match servers.find(&code.build_id) {
            Ok(Some(path)) => path,
            Ok(None) => return,
            Err(why) => return self.refused.push(why),
        };
        let file = File::open(&path).map_err(|e| e.to_string());
        match file.and_then(|file| DebugFile::read(file, &path, code)) {
            Ok(file) => self.file = Some(file),
            Err(why) => self.refused.push(format!("{}: {why}", path.display())),
        }
    }
}

impl DebugFile {
    /// The debug file of `code`. `code_path` is the path of the code in the process.
    pub(super) fn find(code: &Elf, code_path: &Path, dirs: &[PathBuf]) -> Found {
        let mut found = Found::default();
        for path in by_build_id(code, dirs).into_iter().chain(by_link(code, code_path, dirs)) {
            let file = match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path) {
                Ok(file) => Self::read(file, &path, code),
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(e) => Err(e.to_string()),
            };
            match file {
                Ok(file) => {
                    found.file = Some(file);
                    break;
                }
                Err(why) => found.refused.push(format!("{}: {why}", path.display())),
            }
        }
        found
    }

    fn read(file: File, path: &Path, code: &Elf) -> Result<Self, String> {
        let bytes = Bytes::copy_of(file).map_err(|e| e.to_string())?;
        let elf = Elf::parse(bytes)?;
        let belongs = if code.build_id.is_empty() {
            code.debug_link.as_ref().is_some_and(|(_, crc)| crc32fast::hash(&elf.bytes) == *crc)
        } else {
            code.build_id == elf.build_id
        };
        if !belongs || elf.machine != code.machine {
            return Err("it belongs to another build".into());
        }
        if !(elf.has_debug_info || elf.has_symtab) {
            return Err("it has neither debug information nor symbols".into());
        }
        // The path of a further file is relative to the real path of this one. Such files come in
        // packages, which are not replaced during a run.
        let path = if elf.has_alt_link { path.to_owned() } else { elf.bytes.path() };
        Ok(DebugFile { elf, path })
    }
}

fn by_build_id(code: &Elf, dirs: &[PathBuf]) -> Vec<PathBuf> {
    let hex = hex::encode(&code.build_id);
    match hex.split_at_checked(2) {
        Some((first, rest)) if !rest.is_empty() => {
            dirs.iter().map(|d| d.join(".build-id").join(first).join(format!("{rest}.debug"))).collect()
        }
        _ => vec![],
    }
}

fn by_link(code: &Elf, code_path: &Path, dirs: &[PathBuf]) -> Vec<PathBuf> {
    let Some((name, _)) = &code.debug_link else { return vec![] };
    // Only a file name is valid here, not a path to somewhere else.
    if name.is_empty() || name.contains('/') {
        return vec![];
    }
    let Some(dir) = code_path.parent() else { return vec![] };
    let mut paths = vec![dir.join(name), dir.join(".debug").join(name)];
    if let Ok(inside) = dir.strip_prefix("/") {
        paths.extend(dirs.iter().map(|d| d.join(inside).join(name)));
    }
    // The link may name the code's own file, which is no debug file.
    paths.retain(|p| p != code_path);
    paths
}
