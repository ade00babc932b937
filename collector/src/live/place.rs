//! Where the socket of a job is, and how a job is found: by its folder, or among all jobs of the user.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::model::{Kind, SCHEMA};
use crate::files::atomic::{self, WriteError};
use crate::launch::runtime_dir;
use crate::listen::MAX_PATH;

/// File in the folder of a job that names its socket. It is there while the job runs.
pub(crate) const FILE: &str = "status.json";

/// Folder of all sockets, in the user's folder for sockets.
const JOBS: &str = "jobs";
/// Bytes of a socket's path in the user's folder: the folder, and the longest name.
const NAME: usize = "/jobs/4294967295_00000000.sock".len();
/// Most bytes of [`FILE`].
const MOST_BYTES: u64 = 64 << 10;

/// What [`FILE`] holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    pub(crate) schema: String,
    pub(crate) kind: Kind,
    pub(crate) pid: u32,
    pub(crate) socket: PathBuf,
}

impl Pointer {
    pub(super) fn new(kind: Kind, socket: &Path) -> Pointer {
        Pointer { schema: SCHEMA.to_owned(), kind, pid: std::process::id(), socket: socket.to_owned() }
    }

    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, out: &Path) -> Result<(), WriteError> {
        atomic::write_json(&out.join(FILE), self)
    }

    /// That of the job that works, or worked last, in this folder. None: none does, or its end was a good
    /// one.
    ///
    /// # Errors
    /// The file cannot be read, or is none of this version.
    pub(crate) fn read(out: &Path) -> io::Result<Option<Pointer>> {
        let file = match fs::File::open(out.join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![];
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        let pointer: Pointer = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        match pointer.schema == SCHEMA {
            true => Ok(Some(pointer)),
            false => Err(io::Error::other(format!("{} is of another version", pointer.schema))),
        }
    }

    /// Whether the job still works: its socket takes a connection.
    pub(crate) fn works(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }

    /// Removes the file, if it is this one.
    pub(super) fn remove(&self, out: &Path) {
        if Pointer::read(out).is_ok_and(|there| there.as_ref() == Some(self)) {
            let _ = fs::remove_file(out.join(FILE));
        }
    }
}

/// A path for a new socket, in a folder of this user alone.
///
/// # Errors
/// The folder cannot be made, or another user could put a socket in it.
pub(super) fn new_socket() -> io::Result<PathBuf> {
    let dir = folder();
    if let Some(above) = dir.parent() {
        runtime_dir::make(above)?;
    }
    runtime_dir::make(&dir)?;
    // Processes of several pid namespaces may share the folder.
    let path = dir.join(format!("{}_{:08x}.sock", std::process::id(), fastrand::u32(..)));
    Ok(path)
}

fn folder() -> PathBuf {
    runtime_dir::usable(NAME, MAX_PATH).join(JOBS)
}

/// The sockets of all jobs of this user, also those that a killed job has left.
pub(crate) fn sockets() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension() == Some(OsStr::new("sock"))).collect();
    paths.sort();
    paths
}
