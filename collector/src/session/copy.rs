//! The allocator's bytes, from a descriptor that the process sent: of the file that it has mapped, or of a
//! copy from its memory where there is no file any more.
//!
//! The file itself is read at once, before somebody overwrites it, and once for all sessions that have it
//! mapped.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use hangscope_protocol::record::{CopyRecord, DsoRecord, copy_source};
use sha1::{Digest as _, Sha1};

use crate::files::bounded;
use crate::files::elf;
use crate::files::pin::FileId;

/// Largest file that is read, bytes.
const MAX_SIZE: u64 = 1 << 30;
/// Most bytes of all files that are kept for later sessions.
const MOST_KEPT: usize = 64 << 20;
/// How long the read of one file may take: a file system in user space may never answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes that are read and hashed at once.
const PIECE: usize = 1 << 20;
/// A file that has fewer blocks than one for so many of its bytes is mostly a hole, and no DSO.
const MOST_PER_BLOCK: u64 = 512 * 32;

/// The bytes of an allocator.
#[derive(Debug, PartialEq, Eq)]
pub struct Copied {
    pub bytes: Vec<u8>,
    /// As hex.
    pub sha1: String,
    /// They are those of the file. A copy from memory has relocated words.
    pub of_file: bool,
}

/// Files that were read lately, the oldest first.
static KEPT: Mutex<VecDeque<(FileId, Arc<Copied>)>> = Mutex::new(VecDeque::new());

/// Takes the bytes of a [`crate::listen::What::Copy`] from a process with these DSOs as they were at its
/// start. The descriptor is not trusted.
///
/// # Errors
/// The file is not what was announced, or has been written to since the process started.
pub fn take(
    fd: &OwnedFd,
    record: &CopyRecord,
    dsos: impl IntoIterator<Item = DsoRecord>,
) -> io::Result<Arc<Copied>> {
    let file = File::from(fd.as_fd().try_clone_to_owned()?);
    let before = file.metadata()?;
    if record.source != copy_source::FILE_ITSELF {
        check(&before, record.size, "the copy of the allocator")?;
        if !is_believable(&before) {
            return Err(bad("the copy of the allocator has no believable size"));
        }
        let (bytes, sha1) = within(LIMIT, file, before.len())?;
        let of_file = record.source == copy_source::COPY_OF_FILE;
        return Ok(Arc::new(Copied { sha1, bytes, of_file }));
    }
    if !before.is_file() {
        return Err(bad("the allocator's file is not a plain file"));
    }
    let id = FileId::of(&before);
    let mapped = |dso: &DsoRecord| dso.id == record.id && (dso.ino, dso.size) == (id.ino, id.size);
    let dso = dsos.into_iter().find(mapped);
    let untouched = |dso: &DsoRecord| i128::from(dso.ctime_ns) == id.ctime_ns;
    // The removal of a file moves its ctime, and no byte of it. Then the build-id has to prove the bytes.
    let removed = |dso: &DsoRecord| {
        before.nlink() == 0 && i128::from(dso.mtime_ns) == id.mtime_ns && !dso.build_id_bytes().is_empty()
    };
    let Some(dso) = dso.filter(|dso| untouched(dso) || removed(dso)) else {
        return Err(bad("the allocator's file was changed since the process started: it is not what runs"));
    };
    let of_build = |bytes: &[u8]| match has_build_id(bytes, dso.build_id_bytes()) {
        true => Ok(()),
        false => Err(bad("the allocator's file was removed, and is another build than the one that runs")),
    };
    if let Some((_, copied)) = kept().iter().find(|(kept, _)| *kept == id) {
        if !untouched(&dso) {
            of_build(&copied.bytes)?;
        }
        return Ok(copied.clone());
    }
    if !is_believable(&before) {
        return Err(bad("the allocator's file has no believable size"));
    }
    let (bytes, sha1) = within(LIMIT, file.try_clone()?, id.size)?;
    let after = file.metadata()?;
    let now = FileId::of(&after);
    let only_removed = after.nlink() == 0 && FileId { ctime_ns: id.ctime_ns, ..now } == id;
    if now != id && !only_removed {
        return Err(bad("the allocator's file was changed while it was copied"));
    }
    if !untouched(&dso) || now != id {
        of_build(&bytes)?;
    }
    let copied = Arc::new(Copied { sha1, bytes, of_file: true });
    keep(id, &copied);
    Ok(copied)
}

