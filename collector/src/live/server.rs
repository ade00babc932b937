//! The status socket: answers to those who look.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answers;
use super::board::Board;
use super::door::{self, Door};
use crate::listen::refusal_of;

/// Connections at a time.
const MOST: usize = 16;
/// Most bytes of a request.
const MOST_REQUEST: usize = 4 << 10;
/// A connection without a request for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// How long the other side may take to read an answer.
const READS_WITHIN: Duration = Duration::from_secs(10);
/// What one connection too many gets.
const FULL: &[u8] =
    b"{\"schema\":\"hangscope/status/1\",\"problem\":\"too many look at this job; close another hangscope top\"}\n";

/// Answers until it is dropped, which removes the file of the socket.
#[derive(Debug)]
pub(super) struct Server {
    path: PathBuf,
    _door: Door,
}

impl Server {
    /// # Errors
    /// The socket cannot be made.
    pub(super) fn start(board: &Board, path: &Path) -> io::Result<Server> {
        let listener = UnixListener::bind(path)?;
        let board = board.clone();
        let door = Door::open(listener, (MOST, FULL), move |stream| serve(stream, &board));
        Ok(Server { path: path.to_owned(), _door: door? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(stream: &UnixStream, board: &Board) {
    let say = |line: &[u8]| door::write_all(stream, line, READS_WITHIN);
    if let Some(why) = refusal_of(stream) {
        let _ = say(&answers::refused(why));
        return;
    }
    let mut buffer = vec![];
    let line_end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    while let Some(line) = door::read_until(stream, &mut buffer, (MOST_REQUEST, IDLE), line_end) {
        let answer = answers::answer(board, String::from_utf8_lossy(&line).trim());
        if say(&answer).is_err() {
            return;
        }
    }
    if buffer.len() >= MOST_REQUEST {
        let _ = say(&answers::refused("the request is too long"));
    }
}
