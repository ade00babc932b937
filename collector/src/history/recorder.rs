//! Writes beside a job, which never waits for it.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::error::{PATIENCE, StoreError};
use super::model::{JobRow, RunRow};
use super::seen;
use super::store::Store;
use crate::text::history::HistoryLine;
use crate::text::message::{Say as _, Text, say};

/// Runs that are written in one transaction, at most.
const MOST_AT_ONCE: usize = 256;

/// Runs that wait for a database that cannot be written to, at most.
const MOST_WAITING: usize = 50_000;

#[derive(Debug)]
enum Told {
    Run(Box<RunRow>),
    /// What the job is a part of.
    Series(String),
    End,
}

/// Takes the runs of a job as they end. Without a database it takes them, too, and forgets them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remember(Option<Sender<Told>>);

impl Remember {
    /// `row` is made only if there is a database.
    pub(crate) fn run(&self, row: impl FnOnce() -> Option<RunRow>) {
        if let Some(sender) = &self.0
            && let Some(row) = row()
        {
            // After the end nobody receives any more.
            let _ = sender.send(Told::Run(Box::new(row)));
        }
    }

    /// The job goes on in its OUT: `id` is equal in all of its starts.
    pub(crate) fn series(&self, id: &str) {
        if let Some(sender) = self.0.as_ref().filter(|_| !id.is_empty()) {
            let _ = sender.send(Told::Series(id.to_owned()));
        }
    }
}

/// A thread with the database.
#[derive(Debug)]
pub(crate) struct Recorder {
    remember: Remember,
    thread: Option<JoinHandle<Written>>,
    /// Of a job without a database: why it has none.
    note: Option<Text>,
}

/// What became of the runs.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// None: it could not be opened, or something went wrong.
    pub(crate) store: Option<Store>,
    /// Number of the job in it.
    pub(crate) job: i64,
    /// What the user must know: a file was set aside, runs are not remembered.
    pub(crate) notes: Vec<Text>,
}

impl Recorder {
    /// Without a database, for `--no-history`.
    pub(crate) fn none() -> Recorder {
        Recorder { remember: Remember(None), thread: None, note: None }
    }

    /// Without a database, because no place for it is known.
    pub(crate) fn without_home() -> Recorder {
        Recorder { remember: Remember(None), thread: None, note: Some(HistoryLine::NoHome {}.said()) }
    }

    /// Opens the database in a thread, and adds the job. Of errors the end tells.
    pub(crate) fn begin(file: PathBuf, job: JobRow) -> Recorder {
        Recorder::begin_within(file, job, PATIENCE)
    }

    /// The same with another patience.
    pub(super) fn begin_within(file: PathBuf, job: JobRow, patience: Duration) -> Recorder {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let thread = std::thread::Builder::new().name("history".to_owned());
        let thread = thread.spawn(move || Writer::new(file, job, patience).take_all(&receiver));
        Recorder { remember: Remember(Some(sender)), thread: thread.ok(), note: None }
    }

    pub(crate) fn remember(&self) -> Remember {
        self.remember.clone()
    }

    /// Waits until all runs are written. Runs that come later are forgotten.
    pub(crate) fn end(mut self) -> Written {
        self.finish()
    }

    fn finish(&mut self) -> Written {
        if let Some(sender) = &self.remember.0 {
            let _ = sender.send(Told::End);
        }
        let written = self.thread.take().map(JoinHandle::join);
        let mut written = written.and_then(Result::ok).unwrap_or_default();
        written.notes.extend(self.note.take());
        written
    }
}

/// A job that ends with an error has made runs, too.
impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.finish());
    }
}

impl Written {
    /// What is known of earlier hangs like those of this job, a line for each signature.
    pub(crate) fn earlier(&self) -> Vec<Text> {
        let Some(store) = &self.store else { return vec![] };
        match store.known_again(self.job) {
            Ok(known) => known.iter().map(|(words, seen)| seen::said(words, seen.as_ref())).collect(),
            Err(error) => vec![say!(HistoryLine::Unread { error }).said()],
        }
    }

    /// Writes how the job ended: a word and a sentence of `verdict.json`. Returns what the user must know.
    pub(crate) fn close(mut self, verdict: Option<&str>, headline: Option<&str>) -> Vec<Text> {
        if let Some(store) = &mut self.store
            && let Err(error) = store.end_job(self.job, verdict, headline)
        {
            self.notes.push(say!(HistoryLine::NotRemembered { error }).said());
        }
        self.notes
    }
}

/// That a damaged database was set aside.
pub(crate) fn set_aside(aside: &Path) -> Text {
    say!(HistoryLine::SetAside { aside: aside.display() }).said()
}

/// The database of a job, and the runs that are not in it yet.
struct Writer {
    file: PathBuf,
    job: JobRow,
    patience: Duration,
    /// None: it could not be opened so far.
    open: Option<Open>,
    waiting: Vec<RunRow>,
    /// All runs of the job.
    runs: usize,
    /// Those for which there was no room.
    dropped: usize,
    notes: Vec<Text>,
}

struct Open {
    store: Store,
    /// Of the job. None: it has to be added, or brought up to date.
    number: Option<i64>,
}

impl Writer {
    fn new(file: PathBuf, job: JobRow, patience: Duration) -> Writer {
        let (open, waiting, notes) = (None, vec![], vec![]);
        Writer { file, job, patience, open, waiting, runs: 0, dropped: 0, notes }
    }

