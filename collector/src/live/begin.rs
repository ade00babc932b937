//! Begins to answer for one job.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use super::board::Board;
use super::http::Port;
use super::place::{self, Pointer};
use super::server::Server;

/// Answers for a job until it is dropped: on its socket, and on a port if one is asked for.
#[derive(Debug)]
pub(crate) struct Live {
    board: Board,
    server: Option<Server>,
    port: Option<Port>,
    /// The file in the folder of the job, once it is written.
    pointer: Mutex<Option<Pointer>>,
}

impl Live {
    /// Without its socket a job goes on: nobody can look at it. A warning says so.
    ///
    /// # Errors
    /// The port cannot be had.
    pub(crate) fn begin(board: &Board, metrics: Option<SocketAddr>) -> io::Result<Live> {
        let open = |address| {
            Port::open(board, address)
                .map_err(|e| io::Error::new(e.kind(), format!("{address}: {e}; give another port")))
        };
        let port = metrics.map(open).transpose()?;
        let server = match place::new_socket().and_then(|path| Server::start(board, &path)) {
            Ok(server) => Some(server),
            Err(error) => {
                tracing::warn!("`hangscope top` cannot look at this job: {error}");
                None
            }
        };
        Ok(Live { board: board.clone(), server, port, pointer: Mutex::default() })
    }

    /// Writes the file that names the socket, once the folder of the job is there.
    pub(crate) fn point(&self) {
        let Some(server) = &self.server else { return };
        let (kind, out) = (self.board.job_now().kind, self.board.out());
        let pointer = Pointer::new(kind, server.path());
        match pointer.write(&out) {
            Ok(()) => *self.pointer.lock().unwrap_or_else(PoisonError::into_inner) = Some(pointer),
            Err(error) => tracing::warn!("`hangscope top` does not find this job by its folder: {error}"),
        }
    }

    /// Where metrics are served.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.port.as_ref().map(Port::address)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(pointer) = self.pointer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            pointer.remove(&self.board.out());
        }
    }
}
