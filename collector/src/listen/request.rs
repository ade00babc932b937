//! A request from a person to a collector, over the socket that shims use: `hangscope dump PID`.
//!
//! The person's side sends one frame with a process id. The collector answers with a frame of JSON for each
//! process that it asked.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::variable;
use hangscope_protocol::{HEADER_LEN, Header, Kind, MAGIC, MAX_FRAME, Writer};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use serde::{Deserialize, Serialize};

/// What became of a request, for one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The process that was asked.
    pub(crate) pid: u32,
    /// Absolute path of the bundle; none: there is no capture.
    pub(crate) folder: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) confidence: Option<String>,
    /// Why there is no capture.
    pub(crate) problem: Option<Problem>,
    /// Number of answers that follow.
    pub(crate) left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Problem {
    /// No shim of the process has said hello.
    NoShim,
    /// The process ended before its dump was complete.
    Ended,
    /// Its shim takes no request.
    NotTaken,
    /// A file of the bundle could not be written.
    NotWritten,
}

impl Answer {
    pub(crate) fn problem(pid: u32, problem: Problem) -> Answer {
        Answer { pid, problem: Some(problem), ..Answer::default() }
    }
}

/// The collector's socket, as the environment of a process names it.
///
/// # Errors
/// The environment cannot be read.
pub(crate) fn socket_of(pid: u32) -> io::Result<Option<PathBuf>> {
    let environ = std::fs::read(format!("/proc/{pid}/environ"))?;
    let prefix = format!("{}=", variable::SOCKET);
    let value = environ.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes()));
    Ok(value.filter(|value| !value.is_empty()).map(|value| PathBuf::from(OsStr::from_bytes(value))))
}

/// The person's side of a request.
#[derive(Debug)]
pub(crate) struct Request(OwnedFd);

impl Request {
    /// Connects to a collector's socket and asks for a dump of a process; of all its processes if `pid` is
    /// the collector itself. An answer is waited for at most for `within`. `second_look`: how long after the
    /// first, for who cannot wait for perf; zero: as usual.
    ///
    /// # Errors
    /// What the system says: ENOENT or ECONNREFUSED if nobody listens.
    pub(crate) fn send(
        path: &Path,
        pid: u32,
        second_look: Duration,
        within: Duration,
    ) -> nix::Result<Request> {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        let limit = TimeVal::milliseconds(i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
        setsockopt(&socket, sockopt::SendTimeout, &limit)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        let ms = u32::try_from(second_look.as_millis()).unwrap_or(u32::MAX);
        // As `connection` reads it: eight bytes are those of a program that sends a signal.
        let payload = [pid, ms, 0].map(u32::to_le_bytes).concat();
        send(socket.as_raw_fd(), &frame(Kind::Request, &payload), MsgFlags::MSG_NOSIGNAL)?;
        Ok(Request(socket))
    }

    /// The next answer; none if the collector has closed the connection.
    ///
    /// # Errors
    /// EAGAIN: none came in time. EBADMSG: what came is no answer.
    pub(crate) fn answer(&self) -> nix::Result<Option<Answer>> {
        let mut buffer = vec![0; MAX_FRAME];
        let n = match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(None),
            Ok(n) => n,
            Err(error) => return Err(error),
        };
        match Header::split(&buffer[..n]) {
            Ok((_, Kind::Answer, payload)) => {
                serde_json::from_slice(payload).map(Some).map_err(|_| Errno::EBADMSG)
            }
            _ => Err(Errno::EBADMSG),
        }
    }
}

/// A frame outside a dump.
pub(super) fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN];
    let header = Header {
        magic: MAGIC,
        kind: kind as u16,
        flags: 0,
        len: payload.len() as u32,
        seq: 0,
        dump: 0,
        pid: std::process::id(),
        t_ns: 0,
    };
    let written = Writer::new(&mut frame).record(&header);
    debug_assert!(written.is_ok(), "the buffer is as large as the header");
    frame.extend_from_slice(payload);
    frame
}
