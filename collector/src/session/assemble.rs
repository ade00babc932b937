//! Frames in, dumps out. The same code assembles a live session and reads a recorded
//! `dump.bin`. It does no I/O.

use hangscope_protocol::record::{
    AskRecord, CrashPageRecord, DsoNowRecord, DsoRecord, DumpEndRecord, FdRecord, HeartbeatRecord,
    HeartbeatThread, Hello, LastMemoryRecord, MarkRecord, MemoryRecord, NoteRecord, ProbeRecord, StackRecord,
    ThreadRecord,
};
use hangscope_protocol::stir::HoldRecord;
use hangscope_protocol::{HEADER_LEN, Header, Kind, MAGIC, MAX_PAYLOAD, Malformed, Reader, Record, VERSION};

use super::model::{Dso, Dump, Heartbeat, Hold, Identity, Memory, Note, Probe, Stack};
use super::{packed, patched};

/// Records of one kind in a dump: a bound on memory, far above any real dump.
const MAX_RECORDS: usize = 1 << 20;

/// Notes of a process that are kept.
const MAX_NOTES: usize = 256;

#[derive(Debug)]
pub(crate) enum Done {
    Hello,
    Heartbeat(Heartbeat),
    Note(Note),
    DumpBegin,
    /// A part of the dump is complete.
    Mark(MarkRecord),
    /// A dump is complete: call [`Assembler::take_dump`].
    DumpEnd,
    /// The descriptor of this message has a copy of the allocator.
    Copy(hangscope_protocol::record::CopyRecord),
    /// The descriptor of this message will have the requested memory at the exit of the process.
    LastMemory(LastMemoryRecord),
    CrashPage(CrashPageRecord),
    /// The shim ends the session.
    Bye(Note),
}

/// Why bytes are not a recorded dump.
#[derive(Debug, thiserror::Error)]
pub enum BadDump {
    #[error("frame {frame} (byte {offset}): {source}")]
    Malformed {
        /// Number of the frame, from 0.
        frame: usize,
        /// Offset of the frame, bytes.
        offset: usize,
        source: Malformed,
    },
    /// It begins as a zstd stream does, and is none.
    #[error("cannot be unpacked: {0}")]
    Packed(String),
    #[error("no dump in it: a dump.bin begins with a hello and holds at least one dump")]
    Empty,
}

/// Assembles the frames of one process.
#[derive(Debug, Default)]
pub struct Assembler {
    identity: Option<Identity>,
    dsos: Vec<Dso>,
    notes: Vec<Note>,
    beat: Option<Heartbeat>,
    dump: Option<Dump>,
    last_seq: Option<u32>,
}

impl Assembler {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The process; none before its hello.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The DSOs, each with the last look at it.
    pub(crate) fn dsos(&self) -> &[Dso] {
        &self.dsos
    }

    #[cfg(test)]
    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The dump that is being assembled, without DSOs and notes.
    pub(crate) fn dump(&self) -> Option<&Dump> {
        self.dump.as_ref()
    }

    /// Drops what a dump holds for its threads: whoever keeps its frames can read it again. The beginning,
    /// the end and the gaps stay.
    pub(crate) fn forget_parts(&mut self) {
        if let Some(dump) = self.dump.as_mut() {
            dump.maps.clear();
            dump.threads.clear();
            dump.second.clear();
            dump.stacks.clear();
            dump.probes.clear();
            dump.samples.clear();
            dump.fds.clear();
            dump.memory.clear();
            dump.marks.clear();
            dump.holds.clear();
        }
    }

    /// Takes the dump: complete after [`Done::DumpEnd`], else as far as it arrived.
    pub(crate) fn take_dump(&mut self) -> Option<Dump> {
        let mut dump = self.dump.take()?;
        dump.threads.sort_by_key(|t| t.tid);
        dump.second.sort_by_key(|t| t.tid);
        dump.dsos = self.dsos.clone();
        dump.notes = self.notes.clone();
        Some(dump)
    }

