//! The large files of a bundle. They are written once, and in the end leave room for small files.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use super::contents::{AllocatorBytes, Contents, DumpFrames};
use super::names::{DUMP, DUMP_OUTSIDE};
use crate::capture;
use crate::files::atomic::{self, WriteError};
use crate::files::free;
use crate::session::{Dump, packed, record};

/// The files that are still to be written.
pub(super) struct Large<'a> {
    dir: &'a Path,
    contents: &'a Contents<'a>,
    /// Path of `{name}.so`, if it is still to be written.
    allocator: Option<PathBuf>,
    /// What was seen from outside.
    outside: Option<Dump>,
    written: bool,
}

/// A file with the allocator's bytes.
#[derive(Debug, Default)]
pub(super) enum Copy {
    #[default]
    None,
    /// It stays: `{name}.so` in the bundle, or the file that it will be a copy of.
    Lasting(PathBuf),
    /// A file without a name, and its path in this process until this is dropped.
    Temporary(PathBuf, #[expect(dead_code, reason = "it keeps the file")] File),
}

impl Copy {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Copy::Temporary(path, _) => Some(path),
            other => other.lasting(),
        }
    }

    pub(super) fn lasting(&self) -> Option<&Path> {
        if let Copy::Lasting(path) = self { Some(path) } else { None }
    }
}

impl<'a> Large<'a> {
    pub(super) fn new(dir: &'a Path, contents: &'a Contents<'a>) -> Large<'a> {
        Large { dir, contents, allocator: None, outside: None, written: false }
    }

    /// Makes `{name}.so` where that costs little, else has it written later. Gives a file with its bytes.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(super) fn allocator(
        &mut self,
        name: &str,
        bytes: &Result<AllocatorBytes<'_>, String>,
    ) -> Result<Copy, WriteError> {
        let to = self.dir.join(format!("{name}.so"));
        match bytes {
            Ok(AllocatorBytes::InMemory(bytes)) => {
                if free::is_plenty(self.dir, bytes.len() as u64) && atomic::write(&to, bytes).is_ok() {
                    return Ok(Copy::Lasting(to));
                }
                self.allocator = Some(to);
                // Names come from it. Without it they come from the file that the process has mapped.
                let made = tempfile::tempfile().and_then(|mut file| {
                    file.write_all(bytes)?;
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    Ok(Copy::Temporary(path.into(), file))
                });
                Ok(made.unwrap_or_default())
            }
            Ok(AllocatorBytes::InFile(from)) => {
                let _ = std::fs::remove_file(&to);
                if std::fs::hard_link(from, &to).is_ok() {
                    return Ok(Copy::Lasting(to));
                }
                self.allocator = Some(to);
                Ok(Copy::Lasting(from.to_path_buf()))
            }
            Err(reason) => capture::write_reason(&to, reason).map(|()| Copy::None),
        }
    }

    /// Takes what was seen from outside, for `dump_outside.bin`.
    pub(super) fn outside(&mut self, outside: Option<Dump>) {
        self.outside = outside;
    }

    /// Whether the disk has room for all of them and much more.
    pub(super) fn has_plenty(&self) -> bool {
        let others = self.contents.other_dumps.iter().map(|(_, frames)| frames.len()).sum::<usize>();
        let dump = self.contents.dump.as_ref().map_or(0, |dump| dump.frames.len());
        free::is_plenty(self.dir, (others + dump) as u64)
    }

    /// Writes them, if that was not done before. Gives those that could not be written.
    pub(super) fn write(&mut self) -> Vec<WriteError> {
        if std::mem::replace(&mut self.written, true) {
            return vec![];
        }
        let outside = self.outside.take();
        let outside = outside.map(|outside| {
            free::write(&self.dir.join(DUMP_OUTSIDE), &packed::pack(&record::frames(&outside), None))
        });
        let others = self.contents.other_dumps.iter().map(|(pid, frames)| {
            free::write(&self.dir.join(format!("dump_{pid}.bin")), &packed::pack(frames, None))
        });
        let all = self.write_allocator().into_iter().chain(outside).chain(others);
        all.chain([self.write_dump()]).filter_map(Result::err).collect()
    }

    fn write_allocator(&self) -> Option<Result<(), WriteError>> {
        let to = self.allocator.as_deref()?;
        Some(match &self.contents.allocator.bytes {
            Ok(AllocatorBytes::InMemory(bytes)) => free::write(to, bytes),
            Ok(AllocatorBytes::InFile(from)) => std::fs::read(from)
                .map_err(|source| WriteError { path: to.to_owned(), source })
                .and_then(|bytes| free::write(to, &bytes)),
            Err(_) => return None,
        })
    }

    fn write_dump(&self) -> Result<(), WriteError> {
        let to = self.dir.join(DUMP);
        match &self.contents.dump {
            Ok(DumpFrames { frames, dump }) => {
                free::write(&to, &packed::pack(frames, Some(*dump).filter(|_| !self.contents.full)))
            }
            Err(reason) => capture::write_reason(&to, reason),
        }
    }
}
