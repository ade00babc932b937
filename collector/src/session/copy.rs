//! The copy of the allocator, from a descriptor that the process sent.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use hangscope_protocol::record::CopyRecord;

/// Largest file that is read, bytes.
const MAX_SIZE: u64 = 1 << 30;

/// Reads the bytes of a [`crate::listen::What::Copy`]; fails if the file is not what was announced.
pub fn read(fd: &OwnedFd, record: &CopyRecord) -> io::Result<Vec<u8>> {
    whole(fd, record.size, "the copy of the allocator")
}

/// Reads the whole file behind a descriptor that a process sent. The descriptor is not trusted: anything
/// but a plain file (a pipe would block), or a file of another size than announced, is an error. The file
/// is read and not mapped, because the process may truncate it at any time.
pub(super) fn whole(fd: &OwnedFd, size: u64, what: &str) -> io::Result<Vec<u8>> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let file = File::from(fd.as_fd().try_clone_to_owned()?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(bad(format!("{what} is not a plain file")));
    }
    if meta.len() != size || size > MAX_SIZE {
        let is = meta.len();
        return Err(bad(format!("{what} has {is} bytes, {size} were announced")));
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