    /// Adds one whole frame. If it is malformed, its records before the error are kept.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<Option<Done>, Malformed> {
        let (header, kind, payload) = Header::split(frame)?;
        let gap = match self.last_seq.replace(header.seq) {
            Some(last) if kind != Kind::Hello => header.seq.wrapping_sub(last).wrapping_sub(1),
            _ => 0,
        };
        if let Some(dump) = self.dump.as_mut().filter(|d| d.begin.number == header.dump) {
            // A recorded dump has only its own frames: large gaps are frames that were not recorded.
            dump.gaps = dump.gaps.saturating_add(gap.min(1 << 16));
        }
        let mut r = Reader::new(payload);
        match kind {
            Kind::Hello => {
                // Check the version first: another version may have another layout.
                if Reader::new(payload).record::<u16>()? != VERSION {
                    return Err(Malformed { at: 0, expected: "version 2 of the protocol" });
                }
                self.identity = Some(Identity::from_hello(&Hello::get(&mut r)?));
                self.dsos.clear();
                self.beat = None;
                self.dump = None;
                Ok(Some(Done::Hello))
            }
            _ if self.identity.is_none() => {
                Err(Malformed { at: 0, expected: "a hello before anything else" })
            }
            Kind::Note => {
                let mut last = None;
                while !r.is_at_end() {
                    let note = note(&mut r)?;
                    // Drop the oldest: the newest notes say most about the dump to come.
                    if self.notes.len() >= MAX_NOTES {
                        self.notes.remove(0);
                    }
                    self.notes.push(note.clone());
                    last = Some(Done::Note(note));
                }
                Ok(last)
            }
            Kind::Bye => Ok(Some(Done::Bye(note(&mut r)?))),
            Kind::Dsos => {
                while !r.is_at_end() {
                    let (init, path) = r.record_with::<DsoRecord>()?;
                    let path = String::from_utf8_lossy(path).into_owned();
                    push(&mut self.dsos, Dso { init, path, now: None })?;
                }
                Ok(None)
            }
            Kind::DsosNow => {
                while !r.is_at_end() {
                    let now: DsoNowRecord = r.record()?;
                    if let Some(dso) = self.dsos.iter_mut().find(|d| d.init.id == now.id) {
                        dso.look(now);
                    }
                }
                Ok(None)
            }
            Kind::Copy => Ok(Some(Done::Copy(r.record()?))),
            Kind::LastMemory => Ok(Some(Done::LastMemory(r.record()?))),
            Kind::CrashPage => Ok(Some(Done::CrashPage(r.record()?))),
            Kind::Heartbeat => self.heartbeat(&header, &mut r),
            Kind::DumpBegin => {
                let identity = self.identity.clone().ok_or(Malformed { at: 0, expected: "a hello first" })?;
                self.dump = Some(Dump::begun(identity, r.record()?));
                Ok(Some(Done::DumpBegin))
            }
            Kind::Maps
            | Kind::Threads
            | Kind::Stacks
            | Kind::Probes
            | Kind::Mark
            | Kind::Fds
            | Kind::Memory
            | Kind::Holds
            | Kind::Patched
            | Kind::DumpEnd => {
                let dump = self
                    .dump
                    .as_mut()
                    .ok_or(Malformed { at: 0, expected: "the beginning of a dump first" })?;
                part(dump, kind, header.t_ns, &mut r)
            }
            Kind::Ask | Kind::Request | Kind::Answer => {
                Err(Malformed { at: 4, expected: "a kind that a shim says" })
            }
        }
    }

    fn heartbeat(&mut self, header: &Header, r: &mut Reader<'_>) -> Result<Option<Done>, Malformed> {
        let record: HeartbeatRecord = r.record()?;
        let mut beat = match self.beat.take() {
            Some(beat) if record.first != 0 && beat.record.tick == record.tick => beat,
            _ => Heartbeat { t_ns: header.t_ns, record, threads: vec![] },
        };
        while !r.is_at_end() {
            push(&mut beat.threads, r.record::<HeartbeatThread>()?)?;
        }
        beat.record = HeartbeatRecord { first: 0, ..record };
        if record.last == 0 {
            self.beat = Some(beat);
            return Ok(None);
        }
        Ok(Some(Done::Heartbeat(beat)))
    }
}

/// Adds a frame that belongs to a dump.
fn part(dump: &mut Dump, kind: Kind, t_ns: u64, r: &mut Reader<'_>) -> Result<Option<Done>, Malformed> {
    match kind {
        Kind::Maps => {
            let offset: u64 = r.record()?;
            let rest = r.raw_rest();
            // After a dropped chunk the text ends: chunks behind the hole must not close it.
            if offset as usize == dump.maps.len() && dump.maps.len() + rest.len() <= 64 << 20 {
                dump.maps.extend_from_slice(rest);
            }
        }
        Kind::Threads => {
            while !r.is_at_end() {
                let thread: ThreadRecord = r.record()?;
                let [first, second] = &mut dump.looks_ns;
                let (to, begun) =
                    if thread.look == 2 { (&mut dump.second, second) } else { (&mut dump.threads, first) };
                if *begun == 0 {
                    *begun = t_ns;
                }
                push(to, thread)?;
            }
        }
        Kind::Stacks => {
            while !r.is_at_end() {
                let (record, bytes) = r.record_with::<StackRecord>()?;
                push(&mut dump.stacks, Stack { record, bytes: bytes.to_vec() })?;
            }
        }
        Kind::Probes => {
            while !r.is_at_end() {
                let (record, bytes) = r.record_with::<ProbeRecord>()?;
                let to = if record.sample == 0 { &mut dump.probes } else { &mut dump.samples };
                let (mut record, mut stack) = (record, bytes.to_vec());
                patched::put_right(&dump.patched, &mut record, &mut stack);
                push(to, Probe { record, stack })?;
            }
        }
        Kind::Fds => {
            while !r.is_at_end() {
                let (record, target) = r.record_with::<FdRecord>()?;
                dump.fds.insert(record.fd, String::from_utf8_lossy(target).into_owned());
            }
        }
        Kind::Memory => memory(r, &mut dump.memory)?,
        Kind::Holds => {
            while !r.is_at_end() {
                let (record, bytes) = r.record_with::<HoldRecord>()?;
                push(&mut dump.holds, Hold { record, stack: bytes.to_vec() })?;
            }
        }
        Kind::Patched => {
            while !r.is_at_end() {
                push(&mut dump.patched, r.record()?)?;
            }
        }
        Kind::Mark => {
            let mark: MarkRecord = r.record()?;
            push(&mut dump.marks, mark)?;
            return Ok(Some(Done::Mark(mark)));
        }
        _ => {
            let end: DumpEndRecord = r.record()?;
            dump.end = Some(end);
            return Ok(Some(Done::DumpEnd));
        }
    }
    Ok(None)
}

