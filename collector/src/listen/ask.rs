//! Requests of the collector to the shims.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hangscope_protocol::record::{AskRecord, RangeRecord, ask_what};
use hangscope_protocol::{Kind, MAX_PAYLOAD, Record};
use nix::errno::Errno;
use nix::sys::socket::MsgFlags;

use super::error::ListenError;
use super::event::ConnId;
use super::request::{self, Answer};
use super::shared::Shared;

/// Sends requests to the shims of a listener. After the end of the listener every request fails.
#[derive(Clone, Debug)]
pub struct Asker {
    shared: Arc<Shared>,
}

impl Asker {
    pub(super) fn new(shared: Arc<Shared>) -> Asker {
        Asker { shared }
    }

    /// Sends a request. The answer arrives as events. Never blocks.
    ///
    /// # Errors
    /// [`ListenError::Ended`], [`ListenError::NotTaken`], [`ListenError::TooManyTids`].
    pub(crate) fn ask(&self, conn: ConnId, ask: &AskRecord, tids: &[u32]) -> Result<(), ListenError> {
        self.send(conn, ask, tids)
    }

    /// Asks a shim to read ranges of memory in every later dump and at the exit of its process. A shim
    /// ignores all such requests but the first.
    pub(crate) fn ask_memory(&self, conn: ConnId, ranges: &[RangeRecord]) -> Result<(), ListenError> {
        let ask = AskRecord { what: ask_what::MEMORY, request: 0, arg0: 0, arg1: 0, reserved: 0 };
        self.send(conn, &ask, ranges)
    }

    /// Answers a person's request. Never blocks: a person who does not read gets no answer.
    pub(crate) fn answer(&self, conn: ConnId, answer: &Answer) {
        if let Ok(json) = serde_json::to_vec(answer) {
            self.send_answer(conn, &json);
        }
    }

    /// Tells who is about to send a signal that its target is looked at. The answer follows.
    pub(crate) fn looks(&self, conn: ConnId) {
        self.send_answer(conn, &[]);
    }

    fn send_answer(&self, conn: ConnId, payload: &[u8]) {
        let open = self.shared.open();
        if let Some(to) = open.get(&conn.0).filter(|_| payload.len() <= MAX_PAYLOAD) {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            let frame = request::frame(Kind::Answer, payload);
            let _ = nix::sys::socket::send(to.socket.as_raw_fd(), &frame, flags);
        }
    }

    fn send<R: Record>(&self, conn: ConnId, ask: &AskRecord, items: &[R]) -> Result<(), ListenError> {
        if AskRecord::SIZE + items.len() * R::SIZE > MAX_PAYLOAD {
            return Err(ListenError::TooManyTids(items.len()));
        }
        let open = self.shared.open();
        let to = open.get(&conn.0).ok_or(ListenError::Ended(conn))?;
        let frame = crate::session::assemble::ask_frame(ask, items, to.asks.fetch_add(1, Ordering::Relaxed));
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        match nix::sys::socket::send(to.socket.as_raw_fd(), &frame, flags) {
            Ok(_) => Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => Err(ListenError::Ended(conn)),
            Err(source) => Err(ListenError::NotTaken { conn, source }),
        }
    }
}
