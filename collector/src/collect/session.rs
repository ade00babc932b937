//! One process from its hello to its end: its files, its dumps, how it ended.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use crossbeam_channel::Sender;
use hangscope_protocol::record::{AskRecord, CopyRecord, ask_what, dump_reason, hello_flags};

use super::beats::{self, Beats};
use super::desk::Desk;
use super::disk::{self, Folded};
use super::folder;
use super::judge::Judge;
use super::record::{self, End, SessionRecord};
use super::still::Still;
use crate::analysis::integrity::is_of_a_lost_mapping;
use crate::analysis::{Class, Finding, History, launcher};
use crate::capture;
use crate::console::out;
use crate::evidence::bundle::{Allocator, AllocatorBytes, Bundle, Contents, DumpFrames};
use crate::evidence::missing::NotWritten;
use crate::evidence::stall::JudgedStall;
use crate::evidence::truncated_stacks;
use crate::files::atomic::{self, WriteError};
use crate::files::free;
use crate::files::pin;
use crate::launch::census;
use crate::listen::request::{Answer, Problem};
use crate::listen::{ConnId, Event, Peer, RecordedDump, What};
use crate::proc::ending::{self, Ending};
use crate::profile::Profile;
use crate::session::copy::{self, Copied};
use crate::session::syscalls::Syscalls;
use crate::session::{Dso, Dump, Identity, Note};
use crate::snap;
use crate::symbolize::Sources;
use crate::text::collecting::CollectLine;
use crate::text::message::say;

/// Number of the requests of people.
const WANTED: u32 = 1;

/// A process in which nothing moved at so many looks is looked at before it is ended.
const STANDS_STILL: u32 = 2;

/// A copy of more bytes is read by the threads for dumps.
const LARGE_COPY: u64 = 32 << 20;

/// What a session begins with.
pub(super) struct Beginning {
    pub(super) identity: Identity,
    pub(super) peer: Peer,
    /// The record of the same program from before this collector was started.
    pub(super) before: Option<SessionRecord>,
}

/// What a session takes.
pub(super) enum Input {
    /// From one of the session's connections.
    Event(Box<Event>),
    /// Somebody wants a dump.
    Wanted(Asked),
    /// A signal that ends the process is about to be sent, by a program that waits for the answer.
    Stopping {
        asked: Asked,
        signal: i32,
    },
    Exited,
    /// The process runs another program now.
    Superseded,
    Close,
}

impl Input {
    /// Whether it may take long.
    pub(super) fn is_heavy(&self) -> bool {
        match self {
            Input::Event(event) => match &event.what {
                What::Dump(_) => true,
                What::Copy { fd, .. } => copy::len(fd) > LARGE_COPY,
                _ => false,
            },
            _ => false,
        }
    }
}

/// A request for a dump.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Who gets the answer; none: nobody waits for it.
    pub(super) asker: Option<ConnId>,
    /// Number of answers that are still to be given.
    pub(super) left: Arc<AtomicU32>,
    /// From the first look to the second; zero: as usual.
    pub(super) second_look: Duration,
    /// Only the last answer is sent.
    pub(super) only_last: bool,
    /// Its drop tells that the request is done.
    pub(super) done: Option<Sender<()>>,
}

pub(super) struct Session {
    desk: Arc<Desk>,
    identity: Identity,
    peer: Peer,
    dir: PathBuf,
    record: SessionRecord,
    beats: Beats,
    /// The heartbeats could not be written, which was said.
    beats_failed: bool,
    /// Bytes on the disk that are counted.
    on_disk: u64,
    judge: Judge,
    dsos: Vec<Dso>,
    history: History,
    profile: Profile,
    /// The allocator's bytes as they were at init, saved.
    copy: Option<PathBuf>,
    /// The disk had no room for them.
    unsaved_copy: Option<(CopyRecord, OwnedFd)>,
    still: Still,
    /// The last hang that was captured.
    captured: Option<Answer>,
    /// Whether a dump was analysed since something moved in it.
    looked_at: bool,
    /// Dumps that came unasked.
    late: u32,
    /// Unasked dumps of a process that was only slow, or waited for its children.
    slow: u32,
    /// Whether it had children when its last dump began.
    has_children: bool,
    /// Whether an idle stall was printed already.
    idle_printed: bool,
    /// The bundle of the dump that has begun to arrive.
    begun: Option<Bundle>,
    conns: BTreeSet<ConnId>,
    wanted: Vec<Asked>,
    greeted: bool,
    exited: bool,
    superseded: bool,
    closed: bool,
    rejected: Option<String>,
    /// Ask for a dump as soon as the hello is taken: one was cut off by the end of the collector before.
    ask_again: bool,
}

