//! What the threads of all sessions share: the options, the terminal, `sessions.jsonl`.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::capture::PerfOptions;
use crate::collect::record::SessionRecord;
use crate::console::cancel::Cancel;
use crate::console::out;
use crate::files::atomic::{Lines, WriteError};
use crate::listen::{Asker, Remark};
use crate::text::collecting::CollectLine;
use crate::text::escape;
use crate::text::message::{Say as _, say};

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
}

/// Prints a line for a person who watches.
pub(crate) type Say = Arc<dyn Fn(&dyn Display) + Send + Sync>;

pub(super) struct Desk {
    pub(super) options: Options,
    pub(super) cancel: Cancel,
    say: Say,
    pub(super) asker: Asker,
    /// `sessions.jsonl`, and the counts.
    ended: Mutex<(Lines, Collected)>,
}

impl Desk {
    pub(super) fn new(options: Options, cancel: Cancel, say: Say, asker: Asker, sessions: Lines) -> Desk {
        Desk { options, cancel, say, asker, ended: Mutex::new((sessions, Collected::default())) }
    }

    pub(super) fn say(&self, text: impl Display) {
        (self.say)(&escape::line(&text.to_string()));
    }

    /// Prints what the listener has to say about itself.
    pub(super) fn remark(&self, remark: &Remark) {
        let line = match remark {
            Remark::ListensAgain { path } => say!(CollectLine::ListensAgain { path: path.display() }),
            Remark::SocketLost { error } => say!(CollectLine::SocketLost { error }),
            Remark::NoConnection { error, open } => say!(CollectLine::NoConnection { error, open }),
        };
        self.say(format_args!("hangscope: {}", line.said().text(out::lang())));
    }

    /// Prints and counts an error. The session goes on: other files may still be written.
    pub(super) fn failed(&self, error: &WriteError) {
        self.say(format_args!("hangscope: {error}"));
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).1.not_written += 1;
    }

    /// Writes the line of a session that has ended.
    pub(super) fn ended(&self, record: &SessionRecord) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.1.sessions += 1;
        ended.1.hung += u64::from(record.hung);
        if self.options.json
            && let Err(error) = out::json(record)
        {
            self.say(format_args!("hangscope: {error}"));
        }
        if let Err(error) = ended.0.push_json(record) {
            drop(ended);
            self.failed(&error);
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
