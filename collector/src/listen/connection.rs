//! From the frames of one connection to events.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use hangscope_protocol::record::{
    CopyRecord, DumpBeginRecord, DumpEndRecord, MarkRecord, NoteRecord, mark_part, note_code,
};
use hangscope_protocol::{Header, Kind, Malformed, Reader, VERSION};

use super::event::{ConnId, Event, Peer, What};
use super::flow::Waiting;
use super::limits::ConnectionLimits;
use super::peer;
use super::shared::Shared;
use super::spool::Spool;
use crate::session::assemble::Done;
use crate::session::{Assembler, Dso, Note};

/// Text of a note of the collector itself: a descriptor that the process sent was lost.
pub(crate) const NO_DESCRIPTOR: &str = "no descriptor free here (ulimit -n)";

/// Limit for the frames with notes and later looks from before a dump that go into its `dump.bin`,
/// bytes. The oldest are dropped.
const PRELUDE_BYTES: usize = 1 << 20;
/// Limit for the frames of the hello and the DSOs, bytes: about ten thousand DSOs.
const FIRST_BYTES: usize = 4 << 20;

/// The sender of a connection's events. Never blocks.
#[derive(Debug)]
pub(super) struct Outlet {
    conn: ConnId,
    peer: Peer,
    events: Sender<Event>,
    waiting: Arc<Waiting>,
    sent_any: bool,
}

impl Outlet {
    pub(super) fn new(conn: ConnId, peer: Peer, events: Sender<Event>, waiting: Arc<Waiting>) -> Outlet {
        Outlet { conn, peer, events, waiting, sent_any: false }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends an event of about `bytes` bytes.
    pub(super) fn send(&mut self, what: What, bytes: usize) {
        self.sent_any = true;
        let charge = self.waiting.charge(bytes);
        // The receiver lives as long as the listener. After that the event is of no use.
        let _ = self.events.send(Event::charged(self.conn, self.peer.clone(), what, charge));
    }

    /// Sends [`What::End`], unless it would be the only event: another collector connects without a message
    /// to check whether the socket is in use.
    pub(super) fn end(&mut self) {
        if self.sent_any {
            self.send(What::End, 0);
        }
    }

    /// Whether the connection must not be read now.
    pub(super) fn must_pause(&self) -> bool {
        self.waiting.must_pause()
    }
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) outlet: Outlet,
    shared: Arc<Shared>,
    pub(super) socket: Arc<OwnedFd>,
    assembler: Assembler,
    /// The frames of the hello and the DSOs: the beginning of a `dump.bin`.
    first: Vec<u8>,
    /// The frames of notes and later looks since the hello.
    prelude: VecDeque<Vec<u8>>,
    prelude_bytes: usize,
    /// The frames of the dump that is being received, with those that its `dump.bin` begins with.
    recording: Option<Spool>,
    /// The DSOs of the last [`What::Dsos`].
    last_dsos: Option<Vec<Dso>>,
    window: Window,
    /// A person asked for a dump. No hello follows.
    requested: bool,
    /// Number of the last message.
    last_seq: Option<u32>,
}

/// What a connection has sent in the current window.
#[derive(Debug)]
struct Window {
    began: Instant,
    /// Outside dumps.
    frames: u32,
    dumps: u32,
    hellos: u32,
}

impl Window {
    fn new() -> Window {
        Window { began: Instant::now(), frames: 0, dumps: 0, hellos: 0 }
    }
}

/// A person names a process; a program that sends a signal also the signal. A `hangscope timeout` names a
/// process, a time in milliseconds and a zero.
fn request(payload: &[u8]) -> Result<What, Malformed> {
    let mut reader = Reader::new(payload);
    let word = size_of::<u32>();
    if payload.len() == word || payload.len() == 3 * word {
        let pid = reader.record()?;
        let ms: u32 = if reader.is_at_end() { 0 } else { reader.record()? };
        return Ok(What::Wanted { pid, second_look: Duration::from_millis(ms.into()) });
    }
    Ok(What::Stopping { target: reader.record()?, signal: reader.record()? })
}

