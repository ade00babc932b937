//! `bisect.jsonl`: one line for each build and each run, written when it has ended. The next step follows from
//! this file alone. Therefore a search that was killed at any moment can go on.

use std::path::{Path, PathBuf};

use crate::analysis::bisect::Entry;
use crate::files::atomic::{Lines, WriteError};
use crate::files::journal::{self, Lock};

/// Name of the file in OUT.
pub(crate) const FILE: &str = "bisect.jsonl";

/// The open journal. No other process can open it meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
    lines: Lines,
    _locked: Lock,
}

/// The reason why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadJournal {
    #[error("another hangscope bisects in {}: wait for it, or give another --out", .0.display())]
    Taken(PathBuf),
    #[error("{}:{line}: no line of a bisect: {why}; begin anew with another --out", path.display())]
    Line {
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        why: String,
    },
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Journal {
    /// Opens the journal in `out`, or creates it, for so many builds. A last line without its end, left by a
    /// full disk or a kill, is removed. Its step is made again.
    pub(crate) fn open(out: &Path, builds: usize) -> Result<Journal, BadJournal> {
        let path = out.join(FILE);
        let locked = journal::lock(&path)?.ok_or_else(|| BadJournal::Taken(out.to_owned()))?;
        let bytes = journal::whole_lines(&path)?;
        let (mut entries, mut runs) = (vec![], 0);
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for (line, text) in (1..).zip(lines) {
            let bad = |why: String| BadJournal::Line { path: path.clone(), line, why };
            let entry: Entry = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
            runs += u32::from(entry.trial().is_some());
            let build = entry.trial().map(|t| t.build).or(entry.make().map(|m| m.build));
            if build.is_none_or(|build| build >= builds) || entry.trial().is_some_and(|t| t.run != runs) {
                return Err(bad("it is of another search".into()));
            }
            entries.push(entry);
        }
        Ok(Journal { entries, lines: Lines::open(&path)?, _locked: locked })
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of the next run.
    pub(crate) fn next_run(&self) -> u32 {
        self.entries.iter().filter(|entry| entry.trial().is_some()).count() as u32 + 1
    }

    /// Adds a step that has ended.
    ///
    /// # Errors
    /// The line cannot be written. The step does not count then.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), WriteError> {
        self.lines.push_json(&entry)?;
        self.entries.push(entry);
        Ok(())
    }
}
