//! `shrink_runs.jsonl`: one line for each run. The next run follows from this file alone. Therefore a shrink
//! that was killed at any moment can go on.

use std::path::Path;

use crate::analysis::shrink::Trial;
use crate::files::journal::{BadJournal, Journal, Names};

const NAMES: Names = Names { file: "shrink_runs.jsonl", does: "shrinks", line: "run of a shrink" };

/// Opens the journal in `out`, or creates it. Its runs have the numbers 1, 2, 3 and so on.
pub(super) fn open(out: &Path) -> Result<Journal<Trial>, BadJournal> {
    Journal::open(out, NAMES, |before, trial: &Trial| match trial.run as usize == before.len() + 1 {
        true => Ok(()),
        false => Err(format!("it is of run {}", trial.run)),
    })
}

/// The number of the next run.
pub(super) fn next_run(journal: &Journal<Trial>) -> u32 {
    journal.entries().len() as u32 + 1
}
