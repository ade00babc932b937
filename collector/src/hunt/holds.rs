//! Runs whose threads are held: their plans, and what they counted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::config::Config;
use crate::analysis::{Choice, HoldCounts, Stir, Strategy};
use crate::launch::follow::Preloads;
use crate::launch::preload::NotPreloadable;
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

    /// Writes the plan of a run to `file`. None: this strategy holds no threads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn plan(&self, stir: Stir, file: PathBuf) -> anyhow::Result<Option<RunPlan>> {
        let written = self.planner.write(&file, stir.strategy.code(), stir.seed, &BTreeSet::new());
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

impl Drop for RunPlan {
    fn drop(&mut self) {
        // A process that still has it mapped goes on with it.
        let _ = std::fs::remove_file(&self.file);
    }
}
