//! The socket to the collector. One frame is one message. A send blocks no longer than its budget of time.
//! What cannot be sent is counted and dropped. A lost collector is tried again after pauses that grow.

use hangscope_protocol::{Full, HEADER_LEN, Header, Kind, MAGIC, MAX_FRAME, Record, Writer};

use crate::host::peer;
use crate::sys::{self, Errno, For, OwnedFd};
use crate::text::Text;

const FIRST_PAUSE: u64 = 100_000_000;
/// A connect without a listener takes microseconds.
const LONGEST_PAUSE: u64 = 2_000_000_000;

/// Writes a payload, or a part of one.
pub(crate) type Fill<'a> = dyn FnMut(&mut Writer<'_>) -> Result<(), Full> + 'a;

/// What came of [`Link::connect`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connected {
    /// Not connected anew: there is a connection, nobody listens, or it is not time to try.
    NotNow,
    /// The connection is new: the hello must follow.
    New,
    /// Another user listens, who must learn nothing of this process. The connection is closed.
    Stranger,
}

/// The connection, or the lack of one.
pub(crate) struct Link {
    socket: Option<OwnedFd>,
    pid: u32,
    seq: u32,
    /// Number of the dump that frames belong to now, 0 outside a dump.
    pub(crate) dump: u32,
    /// How long a send may wait for room in a full socket, as a time. A time in the past: not at all.
    pub(crate) patience: u64,
    next_try: u64,
    pause: u64,
    /// Number of connections so far.
    pub(crate) connections: u32,
    pub(crate) counts: Counts,
}

/// What was sent and dropped since [`Link::count_anew`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) frames: u32,
    pub(crate) frames_dropped: u32,
    pub(crate) records_dropped: u32,
    pub(crate) bytes: u64,
}

impl Link {
    pub(crate) fn new(pid: u32) -> Link {
        Link {
            socket: None,
            pid,
            seq: 0,
            dump: 0,
            patience: 0,
            next_try: 0,
            pause: FIRST_PAUSE,
            connections: 0,
            counts: Counts::default(),
        }
    }

