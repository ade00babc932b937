//! `runs.jsonl`: everything known of each run, also of those that do not count. It is written before the row
//! in `samples.csv`, and a matrix that was killed between the two gets the row when it goes on.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::Mark;
use super::samples::{BadFile, Sample, whole_lines};
use crate::analysis::RunFacts;
use crate::files::atomic::{Lines, WriteError};
use crate::files::journal::{self, Lock};

/// Name of the file in OUT.
pub(crate) const FILE: &str = "runs.jsonl";

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) sample: Sample,
    /// It does not count.
    pub(crate) warmup: bool,
    /// What else was at work during the run.
    pub(crate) marks: Vec<Mark>,
    /// The shim's own share of the memory, at the start of the program. None: it could not be had.
    pub(crate) shim_kib: Option<u64>,
    pub(crate) facts: RunFacts,
}

impl Entry {
    /// The run, for people and to tell it from others.
    pub(crate) fn name(&self) -> String {
        let Sample { lane, phase, allocator, run, .. } = &self.sample;
        format!("{lane} {phase} {allocator} {run}")
    }
}

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadJournal {
    #[error("another hangscope makes the runs in {}: wait for it, or give another --out", .0.display())]
    Taken(PathBuf),
    #[error(transparent)]
    File(#[from] BadFile),
}

impl From<WriteError> for BadJournal {
    fn from(error: WriteError) -> Self {
        BadJournal::File(error.into())
    }
}

/// The open journal. No other process can open it meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
    lines: Lines,
    _locked: Lock,
}

impl Journal {
    /// Opens the journal in OUT, or begins it.
    pub(crate) fn open(out: &Path) -> Result<Journal, BadJournal> {
        let path = out.join(FILE);
        let locked = journal::lock(&path)?.ok_or_else(|| BadJournal::Taken(out.to_owned()))?;
        let text = whole_lines(&path)?;
        let entries = (1..).zip(text.lines()).map(|(line, text)| {
            let bad = |what: String| BadFile::Line { path: path.clone(), line, what };
            serde_json::from_str(text).map_err(|e| bad(format!("no run of a matrix: {e}")))
        });
        let entries = entries.collect::<Result<Vec<Entry>, BadFile>>()?;
        Ok(Journal { entries, lines: Lines::open(&path)?, _locked: locked })
    }

    /// The runs, in the order in which they were made.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a run that has ended.
    ///
    /// # Errors
    /// The line cannot be written. The run does not count then.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), WriteError> {
        self.lines.push_json(&entry)?;
        self.entries.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::samples::tests::sample;
    use crate::testkit::until_free;

    fn entry(run: u32) -> Entry {
        let facts = RunFacts { rc: Some(0), ..RunFacts::new(run, "pinned") };
        Entry {
            sample: sample(run),
            warmup: false,
            marks: vec![Mark::Swapped { pages: 3 }],
            shim_kib: Some(180),
            facts,
        }
    }

    fn opened(out: &Path) -> Result<Journal, BadJournal> {
        until_free(|| Journal::open(out), |bad| matches!(bad, BadJournal::Taken(_)))
    }

    #[test]
    fn a_torn_line_is_cut_off_and_the_others_are_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for run in [1, 2] {
            opened(dir.path()).unwrap().push(entry(run)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in [first, first + 1, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = opened(dir.path()).unwrap();
            assert_eq!(journal.entries(), [entry(1)]);
            journal.push(entry(2)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        let journal = opened(dir.path()).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(BadJournal::Taken(_))));
        drop(journal);
        std::fs::write(&path, "{}\n").unwrap();
        let bad = opened(dir.path()).unwrap_err().to_string();
        assert!(bad.contains("runs.jsonl:1: no run of a matrix: missing field"), "{bad}");
    }
}
