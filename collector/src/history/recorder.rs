//! Writes beside a job, which never waits for it.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::model::{JobRow, RunRow};
use super::seen;
use super::store::{Store, StoreError};
use crate::text::history::HistoryLine;
use crate::text::message::{Say as _, Text, say};

/// Runs that are written in one transaction, at most.
const MOST_AT_ONCE: usize = 256;

#[derive(Debug)]
enum Told {
    Run(Box<RunRow>),
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
            // After an error of the database nobody receives any more.
            let _ = sender.send(Told::Run(Box::new(row)));
        }
    }
}

/// A thread with the database.
#[derive(Debug)]
pub(crate) struct Recorder {
    remember: Remember,
    thread: Option<JoinHandle<Written>>,
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
        Recorder { remember: Remember(None), thread: None }
    }

    /// Opens the database in a thread, and adds the job. Of errors the end tells.
    pub(crate) fn begin(file: PathBuf, job: JobRow) -> Recorder {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let thread = std::thread::Builder::new().name("history".to_owned());
        let thread = thread.spawn(move || write_all(&file, &job, &receiver));
        Recorder { remember: Remember(Some(sender)), thread: thread.ok() }
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
        written.and_then(Result::ok).unwrap_or_default()
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

fn write_all(file: &Path, job: &JobRow, told: &Receiver<Told>) -> Written {
    let mut written = Written::default();
    match begin(file, job, &mut written.notes).and_then(|(store, number)| {
        let mut open = Open { store, number, job };
        open.take_all(told, &mut written.notes)?;
        Ok(open)
    }) {
        Ok(open) => (written.store, written.job) = (Some(open.store), open.number),
        Err(error) => written.notes.push(say!(HistoryLine::NotRemembered { error }).said()),
    }
    written
}

fn begin(file: &Path, job: &JobRow, notes: &mut Vec<Text>) -> Result<(Store, i64), StoreError> {
    let (mut store, aside) = Store::open(file)?;
    notes.extend(aside.map(|aside| set_aside(&aside)));
    let number = match store.begin_job(job) {
        Err(StoreError::Damaged { .. }) => {
            notes.extend(store.begin_anew()?.map(|aside| set_aside(&aside)));
            store.begin_job(job)
        }
        begun => begun,
    };
    Ok((store, number?))
}

/// That a damaged database was set aside.
pub(crate) fn set_aside(aside: &Path) -> Text {
    say!(HistoryLine::SetAside { aside: aside.display() }).said()
}

struct Open<'a> {
    store: Store,
    number: i64,
    job: &'a JobRow,
}

impl Open<'_> {
    fn take_all(&mut self, told: &Receiver<Told>, notes: &mut Vec<Text>) -> Result<(), StoreError> {
        let mut ended = false;
        while !ended && let Ok(first) = told.recv() {
            let mut rows = vec![];
            for told in std::iter::once(first).chain(told.try_iter().take(MOST_AT_ONCE - 1)) {
                match told {
                    Told::Run(row) => rows.push(*row),
                    Told::End => ended = true,
                }
            }
            match self.store.add(self.number, &self.job.node, &rows) {
                Err(StoreError::Damaged { .. }) => {
                    notes.extend(self.store.begin_anew()?.map(|aside| set_aside(&aside)));
                    self.number = self.store.begin_job(self.job)?;
                    self.store.add(self.number, &self.job.node, &rows)?;
                }
                added => added?,
            }
        }
        Ok(())
    }
}
