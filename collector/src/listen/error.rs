//! What can go wrong with a socket or a request.

use std::path::PathBuf;

use nix::errno::Errno;

use super::event::ConnId;

/// Longest path of a socket in bytes: `sun_path` holds 108 with the NUL.
pub(crate) const MAX_PATH: usize = 107;

/// The socket could not be made, or a request could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The path does not fit into a socket address.
    #[error(
        "socket path is {len} bytes, the system takes at most {MAX_PATH}: {}; give a shorter --socket",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Another collector listens there.
    #[error("socket in use: {}; another collector listens on it, give another --socket", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no socket is there.
    #[error("not a socket: {}; give another --socket or remove it", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Its folder belongs to somebody else.
    #[error("the socket's folder {} belongs to user {uid}; give a --socket in a folder of your own", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// A system call failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The error.
        source: Errno,
    },
    /// The connection to be asked has ended.
    #[error("connection {} has ended", .0.0)]
    Ended(ConnId),
    /// The shim did not take the request (its socket is full).
    #[error("connection {} takes no request: {source}", conn.0)]
    NotTaken {
        /// The connection.
        conn: ConnId,
        /// The error.
        source: Errno,
    },
    /// More threads (or ranges of memory) than fit into one request.
    #[error("{0} items do not fit into one request")]
    TooManyTids(usize),
}
