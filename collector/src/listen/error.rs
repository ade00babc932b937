//! Errors of the socket and of requests.

use std::path::PathBuf;

use nix::errno::Errno;

use super::event::ConnId;
use crate::files::private::NotPrivate;

/// Longest path of a socket in bytes: `sun_path` holds 108 with the NUL.
pub(crate) const MAX_PATH: usize = 107;

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "socket path is {len} bytes, the system takes at most {MAX_PATH}: {}; give a shorter --socket",
        path.display()
    )]
    TooLong {
        path: PathBuf,
        /// Length of the path, bytes.
        len: usize,
    },
    #[error("socket in use: {}; another collector listens on it, give another --socket", path.display())]
    InUse { path: PathBuf },
    #[error("not a socket: {}; give another --socket or remove it", path.display())]
    NotASocket { path: PathBuf },
    /// Another user could put a socket in the place of ours.
    #[error("the socket's folder: {0}")]
    NotPrivate(NotPrivate),
    #[error("cannot {doing} {}: {source}", path.display())]
    System {
        /// The failed action, as a verb phrase.
        doing: &'static str,
        path: PathBuf,
        source: Errno,
    },
    #[error("connection {} has ended", .0.0)]
    Ended(ConnId),
    /// The socket of the shim is full.
    #[error("connection {} takes no request: {source}", conn.0)]
    NotTaken { conn: ConnId, source: Errno },
    /// Tids or ranges of memory.
    #[error("{0} items do not fit into one request")]
    TooManyTids(usize),
}