impl Talk {
    pub(super) fn new(outlet: Outlet, shared: Arc<Shared>, socket: Arc<OwnedFd>) -> Self {
        Talk {
            outlet,
            shared,
            socket,
            assembler: Assembler::new(),
            first: vec![],
            prelude: VecDeque::new(),
            prelude_bytes: 0,
            recording: None,
            last_dsos: None,
            window: Window::new(),
            requested: false,
            last_seq: None,
        }
    }

    fn has_hello(&self) -> bool {
        self.assembler.identity().is_some()
    }

    /// Whether a message must still say what the connection is for.
    pub(super) fn is_silent(&self) -> bool {
        !self.has_hello() && !self.requested
    }

    /// Ends the connection, with the reason if it is the collector that ends it.
    pub(super) fn end(&mut self, reason: Option<String>) {
        self.send_dump(None);
        if let Some(reason) = reason {
            self.outlet.send(What::Rejected(reason), 0);
        }
        self.outlet.end();
    }

    /// Handles one message. `fds_lost`: the collector had no free descriptor for the one that came with it.
    /// That is no error of the process.
    ///
    /// # Errors
    /// The reason to end the connection.
    pub(super) fn frame(&mut self, bytes: &[u8], fds: Vec<OwnedFd>, fds_lost: bool) -> Result<(), String> {
        let (header, kind, payload) = Header::split(bytes).map_err(|e| e.to_string())?;
        self.within_limits(kind)?;
        if kind == Kind::Request && !self.has_hello() {
            self.requested = true;
            self.outlet.send(request(payload).map_err(|e| e.to_string())?, 0);
            return Ok(());
        }
        if matches!(kind, Kind::Hello | Kind::DumpBegin) {
            self.send_dump(None);
        }
        if kind == Kind::Hello {
            speaks_our_version(payload)?;
            let fits = self.socket.as_raw_fd() < self.shared.pidfds_below;
            if !fits {
                self.shared.no_pidfd.store(true, Ordering::Relaxed);
            } else if self.outlet.peer.pidfd.is_none() {
                self.outlet.peer.pidfd = peer::pidfd(&self.socket, self.outlet.peer.pid);
            }
        }
        let came = fds.len() + usize::from(fds_lost);
        if came != usize::from(matches!(kind, Kind::Copy | Kind::LastMemory | Kind::CrashPage)) {
            return Err(format!("{came} descriptors with a {kind:?} frame"));
        }
        let done = self.assembler.push(bytes).map_err(|e| format!("frame {} ({kind:?}): {e}", header.seq))?;
        self.count(kind, header.seq, bytes.len());
        self.record(kind, bytes)?;
        self.send_dsos(kind);
        match done {
            Some(done) => self.send_done(done, fds),
            None => Ok(()),
        }
    }

    /// Counts a message. A hello begins a new count of numbers.
    fn count(&mut self, kind: Kind, seq: u32, bytes: usize) {
        let last = self.last_seq.replace(seq).filter(|_| kind != Kind::Hello);
        if let Some(traffic) = self.shared.traffic.get() {
            traffic.count(bytes, last.map_or(0, |last| seq.wrapping_sub(last).wrapping_sub(1)));
        }
    }

