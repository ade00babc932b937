//! The files of a matrix whose shards were joined.

use std::path::Path;

use super::config::{Matrix, PhaseName};
use super::journal::{self, Entry};
use super::plan::Plan;
use super::results::Results;
use super::run::{cell_of, write};
use super::samples::{BadFile, Sample, Samples};
use super::summary::cell_name;
use super::tables::Tables;
use super::usage::usage;
use super::verdict;
use crate::analysis::DsoFacts;
use crate::analysis::shards::Joined;
use crate::files::atomic::Lines;
use crate::report::VerdictFile;
use crate::shard::Shard;

/// What the shards have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinedMatrix<'a> {
    pub(crate) matrix: &'a Matrix,
    /// In the order of the allocators.
    pub(crate) dsos: &'a [DsoFacts],
    pub(crate) seed: u64,
    /// A hang was followed by one run more.
    pub(crate) retries: bool,
    pub(crate) joined: &'a Joined,
}

impl JoinedMatrix<'_> {
    /// Writes the runs in the order of the whole, and what follows from them. Also returns `verdict.json`.
    ///
    /// # Errors
    /// A run is of another matrix, or a file cannot be written.
    pub(crate) fn write(
        &self,
        entries: Vec<Entry>,
        out: &Path,
    ) -> anyhow::Result<(Results, Option<VerdictFile>)> {
        let JoinedMatrix { matrix, dsos, seed, retries, joined } = *self;
        let sizes = (matrix.lanes.len(), matrix.allocators.len());
        let plan = Plan::new(sizes, &matrix.phases, matrix.order, seed, retries, Shard::WHOLE);
        let mut placed = vec![];
        for entry in entries {
            let Some(cell) = cell_of(matrix, &entry) else {
                let cell = cell_name(&entry.sample);
                return Err(usage(format!("a shard has a run of another matrix ({cell}): leave it out")));
            };
            placed.push(((!entry.warmup, plan.place(&cell), cell), entry));
        }
        placed.sort_by_key(|(place, _)| *place);
        let entries: Vec<Entry> = placed.into_iter().map(|(_, entry)| entry).collect();
        let mut journal = Lines::open(&out.join(journal::FILE))?;
        entries.iter().try_for_each(|entry| journal.push_json(entry))?;
        let rows: Vec<Sample> =
            entries.iter().filter(|entry| !entry.warmup).map(|entry| entry.sample.clone()).collect();
        let mut samples = Samples::open(out).map_err(|bad| match bad {
            BadFile::Line { .. } => usage(bad),
            BadFile::Write(e) => e.into(),
        })?;
        rows.iter().try_for_each(|row| samples.push(row.clone()))?;
        let phases: Vec<PhaseName> = matrix.phases.iter().map(|phase| phase.name).collect();
        drop(Tables::begin(out, &matrix.lanes, &phases, &rows)?);
        let results = Results::of(matrix, dsos, &plan, &entries, !joined.is_whole(), Some(joined));
        write(out, matrix, seed, &results, &entries)?;
        let verdict = verdict::file(matrix, seed, &results);
        Ok((results, verdict))
    }
}
