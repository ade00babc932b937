//! One process while it runs: its files, and what it says.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hangscope_protocol::record::{CopyRecord, dump_reason, hello_flags};

use super::input::{Asked, Beginning, Input, WANTED};
use crate::analysis::History;
use crate::collect::beats::{self, Beats};
use crate::collect::desk::Desk;
use crate::collect::folder;
use crate::collect::judge::Judge;
use crate::collect::record::{self, SessionRecord};
use crate::collect::still::Still;
use crate::evidence::bundle::Bundle;
use crate::evidence::missing::NotWritten;
use crate::evidence::truncated_stacks;
use crate::files::atomic::{self, WriteError};
use crate::files::free;
use crate::files::pin;
use crate::launch::census;
use crate::listen::request::Answer;
use crate::listen::{ConnId, Event, Peer, What};
use crate::live::Row;
use crate::profile::Profile;
use crate::session::copy::{self, Copied};
use crate::session::{Dso, Identity, Note};
use crate::snap;
use crate::symbolize::Sources;

pub(in crate::collect) struct Session {
    pub(super) desk: Arc<Desk>,
    pub(super) identity: Identity,
    pub(super) peer: Peer,
    pub(super) dir: PathBuf,
    pub(super) record: SessionRecord,
    pub(super) beats: Beats,
    /// The process on the board.
    pub(super) row: Row,
    /// Its hang is counted in the totals.
    pub(super) hang_counted: bool,
    /// The heartbeats could not be written, which was said.
    pub(super) beats_failed: bool,
    /// Bytes on the disk that are counted.
    pub(super) on_disk: u64,
    pub(super) judge: Judge,
    pub(super) dsos: Vec<Dso>,
    pub(super) history: History,
    pub(super) profile: Profile,
    /// The allocator's bytes as they were at init, saved.
    pub(super) copy: Option<PathBuf>,
    /// The disk had no room for them.
    pub(super) unsaved_copy: Option<(CopyRecord, OwnedFd)>,
    pub(super) still: Still,
    /// The last hang that was captured.
    pub(super) captured: Option<Answer>,
    /// Whether a dump was analysed since something moved in it.
    pub(super) looked_at: bool,
    /// Dumps that came unasked.
    pub(super) late: u32,
    /// Unasked dumps of a process that was only slow, or waited for its children.
    pub(super) slow: u32,
    /// Whether it had children when its last dump began.
    pub(super) has_children: bool,
    /// Whether an idle stall was printed already.
    pub(super) idle_printed: bool,
    /// The bundle of the dump that has begun to arrive.
    pub(super) begun: Option<Bundle>,
    pub(super) conns: BTreeSet<ConnId>,
    pub(super) wanted: Vec<Asked>,
    pub(super) greeted: bool,
    pub(super) exited: bool,
    pub(super) superseded: bool,
    pub(super) closed: bool,
    pub(super) rejected: Option<String>,
    /// Ask for a dump as soon as the hello is taken: one was cut off by the end of the collector before.
    pub(super) ask_again: bool,
}

impl Session {
    /// Makes the folder, and writes the first `session.json`.
    pub(in crate::collect) fn begin(desk: Arc<Desk>, beginning: Beginning) -> Session {
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
        let row = Row::begin(&desk.options.board, peer.pid, &identity, None, &desk.socket);
        let mut session = Session {
            row,
            hang_counted: false,
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
        session.recall();
        session.save();
        session.desk.say_of_course(format_args!("[SESSION] {} {}", session.peer.pid, session.title()));
        session
    }

    /// Keeps, shows and counts what an earlier collector has seen of the process.
    fn recall(&mut self) {
        let record = &self.record;
        self.judge.recall(record.integrity, record.deleted_seen);
        let name = record.allocator.as_deref().map(|path| pin::name_of(path.as_ref()));
        self.row.dsos(name.as_deref(), record.integrity);
        if let Some(class) = record.class.filter(|_| record.hung) {
            let bundle = record.dump_folders.last().map(|name| self.dir.join(name));
            self.row.recalled(class.as_str(), record.headline.clone(), bundle.as_deref());
            self.row.hung(true);
            self.row.count_hang(class.as_str());
            self.hang_counted = true;
        }
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
    pub(in crate::collect) fn step(&mut self, input: Input) -> bool {
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
    pub(in crate::collect) fn only_remembers(&self, input: &Input) -> bool {
        let is_beat = matches!(input, Input::Event(event) if matches!(event.what, What::Heartbeat(_)));
        is_beat && !self.record.hung && !self.desk.disk.keeps_healthy()
    }

    pub(super) fn is_over(&self) -> bool {
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
                self.row.beat(&beat);
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
                self.row.dumping();
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
                self.row.dump_is_over();
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
        let name = self.record.allocator.as_ref().map(|_| &*self.profile.name);
        self.row.dsos(name, self.record.integrity);
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

    /// A file as [`SessionRecord::not_written`] names it.
    pub(super) fn name_of(&self, path: &Path) -> String {
        let out = &self.desk.options.out;
        let name = path.strip_prefix(&self.dir).or_else(|_| path.strip_prefix(out)).unwrap_or(path);
        name.display().to_string()
    }

    /// Where names come from, without a bundle.
    pub(super) fn sources(&self) -> Sources {
        Sources {
            allocator_copy: self.copy.clone().filter(|copy| copy.exists()),
            live_pid: Some(self.peer.pid),
            same_boot: true,
            kept: self.desk.names.clone(),
            ..Sources::default()
        }
    }

    pub(super) fn note(&mut self, text: String) {
        self.record.note(text);
    }

    pub(super) fn save(&mut self) {
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
    pub(super) fn failed(&mut self, error: &WriteError) {
        self.desk.failed(error);
        self.record.lacks(&self.name_of(&error.path));
        self.note(format!("{error}"));
    }

    /// Says what of a bundle could not be written, as [`Session::failed`].
    pub(super) fn lacks(&mut self, bundle: &str, lacks: &NotWritten) {
        lacks.files.iter().for_each(|file| self.record.lacks(&format!("{bundle}/{file}")));
        if let Some(note) = lacks.note(bundle) {
            self.note(note.en().to_owned());
        }
        self.desk.lacks(&self.dir.join(bundle), lacks);
    }

    /// Without room for more than small files, heartbeats wait in memory.
    pub(super) fn write_beats(&mut self) {
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
}

fn text(note: &Note) -> String {
    if note.record.value == 0 { note.text.clone() } else { format!("{} ({})", note.text, note.record.value) }
}