/// Reads [`MemoryRecord`]s with their bytes, to the end.
pub(super) fn memory(r: &mut Reader<'_>, to: &mut Vec<Memory>) -> Result<(), Malformed> {
    while !r.is_at_end() {
        let (record, bytes) = r.record_with::<MemoryRecord>()?;
        push(to, Memory { record, bytes: bytes.to_vec() })?;
    }
    Ok(())
}

fn note(r: &mut Reader<'_>) -> Result<Note, Malformed> {
    let (record, text) = r.record_with::<NoteRecord>()?;
    Ok(Note { record, text: String::from_utf8_lossy(text).into_owned() })
}

fn push<T>(to: &mut Vec<T>, item: T) -> Result<(), Malformed> {
    if to.len() >= MAX_RECORDS {
        return Err(Malformed { at: 0, expected: "fewer records" });
    }
    to.push(item);
    Ok(())
}

/// Reads the dumps of a recorded `dump.bin`, packed or plain: the frames in the order in which they were
/// sent. A frame that is cut off at the end of the file is left out. The dump before it is legal, but has no
/// end.
///
/// # Errors
/// [`BadDump`] if there is no dump, or if a frame in the middle is malformed.
pub fn read_dumps(bytes: &[u8]) -> Result<Vec<Dump>, BadDump> {
    let bytes = packed::unpack(bytes).map_err(|e| BadDump::Packed(e.to_string()))?;
    let mut assembler = Assembler::new();
    let mut dumps = vec![];
    let mut offset = 0;
    let mut frame = 0;
    while let Some(rest) = bytes.get(offset..).filter(|rest| rest.len() >= HEADER_LEN) {
        let malformed = |source| BadDump::Malformed { frame, offset, source };
        let header: Header = Reader::new(rest).record().map_err(malformed)?;
        // Bytes without the magic are garbage, not a frame that was cut off.
        if header.magic != MAGIC {
            return Err(malformed(Malformed { at: 0, expected: "the magic HSC1" }));
        }
        if header.len as usize > MAX_PAYLOAD {
            return Err(malformed(Malformed { at: 8, expected: "the length of a payload" }));
        }
        let Some(whole) = rest.get(..HEADER_LEN + header.len as usize) else { break };
        if matches!(Kind::from_u16(header.kind), Some(Kind::DumpBegin | Kind::Hello)) {
            dumps.extend(assembler.take_dump());
        }
        if let Some(Done::DumpEnd) = assembler.push(whole).map_err(malformed)? {
            dumps.extend(assembler.take_dump());
        }
        offset += whole.len();
        frame += 1;
    }
    dumps.extend(assembler.take_dump());
    if dumps.is_empty() { Err(BadDump::Empty) } else { Ok(dumps) }
}

/// A request with its tids or ranges, as one frame.
pub(crate) fn ask_frame<R: Record>(ask: &AskRecord, items: &[R], seq: u32) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN + AskRecord::SIZE + items.len() * R::SIZE];
    let header = Header {
        magic: hangscope_protocol::MAGIC,
        kind: Kind::Ask as u16,
        flags: 0,
        len: (frame.len() - HEADER_LEN) as u32,
        seq,
        dump: 0,
        pid: std::process::id(),
        t_ns: 0,
    };
    let mut w = hangscope_protocol::Writer::new(&mut frame);
    let written = w
        .record(&header)
        .and_then(|()| w.record(ask))
        .and_then(|()| items.iter().try_for_each(|item| w.record(item)));
    debug_assert!(written.is_ok(), "the buffer is as large as what is written");
    frame
}
