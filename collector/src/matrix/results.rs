//! What the runs of a matrix show, computed once for all files. Pure.

use std::collections::BTreeMap;

use super::config::Matrix;
use super::journal::Entry;
use super::plan::{Group, Plan};
use super::samples::Status;
use crate::analysis::ratio::{Ratio, ratio};
use crate::analysis::shards::Joined;
use crate::analysis::stats::{CONFIDENCE, Spread, spread};
use crate::analysis::{Conclusion, DsoFacts, HuntFacts, Integrity, RunOutcome, conclude, verdict};
use crate::console::exit;
use crate::files::pin::Pinned;

/// The runs of one allocator in one lane and phase.
#[derive(Debug)]
pub(crate) struct GroupResult {
    pub(crate) group: Group,
    pub(crate) allocator: String,
    pub(crate) lane: String,
    pub(crate) planned: u32,
    /// Runs that were made, by number, without those that do not count.
    pub(crate) entries: Vec<Entry>,
    /// Of the runs with the status OK: ops/s, or KiB. None: none of them has a figure.
    pub(crate) spread: Option<Spread>,
    /// To the first allocator. None: this is the first, or one of both has no figure.
    pub(crate) ratio: Option<Ratio>,
    /// Numbers of the planned runs that were not made.
    pub(crate) missing: Vec<u32>,
    pub(crate) facts: HuntFacts,
    pub(crate) conclusion: Conclusion,
}

impl GroupResult {
    fn of(matrix: &Matrix, plan: &Plan, group: Group, facts: HuntFacts, entries: &[&Entry]) -> GroupResult {
        let mut entries: Vec<Entry> = entries.iter().copied().cloned().collect();
        entries.sort_by_key(|entry| entry.sample.run);
        let is_missing = |run: &u32| !entries.iter().any(|entry| entry.sample.run == *run);
        GroupResult {
            group,
            allocator: matrix.allocators[group.allocator].name.clone(),
            lane: matrix.lanes[group.lane].name.clone(),
            planned: facts.planned,
            spread: spread(&figures(group, &entries)),
            ratio: None,
            missing: plan.numbers(group.phase).filter(is_missing).collect(),
            conclusion: conclude(&facts),
            entries,
            facts,
        }
    }

    /// With the ratio to the first allocator; none: this is it.
    fn against(self, first: Option<&GroupResult>) -> GroupResult {
        let own = figures(self.group, &self.entries);
        let ratio = first.and_then(|first| ratio(&own, &figures(first.group, &first.entries), CONFIDENCE));
        GroupResult { ratio, ..self }
    }

    pub(crate) fn count(&self, status: Status) -> u32 {
        self.entries.iter().filter(|entry| entry.sample.status == status).count() as u32
    }

    /// Of the runs that are good: ops/s, or KiB.
    pub(super) fn figures(&self) -> Vec<f64> {
        figures(self.group, &self.entries)
    }

    /// Of the group's runs alone.
    fn code(&self) -> u8 {
        verdict::exit_code(&self.facts)
    }
}

#[derive(Debug)]
pub(crate) struct Results {
    /// In the order of the file: by phase, lane and allocator.
    pub(crate) groups: Vec<GroupResult>,
    /// Hangs, those of runs that do not count too, in the order in which they came.
    pub(crate) hangs: Vec<Entry>,
    /// Runs that count.
    pub(crate) made: u32,
    pub(crate) interrupted: bool,
    warmups: Vec<HuntFacts>,
}

/// The facts of runs of one allocator in one lane.
fn facts(matrix: &Matrix, group: Group, dso: &DsoFacts, runs: &[&Entry], planned: u32) -> HuntFacts {
    let (lane, allocator) = (&matrix.lanes[group.lane], &matrix.allocators[group.allocator]);
    HuntFacts {
        hang_after_s: lane.hang_after.time().map_or(0.0, |time| time.as_secs_f64()),
        planned,
        runs: runs.iter().map(|entry| entry.facts.clone()).collect(),
        ..HuntFacts::new(&allocator.name, &lane.command, dso.clone())
    }
}

/// What is known of the DSOs, in the order of the allocators.
pub(crate) fn dsos(matrix: &Matrix, pinned: &[Pinned]) -> Vec<DsoFacts> {
    let both = matrix.allocators.iter().zip(pinned);
    both.map(|(allocator, pinned)| DsoFacts {
        original: pinned.source.display().to_string(),
        path: pinned.path.display().to_string(),
        pinned: allocator.so.is_some(),
        sha1: pinned.sha1.clone(),
        build_id: pinned.build_id().map(str::to_owned),
        // The runs do not use it.
        original_integrity: Integrity::Unknown,
    })
    .collect()
}

