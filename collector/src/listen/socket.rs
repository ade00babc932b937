//! Creates the socket: its path must fit, must not be in use, and must not be another file.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::Mode;

use super::error::{ListenError, MAX_PATH};
use crate::files::private;

/// The file of a socket. Dropping it removes the file, unless another file has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    dev_ino: (u64, u64),
    socket: Arc<OwnedFd>,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The socket that listens. It does not block.
    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// Whether the path still means this socket.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.dev_ino)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a listening socket at `path`.
pub(super) fn listen_at(path: &Path) -> Result<SocketFile, ListenError> {
    let path = std::path::absolute(path).map_err(|e| system("find the folder of", path, io_errno(&e)))?;
    let len = path.as_os_str().len();
    if len > MAX_PATH {
        return Err(ListenError::TooLong { path, len });
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    make_private_dir(dir)?;
    private::check(dir).map_err(ListenError::NotPrivate)?;
    // Two collectors that start together must not both find a stale socket and then remove each other's. If
    // the folder cannot be locked (it is not readable), go on: bind lets only one through.
    let _lock = fs::File::open(dir).ok().and_then(|dir| Flock::lock(dir, FlockArg::LockExclusive).ok());
    remove_stale(&path)?;

    let fail = |doing| move |errno| (doing, errno);
    let make = || -> Result<OwnedFd, (&'static str, Errno)> {
        let socket = seqpacket(SockFlag::SOCK_NONBLOCK).map_err(fail("make"))?;
        // bind gives the file the mode of the descriptor. With fchmod before bind, other users can connect
        // at no time.
        nix::sys::stat::fchmod(socket.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR).map_err(fail("protect"))?;
        let address = UnixAddr::new(&path).map_err(fail("name"))?;
        nix::sys::socket::bind(socket.as_raw_fd(), &address).map_err(fail("make"))?;
        nix::sys::socket::listen(&socket, Backlog::MAXCONN).map_err(fail("listen on"))?;
        Ok(socket)
    };
    let socket = make().map_err(|(doing, errno)| match errno {
        Errno::EADDRINUSE => ListenError::InUse { path: path.clone() },
        _ => system(doing, &path, errno),
    })?;
    let meta = fs::symlink_metadata(&path).map_err(|e| system("look at", &path, io_errno(&e)))?;
    Ok(SocketFile { dev_ino: (meta.dev(), meta.ino()), path, socket: Arc::new(socket) })
}

/// Creates the folder of the socket with mode 0700. An existing folder is not changed.
fn make_private_dir(dir: &Path) -> Result<(), ListenError> {
    let fail = |e: std::io::Error| system("make the folder", dir, io_errno(&e));
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        fs::create_dir_all(above).map_err(fail)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        done => done.map_err(fail),
    }
}

/// Removes a socket on which no process listens. Fails if the path is anything else.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(system("look at", path, io_errno(&e))),
    };
    if !there.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.to_owned() });
    }
    let knock = || -> Result<(), Errno> {
        let socket = seqpacket(SockFlag::SOCK_NONBLOCK)?;
        nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
    };
    match knock() {
        // Nobody listens.
        Err(Errno::ECONNREFUSED) => {
            fs::remove_file(path).map_err(|e| system("remove the stale socket", path, io_errno(&e)))
        }
        Err(Errno::ENOENT) => Ok(()),
        // EAGAIN: the backlog is full. EPROTOTYPE: a socket of another type. A process listens in both cases.
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE | Errno::EACCES | Errno::EPERM) => {
            Err(ListenError::InUse { path: path.to_owned() })
        }
        Err(errno) => Err(system("try the socket", path, errno)),
    }
}

fn seqpacket(flags: SockFlag) -> Result<OwnedFd, Errno> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    nix::sys::socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}

fn system(doing: &'static str, path: &Path, source: Errno) -> ListenError {
    ListenError::System { doing, path: path.to_owned(), source }
}

fn io_errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}
