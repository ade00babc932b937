//! What the threads of all sessions share: the options, the terminal, `sessions.jsonl`.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{self, Disk, Keep};
use super::lines::SessionLines;
use super::page;
use super::remembered;
use super::room::Room;
use crate::capture::PerfOptions;
use crate::collect::record::SessionRecord;
use crate::console::cancel::Cancel;
use crate::console::out;
use crate::evidence::missing::NotWritten;
use crate::files::atomic::{self, WriteError};
use crate::history::Remember;
use crate::listen::{Asker, Remark};
use crate::live::{Board, Live};
use crate::symbolize::KeptNames;
use crate::text::collecting::CollectLine;
use crate::text::escape;
use crate::text::message::{self, say};

#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folder for `sessions/` and `sessions.jsonl`.
    pub(crate) out: PathBuf,
    /// How hot threads are recorded; none: not at all.
    pub(crate) perf: Option<PerfOptions>,
    /// Whether a `dump.bin` keeps everything, however large.
    pub(crate) full: bool,
    /// Dumps of one session that are kept on disk.
    pub(crate) dumps: u32,
    /// Whether each session's line is printed on stdout too.
    pub(crate) json: bool,
    /// Memory for events that wait, dumps that are analysed, and copies of allocators that are read, bytes.
    pub(crate) max_memory: u64,
    /// Bytes on disk, of all that is below OUT; none: no limit.
    pub(crate) max_size: Option<u64>,
    pub(crate) keep: Keep,
    /// Heartbeats that are written at once.
    pub(crate) beats: usize,
    /// Takes the sessions for the history.
    pub(crate) remember: Remember,
    /// What is told to those who look.
    pub(crate) board: Board,
    /// Answers them; none: nobody can look.
    pub(crate) live: Option<Arc<Live>>,
    /// Only what is remarkable is said: another command has the terminal.
    pub(crate) quiet: bool,
}

/// Counts over all sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Sessions that have ended.
    pub(crate) sessions: u64,
    /// Sessions that hung.
    pub(crate) hung: u64,
    /// Files or lines that could not be written. Each was printed when it happened.
    pub(crate) not_written: u64,
    /// Sessions that were stuck when they were stopped, and are not among those that hung.
    pub(crate) stuck: u64,
    /// Connections without a valid hello.
    pub(crate) refused: u64,
}

/// What is said only once: it would be said again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Once {
    DumpWaits,
    Full,
    LinesWait,
    NoConnection,
    NoRoom,
    OutGone,
}

/// Prints a line for a person who watches.
pub(crate) type Say = Arc<dyn Fn(&dyn Display) + Send + Sync>;

pub(super) struct Desk {
    pub(super) options: Options,
    pub(super) cancel: Cancel,
    say: Say,
    pub(super) asker: Asker,
    /// Where the shims talk to.
    pub(super) socket: PathBuf,
    /// For dumps that are analysed.
    pub(super) room: Room,
    /// For the allocators' bytes while they are copied. It is soon free again, so sessions without a dump do
    /// not wait for dumps.
    pub(super) copies: Room,
    pub(super) disk: Disk,
    pub(super) names: KeptNames,
    /// Sessions that are not over.
    live: AtomicUsize,
    /// What is said only once.
    said: Mutex<BTreeSet<Once>>,
    /// `sessions.jsonl`, and the counts.
    ended: Mutex<(SessionLines, Collected)>,
}

impl Desk {
    pub(super) fn new(
        options: Options,
        cancel: Cancel,
        say: Say,
        (asker, socket): (Asker, PathBuf),
        sessions: SessionLines,
    ) -> Desk {
        let used = if options.max_size.is_some() { disk::size(&options.out) } else { 0 };
        Desk {
            // A quarter is for events that wait (`cli`), the rest for what is small.
            room: Room::new(options.max_memory / 2),
            copies: Room::new(options.max_memory / 8),
            disk: Disk::new(options.keep, options.max_size, used),
            names: KeptNames::default(),
            options,
            cancel,
            say,
            asker,
            socket,
            live: AtomicUsize::new(0),
            said: Mutex::default(),
            ended: Mutex::new((sessions, Collected::default())),
        }
    }

