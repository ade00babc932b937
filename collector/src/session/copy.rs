//! The allocator's bytes, from the descriptor that a process sent.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use hangscope_protocol::record::CopyRecord;

/// Most bytes of a DSO that are taken.
const MOST: u64 = 1 << 30;

/// Reads the bytes of a [`crate::listen::What::Copy`].
///
/// # Errors
/// Why the bytes are not to be had.
pub fn read(fd: &OwnedFd, record: &CopyRecord) -> io::Result<Vec<u8>> {
    whole(fd, record.size, "the copy of the allocator")
}

/// All bytes of a file whose descriptor a process sent. It is whatever the process sent: one that could block (a pipe),
/// or has another size than was said, is refused; it is read, not mapped, because the process may cut it short at any
/// time.
pub(super) fn whole(fd: &OwnedFd, size: u64, what: &str) -> io::Result<Vec<u8>> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let file = File::from(fd.as_fd().try_clone_to_owned()?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(bad(format!("{what} is not a plain file")));
    }
    if meta.len() != size || size > MOST {
        let is = meta.len();
        return Err(bad(format!("{what} has {is} bytes, {size} were announced")));
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