impl Session {
    /// Makes the folder, and writes the first `session.json`.
    pub(super) fn begin(desk: Arc<Desk>, beginning: Beginning) -> Session {
        let Beginning { identity, peer, before } = beginning;
        let again = before.is_some();
        let (dir, mut record) = match before {
            Some(before) => (desk.options.out.join(&before.folder), before),
            None => {
                let (name, dir) = folder::new(&desk, &record::folder_name(&identity, peer.pid));
                (dir, SessionRecord::new(&identity, peer.pid, format!("sessions/{name}")))
            }
        };
        let ask_again = again && folder::settle(&dir, &mut record);
        let mut session = Session {
            judge: Judge::new(peer.pid),
            identity,
            peer,
            dir,
            record,
            beats: Beats::default(),
            beats_failed: false,
            on_disk: 0,
            dsos: vec![],
            history: History::default(),
            profile: Profile::plain("allocator"),
            copy: None,
            unsaved_copy: None,
            still: Still::default(),
            captured: None,
            looked_at: false,
            late: 0,
            slow: 0,
            has_children: false,
            idle_printed: false,
            begun: None,
            conns: BTreeSet::new(),
            wanted: vec![],
            // A record from before has its first connection.
            greeted: again,
            exited: false,
            superseded: false,
            closed: false,
            rejected: None,
            ask_again,
            desk,
        };
        session.save();
        session.desk.say_of_course(format_args!("[SESSION] {} {}", session.peer.pid, session.title()));
        session
    }

    /// Label and command, for a line on the terminal.
    fn title(&self) -> String {
        let command = self.record.command.join(" ");
        let command = if command.is_empty() { self.record.exe.clone() } else { command };
        let command: String = command.chars().take(200).collect();
        if self.record.label.is_empty() { command } else { format!("[{}] {command}", self.record.label) }
    }

    /// Takes an input. True if the session is over: the process and all its connections have ended, or the
    /// collector ends.
    pub(super) fn step(&mut self, input: Input) -> bool {
        match input {
            Input::Event(event) => self.event(*event),
            Input::Wanted(asked) => self.want(asked),
            Input::Stopping { asked, signal } => self.stopping(asked, signal),
            Input::Exited => self.exited = true,
            Input::Superseded => self.superseded = true,
            Input::Close => self.closed = true,
        }
        self.closed || self.conns.is_empty() && self.is_over()
    }

    /// Whether an input touches no file and no process: a heartbeat that stays in memory.
    pub(super) fn only_remembers(&self, input: &Input) -> bool {
        let is_beat = matches!(input, Input::Event(event) if matches!(event.what, What::Heartbeat(_)));
        is_beat && !self.record.hung && !self.desk.disk.keeps_healthy()
    }

    fn is_over(&self) -> bool {
        self.exited || self.superseded || self.rejected.is_some() || self.peer.pidfd.is_none()
    }

