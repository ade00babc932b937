//! The standing collector: any number of processes, each of them a session on disk.
//!
//! One loop gives each event to the thread of its session, which writes its files and captures its hangs: what
//! is slow there (a disk, perf) holds up nobody else.
//!
//! - `route`: which process an event belongs to, across connections and execs
//! - `session`: one process from its hello to its end
//! - `judge`: DSO integrity over a session's life
//! - [`bundle`]: the folder of one dump

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, select};

use crate::capture::PerfOptions;
use crate::collect::record::SessionRecord;
use crate::console::cancel::Cancel;
use crate::console::out;
use crate::files::atomic;
use crate::files::atomic::{Lines, WriteError};
use crate::listen::{Asker, ListenError, Listener};

pub mod bundle;
mod judge;
pub(crate) mod record;
mod route;
mod session;

/// How to collect.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folder: `sessions/` and `sessions.jsonl` in it.
    pub(crate) out: PathBuf,
    /// How hot threads are recorded; none: not at all.
    pub(crate) perf: Option<PerfOptions>,
    /// Dumps of one session that are kept on disk.
    pub(crate) dumps: u32,
    /// Each session's line on stdout as well.
    pub(crate) json: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Sessions that were seen.
    pub(crate) sessions: u64,
    /// Those that hung.
    pub(crate) hung: u64,
    /// Files or lines that could not be written; each was said when it happened.
    pub(crate) not_written: u64,
}

/// Something that happened, for a person who watches.
pub(crate) type Say = Arc<dyn Fn(&dyn Display) + Send + Sync>;

/// What the threads of sessions share.
struct Desk {
    options: Options,
    cancel: Cancel,
    say: Say,
    asker: Asker,
    /// `sessions.jsonl`, and the count.
    ended: Mutex<(Lines, Collected)>,
}

impl Desk {
    fn say(&self, text: impl Display) {
        (self.say)(&text);
    }

    /// Says that something could not be written, and goes on: evidence of other kinds may still be had.
    fn failed(&self, error: &WriteError) {
        self.say(format_args!("hangscope: {error}"));
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).1.not_written += 1;
    }

    /// A session has ended: its line.
    fn ended(&self, record: &SessionRecord) {
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
}

/// Collects until `cancel`. Sessions that are open then are written as `open`.
///
/// # Errors
/// [`WriteError`] if OUT cannot be written to at the start; the system's error if no thread can be had, or if nobody can
/// connect any more. Later failures to write are said and counted, and end nothing.
pub(crate) fn collect(
    listener: Listener,
    options: Options,
    cancel: Cancel,
    say: Say,
) -> Result<Collected, CollectError> {
    atomic::make_dir(&options.out.join("sessions"))?;
    let lines = Lines::open(&options.out.join("sessions.jsonl"))?;
    let ended = Mutex::new((lines, Collected::default()));
    let desk = Arc::new(Desk { options, cancel, say, asker: listener.asker(), ended });
    let mut router = route::Router::new(desk.clone())?;
    let cancelled: Receiver<_> = desk.cancel.channel().clone();
    let mut failed = None;
    loop {
        select! {
            recv(listener.events()) -> event => match event {
                Ok(event) => router.event(event),
                Err(_) => {
                    failed = Some(listener.failed().recv());
                    break;
                }
            },
            recv(listener.failed()) -> why => {
                failed = Some(why);
                break;
            }
            recv(router.exits()) -> key => if let Ok(key) = key {
                router.exited(key);
            },
            recv(cancelled) -> _ => break,
        }
    }
    // What was said before the end still counts; nobody is listened to any more.
    let rest = listener.events().clone();
    drop(listener);
    rest.try_iter().for_each(|event| router.event(event));
    router.close();
    if let Some(why) = failed.filter(|_| !desk.cancel.is_set()) {
        return Err(why.map_or(CollectError::Ended, CollectError::Listen));
    }
    let ended = desk.ended.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(ended.1)
}

/// Collecting could not begin, or not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// OUT cannot be written to.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system has no thread or pipe left.
    #[error("cannot start to collect: {0}")]
    System(#[from] std::io::Error),
    /// Nobody can connect any more. What was there until then is written.
    #[error("nobody can connect any more: {0}")]
    Listen(ListenError),
    /// The same, and why is not known.
    #[error("nobody can connect any more")]
    Ended,
}

/// Path of a session's folder.
fn folder(out: &Path, name: &str) -> PathBuf {
    out.join("sessions").join(name)
}

#[cfg(test)]
mod tests;