    /// Keeps the frames that a `dump.bin` needs.
    fn record(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), String> {
        match kind {
            Kind::Hello => {
                self.first = bytes.to_vec();
                self.prelude.clear();
                self.prelude_bytes = 0;
                self.last_dsos = None;
            }
            // The snapshots from init. The hello has their number.
            Kind::Dsos => {
                if self.first.len() + bytes.len() > FIRST_BYTES {
                    return Err("more DSOs than a process can have".into());
                }
                self.first.extend_from_slice(bytes);
            }
            Kind::DumpBegin => {
                let Some(dump) = self.assembler.dump() else { return Ok(()) };
                let mut spool = Spool::new(dump.begin, self.shared.spool_in().as_deref());
                spool.push(&self.first)?;
                self.prelude.iter().try_for_each(|frame| spool.push(frame))?;
                self.recording = Some(spool);
            }
            _ => {}
        }
        if let Some(spool) = self.recording.as_mut() {
            let most = self.shared.limits.dump_bytes;
            if spool.len() + bytes.len() > most {
                return Err(format!("a dump of more than {} MiB", most >> 20));
            }
            spool.push(bytes)?;
            // The frames are in the file. Their records are read again when they are needed.
            self.assembler.forget_parts();
        }
        if matches!(kind, Kind::Note | Kind::DsosNow) {
            self.prelude_bytes += bytes.len();
            self.prelude.push_back(bytes.to_vec());
            while self.prelude_bytes > PRELUDE_BYTES {
                self.prelude_bytes -= self.prelude.pop_front().map_or(self.prelude_bytes, |f| f.len());
            }
        }
        Ok(())
    }

    /// Sends the DSOs once all snapshots have arrived, and when a later look differs.
    fn send_dsos(&mut self, kind: Kind) {
        let dsos = self.assembler.dsos();
        let announced = self.assembler.identity().map_or(0, |i| i.fixed.dsos as usize);
        // A frame of another kind ends the snapshots: announced ones that did not arrive were dropped.
        let all = dsos.len() >= announced || !matches!(kind, Kind::Hello | Kind::Dsos | Kind::Note);
        if !all || !matches!(kind, Kind::Dsos | Kind::DsosNow) && self.last_dsos.is_some() {
            return;
        }
        if (!dsos.is_empty() || self.last_dsos.is_some()) && self.last_dsos.as_deref() != Some(dsos) {
            self.last_dsos = Some(dsos.to_vec());
            self.outlet.send(What::Dsos(dsos.to_vec()), size_of_val(dsos));
        }
    }

    fn send_done(&mut self, done: Done, mut fds: Vec<OwnedFd>) -> Result<(), String> {
        let what = match done {
            Done::Hello => {
                let Some(identity) = self.assembler.identity() else { return Ok(()) };
                What::Hello(Box::new(identity.clone()))
            }
            Done::Heartbeat(beat) => {
                let bytes = size_of_val(&beat) + size_of_val(beat.threads.as_slice());
                self.outlet.send(What::Heartbeat(beat), bytes);
                return Ok(());
            }
            Done::Note(note) => What::Note(note),
            Done::DumpBegin => match self.assembler.dump() {
                Some(dump) => What::DumpBegin(dump.begin),
                None => return Ok(()),
            },
            Done::Mark(mark) => {
                self.outlet.send(What::Mark(mark), size_of::<MarkRecord>());
                if mark.part != mark_part::STACKS {
                    return Ok(());
                }
                let so_far = self.recording.as_ref().map(Spool::so_far);
                if let Some(Ok(dump)) = so_far {
                    let bytes = dump.held() + size_of::<DumpBeginRecord>();
                    self.outlet.send(What::FirstLook(Box::new(dump)), bytes);
                }
                return Ok(());
            }
            Done::DumpEnd => {
                let end = self.assembler.dump().and_then(|dump| dump.end);
                self.send_dump(end);
                return Ok(());
            }
            Done::Copy(record) => match fds.pop() {
                Some(fd) => What::Copy { record, fd },
                None => no_descriptor(note_code::NO_COPY),
            },
            Done::LastMemory(record) => match fds.pop() {
                Some(fd) => What::LastMemory { record, fd },
                None => no_descriptor(note_code::UNREADABLE),
            },
            Done::CrashPage(record) => match fds.pop() {
                Some(fd) => What::CrashPage { record, fd },
                None => no_descriptor(note_code::UNREADABLE),
            },
            Done::Bye(note) => What::Bye(note),
        };
        self.outlet.send(what, size_of::<CopyRecord>() + 4096);
        Ok(())
    }