    fn event(&mut self, event: Event) {
        match event.what {
            What::Hello(_) => {
                // The first hello is counted already.
                self.record.connections += u32::from(self.greeted);
                self.greeted = true;
                self.conns.insert(event.conn);
                if std::mem::take(&mut self.ask_again) {
                    self.ask_for_dump(Duration::ZERO);
                }
            }
            What::Dsos(dsos) => self.look(dsos),
            What::Copy { record, fd } => self.take_copy(record, fd),
            What::Heartbeat(beat) => {
                if self.identity.fixed.flags & hello_flags::OTHER_IDS == 0 {
                    self.history.push(&beat);
                }
                self.record.heartbeats += 1;
                self.still.push(&beat);
                self.looked_at &= self.still.looks() > 0;
                self.record.max_rss_kib = self.record.max_rss_kib.max(beat.record.rss_kib);
                self.beats.push(beat, self.judge.last(), beats::share(self.desk.live()));
                let keeps = self.record.hung || self.desk.disk.keeps_healthy();
                if keeps && self.beats.len() >= self.desk.options.beats {
                    self.write_beats();
                }
            }
            What::Note(note) if note.is_of_analysis() => {}
            What::Note(note) => self.note(text(&note)),
            What::DumpBegin(begin) => {
                self.record.dumps += 1;
                // Now: they may have ended when the dump is analysed.
                self.has_children = !census::children(self.peer.pid).is_empty();
                if begin.reason == dump_reason::STALL {
                    // Whether the process is stuck or idle is known when the dump is complete.
                    return;
                }
                let late = begin.reason != dump_reason::ASKED;
                self.late += u32::from(late);
                if late && !self.record.hung {
                    self.record.hung = true;
                    self.desk.say_of_course(format_args!("[LATE] {} {}", self.peer.pid, self.title()));
                    self.save();
                }
                self.begin_dump(begin.number, begin.request == WANTED);
            }
            What::Mark(_) | What::LastMemory { .. } | What::CrashPage { .. } => {}
            // The router takes them.
            What::Wanted { .. } | What::Stopping { .. } => {}
            What::FirstLook(dump) => {
                // Where it may be stopped, that is done at the end of the dump, and no signal is sent. If the
                // request fails, the stacks stay cut short, and their threads say so.
                if snap::only_a_signal_reaches(self.peer.pid)
                    && let Ok(dump) = dump.read()
                {
                    let _ = truncated_stacks::ask(&self.desk.asker, event.conn, &dump.dump, &self.sources());
                }
            }
            What::Dump(dump) => {
                if let Some((record, fd)) = self.unsaved_copy.take() {
                    self.take_copy(record, fd);
                }
                let desk = self.desk.clone();
                let _room = desk.room.take_for_dump(dump.len(), || desk.dump_waits());
                let (number, read) = (dump.begin.number, dump.read());
                // Its file takes room on the disk.
                drop(dump);
                match read {
                    Ok(dump) if dump.dump.begin.reason == dump_reason::STALL => self.stall(&dump),
                    Ok(dump) => self.finish_dump(&dump),
                    Err(error) => self.note(format!("dump {number} cannot be read: {error}")),
                }
            }
            What::Bye(note) => self.note(format!("the shim left: {}", text(&note))),
            What::Rejected(reason) => self.rejected = Some(reason),
            What::End => {
                self.conns.remove(&event.conn);
            }
        }
    }

    fn look(&mut self, dsos: Vec<Dso>) {
        let allocator = self.identity.fixed.allocator;
        self.judge.look(&dsos, (allocator, self.record.sha1.as_deref()));
        let allocator = dsos.iter().find(|dso| dso.init.id == self.identity.fixed.allocator);
        // A record from an earlier collector has the allocator already.
        if let Some(dso) = allocator.filter(|_| self.dsos.is_empty()) {
            self.profile = Profile::for_dso(dso.path.as_ref(), None);
            self.profile.name = pin::name_of(dso.path.as_ref());
            self.record.build_id = dso.build_id();
            self.record.allocator = Some(dso.path.clone());
        }
        self.dsos = dsos;
        let before = (self.record.integrity, self.record.deleted_seen);
        self.record.integrity = self.judge.integrity();
        self.record.deleted_seen = self.judge.deleted_seen;
        if before != (self.record.integrity, self.record.deleted_seen) || self.record.heartbeats == 0 {
            self.save();
        }
    }