fn is_of(matrix: &Matrix, group: Group, entry: &Entry) -> bool {
    let of = &entry.sample;
    of.lane == matrix.lanes[group.lane].name
        && of.allocator == matrix.allocators[group.allocator].name
        && of.phase == group.phase.as_str()
}

impl Results {
    /// `dsos`: in the order of the allocators. `interrupted`: Ctrl-C ended the matrix. `shards`: those that were
    /// joined.
    pub(crate) fn of(
        matrix: &Matrix,
        dsos: &[DsoFacts],
        plan: &Plan,
        entries: &[Entry],
        interrupted: bool,
        shards: Option<&Joined>,
    ) -> Results {
        let mut groups: Vec<GroupResult> = vec![];
        let mut warmups = vec![];
        for phase in &matrix.phases {
            for lane in 0..matrix.lanes.len() {
                let first = groups.len();
                for (allocator, dso) in dsos.iter().enumerate() {
                    let group = Group { phase: phase.name, lane, allocator };
                    let of = entries.iter().filter(|entry| is_of(matrix, group, entry));
                    let (before, of): (Vec<&Entry>, Vec<&Entry>) = of.partition(|entry| entry.warmup);
                    if !before.is_empty() {
                        warmups.push(facts(matrix, group, dso, &before, phase.warmup));
                    }
                    let facts = facts(matrix, group, dso, &of, plan.planned(phase.name));
                    let facts = HuntFacts { shards: shards.cloned(), ..facts };
                    let made = GroupResult::of(matrix, plan, group, facts, &of);
                    groups.push(made.against(groups.get(first)));
                }
            }
        }
        let hung = |entry: &&Entry| entry.facts.outcome == RunOutcome::Hung;
        Results {
            made: entries.iter().filter(|entry| !entry.warmup).count() as u32,
            hangs: entries.iter().filter(hung).cloned().collect(),
            groups,
            interrupted,
            warmups,
        }
    }

    /// The runs of all groups as those of one job, with the shards that were joined. None: none were.
    pub(crate) fn of_shards(&self) -> Option<HuntFacts> {
        let first = self.groups.first().filter(|group| group.facts.shards.is_some())?;
        let runs = self.groups.iter().flat_map(|group| group.facts.runs.iter().cloned());
        Some(HuntFacts { runs: runs.collect(), ..first.facts.clone() })
    }

    /// SHA-1 of the allocators' files, by name.
    pub(super) fn builds(&self) -> BTreeMap<&str, &str> {
        self.groups.iter().map(|group| (group.allocator.as_str(), group.facts.dso.sha1.as_str())).collect()
    }

    /// Planned runs that were not made.
    pub(crate) fn missing(&self) -> u32 {
        self.groups.iter().map(|group| group.missing.len() as u32).sum()
    }

    /// The group that the verdict is about: one whose DSO was not intact, else one that hung, else one that
    /// is not proven, else the first.
    pub(crate) fn main(&self) -> Option<&GroupResult> {
        let with = |code: exit::Status| self.groups.iter().find(|group| group.code() == code.code());
        with(exit::Status::DsoNotIntact)
            .or_else(|| with(exit::Status::Hang))
            .or_else(|| with(exit::Status::NotVerified))
            .or_else(|| self.groups.first())
    }

    /// The documented exit status.
    pub(crate) fn status(&self) -> exit::Status {
        let made = self.groups.iter().filter(|group| !group.entries.is_empty());
        let codes: Vec<u8> = made.map(GroupResult::code).collect();
        let before: Vec<u8> = self.warmups.iter().map(verdict::exit_code).collect();
        let any = |status: exit::Status| codes.iter().chain(&before).any(|code| *code == status.code());
        for status in [exit::Status::DsoNotIntact, exit::Status::Hang, exit::Status::NotVerified] {
            if any(status) {
                return status;
            }
        }
        match codes.iter().all(|code| *code == exit::Status::NoGoodEnd.code()) {
            true if !codes.is_empty() => exit::Status::NoGoodEnd,
            // A matrix that is not whole proves nothing.
            _ if self.interrupted => exit::Status::Failed,
            _ => exit::Status::NoHang,
        }
    }
}

/// The figures of the phase, of the runs that are good.
fn figures(group: Group, entries: &[Entry]) -> Vec<f64> {
    use super::config::PhaseName;
    let good = entries.iter().filter(|entry| entry.sample.status == Status::Ok);
    good.filter_map(|entry| match group.phase {
        PhaseName::Ops => entry.sample.ops_s,
        PhaseName::Rss => entry.sample.max_rss_kib.map(|kib| kib as f64),
    })
    .collect()
}
