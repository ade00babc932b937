//! Why a core cannot be analysed: one line with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCore {
    #[error("cannot read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{} is no file: give a core with --core", .0.display())]
    NotAFile(PathBuf),
    /// `line`: what hangscope wrote in its place.
    #[error("{} is no core, it says why: {line}", path.display())]
    Says { path: PathBuf, line: String },
    #[error(
        "{} is no ELF core: give one of hangscope (core.zst), of gdb (generate-core-file), or of the kernel",
        .0.display()
    )]
    NotACore(PathBuf),
    #[error("{} is the core of a 32-bit program, of which hangscope knows nothing: use gdb", .0.display())]
    Bits32(PathBuf),
    #[error(
        "{} is the core of a machine with the ELF number {machine}: hangscope reads those of x86-64 and aarch64; use gdb-multiarch",
        path.display()
    )]
    Machine { path: PathBuf, machine: u16 },
    #[error(
        "{} is cut off: it has {has} of at least {wants} bytes; allow larger cores (ulimit -c unlimited, room on the disk), and make a new one",
        path.display()
    )]
    CutOff { path: PathBuf, has: u64, wants: u64 },
    #[error("{} cannot be unpacked: {why}; copy the file again, or try zstd -t", path.display())]
    NotUnpacked { path: PathBuf, why: String },
    #[error("no room for the unpacked core ({0}): set TMPDIR to a folder with more room")]
    NoTemporary(io::Error),
    /// `target` is not mapped.
    #[error("{} has no DSO {target:?} mapped: leave --target out to see those that it has", path.display())]
    NoTarget { path: PathBuf, target: String },
}

impl BadCore {
    pub(super) fn unreadable(path: &Path, why: &io::Error) -> BadCore {
        BadCore::Unreadable { path: path.to_owned(), why: why.to_string() }
    }
}