    /// Takes the allocator's bytes. Where the disk has no room for them, the next dump has them taken again.
    fn take_copy(&mut self, record: CopyRecord, fd: OwnedFd) {
        let desk = self.desk.clone();
        let _room = desk.copies.take(copy::len(&fd), || {});
        let copied = copy::take(&fd, &record, self.dsos.iter().map(|dso| dso.init));
        match copied.map(|copied| self.keep_copy(&copied)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.unsaved_copy = error.is_full().then_some((record, fd));
                self.failed(&error);
            }
            Err(error) => self.note(format!("the allocator's bytes could not be taken: {error}")),
        }
    }

    fn keep_copy(&mut self, copied: &Copied) -> Result<(), WriteError> {
        let Copied { bytes, sha1, .. } = copied;
        // One file for all sessions that run these bytes; the bundles link to it.
        let dir = self.desk.options.out.join("dso");
        let path = dir.join(format!("{}_{}.so", self.profile.name, &sha1[..8]));
        self.record.sha1 = Some(sha1.clone());
        let there = std::fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
        if !there {
            atomic::make_dir(&dir)?;
            free::check(&path, bytes.len() as u64)?;
            atomic::write_with(&path, atomic::READ_ONLY, |f| f.write_all(bytes))?;
        }
        let name = self.name_of(&path);
        self.record.not_written.retain(|file| *file != name);
        self.copy = Some(path);
        Ok(())
    }

    /// Begins a bundle: the look from outside is at the moment of the look from inside.
    /// A dump that somebody wants to see is kept whatever the limit is.
    fn begin_dump(&mut self, number: u32, wanted: bool) {
        if !wanted && self.record.dump_folders.len() as u32 >= self.desk.options.dumps {
            return;
        }
        if !self.desk.has_room() {
            self.note(format!("dump {number} is not kept: --max-size is reached"));
            return;
        }
        self.write_beats();
        let dir = self.dir.join(format!("dump_{number}"));
        let dso = self.record.allocator.iter().map(PathBuf::from).collect();
        let shim_tid = Some(self.identity.fixed.watchdog_tid);
        let options = capture::Options { name: &self.profile.name, profile: &self.profile, dso, shim_tid };
        self.begun = Some(Bundle::begin(&dir, self.peer.pid, &options));
    }

    /// A file as [`SessionRecord::not_written`] names it.
    fn name_of(&self, path: &Path) -> String {
        let out = &self.desk.options.out;
        let name = path.strip_prefix(&self.dir).or_else(|_| path.strip_prefix(out)).unwrap_or(path);
        name.display().to_string()
    }

    /// Where names come from, without a bundle.
    fn sources(&self) -> Sources {
        Sources {
            allocator_copy: self.copy.clone().filter(|copy| copy.exists()),
            live_pid: Some(self.peer.pid),
            same_boot: true,
            kept: self.desk.names.clone(),
            ..Sources::default()
        }
    }

    /// The dump of a process in which nothing moved: a hang if the process is stuck, else a note.
    fn stall(&mut self, dump: &RecordedDump) {
        let judged = JudgedStall::of(&dump.dump, &self.sources(), &self.history);
        if dump.dump.end.is_none() {
            // The process may have ended. Keep the dump, but count no hang. After a known hang it adds
            // nothing.
            if self.record.hung {
                return;
            }
            self.note(judged.note(&dump.dump).en());
            self.begin_dump(dump.dump.begin.number, false);
            self.finish_dump(dump);
            return;
        }
        if !judged.stuck {
            let note = judged.note(&dump.dump).en();
            // Print it once: an idle server is idle again and again.
            if !std::mem::replace(&mut self.idle_printed, true) {
                self.desk.say(format_args!("[IDLE] {} {note}", self.peer.pid));
            }
            self.note(note);
            return;
        }
        self.late += 1;
        self.record.hung = true;
        self.begin_dump(dump.dump.begin.number, false);
        self.finish_dump(dump);
    }

    fn finish_dump(&mut self, dump: &RecordedDump) {
        let begin = &dump.dump.begin;
        let asked = begin.reason == dump_reason::ASKED
            || begin.reason == dump_reason::STALL && dump.dump.end.is_none();
        let Some(bundle) = self.begun.take() else {
            // No more dumps are kept, but this one may still show that the process is only slow.
            if !asked {
                let dump = snap::supplemented(self.peer.pid, &dump.dump);
                let class = JudgedStall::of(&dump, &self.sources(), &self.history).finding.class;
                self.count(class, asked, self.is_launcher(&dump));
                self.save();
            }
            return;
        };
        let no_copy = || match self.unsaved_copy {
            Some(_) => "the disk had no room for the allocator's bytes".to_owned(),
            None => "the process sent no copy of the allocator".to_owned(),
        };
        // Somebody may have removed OUT.
        let copy = self.copy.as_deref().filter(|copy| copy.exists());
        let hurry = self.wanted.iter().any(|asked| asked.asker.is_some() && !asked.second_look.is_zero());
        let perf = self.desk.options.perf.as_ref().ok_or("not wanted (--no-perf)");
        let contents = Contents {
            dump: Ok(DumpFrames { frames: Cow::Borrowed(&dump.raw), dump: &dump.dump }),
            other_dumps: vec![],
            history: &self.history,
            allocator: Allocator {
                path: self.record.allocator.as_deref().map(PathBuf::from),
                bytes: copy.map(AllocatorBytes::InFile).ok_or_else(no_copy),
            },
            copies: vec![],
            kept: self.desk.names.clone(),
            alive: true,
            supplement: (!self.desk.cancel.is_set()).then_some(snap::supplement),
            full: self.desk.options.full,
            perf: if hurry { Err("a `timeout` waits for the capture") } else { perf },
        };
        let bundle_dir = bundle.dir().to_owned();
        let mut answer = Answer { folder: absolute(&bundle_dir), ..Answer::default() };
        let file = bundle.finish(&contents, &self.desk.cancel);
        let lacks = bundle.not_written();
        if let Some(finding) = file.map(|file| file.finding) {
            self.looked_at = true;
            let word = self.count(finding.class, asked, self.is_launcher(&dump.dump));
            let (pid, dir) = (self.peer.pid, bundle.dir().display());
            let line = format!("[{word}] {pid} {} -> {dir}", summary(&dump.dump, &finding));
            match word {
                "WAITS" => self.desk.say_of_course(line),
                _ => self.desk.say(line),
            }
            answer.class = Some(finding.class.to_string());
            answer.confidence = Some(finding.confidence.to_string());
            if word == "HANG" {
                self.captured = Some(answer.clone());
            }
        }
        if lacks.files.iter().any(|file| file == "threads.json") {
            answer = Answer::problem(0, Problem::NotWritten);
        }
        let name = format!("dump_{}", begin.number);
        self.lacks(&name, &lacks);
        if bundle_dir.is_dir() {
            self.record.dump_folders.push(name);
        }
        let bytes = disk::size(&bundle_dir);
        self.on_disk += bytes;
        self.desk.disk.add(bytes);
        self.save();
        self.answer(&answer);
    }

    /// Asks the shim for a dump.
    fn want(&mut self, asked: Asked) {
        // At the end of the collector a hang that is captured needs no second look, and there is little time.
        if asked.done.is_some() && self.record.hung {
            return;
        }
        // Somebody waits with a signal, and the evidence is there.
        let is_quick = !asked.second_look.is_zero();
        if let Some(captured) = self.captured.clone().filter(|_| is_quick && self.record.hung) {
            return self.reply(asked, &captured);
        }
        let sent = self.ask_for_dump(asked.second_look);
        self.wanted.push(asked);
        if !sent {
            self.answer(&Answer::problem(0, Problem::NotTaken));
        }
    }

    /// Looks at a process in which nothing moves before a signal ends it.
    fn stopping(&mut self, asked: Asked, signal: i32) {
        if self.record.hung || self.looked_at || self.still.looks() < STANDS_STILL {
            return self.reply(asked, &Answer::default());
        }
        self.note(format!("signal {signal} was about to end it, and nothing moved in it"));
        if let Some(sender) = asked.asker {
            self.desk.asker.looks(sender);
        }
        self.want(asked);
    }

    /// Whether the shim was asked.
    fn ask_for_dump(&self, second_look: Duration) -> bool {
        let arg0 = second_look.as_nanos() as u64;
        let ask = AskRecord { what: ask_what::DUMP, request: WANTED, arg0, arg1: 0, reserved: 0 };
        let sent = self.conns.last().map(|conn| self.desk.asker.ask(*conn, &ask, &[]));
        matches!(sent, Some(Ok(())))
    }

    /// Answers all who want a dump of this process.
    fn answer(&mut self, answer: &Answer) {
        std::mem::take(&mut self.wanted).into_iter().for_each(|asked| self.reply(asked, answer));
    }

    fn reply(&self, asked: Asked, answer: &Answer) {
        let left = asked.left.fetch_sub(1, Ordering::SeqCst).saturating_sub(1);
        if let Some(asker) = asked.asker.filter(|_| left == 0 || !asked.only_last) {
            self.desk.asker.answer(asker, &Answer { pid: self.peer.pid, left, ..answer.clone() });
        }
    }

    /// Counts a dump that was analysed. Gives the word for its line.
    fn count(&mut self, class: Class, asked: bool, launcher: bool) -> &'static str {
        // A quick dump at the end of the collector tells less than that of the hang.
        if !(asked && self.record.hung) {
            self.record.class = Some(class);
        }
        match class {
            _ if asked => "DUMP",
            Class::Slow => {
                self.not_hung();
                "SLOW"
            }
            _ if launcher => {
                self.not_hung();
                self.note("it only waits for what it has started".to_owned());
                "WAITS"
            }
            _ => "HANG",
        }
    }

    /// Takes back that a dump which came unasked shows a hang.
    fn not_hung(&mut self) {
        self.slow += 1;
        self.record.hung = self.late > self.slow;
    }

    /// Whether a dump is of a shell, of `timeout` or the like: what it has started may hang.
    fn is_launcher(&self, dump: &Dump) -> bool {
        launcher::waits_for_children(dump) || launcher::only_waits(dump) && self.has_children
    }

    fn note(&mut self, text: String) {
        self.record.note(text);
    }

    fn save(&mut self) {
        let lived = SystemTime::now().duration_since(record::started(&self.identity));
        self.record.seconds = lived.map_or(0.0, |t| (t.as_secs_f64() * 1000.0).round() / 1000.0);
        // Somebody may have removed it.
        let made = if self.dir.is_dir() { Ok(()) } else { atomic::make_dir(&self.dir) };
        let written = made.and_then(|()| atomic::write_json(&self.dir.join("session.json"), &self.record));
        if let Err(error) = written {
            self.desk.failed(&error);
        }
    }

    /// Says that a file could not be written. The session's line has it, too.
    fn failed(&mut self, error: &WriteError) {
        self.desk.failed(error);
        self.record.lacks(&self.name_of(&error.path));
        self.note(format!("{error}"));
    }

    /// Says what of a bundle could not be written, as [`Session::failed`].
    fn lacks(&mut self, bundle: &str, lacks: &NotWritten) {
        lacks.files.iter().for_each(|file| self.record.lacks(&format!("{bundle}/{file}")));
        if let Some(note) = lacks.note(bundle) {
            self.note(note.en().to_owned());
        }
        self.desk.lacks(&self.dir.join(bundle), lacks);
    }

    /// Without room for more than small files, heartbeats wait in memory.
    fn write_beats(&mut self) {
        if self.beats.len() == 0 || self.beats.check_room(&self.dir).is_err() {
            return;
        }
        if let Err(error) = self.beats.write(&self.dir, self.identity.fixed.arch)
            && !std::mem::replace(&mut self.beats_failed, true)
        {
            // One error is enough: each heartbeat would print one.
            self.failed(&error);
        }
    }

    pub(super) fn end(mut self) {
        let closed = self.closed;
        self.answer(&Answer::problem(0, Problem::Ended));
        let ending = self.peer.pidfd.as_ref().and_then(|pidfd| ending::of(pidfd, self.peer.pid));
        let alive = self.peer.pidfd.as_ref().is_some_and(|pidfd| ending::has_ended(pidfd) == Some(false));
        let (end, why) = match (ending, &self.rejected) {
            (_, Some(reason)) => (End::Lost, Some(format!("rejected: {reason}"))),
            (_, None) if self.superseded => {
                (End::Exit, Some("another program was started in it (exec)".into()))
            }
            (Some(Ending::Exit(_)), _) => (End::Exit, None),
            (Some(Ending::Signal(_)), _) => (End::Signal, None),
            (None, _) if closed && (alive || !self.conns.is_empty()) => (End::Open, None),
            (None, _) => (End::Lost, Some("its connection ended, and how it ended cannot be told".into())),
        };
        if let (Some(ending), false) = (ending, self.superseded) {
            self.record.rc = Some(ending.rc());
            self.record.signal = match ending {
                Ending::Signal(signal) => Some(signal),
                Ending::Exit(_) => None,
            };
        }
        if ending.is_some() && !self.superseded {
            let sha1 = self.record.sha1.clone();
            let by_signal = self.record.signal.is_some_and(is_of_a_lost_mapping);
            self.judge.after(&self.dsos, self.identity.fixed.allocator, sha1.as_deref(), by_signal);
        }
        self.record.integrity = self.judge.integrity();
        self.record.deleted_seen = self.judge.deleted_seen;
        self.record.end = end;
        self.record.why = why;
        self.record.ended = (end != End::Open).then(|| record::stamp(SystemTime::now()));
        self.note_stop();
        let healthy = self.record.is_healthy();
        self.record.folded = healthy && self.desk.disk.folds();
        if !self.record.folded {
            self.write_beats();
            if let (true, Err(error)) = (self.beats.len() > 0, self.beats.check_room(&self.dir)) {
                self.failed(&error);
            }
            self.save();
        }
        let folded = self.desk.disk.ended(&self.dir, healthy, self.on_disk);
        self.desk.ended(&self.record);
        let how = match (self.record.signal, self.record.rc) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(rc)) => format!("exit {rc}"),
            (None, None) => self.record.why.clone().unwrap_or_else(|| "still there".into()),
        };
        let (pid, integrity) = (self.peer.pid, self.record.integrity);
        let hung = match (self.record.hung, self.record.still_s) {
            (true, _) => "hung".to_owned(),
            (false, Some(seconds)) => {
                say!(CollectLine::StuckWhenStopped { seconds: seconds as u64 }).text(out::lang())
            }
            (false, None) => "no hang".to_owned(),
        };
        let line = match folded {
            Folded::Yes => format!("[END] {pid} {how}, DSO {integrity}, {hung}"),
            Folded::No => format!("[END] {pid} {how}, DSO {integrity}, {hung} -> {}", self.dir.display()),
        };
        match self.record.stopped {
            Some(_) => self.desk.say(line),
            None => self.desk.say_of_course(line),
        }
    }
}

