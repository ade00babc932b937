//! The files that the runs leave in OUT. A shrink makes hundreds of runs, and the evidence of one
//! hang can have tens of megabytes. Only the evidence that the report names stays. All other evidence
//! is removed after each run.

use std::collections::BTreeSet;

use crate::analysis::shrink::Trial;
use crate::files::atomic::WriteError;
use crate::hunt::lane::Lane;

/// The runs whose files exist.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    lane: &'a Lane,
    there: BTreeSet<u32>,
}

impl<'a> Evidence<'a> {
    /// Finds the files of earlier runs. The shrink may have been killed before it removed them.
    pub(super) fn of(lane: &'a Lane, made: &[Trial]) -> Evidence<'a> {
        let made = made.iter().map(|trial| trial.run);
        Evidence {
            lane,
            there: made.filter(|run| lane.left_by(*run).iter().any(|file| file.exists())).collect(),
        }
    }

    /// The runs whose files exist.
    pub(super) fn there(&self) -> &BTreeSet<u32> {
        &self.there
    }

    /// Notes that a run was made.
    pub(super) fn made(&mut self, run: u32) {
        self.there.insert(run);
    }

    /// Removes the files of all runs but these.
    pub(super) fn keep(&mut self, kept: &BTreeSet<u32>) -> Result<(), WriteError> {
        for run in self.there.difference(kept).copied().collect::<Vec<_>>() {
            self.clear(run)?;
        }
        Ok(())
    }

    /// Removes the files of a run. It need not have any.
    pub(super) fn clear(&mut self, run: u32) -> Result<(), WriteError> {
        self.lane.clear(run)?;
        self.there.remove(&run);
        Ok(())
    }
}
