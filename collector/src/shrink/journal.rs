//! `shrink_runs.jsonl`: one line for each run, written when the run ends. The next run follows from this file
//! alone. Therefore a shrink that was killed at any moment can go on.

use std::path::{Path, PathBuf};

use crate::analysis::shrink::Trial;
use crate::files::atomic::{Lines, WriteError};
use crate::files::journal::{self, Lock};

/// Name of the file in OUT.
pub(crate) const FILE: &str = "shrink_runs.jsonl";

/// The open journal of a shrink. No other process can open it meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    trials: Vec<Trial>,
    lines: Lines,
    _locked: Lock,
}

/// The reason why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadJournal {
    /// Another process has locked it.
    #[error("another hangscope shrinks in {}: wait for it, or give another --out", .0.display())]
    Taken(PathBuf),
    /// A line is not a run of a shrink.
    #[error("{}:{line}: no run of a shrink: {why}; begin anew with another --out", path.display())]
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
    /// Opens the journal in `out`, or creates it. A last line without its end, left by a full disk or a kill,
    /// is removed. Its run is made again.
    pub(crate) fn open(out: &Path) -> Result<Journal, BadJournal> {
        let path = out.join(FILE);
        let locked = journal::lock(&path)?.ok_or_else(|| BadJournal::Taken(out.to_owned()))?;
        let bytes = journal::whole_lines(&path)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let trials = (1..).zip(lines).map(|(line, text)| {
            let bad = |why: String| BadJournal::Line { path: path.clone(), line, why };
            let trial: Trial = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
            let in_order = trial.run as usize == line;
            if in_order { Ok(trial) } else { Err(bad(format!("it is of run {}", trial.run))) }
        });
        let trials = trials.collect::<Result<Vec<Trial>, BadJournal>>()?;
        Ok(Journal { trials, lines: Lines::open(&path)?, _locked: locked })
    }

    /// The runs that were made.
    pub(crate) fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The number of the next run.
    pub(crate) fn next_run(&self) -> u32 {
        self.trials.len() as u32 + 1
    }

    /// Adds a run that has ended.
    ///
    /// # Errors
    /// The line cannot be written. The run does not count then.
    pub(crate) fn push(&mut self, trial: Trial) -> Result<(), WriteError> {
        self.lines.push_json(&trial)?;
        self.trials.push(trial);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::RunOutcome;
    use crate::testkit::until_free;

    fn trial(run: u32) -> Trial {
        Trial {
            run,
            values: vec![4, 20_000],
            outcome: RunOutcome::Ok,
            class: None,
            seconds: 0.25,
            hang_after_s: Some(5.0),
            rc: Some(0),
            note: None,
            snapshot: None,
            strategy: None,
            chooses: false,
        }
    }

    fn opened(out: &Path) -> Result<Journal, BadJournal> {
        until_free(|| Journal::open(out), |bad| matches!(bad, BadJournal::Taken(_)))
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_the_run_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        {
            let mut journal = opened(dir.path()).unwrap();
            journal.push(trial(1)).unwrap();
            journal.push(trial(2)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = opened(dir.path()).unwrap();
            assert_eq!(journal.trials(), [trial(1)], "cut at {cut}");
            journal.push(trial(2)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_journal_has_one_owner_and_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let journal = opened(dir.path()).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(BadJournal::Taken(_))));
        drop(journal);
        let error = |text: &str| {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            opened(dir.path()).unwrap_err().to_string()
        };
        let line = |run| serde_json::to_string(&trial(run)).unwrap() + "\n";
        assert!(error(&(line(1) + "{}\n" + &line(3))).contains("jsonl:2: no run of a shrink: missing field"));
        assert!(error(&(line(1) + &line(3))).contains("jsonl:2: no run of a shrink: it is of run 3"));
        assert!(error("\u{0}\n").contains("jsonl:1: no run of a shrink"));
    }
}