    /// Sends the dump that is being received, as far as it arrived.
    fn send_dump(&mut self, end: Option<DumpEndRecord>) {
        let (Some(_), Some(spool)) = (self.assembler.take_dump(), self.recording.take()) else { return };
        let dump = spool.finish(end);
        let bytes = dump.held() + size_of::<DumpBeginRecord>();
        self.outlet.send(What::Dump(Box::new(dump)), bytes);
    }

    fn within_limits(&mut self, kind: Kind) -> Result<(), String> {
        let ConnectionLimits { window, window_frames, window_dumps, window_hellos, .. } = self.shared.limits;
        if self.window.began.elapsed() > window {
            self.window = Window::new();
        }
        match kind {
            Kind::DumpBegin => self.window.dumps += 1,
            Kind::Hello => self.window.hellos += 1,
            _ => self.window.frames += u32::from(self.recording.is_none()),
        }
        if self.window.frames > window_frames {
            return Err(format!("a flood: over {window_frames} frames outside a dump in {window:?}"));
        }
        if self.window.dumps > window_dumps {
            return Err(format!("a flood: over {window_dumps} dumps in {window:?}"));
        }
        if self.window.hellos > window_hellos {
            return Err(format!("a flood: over {window_hellos} hellos in {window:?}"));
        }
        Ok(())
    }
}

/// The note that replaces a frame whose descriptor was lost.
fn no_descriptor(code: u16) -> What {
    let record = NoteRecord { code, reserved: 0, tid: 0, value: 0 };
    What::Note(Note { record, text: NO_DESCRIPTOR.into() })
}

/// Checks the version. It is the first field of every hello, in every version.
fn speaks_our_version(hello: &[u8]) -> Result<(), String> {
    let version: u16 = Reader::new(hello).record().map_err(|e| e.to_string())?;
    if version == VERSION {
        return Ok(());
    }
    Err(format!(
        "its shim speaks version {version} of the protocol, this collector {VERSION}: \
         use the libhangscope.so that came with it"
    ))
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::LastMemoryRecord;

    use super::*;
    use crate::testkit::fake_shim::{Frames, payload, zero};

    #[test]
    fn lost_descriptors_become_notes_and_do_not_end_the_connection() {
        let (sender, events) = crossbeam_channel::unbounded();
        let peer = Peer { pid: 1, uid: 0, pidfd: None };
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        let mut shared = Shared::new(ConnectionLimits::default(), waker);
        shared.pidfds_below = 0;
        let shared = Arc::new(shared);
        let outlet = Outlet::new(ConnId(1), peer, sender, shared.waiting(1));
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = Arc::new(OwnedFd::from(ours));
        let (mut talk, mut frames) = (Talk::new(outlet, shared.clone(), socket), Frames::default());
        frames.hello(1).iter().for_each(|frame| talk.frame(frame, vec![], false).unwrap());
        assert!(shared.no_pidfd.load(Ordering::Relaxed) && talk.outlet.peer.pidfd.is_none());
        events.try_iter().for_each(drop);
        let copy = frames.next(Kind::Copy, 0, &payload(|w| w.record(&zero::<CopyRecord>()).unwrap()));
        let last = payload(|w| w.record(&zero::<LastMemoryRecord>()).unwrap());
        let last = frames.next(Kind::LastMemory, 0, &last);
        talk.frame(&copy, vec![], true).unwrap();
        talk.frame(&last, vec![], true).unwrap();
        for code in [note_code::NO_COPY, note_code::UNREADABLE] {
            let What::Note(note) = events.try_recv().unwrap().what else { panic!("a note") };
            assert_eq!((note.record.code, &*note.text), (code, NO_DESCRIPTOR));
        }
        let beat = frames.heartbeat(1, 1);
        talk.frame(&beat, vec![], true).unwrap_err();
    }
}
