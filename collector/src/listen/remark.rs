//! What the listener has to say about itself, for a person.

use std::path::PathBuf;

use nix::errno::Errno;

#[derive(Debug)]
pub(crate) enum Remark {
    /// The socket's file was gone, and was made again.
    ListensAgain { path: PathBuf },
    /// The socket's file is gone or is another's, and cannot be made again.
    SocketLost { error: String },
    /// A connection cannot be taken for now.
    NoConnection {
        error: Errno,
        /// Number of open connections.
        open: usize,
    },
    /// Few descriptors are left: no pidfd is taken for new connections, and how their processes end is not
    /// known. It is said once.
    NoPidfd {
        /// Number of open connections.
        open: usize,
    },
}
