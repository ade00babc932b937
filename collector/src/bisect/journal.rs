//! `bisect.jsonl`: one line for each build and each run. The next step follows from this file alone.
//! Therefore a search that was killed at any moment can go on.

use std::path::Path;

use crate::analysis::bisect::Entry;
use crate::files::journal::{BadJournal, Journal, Names};

const NAMES: Names = Names { file: "bisect.jsonl", does: "bisects", line: "line of a bisect" };

/// Opens the journal in `out`, or creates it, for so many builds.
pub(super) fn open(out: &Path, builds: usize) -> Result<Journal<Entry>, BadJournal> {
    Journal::open(out, NAMES, |before, entry: &Entry| {
        let in_order = entry.trial().is_none_or(|trial| trial.run == runs(before) + 1);
        match in_order && entry.build() < builds {
            true => Ok(()),
            false => Err("it is of another search".into()),
        }
    })
}

/// The number of the next run.
pub(super) fn next_run(journal: &Journal<Entry>) -> u32 {
    runs(journal.entries()) + 1
}

fn runs(entries: &[Entry]) -> u32 {
    entries.iter().rev().find_map(Entry::trial).map_or(0, |trial| trial.run)
}
