//! `runs.jsonl`: everything known of each run, also of those that do not count. It is written before the row
//! in `samples.csv`, and a matrix that was killed between the two gets the row when it goes on.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::machine::Mark;
use super::samples::Sample;
use crate::analysis::RunFacts;
use crate::files::journal::{BadJournal, Journal, Names};

/// Name of the file in OUT.
pub(crate) const FILE: &str = "runs.jsonl";
const NAMES: Names = Names { file: FILE, does: "makes the runs", line: "run of a matrix" };

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

/// Opens the journal in OUT, or begins it.
pub(super) fn open(out: &Path) -> Result<Journal<Entry>, BadJournal> {
    Journal::open(out, NAMES, |_, _| Ok(()))
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

    #[test]
    fn an_entry_that_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let opened = || until_free(|| open(dir.path()), |bad| matches!(bad, BadJournal::Taken { .. }));
        for run in [1, 2] {
            opened().unwrap().push(entry(run)).unwrap();
        }
        assert_eq!(opened().unwrap().entries(), [entry(1), entry(2)]);
        std::fs::write(dir.path().join(FILE), "{}\n").unwrap();
        let bad = opened().unwrap_err().to_string();
        assert!(bad.contains("runs.jsonl:1: no run of a matrix: missing field"), "{bad}");
    }
}
