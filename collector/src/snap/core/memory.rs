//! The memory of a core. Pages that a core lacks come from the mapped files, where these are proven by their
//! build-id to be what was mapped.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;

use super::file::CoreFile;

/// A file in whose place pages may be missing.
#[derive(Debug)]
pub(super) struct Backing {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Offset of `start` in the file, bytes.
    pub(super) offset: u64,
    /// Index of the file.
    pub(super) file: usize,
}

/// The memory of a core.
#[derive(Debug)]
pub(super) struct CoreMemory<'c> {
    core: &'c CoreFile,
    /// Ascending by address; they do not overlap.
    backings: Vec<Backing>,
    files: Vec<File>,
}

impl<'c> CoreMemory<'c> {
    /// Only what the core itself has.
    pub(super) fn of(core: &'c CoreFile) -> CoreMemory<'c> {
        CoreMemory { core, backings: vec![], files: vec![] }
    }

    /// Adds a file that is proven, and where it was mapped for reading.
    pub(super) fn add(&mut self, file: File, mapped: impl Iterator<Item = (u64, u64, u64)>) {
        let index = self.files.len();
        self.files.push(file);
        let backing = |(start, end, offset)| Backing { start, end, offset, file: index };
        self.backings.extend(mapped.map(backing));
        self.backings.sort_by_key(|b| b.start);
    }

    fn of_file(&self, at: u64, to: &mut [u8]) -> usize {
        let i = self.backings.partition_point(|b| b.start <= at);
        let Some(backing) = i.checked_sub(1).and_then(|i| self.backings.get(i)) else { return 0 };
        let Some(rest) = backing.end.checked_sub(at).filter(|rest| *rest > 0) else { return 0 };
        let next = self.core.loads.iter().map(|load| load.start).find(|start| *start > at);
        let before_next = next.map_or(rest, |next| next - at);
        let n = rest.min(before_next).min(to.len() as u64) as usize;
        let Some(offset) = backing.offset.checked_add(at - backing.start) else { return 0 };
        self.files.get(backing.file).and_then(|file| file.read_at(&mut to[..n], offset).ok()).unwrap_or(0)
    }
}

impl hangscope_reader::Memory for CoreMemory<'_> {
    type Error = Errno;

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        at.checked_add(to.len() as u64).ok_or(Errno::EFAULT)?;
        let mut done = 0;
        while done < to.len() {
            let (from, part) = (at + done as u64, &mut to[done..]);
            let n = match self.core.read_at(from, part) {
                0 => self.of_file(from, part),
                n => n,
            };
            if n == 0 {
                break;
            }
            done += n;
        }
        if done > 0 || to.is_empty() { Ok(done) } else { Err(Errno::EFAULT) }
    }
}
