//! Files that somebody else may have written: only plain files are read, and only so many bytes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Most bytes of a file, or of what it unpacks to. The dump of 8,000 threads has 62 MB.
pub(crate) const MOST: u64 = 256 << 20;

/// Opens a plain file of any length. A pipe or a device in its place is an error, and not waited for.
///
/// # Errors
/// It cannot be opened, or is no plain file.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() && !meta.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device, not a file",
        ));
    }
    Ok(file)
}

/// The same for a file that is read as a whole.
///
/// # Errors
/// As [`open_plain`]; also for a file of more than [`MOST`] bytes.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = open_plain(path)?;
    if file.metadata()?.len() > MOST {
        return Err(too_large(MOST));
    }
    Ok(file)
}

/// The bytes of a plain file.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    unpacked(open(path)?)
}

/// A text in a plain file.
///
/// # Errors
/// As [`open`]; also where it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.utf8_error()))
}

/// All that a decoder gives.
///
/// # Errors
/// What it gives is no longer than [`MOST`].
pub(crate) fn unpacked(from: impl Read) -> io::Result<Vec<u8>> {
    at_most(from, MOST)
}

/// All that is read of something.
///
/// # Errors
/// It has more than `most` bytes.
pub(crate) fn at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

pub(crate) fn too_large(most: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {} MB are not read", most >> 20))
}

/// The first `len` bytes of an open file. Its offset, which a process may share, is not used.
///
/// # Errors
/// Also for a file that ends before.
pub(crate) fn start_of(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_a_sane_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("x"), "text").unwrap();
        assert_eq!(read_text(&path("x")).unwrap(), "text");
        // Nobody writes into it: opened as a file is, this would wait for ever.
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for other in [path("pipe"), "/dev/zero".into(), "/dev/full".into()] {
            assert_eq!(read(&other).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{other:?}");
        }
        File::create(path("sparse")).unwrap().set_len(20 << 30).unwrap();
        assert_eq!(read(&path("sparse")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(unpacked(io::repeat(0)).is_err());
    }
}