/// Bytes of memory that [`take`] needs for a descriptor: what its file really has, whatever the process says.
/// 0 for what is refused.
pub(crate) fn len(fd: &OwnedFd) -> u64 {
    let meta = fd.as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    meta.map_or(0, |meta| if meta.is_file() && is_believable(&meta) { meta.len() } else { 0 })
}

/// Whether a file may be that of a DSO: not too large, and no hole.
fn is_believable(meta: &Metadata) -> bool {
    meta.len() <= MAX_SIZE && meta.blocks().saturating_mul(MOST_PER_BLOCK) >= meta.len()
}

/// Whether a file has this build-id, of which a record holds the first 32 bytes.
fn has_build_id(bytes: &[u8], wanted: &[u8]) -> bool {
    let own = elf::read(bytes).ok().and_then(|elf| elf.build_id).unwrap_or_default();
    !wanted.is_empty() && hex::decode(own).is_ok_and(|own| own.starts_with(wanted))
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn kept() -> std::sync::MutexGuard<'static, VecDeque<(FileId, Arc<Copied>)>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a file for later sessions, in the place of the oldest ones. A file that is larger than all room is
/// not kept.
fn keep(id: FileId, copied: &Arc<Copied>) {
    if copied.bytes.len() > MOST_KEPT {
        return;
    }
    let mut kept = kept();
    kept.push_back((id, copied.clone()));
    while kept.iter().map(|(_, copied)| copied.bytes.len()).sum::<usize>() > MOST_KEPT {
        kept.pop_front();
    }
}

/// Reads a file whole, on a thread of its own, which is left behind if it takes too long. Gives the SHA-1,
/// too.
fn within(limit: Duration, file: File, size: u64) -> io::Result<(Vec<u8>, String)> {
    let (say, hear) = crossbeam_channel::bounded(1);
    let read = move || _ = say.send(in_pieces(&file, size));
    thread::Builder::new().name("hs-copy".into()).spawn(read)?;
    hear.recv_timeout(limit).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Memory grows with the bytes that come. A file that ends before its size is an error.
fn in_pieces(file: &File, size: u64) -> io::Result<(Vec<u8>, String)> {
    let (mut bytes, mut sha1) = (vec![], Sha1::new());
    while (bytes.len() as u64) < size {
        let from = bytes.len();
        bytes.resize(from + PIECE.min(size as usize - from), 0);
        // At its place: the process shares the offset of the descriptor.
        file.read_exact_at(&mut bytes[from..], from as u64)?;
        sha1.update(&bytes[from..]);
    }
    Ok((bytes, hex::encode(sha1.finalize())))
}

/// Reads the whole file behind a descriptor that a process sent. The descriptor is not trusted: anything
/// but a plain file (a pipe would block), or a file of another size than announced, is an error. The file
/// is read and not mapped, because the process may truncate it at any time.
pub(super) fn whole(fd: &OwnedFd, size: u64, what: &str) -> io::Result<Vec<u8>> {
    let file = File::from(fd.as_fd().try_clone_to_owned()?);
    check(&file.metadata()?, size, what)?;
    bounded::start_of(&file, size)
}

fn check(meta: &Metadata, size: u64, what: &str) -> io::Result<()> {
    if !meta.is_file() {
        return Err(bad(&format!("{what} is not a plain file")));
    }
    if meta.len() != size || size > MAX_SIZE {
        return Err(bad(&format!("{what} has {} bytes, {size} were announced", meta.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::files::pin::sha1_hex;

    fn open(path: &std::path::Path) -> OwnedFd {
        File::open(path).unwrap().into()
    }

    #[test]
    fn the_file_itself_is_taken_as_long_as_it_is_the_one_of_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lib.so");
        std::fs::write(&path, "as it was").unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        let id = FileId::of(&meta);
        let zero: DsoRecord = hangscope_protocol::Record::get(&[0; 160]).unwrap();
        let dso = DsoRecord { id: 3, ino: id.ino, size: id.size, ctime_ns: id.ctime_ns as i64, ..zero };
        let record = CopyRecord { id: 3, source: copy_source::FILE_ITSELF, size: id.size, took_ns: 0 };
        let first = take(&open(&path), &record, [zero, dso]).unwrap();
        assert_eq!((&first.bytes[..], first.of_file), (&b"as it was"[..], true));
        assert_eq!(first.sha1, sha1_hex(b"as it was"));
        let second = take(&open(&path), &record, [dso]).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "it is read once");
        // Another DSO, a larger file, the same file with other bytes.
        for other in
            [DsoRecord { id: 2, ..dso }, DsoRecord { size: 9999, ..dso }, DsoRecord { ino: 1, ..dso }]
        {
            assert!(take(&open(&path), &record, [other]).is_err());
        }
        let written = std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"AS IT IS.");
        written.unwrap();
        let error = take(&open(&path), &record, [dso]).unwrap_err().to_string();
        assert!(error.contains("was changed since"), "{error}");
        assert_eq!(first.bytes, b"as it was");
    }

    #[test]
    fn a_file_that_was_removed_is_proven_by_its_build_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        let dso = maps_of_libc();
        std::fs::copy(&dso, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let build_id = hex::decode(elf::read(&bytes).unwrap().build_id.unwrap()).unwrap();
        let id = FileId::of(&std::fs::metadata(&path).unwrap());
        let zero: DsoRecord = hangscope_protocol::Record::get(&[0; 160]).unwrap();
        let mut init = DsoRecord {
            ino: id.ino,
            size: id.size,
            ctime_ns: id.ctime_ns as i64,
            mtime_ns: id.mtime_ns as i64,
            build_id_len: build_id.len() as u32,
            ..zero
        };
        init.build_id[..build_id.len()].copy_from_slice(&build_id);
        let record = CopyRecord { id: 0, source: copy_source::FILE_ITSELF, size: id.size, took_ns: 0 };
        let fd = open(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(take(&fd, &record, [init]).unwrap().bytes == bytes);
        init.build_id[0] ^= 1;
        let error = take(&fd, &record, [init]).map(drop).unwrap_err().to_string();
        assert!(error.contains("another build"), "{error}");
    }

    /// The path of this process's C library.
    fn maps_of_libc() -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines()
            .find_map(|line| line.split_once('/').filter(|(_, path)| path.contains("libc.so")))
            .map(|(_, path)| format!("/{path}"))
            .unwrap()
    }

    #[test]
    fn a_copy_in_memory_has_the_length_that_it_has() {
        let memory = |len: u64, written: usize| {
            let file = File::from(rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
            file.set_len(len).unwrap();
            file.write_all_at(&vec![7; written], 0).unwrap();
            OwnedFd::from(file)
        };
        let record = |size| CopyRecord { id: 0, source: copy_source::COPY_OF_FILE, size, took_ns: 0 };
        let real = memory(3 << 20, 3 << 20);
        let copied = take(&real, &record(3 << 20), []).unwrap();
        assert_eq!((copied.bytes.len(), &copied.sha1), (3 << 20, &sha1_hex(&vec![7; 3 << 20])));
        assert_eq!(len(&real), 3 << 20);
        for lie in [1, 4 << 20, u64::MAX] {
            assert!(take(&real, &record(lie), []).unwrap_err().to_string().contains("were announced"));
        }
        let hole = memory(1 << 30, 4096);
        assert!(take(&hole, &record(1 << 30), []).unwrap_err().to_string().contains("believable"));
        assert_eq!(len(&hole), 0, "nothing is read of it");
        let (pipe, _) = std::io::pipe().unwrap();
        assert_eq!(len(&pipe.into()), 0);
    }

    #[test]
    fn what_is_no_file_of_a_dso_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hole");
        File::create(&path).unwrap().set_len(512 << 20).unwrap();
        let id = FileId::of(&std::fs::metadata(&path).unwrap());
        let zero: DsoRecord = hangscope_protocol::Record::get(&[0; 160]).unwrap();
        let of = |id: &FileId| DsoRecord { ino: id.ino, size: id.size, ctime_ns: id.ctime_ns as i64, ..zero };
        let record = CopyRecord { id: 0, source: copy_source::FILE_ITSELF, size: id.size, took_ns: 0 };
        let error = take(&open(&path), &record, [of(&id)]).unwrap_err().to_string();
        assert!(error.contains("believable"), "{error}");
        let (pipe, _) = std::io::pipe().unwrap();
        assert!(take(&pipe.into(), &record, [zero]).unwrap_err().to_string().contains("plain file"));
        assert!(take(&open(std::path::Path::new("/dev/zero")), &record, [zero]).is_err());
    }
}
