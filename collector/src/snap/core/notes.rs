//! The notes of a core that elfcore does not write.
//!
//! - `NT_FILE`: which file is mapped where. elfcore can write it, but does not export a type that it takes
//!   for it. So it goes in as a note of our own, and [`Retyped`] gives it the right header on the way.
//! - `hangscope`: names and states of the threads. The kernel's notes have neither: gdb shows no name of a
//!   thread of a core, and a thread in uninterruptible sleep looks like any other.

use std::io::{self, Write};

use crate::session::maps::Mapping;

/// Name of the note with the files, which is the kernel's.
pub(super) const FILES: &str = "CORE";
/// Name of the note with the threads.
pub(super) const THREADS: &str = "hangscope";
/// Type of `NT_FILE` (linux/elf.h).
pub(super) const NT_FILE: u32 = 0x4649_4c45;
/// Type that elfcore gives to notes that it does not know.
pub(super) const OTHER: u32 = u32::MAX;
/// Of a note: size of its name, size of its contents, type.
const HEADER: usize = 12;
/// Of the length that elfcore writes after the contents of a note.
const LENGTH: usize = 4;

/// The contents of `NT_FILE`: count and unit of offsets; then start, end and offset of each mapping; then
/// their paths.
pub(super) fn files(mappings: &[Mapping]) -> Vec<u8> {
    let files: Vec<&Mapping> = mappings.iter().filter(|m| m.is_file()).collect();
    let mut words = vec![files.len() as u64, 1];
    words.extend(files.iter().flat_map(|m| [m.start, m.end, m.offset]));
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for m in files {
        bytes.extend_from_slice(m.path.as_bytes());
        bytes.extend_from_slice(if m.deleted { b" (deleted)\0" } else { b"\0" });
    }
    bytes
}

/// Id, state and name of each thread, a line each with tabs.
pub(super) fn threads(rows: impl Iterator<Item = (u32, u8, String)>) -> Vec<u8> {
    let line = |(tid, state, comm): (u32, u8, String)| {
        let comm: String = comm.chars().filter(|c| !c.is_control()).collect();
        format!("{tid}\t{}\t{comm}\n", char::from(state))
    };
    rows.map(line).collect::<String>().into_bytes()
}

/// The contents of the one note that elfcore is given: those of `NT_FILE`, then a whole note `hangscope`.
/// elfcore puts the length at its end, which is the end of the second note then.
pub(super) fn both(files: &[u8], threads: &[u8]) -> Vec<u8> {
    let padded = |bytes: &[u8]| bytes.len().next_multiple_of(4);
    let mut all = files.to_vec();
    all.resize(padded(files), 0);
    let name = [THREADS.as_bytes(), b"\0"].concat();
    let header = [name.len() as u32, padded(threads) as u32 + LENGTH as u32, OTHER];
    all.extend(header.into_iter().flat_map(u32::to_le_bytes));
    all.extend_from_slice(&name);
    all.resize(padded(&all), 0);
    all.extend_from_slice(threads);
    all.resize(padded(&all), 0);
    all
}

/// Size of the note with these contents, as elfcore counts: with header, name and length.
pub(super) fn len(contents: &[u8]) -> usize {
    HEADER + (FILES.len() + 1).next_multiple_of(4) + contents.len() + LENGTH
}

/// Gives the note its type, and the size of its first part. elfcore writes the header of a note in one piece.
pub(super) struct Retyped<W> {
    inner: W,
    /// Size of the contents of `NT_FILE`, until the header is written.
    files: Option<u32>,
}

impl<W> Retyped<W> {
    pub(super) fn new(inner: W, files: u32) -> Self {
        Retyped { inner, files: Some(files) }
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Retyped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(files) = self.files
            && bytes.len() == HEADER
            && bytes[..4] == (FILES.len() as u32 + 1).to_le_bytes()
            && bytes[8..] == OTHER.to_le_bytes()
        {
            self.files = None;
            let header = [&bytes[..4], &files.to_le_bytes(), &NT_FILE.to_le_bytes()].concat();
            self.inner.write_all(&header)?;
            return Ok(HEADER);
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
