//! Runs whose threads are held: their plans, and what they counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hangscope_protocol::stir::{HoldRecord, hold_at};

use super::config::Config;
use crate::analysis::{Choice, HoldCounts, Stir, Strategy};
use crate::launch::follow::Preloads;
use crate::launch::preload::NotPreloadable;
use crate::session::Dump;
use crate::stir::plan::{Counts, Planner};
use crate::text::message::say;
use crate::text::progress::JobLine;

/// What runs of an allocator need to hold their threads.
#[derive(Debug)]
pub(crate) struct Holds {
    planner: Planner,
    /// `libhangscope_stir.so`.
    file: PathBuf,
    links: PathBuf,
}

/// The plan of one run. The file is removed with it.
#[derive(Debug)]
pub(crate) struct RunPlan {
    pub(crate) file: PathBuf,
}

impl Holds {
    /// For the allocator at `dso`, whose code is read now. None: no run of this hunt holds threads.
    ///
    /// # Errors
    /// There is no `libhangscope_stir.so` beside the shim.
    pub(super) fn of(config: &Config, dso: &Path) -> anyhow::Result<Option<Holds>> {
        let may_hold = config.stir.is_some_and(|plan| match plan.choice {
            Choice::Auto => true,
            Choice::Fixed(strategy) | Choice::Replay(strategy) => strategy.holds(),
        });
        if !may_hold {
            return Ok(None);
        }
        let file = config.shim.stir().context("hunt: --stir")?;
        let planner = Planner::new(Some(dso).filter(|_| !config.system));
        Ok(Some(Holds { planner, file, links: config.out.clone() }))
    }

    /// Whether threads can be held at instructions of the allocator.
    pub(super) fn has_sites(&self) -> bool {
        self.planner.no_sites.is_none()
    }

    /// The same for a person.
    pub(super) fn line(&self) -> JobLine {
        match &self.planner.no_sites {
            Some(why) => say!(JobLine::NoHoldSites { why }),
            None => {
                let (sites, left) = self.planner.sites();
                say!(JobLine::HoldSites { sites, left })
            }
        }
    }

    /// What is preloaded into a run whose threads are held.
    ///
    /// # Errors
    /// LD_PRELOAD cannot hold a path.
    pub(super) fn preloads(&self, preloads: &Preloads) -> Result<Preloads, NotPreloadable> {
        preloads.with_stir(&self.file, &self.links)
    }

    /// Writes the plan of a run to `file`; `preferred` are offsets in the allocator at which threads are held
    /// more often. None: this strategy holds no threads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn plan(
        &self,
        stir: Stir,
        preferred: &BTreeSet<u32>,
        file: PathBuf,
    ) -> anyhow::Result<Option<RunPlan>> {
        let written = self.planner.write(&file, stir.strategy.code(), stir.seed, preferred);
        let written = written.context("hunt: the plan of a run")?;
        Ok(written.then_some(RunPlan { file }))
    }
}

impl RunPlan {
    /// What the run has counted so far, and why it held no thread at instructions of the allocator.
    ///
    /// # Errors
    /// The file cannot be read, or is no plan any more.
    pub(super) fn counts(&self, strategy: Strategy) -> anyhow::Result<(HoldCounts, Option<&'static str>)> {
        let counts = Counts::read(&self.file)?;
        let trouble = counts.trouble().filter(|_| strategy.holds_at_sites());
        let milliseconds = |ns: u64| ns as f64 / 1e6;
        let facts = HoldCounts {
            at_calls: counts.at_calls,
            at_sites: counts.at_sites,
            held_ms: milliseconds(counts.held_ns),
            long_waits: counts.long_waits,
            longest_wait_ms: milliseconds(counts.longest_wait_ns),
            live_sites: counts.live_sites,
            no_sites: trouble.is_some(),
        };
        Ok((facts, trouble))
    }
}

/// Holds that ended so long before the last one have nothing to do with the hang: several times the longest.
const WINDOW_NS: u64 = 50_000_000;

/// Instructions of a hang that are worth holding threads at again.
const MOST_SITES: usize = 4;

/// Offsets in the allocator of the instructions at which threads were held last before a hang: those that
/// threads came by most rarely. A lock that every call takes is held at all the time, and the slow path that
/// loses a race is not.
pub(super) fn sites_before(dump: &Dump) -> BTreeSet<u32> {
    let Some(bias) = dump.allocator().map(|dso| dso.init.bias) else { return BTreeSet::new() };
    let at_instruction =
        |hold: &&HoldRecord| matches!(hold.at, hold_at::BEFORE_INSTRUCTION | hold_at::BEHIND_INSTRUCTION);
    let holds: Vec<&HoldRecord> = dump.holds.iter().map(|hold| &hold.record).filter(at_instruction).collect();
    let last = holds.iter().map(|hold| hold.began_ns).max().unwrap_or(0);
    // How soon a thread came by, at best.
    let mut soonest: BTreeMap<u64, u32> = BTreeMap::new();
    for hold in &holds {
        let best = soonest.entry(hold.address).or_insert(u32::MAX);
        *best = hold.waited_us.min(*best);
    }
    let near = holds.iter().filter(|hold| hold.began_ns.saturating_add(WINDOW_NS) >= last);
    let mut near: Vec<u64> = near.map(|hold| hold.address).collect::<BTreeSet<u64>>().into_iter().collect();
    near.sort_by_key(|address| std::cmp::Reverse(soonest.get(address).copied()));
    let offsets = near.into_iter().take(MOST_SITES).map(|address| address.checked_sub(bias));
    offsets.filter_map(|offset| u32::try_from(offset?).ok()).collect()
}

impl Drop for RunPlan {
    fn drop(&mut self) {
        // A process that still has it mapped goes on with it.
        let _ = std::fs::remove_file(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::Record as _;

    use super::*;
    use crate::session::Hold;
    use crate::testkit::dump::Make;

    #[test]
    fn the_rarest_of_the_last_instructions_are_held_at_again() {
        let mut dump = Make::new().finish();
        assert_eq!(sites_before(&dump), BTreeSet::new());
        let bias = dump.allocator().expect("an allocator").init.bias;
        let hold = |began_ms: u64, offset: u64, at: u16, waited_us: u32| {
            let record = HoldRecord {
                began_ns: began_ms * 1_000_000,
                held_ns: 1_000_000,
                address: bias + offset,
                tid: 101,
                at,
                waited_us,
                ..HoldRecord::get(&[0; HoldRecord::SIZE]).expect("its bytes")
            };
            Hold { record, stack: vec![] }
        };
        dump.holds = vec![
            hold(1, 0x900, hold_at::BEFORE_INSTRUCTION, 9000),
            hold(80, 0x100, hold_at::BEFORE_INSTRUCTION, 1),
            hold(81, 0x110, hold_at::BEHIND_INSTRUCTION, 800),
            hold(82, 0x120, hold_at::BEFORE_INSTRUCTION, 700),
            hold(83, 0x130, hold_at::BEFORE_INSTRUCTION, 600),
            hold(84, 0x140, hold_at::LOCKED, 9000),
            hold(85, 0x100, hold_at::BEFORE_INSTRUCTION, 9000),
            hold(85, 0x150, hold_at::BEFORE_INSTRUCTION, 500),
        ];
        assert_eq!(sites_before(&dump), BTreeSet::from([0x110, 0x120, 0x130, 0x150]));
    }
}
