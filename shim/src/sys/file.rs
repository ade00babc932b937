//! Files, links, directories, files in memory.

use core::ffi::CStr;
use core::mem::MaybeUninit;

pub(crate) use rustix::fd::OwnedFd;
pub(crate) use rustix::fs::Stat;
use rustix::fs::{AtFlags, Mode, OFlags};

use super::raw::Errno;

pub(crate) fn open_read(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}

/// Opens a file that may have been replaced by anything. Never blocks on a FIFO.
pub(crate) fn open_regular(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK,
        Mode::empty(),
    )
}

pub(crate) fn open_dir(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty())
}

pub(crate) fn open_at(dir: &OwnedFd, path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn read(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::read(file, &mut *buffer) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

pub(crate) fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    rustix::io::pread(file, buffer, offset)
}

pub(crate) fn write_at(file: &OwnedFd, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    rustix::io::pwrite(file, bytes, offset)
}

/// Target of a link, as far as it fits.
pub(crate) fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let n = rustix::fs::readlinkat_raw(rustix::fs::CWD, path, &mut *buffer)?;
    Ok(buffer.get(..n).unwrap_or(&[]))
}

pub(crate) fn stat(path: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty())
}

pub(crate) fn fstat(file: &OwnedFd) -> Result<Stat, Errno> {
    rustix::fs::fstat(file)
}

pub(crate) fn memfd(name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)
}

/// A memfd whose size cannot be changed and whose pages all exist: a write to a mapping of it cannot fault.
pub(crate) fn sealed_memfd(name: &CStr, size: usize) -> Result<OwnedFd, Errno> {
    use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Calls `each` for the name of every entry of an open directory, from its start.
pub(crate) fn entries(
    dir: &OwnedFd,
    buffer: &mut [MaybeUninit<u8>],
    mut each: impl FnMut(&[u8]),
) -> Result<(), Errno> {
    rustix::fs::seek(dir, rustix::fs::SeekFrom::Start(0))?;
    let mut entries = rustix::fs::RawDir::new(dir, buffer);
    while let Some(entry) = entries.next() {
        each(entry?.file_name().to_bytes());
    }
    Ok(())
}

/// One line for HANGSCOPE_DEBUG, to the host's stderr.
pub(crate) fn debug_line(line: &[u8]) {
    // SAFETY: descriptor 2 is borrowed for this one write; if the host closed it, the write fails with EBADF.
    let _ = rustix::io::write(unsafe { rustix::stdio::stderr() }, line);
}