    /// Writes until the end. What cannot be written is tried again with the next run, and at the end.
    fn take_all(mut self, told: &Receiver<Told>) -> Written {
        let mut tried = self.write();
        let mut ended = false;
        while !ended && let Ok(first) = told.recv() {
            for told in std::iter::once(first).chain(told.try_iter()) {
                match told {
                    Told::Run(row) => self.keep(*row),
                    Told::Series(id) => {
                        self.job.series = Some(id);
                        self.open.iter_mut().for_each(|open| open.number = None);
                    }
                    Told::End => ended = true,
                }
                if self.waiting.len() == MOST_AT_ONCE && tried.is_ok() {
                    tried = self.write();
                }
            }
            tried = self.write();
        }
        self.end(tried.err())
    }

    fn keep(&mut self, row: RunRow) {
        self.runs += 1;
        match self.waiting.len() < MOST_WAITING {
            true => self.waiting.push(row),
            false => self.dropped += 1,
        }
    }

    /// Writes what waits. A damaged file is set aside first.
    fn write(&mut self) -> Result<(), StoreError> {
        match (self.try_write(), &mut self.open) {
            (Err(StoreError::Damaged { .. }), Some(open)) => {
                let aside = open.store.begin_anew()?;
                open.number = None;
                self.notes.extend(aside.map(|aside| set_aside(&aside)));
                self.try_write()
            }
            (written, _) => written,
        }
    }

    fn try_write(&mut self) -> Result<(), StoreError> {
        let open = match &mut self.open {
            Some(open) => open,
            closed => {
                let (store, aside) = Store::open_within(&self.file, self.patience)?;
                self.notes.extend(aside.map(|aside| set_aside(&aside)));
                closed.insert(Open { store, number: None })
            }
        };
        let number = match open.number {
            Some(number) => number,
            None => *open.number.insert(open.store.begin_job(&self.job)?),
        };
        while !self.waiting.is_empty() {
            let most = self.waiting.len().min(MOST_AT_ONCE);
            open.store.add(number, &self.job.node, &self.waiting[..most])?;
            self.waiting.drain(..most);
        }
        Ok(())
    }

    fn end(mut self, error: Option<StoreError>) -> Written {
        let missing = self.waiting.len() + self.dropped;
        // A history that is not whole does not say what came before.
        let open = self.open.filter(|_| missing == 0 && error.is_none());
        let open = open.and_then(|open| Some((open.store, open.number?)));
        self.notes.extend(match (missing, error) {
            (0, error) => error.map(|error| say!(HistoryLine::NotRemembered { error }).said()),
            (_, Some(error)) => Some(say!(HistoryLine::Missing { missing, runs: self.runs, error }).said()),
            (_, None) => Some(say!(HistoryLine::Dropped { missing, runs: self.runs }).said()),
        });
        let (store, job) = open.map_or((None, 0), |(store, number)| (Some(store), number));
        Written { store, job, notes: self.notes }
    }
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{Flock, FlockArg};

    use super::*;

    fn row(number: u32) -> RunRow {
        RunRow { name: number.to_string(), pid: number, outcome: "ok".into(), ..RunRow::default() }
    }

    fn job() -> JobRow {
        JobRow::now("hunt", "hz4", Path::new("/out"))
    }

    #[test]
    fn runs_wait_for_a_lock_of_somebody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let file = std::fs::File::create(dir.path().join("history.db.lock")).unwrap();
        let held = Flock::lock(file, FlockArg::LockExclusive).unwrap();
        let mut writer = Writer::new(path.clone(), job(), Duration::ZERO);
        for number in 1..=3 {
            writer.keep(row(number));
            assert!(matches!(writer.write(), Err(StoreError::Locked { .. })));
        }
        drop(held);
        // Another writer in the middle of a transaction.
        writer.write().unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer.keep(row(4));
        assert!(matches!(writer.write(), Err(StoreError::Sql { .. })));
        other.execute_batch("ROLLBACK").unwrap();
        let (sender, receiver) = crossbeam_channel::unbounded();
        sender.send(Told::Run(Box::new(row(5)))).unwrap();
        sender.send(Told::End).unwrap();
        let written = writer.take_all(&receiver);
        assert_eq!(written.notes, []);
        assert_eq!(written.store.unwrap().size().unwrap().runs, 5);
    }

    #[test]
    fn a_lock_that_stays_costs_a_line_with_the_number_of_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let (mut store, _) = Store::open(&path).unwrap();
        let number = store.begin_job(&job()).unwrap();
        store.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let recorder = Recorder::begin_within(path, job(), Duration::from_millis(1));
        (1..=3).for_each(|number| recorder.remember().run(|| Some(row(number))));
        let written = recorder.end();
        assert!(written.store.is_none());
        let [note] = &written.notes[..] else { panic!("{:?}", written.notes) };
        assert!(note.en().starts_with("3 of 3 runs are not in the history: "), "{note:?}");
        assert_eq!(note.en().matches("database is locked").count(), 1, "{note:?}");
        store.connection.execute_batch("ROLLBACK").unwrap();
        store.add(number, "n", &[]).unwrap();
    }

    #[test]
    fn a_job_without_a_place_for_it_says_so() {
        let written = Recorder::without_home().end();
        assert!(written.notes[0].en().contains("no home folder is known"), "{:?}", written.notes);
        assert_eq!(Recorder::none().end().notes, []);
    }
}
