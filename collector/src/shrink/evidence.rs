//! The files that the runs leave in OUT. A shrink makes hundreds of runs, and the evidence of one
//! hang can have tens of megabytes. Only the evidence that the report names stays. All other evidence
//! is removed after each run.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::analysis::shrink::Trial;
use crate::files::atomic::WriteError;
use crate::hunt::lane::Lane;

/// The runs whose files exist.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    out: &'a Path,
    lane: &'a Lane,
    there: BTreeSet<u32>,
}

impl<'a> Evidence<'a> {
    /// Finds the files of earlier runs. The shrink may have been killed before it removed them.
    pub(super) fn of(out: &'a Path, lane: &'a Lane, made: &[Trial]) -> Evidence<'a> {
        let mut evidence = Evidence { out, lane, there: BTreeSet::new() };
        let there = made.iter().map(|trial| trial.run);
        evidence.there = there.filter(|run| evidence.files(*run).iter().any(|file| file.exists())).collect();
        evidence
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
        for path in self.files(run) {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match removed {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(WriteError { path, source });
                }
                _ => {}
            }
        }
        self.there.remove(&run);
        Ok(())
    }

    fn files(&self, run: u32) -> Vec<PathBuf> {
        let folders = [self.lane.snapshot(run), self.lane.slow_snapshot(run)];
        let folders = folders.map(|name| self.out.join(name));
        folders.into_iter().chain(self.lane.outputs(run)).collect()
    }
}
