//! Files that grow by a line for each run, so that a job that was killed at any moment can go on.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::atomic::WriteError;
use super::folder;

/// Holds the lock of a file. The kernel releases it with the file, also when the process is killed.
pub(crate) type Lock = Flock<File>;

/// Locks a file, which is made if it is not there. None: another process has it.
pub(crate) fn lock(path: &Path) -> Result<Option<Lock>, WriteError> {
    match Flock::lock(open(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(Some(locked)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, e)) => Err(fail(path, e.into())),
    }
}

/// The whole lines of a file; empty where there is none. A last line without its end, left by a full disk or a
/// kill, is removed from the file.
pub(crate) fn whole_lines(path: &Path) -> Result<Vec<u8>, WriteError> {
    let mut file = open(path)?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).map_err(|e| fail(path, e))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64).map_err(|e| fail(path, e))?;
        bytes.truncate(whole);
    }
    Ok(bytes)
}

fn open(path: &Path) -> Result<File, WriteError> {
    folder::open(path, File::options().read(true).append(true).create(true)).map_err(|e| fail(path, e))
}

fn fail(path: &Path, source: io::Error) -> WriteError {
    WriteError { path: path.to_owned(), source }
}