    /// Number of sessions that are not over.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn set_live(&self, sessions: usize) {
        self.live.store(sessions, Ordering::Relaxed);
    }

    /// Says that sessions of an earlier collector were closed.
    pub(super) fn closed(&self, sessions: u64) {
        self.tell(&say!(CollectLine::Closed { sessions }));
    }

    /// Says what the end waits for.
    pub(super) fn closing(&self, sessions: usize) {
        self.tell(&say!(CollectLine::Closing { sessions: sessions as u64 }));
    }

    /// Says that a dump waits for memory.
    pub(super) fn dump_waits(&self) {
        let most = self.options.max_memory >> 20;
        self.say_once(Once::DumpWaits, &say!(CollectLine::DumpWaits { most }));
    }

    /// Whether another dump may be written. Says if not.
    pub(super) fn has_room(&self) -> bool {
        let room = self.disk.has_room();
        if !room {
            let most = self.options.max_size.unwrap_or(0) >> 20;
            self.say_once(Once::Full, &say!(CollectLine::Full { most }));
        }
        room
    }

    fn may_say_again(&self, what: Once) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).remove(&what);
    }

    fn say_once(&self, what: Once, line: &impl message::Say) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(what) {
            self.tell(line);
        }
    }

    /// Prints a line about the collector itself, in the language of the person.
    fn tell(&self, line: &impl message::Say) {
        self.say(format_args!("hangscope: {}", line.said().text(out::lang())));
    }

    /// Makes OUT again if somebody has removed it, and writes the lines that wait.
    pub(super) fn look_at_out(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.0.is_gone() {
            let path = self.options.out.join("sessions.jsonl");
            let made = atomic::make_dir(&self.options.out.join("sessions"));
            let again = made.and_then(|()| ended.0.reopen(&path));
            drop(ended);
            match again {
                Ok(()) => self.tell(&say!(CollectLine::OutAgain { out: self.options.out.display() })),
                Err(error) => {
                    let error = error.to_string();
                    self.say_once(Once::OutGone, &say!(CollectLine::OutGone { error: &error }));
                }
            }
            ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        }
        if ended.0.waiting() == 0 {
            return;
        }
        let before = ended.0.waiting();
        let _ = ended.0.retry();
        let (lines, rest) = (before - ended.0.waiting(), ended.0.waiting());
        drop(ended);
        if rest == 0 {
            self.may_say_again(Once::LinesWait);
            self.tell(&say!(CollectLine::LinesWritten { lines }));
        }
    }

    /// Writes the page of OUT. Of an error it tells: the page says nothing that is not in other files.
    pub(super) fn write_page(&self) {
        if let Err(error) = page::write(&self.options.out) {
            self.say(format!("{error}"));
        }
    }

    /// The lines that still wait at the end of the collector go elsewhere.
    pub(super) fn last_lines(&self) {
        self.look_at_out();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, mut lost) = (ended.0.waiting() as u64, ended.0.lost());
        ended.1.not_written += waiting + lost;
        let elsewhere = (waiting > 0).then(|| ended.0.elsewhere());
        drop(ended);
        match elsewhere {
            Some(Ok(path)) => {
                self.tell(&say!(CollectLine::LinesElsewhere { lines: waiting, path: path.display() }));
            }
            Some(Err(_)) => lost += waiting,
            None => {}
        }
        if lost > 0 {
            self.tell(&say!(CollectLine::LinesLost { lines: lost }));
        }
    }

    pub(super) fn count_refused(&self) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).1.refused += 1;
    }

    fn count_not_written(&self, files: u64) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).1.not_written += files;
    }

    /// A line about what is as expected: not where a command has the terminal.
    pub(super) fn say_of_course(&self, text: impl Display) {
        if !self.options.quiet {
            self.say(text);
        }
    }

    pub(super) fn say(&self, text: impl Display) {
        (self.say)(&escape::line(&text.to_string()));
    }

    /// Prints what the listener has to say about itself.
    pub(super) fn remark(&self, remark: &Remark) {
        match remark {
            Remark::ListensAgain { path } => {
                self.tell(&say!(CollectLine::ListensAgain { path: path.display() }))
            }
            Remark::SocketLost { error } => self.tell(&say!(CollectLine::SocketLost { error })),
            // It comes with each attempt.
            Remark::NoConnection { error, open } => {
                self.say_once(Once::NoConnection, &say!(CollectLine::NoConnection { error, open }));
            }
            Remark::NoPidfd { open } => self.tell(&say!(CollectLine::NoPidfd { open })),
        }
    }

    /// Prints and counts an error. The session goes on: other files may still be written.
    pub(super) fn failed(&self, error: &WriteError) {
        match error.is_full() {
            true => self.no_room(&error.path, &error.source),
            false => self.say(format_args!("hangscope: {error}")),
        }
        self.count_not_written(1);
    }

    /// The same for files of a bundle. After a whole one, a full disk is said again.
    pub(super) fn lacks(&self, bundle: &Path, lacks: &NotWritten) {
        if lacks.is_empty() {
            return self.may_say_again(Once::NoRoom);
        }
        match lacks.note(bundle.display()) {
            Some(note) if !lacks.is_full() => self.tell(&note),
            _ => self.no_room(&bundle.join(lacks.files.join(", ")), lacks.error()),
        }
        self.count_not_written(lacks.files.len() as u64);
    }

    fn no_room(&self, what: &Path, error: impl Display) {
        self.say_once(Once::NoRoom, &say!(CollectLine::NoRoom { what: what.display(), error }));
    }

    /// Writes the line of a session that has ended.
    pub(super) fn ended(&self, record: &SessionRecord) {
        self.look_at_out();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        self.options.remember.run(|| remembered::row(record, &self.options.out));
        ended.1.sessions += 1;
        ended.1.hung += u64::from(record.hung);
        ended.1.stuck += u64::from(record.stopped.is_some());
        if self.options.json
            && let Err(error) = out::json(record)
        {
            self.say(format_args!("hangscope: {error}"));
        }
        if let Err(error) = ended.0.push(record) {
            drop(ended);
            self.say_once(Once::LinesWait, &say!(CollectLine::LinesWait { error: error.to_string() }));
        }
    }

    pub(super) fn collected(&self) -> Collected {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Path of a session's folder.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.options.out.join("sessions").join(name)
    }
}