    pub(crate) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.socket.is_some()
    }

    /// When to try again; none while connected.
    pub(crate) fn next_try(&self) -> Option<u64> {
        self.socket.is_none().then_some(self.next_try)
    }

    pub(crate) fn count_anew(&mut self) {
        self.counts = Counts::default();
    }

    /// Connects, if it is time, and looks at who listens before a byte is sent.
    pub(crate) fn connect(&mut self, mut path: Text<128>, now: u64) -> Connected {
        if self.socket.is_some() || now < self.next_try {
            return Connected::NotNow;
        }
        match path.as_cstr().ok_or(Errno::INVAL).and_then(sys::connect) {
            Ok(socket) if !peer::may_read(&socket) => Connected::Stranger,
            Ok(socket) => {
                self.socket = Some(socket);
                self.seq = 0;
                self.connections += 1;
                Connected::New
            }
            Err(_) => {
                self.try_later(now);
                Connected::NotNow
            }
        }
    }

    /// Whether the collector may still read this process, after a change of the host's credentials. Without a
    /// connection: the next one is looked at anyway.
    pub(crate) fn is_with_friend(&self) -> bool {
        self.socket.as_ref().is_none_or(peer::may_read)
    }

    /// Closes the connection. There is no next try.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.next_try = u64::MAX;
    }

    fn try_later(&mut self, now: u64) {
        self.next_try = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Gives up the connection, and plans the next try.
    pub(crate) fn lost(&mut self) {
        self.socket = None;
        self.try_later(sys::now());
    }

    /// The collector took a whole look: the pause after the next loss is short again.
    pub(crate) fn works(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// Sends the frame whose payload is in `frame` after the room for a header. True if it was sent.
    pub(crate) fn send(
        &mut self,
        frame: &mut [u8],
        kind: Kind,
        payload: usize,
        fd: Option<&OwnedFd>,
    ) -> bool {
        let header = Header {
            magic: MAGIC,
            kind: kind as u16,
            flags: 0,
            len: payload as u32,
            seq: self.seq,
            dump: self.dump,
            pid: self.pid,
            t_ns: sys::now(),
        };
        let Some(message) = frame.get_mut(..HEADER_LEN + payload) else { return false };
        let Some(socket) = self.socket.as_ref().filter(|_| header.write_to(message).is_ok()) else {
            return false;
        };
        // The number is used up even if the frame is dropped. The gap tells the collector of the loss.
        self.seq = self.seq.wrapping_add(1);
        loop {
            let sent = match fd {
                None => sys::send(socket, message),
                Some(fd) => sys::send_with_fd(socket, message, fd),
            };
            match sent {
                Ok(()) => {
                    self.counts.frames += 1;
                    self.counts.bytes += message.len() as u64;
                    return true;
                }
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::INTR) => {
                    let left = self.patience.saturating_sub(sys::now());
                    if left == 0 || !sys::wait(Some(socket), For::Writing, left) {
                        self.counts.frames_dropped += 1;
                        return false;
                    }
                }
                Err(_) => {
                    self.counts.frames_dropped += 1;
                    self.lost();
                    return false;
                }
            }
        }
    }

    /// Sends one frame that `fill` writes.
    pub(crate) fn send_one(
        &mut self,
        frame: &mut [u8; MAX_FRAME],
        kind: Kind,
        fd: Option<&OwnedFd>,
        fill: &mut Fill<'_>,
    ) -> bool {
        let Some(room) = frame.get_mut(HEADER_LEN..) else { return false };
        let mut w = Writer::new(room);
        if fill(&mut w).is_err() {
            self.counts.records_dropped += 1;
            return false;
        }
        let payload = w.len();
        self.send(frame, kind, payload, fd)
    }

    /// Sends one frame with one record.
    pub(crate) fn send_record<R: Record>(
        &mut self,
        frame: &mut [u8; MAX_FRAME],
        kind: Kind,
        record: &R,
    ) -> bool {
        self.send_one(frame, kind, None, &mut |w| w.record(record))
    }

    /// Takes the next message, if there is one. The connection is lost if the other side closed it.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match sys::receive(self.socket.as_ref()?, buffer) {
            Ok(0) => self.lost(),
            Ok(n) => return Some(n),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.lost(),
        }
        None
    }
}

/// Records of one kind, gathered until a frame is full.
pub(crate) struct Batch<'a> {
    frame: &'a mut [u8; MAX_FRAME],
    kind: Kind,
    payload: usize,
    pending: u32,
    /// Number of records that were sent.
    pub(crate) sent: u32,
    /// Number of records that could not be sent.
    pub(crate) dropped: u32,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(frame: &'a mut [u8; MAX_FRAME], kind: Kind) -> Self {
        Batch { frame, kind, payload: 0, pending: 0, sent: 0, dropped: 0 }
    }

    /// Adds what `fill` writes. Sends the frame first if the record does not fit any more.
    pub(crate) fn add(&mut self, link: &mut Link, fill: &mut Fill<'_>) {
        for _ in 0..2 {
            let Some(room) = self.frame.get_mut(HEADER_LEN + self.payload..) else { break };
            let mut w = Writer::new(room);
            if fill(&mut w).is_ok() {
                self.payload += w.len();
                self.pending += 1;
                return;
            }
            self.flush(link);
        }
        self.dropped += 1;
        link.counts.records_dropped += 1;
    }

    /// Sends what has been gathered so far.
    pub(crate) fn flush(&mut self, link: &mut Link) {
        if self.payload > 0 {
            if link.send(self.frame, self.kind, self.payload, None) {
                self.sent += self.pending;
            } else {
                self.dropped += self.pending;
                link.counts.records_dropped += self.pending;
            }
        }
        self.payload = 0;
        self.pending = 0;
    }
}
