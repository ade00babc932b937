//! The processes of one run on the board.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::board::Board;
use super::model::Ended;
use super::row::Row;
use crate::analysis::Integrity;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::pin;
use crate::listen::{ConnId, Event, What};
use crate::session::Dso;

/// The processes of one run. Those that still run are ended on the board when this is dropped.
#[derive(Debug)]
pub(crate) struct Rows {
    board: Board,
    run: String,
    socket: PathBuf,
    rows: BTreeMap<ConnId, (u32, Row)>,
    /// Those that have ended: process id and key.
    ended: Vec<(u32, u64)>,
}

impl Rows {
    /// For the run with this name, whose shims talk to `socket`.
    pub(crate) fn new(board: &Board, run: String, socket: &Path) -> Rows {
        Rows { board: board.clone(), run, socket: socket.to_owned(), rows: BTreeMap::new(), ended: vec![] }
    }

    /// Takes a message of a shim.
    pub(crate) fn take(&mut self, event: &Event) {
        let conn = event.conn;
        match &event.what {
            What::Hello(identity) => {
                let pid = event.peer.pid;
                let row = Row::begin(&self.board, pid, identity, Some(&self.run), &self.socket);
                self.rows.insert(conn, (pid, row));
                return;
            }
            What::End => {
                // The drop ends it.
                if let Some((pid, row)) = self.rows.remove(&conn) {
                    self.ended.push((pid, row.key()));
                }
                return;
            }
            _ => {}
        }
        let Some((_, row)) = self.rows.get(&conn) else { return };
        match &event.what {
            What::Heartbeat(beat) => row.beat(beat),
            What::DumpBegin(_) => row.dumping(),
            What::Dump(_) => row.dump_is_over(),
            _ => {}
        }
    }

    /// The DSOs of a process: the one that has malloc, and the integrity of all of them.
    pub(crate) fn dsos(&self, conn: ConnId, allocator: Option<&Dso>, integrity: Integrity) {
        let name = allocator.map(|dso| pin::name_of(Path::new(&dso.path)));
        if let Some((_, row)) = self.rows.get(&conn) {
            row.dsos(name.as_deref(), integrity);
        }
    }

    /// A dump of a process was analysed, and its bundle is in `dir`. `hung`: the run hangs.
    pub(crate) fn dumped(&self, pid: u32, file: Option<&ThreadsFile>, dir: &Path, hung: bool) {
        let Some((_, row)) = self.rows.values().rev().find(|(of, _)| *of == pid) else { return };
        if let Some(file) = file {
            row.dumped(file, dir);
        }
        if hung {
            row.hung(true);
        }
    }

    /// The run has ended. `pid` is the process that it is judged by.
    pub(crate) fn ran(mut self, pid: Option<u32>, ended: Ended) {
        let left = std::mem::take(&mut self.rows);
        self.ended.extend(left.values().map(|(pid, row)| (*pid, row.key())));
        drop(left);
        if let Some((_, key)) = self.ended.iter().rev().find(|(of, _)| Some(*of) == pid) {
            self.board.ended_how(*key, ended);
        }
    }
}