impl Session {
    /// A process that was ended while nothing moved in it is not one without a hang.
    fn note_stop(&mut self) {
        let record = &mut self.record;
        let lost = record.end == End::Lost && record.signal.is_none() && self.rejected.is_none();
        if record.hung || !(lost || record.signal.is_some_and(record::is_of_a_stop)) {
            return;
        }
        let futex = Syscalls::from_elf(self.identity.fixed.arch).map(Syscalls::futex);
        if let Some(time) = futex.and_then(|futex| self.still.stuck_for(futex)) {
            record.stopped = Some("stuck when it was stopped".into());
            record.still_s = Some(time.as_secs_f64());
        }
    }
}

/// Nobody knows the collector's folder where a relative path is shown.
fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok().map(|path| path.display().to_string())
}

fn text(note: &Note) -> String {
    if note.record.value == 0 { note.text.clone() } else { format!("{} ({})", note.text, note.record.value) }
}

/// What a dump shows, for a line on the terminal.
fn summary(dump: &Dump, finding: &Finding) -> String {
    let (class, confidence, threads) = (finding.class, finding.confidence, dump.threads.len());
    let end = dump.end.map(|end| format!("first look {:.1} ms", end.first_look_ns as f64 / 1e6));
    format!("{class} ({confidence}), {threads} threads, {}", end.as_deref().unwrap_or("cut off"))
}
