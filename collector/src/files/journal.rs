//! Files that grow by a line for each run, so that a job that was killed at any moment can go on.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{Lines, WriteError};
use super::folder;

/// What a journal is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// Of the file in OUT.
    pub(crate) file: &'static str,
    /// What its owner does: `shrinks`.
    pub(crate) does: &'static str,
    /// What a line is: `run of a shrink`.
    pub(crate) line: &'static str,
}

/// The open journal of a job: one line of JSON for each step, written when the step has ended. The next step
/// follows from these lines alone. No other process can open the journal meanwhile.
#[derive(Debug)]
pub(crate) struct Journal<T> {
    entries: Vec<T>,
    lines: Lines,
    _locked: Lock,
}

/// The reason why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadJournal {
    /// Another process has locked it.
    #[error("another hangscope {does} in {}: wait for it, or give another --out", out.display())]
    Taken { does: &'static str, out: PathBuf },
    /// A line is none of this job.
    #[error("{}:{line}: no {what}: {why}; begin anew with another --out", path.display())]
    Line {
        path: PathBuf,
        /// From 1.
        line: usize,
        what: &'static str,
        why: String,
    },
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal in `out`, or creates it. A last line without its end, left by a full disk or a kill,
    /// is removed. Its step is made again. `check` gets the entries before a line, and the entry of the line.
    /// It says why the one cannot follow the others.
    ///
    /// # Errors
    /// Another process works in `out`; a line is none of this job, or does not follow; the file cannot be
    /// read or written.
    pub(crate) fn open(
        out: &Path,
        names: Names,
        check: impl Fn(&[T], &T) -> Result<(), String>,
    ) -> Result<Journal<T>, BadJournal> {
        let path = out.join(names.file);
        let taken = || BadJournal::Taken { does: names.does, out: out.to_owned() };
        let locked = lock(&path)?.ok_or_else(taken)?;
        let bytes = whole_lines(&path)?;
        let mut entries = vec![];
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for (line, text) in (1..).zip(lines) {
            let bad = |why: String| BadJournal::Line { path: path.clone(), line, what: names.line, why };
            let entry: T = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
            check(&entries, &entry).map_err(bad)?;
            entries.push(entry);
        }
        Ok(Journal { entries, lines: Lines::open(&path)?, _locked: locked })
    }

    /// The steps, in the order in which they were made.
    pub(crate) fn entries(&self) -> &[T] {
        &self.entries
    }

    /// Adds a step that has ended.
    ///
    /// # Errors
    /// The line cannot be written. The step does not count then.
    pub(crate) fn push(&mut self, entry: T) -> Result<(), WriteError> {
        self.lines.push_json(&entry)?;
        self.entries.push(entry);
        Ok(())
    }
}

/// Holds the lock of a file. The kernel releases it with the file, also when the process is killed.
pub(crate) type Lock = Flock<File>;

/// Locks a file, which is made if it is not there. None: another process has it.
pub(crate) fn lock(path: &Path) -> Result<Option<Lock>, WriteError> {
    match Flock::lock(open(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(Some(locked)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, e)) => Err(fail(path, e.into())),
    }
}

/// The whole lines of a file; empty where there is none. A last line without its end, left by a full disk or a
/// kill, is removed from the file.
pub(crate) fn whole_lines(path: &Path) -> Result<Vec<u8>, WriteError> {
    let mut file = open(path)?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).map_err(|e| fail(path, e))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64).map_err(|e| fail(path, e))?;
        bytes.truncate(whole);
    }
    Ok(bytes)
}

fn open(path: &Path) -> Result<File, WriteError> {
    folder::open(path, File::options().read(true).append(true).create(true)).map_err(|e| fail(path, e))
}

fn fail(path: &Path, source: io::Error) -> WriteError {
    WriteError { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testkit::until_free;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Step {
        run: usize,
        note: String,
    }

    const NAMES: Names = Names { file: "steps.jsonl", does: "tests", line: "step of a test" };

    fn step(run: usize) -> Step {
        Step { run, note: "two\nlines".into() }
    }

    /// Steps have the numbers 1, 2, 3 and so on.
    fn open(out: &Path) -> Result<Journal<Step>, BadJournal> {
        Journal::open(out, NAMES, |before, step: &Step| match step.run == before.len() + 1 {
            true => Ok(()),
            false => Err(format!("it is of run {}", step.run)),
        })
    }

    fn opened(out: &Path) -> Result<Journal<Step>, BadJournal> {
        until_free(|| open(out), |bad| matches!(bad, BadJournal::Taken { .. }))
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_its_step_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAMES.file);
        {
            let mut journal = opened(dir.path()).unwrap();
            journal.push(step(1)).unwrap();
            journal.push(step(2)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = opened(dir.path()).unwrap();
            assert_eq!(journal.entries(), [step(1)], "cut at {cut}");
            journal.push(step(2)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_journal_has_one_owner_and_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let journal = opened(dir.path()).unwrap();
        let taken = open(dir.path()).unwrap_err();
        assert!(matches!(taken, BadJournal::Taken { .. }));
        assert!(taken.to_string().starts_with("another hangscope tests in /"), "{taken}");
        drop(journal);
        let error = |text: &str| {
            std::fs::write(dir.path().join(NAMES.file), text).unwrap();
            opened(dir.path()).unwrap_err().to_string()
        };
        let line = |run| serde_json::to_string(&step(run)).unwrap() + "\n";
        assert!(error(&(line(1) + "{}\n" + &line(3))).contains("jsonl:2: no step of a test: missing field"));
        assert!(error(&(line(1) + &line(3))).contains("jsonl:2: no step of a test: it is of run 3"));
        assert!(error("\u{0}\n").contains("jsonl:1: no step of a test"));
    }
}
