//! Counting runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analysis::facts::{HuntFacts, PINNED, RunFacts, RunOutcome};
use crate::analysis::stats::{CONFIDENCE, Counts, Rate};
use crate::analysis::words::Integrity;

/// Runs by how they ended; those that were interrupted are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Planned.
    pub(crate) planned: u32,
    /// Made.
    pub(crate) made: u32,
    /// Exit status 0.
    pub(crate) ok: u32,
    /// Hung.
    pub(crate) hung: u32,
    /// Past the deadline, alive.
    pub(crate) slow: u32,
    /// Died by a signal.
    pub(crate) crashed: u32,
    /// Failed otherwise.
    pub(crate) failed: u32,
    /// Of `slow`, those that were stopped for it.
    #[serde(skip)]
    pub(crate) cut_off: u32,
}

impl Tally {
    pub(crate) fn of<'a>(planned: u32, runs: impl IntoIterator<Item = &'a RunFacts>) -> Self {
        let mut tally = Tally { planned, ..Tally::default() };
        for run in runs {
            let count = match run.outcome {
                RunOutcome::Ok => &mut tally.ok,
                RunOutcome::Hung => &mut tally.hung,
                RunOutcome::Slow => &mut tally.slow,
                RunOutcome::Crashed => &mut tally.crashed,
                RunOutcome::Failed => &mut tally.failed,
                RunOutcome::Interrupted => continue,
            };
            *count += 1;
            tally.made += 1;
            tally.cut_off += u32::from(run.cut_off);
        }
        tally
    }

    /// Runs that could have shown a hang: one that crashed or never started could not, and says nothing about
    /// the rate, nor does one that was stopped while it was at work.
    pub(crate) fn could_hang(&self) -> u32 {
        (self.ok + self.hung + self.slow).saturating_sub(self.cut_off)
    }

    /// The rate of hangs.
    pub(crate) fn rate(&self) -> Rate {
        Rate::exact(self.hung, self.could_hang(), CONFIDENCE)
    }
}

/// Runs of a hunt, sorted.
#[derive(Debug)]
pub(super) struct Sorted<'a> {
    /// Of the arm that the rate is about: pinned, or the only one there is.
    pub(super) main: Vec<&'a RunFacts>,
    /// Of the other arms.
    pub(super) arms: BTreeMap<&'a str, Vec<&'a RunFacts>>,
    /// Of the pinned build: all but those of arms of other builds.
    pub(super) same_build: Vec<&'a RunFacts>,
    /// All that were not interrupted.
    pub(super) all: Vec<&'a RunFacts>,
}

impl<'a> Sorted<'a> {
    pub(super) fn of(facts: &'a HuntFacts) -> Self {
        let all: Vec<&RunFacts> =
            facts.runs.iter().filter(|r| r.outcome != RunOutcome::Interrupted).collect();
        let has_pinned = all.iter().any(|r| r.arm == PINNED);
        let main_arm = if has_pinned { Some(PINNED) } else { all.first().map(|r| r.arm.as_str()) };
        let (main, others): (Vec<&RunFacts>, Vec<&RunFacts>) =
            all.iter().partition(|r| Some(r.arm.as_str()) == main_arm);
        let mut arms: BTreeMap<&str, Vec<&RunFacts>> = BTreeMap::new();
        for run in others {
            arms.entry(&run.arm).or_default().push(run);
        }
        let same_build = all.iter().filter(|r| !facts.is_other_build(&r.arm)).copied().collect();
        Sorted { main, arms, same_build, all }
    }

    pub(super) fn hung(&self) -> Vec<&'a RunFacts> {
        self.all.iter().filter(|r| r.outcome == RunOutcome::Hung).copied().collect()
    }

    /// Runs of the pinned build whose DSO was not intact ([`exposed`]), hung among them.
    pub(super) fn exposed(&self) -> Counts {
        exposed(self.same_build.iter().filter(|r| r.integrity().is_changed()))
    }

    /// Runs of the main arm whose DSO was intact, hung among them.
    pub(super) fn control(&self) -> Counts {
        counts(self.main.iter().filter(|r| r.integrity() == Integrity::Intact))
    }
}

pub(super) fn counts<'a, 'b: 'a>(runs: impl Iterator<Item = &'a &'b RunFacts>) -> Counts {
    let tally = Tally::of(0, runs.copied());
    Counts { hung: tally.hung, of: tally.could_hang() }
}

/// Of runs whose DSO was not intact: those that died count, as such that did not hang. Their death may come from the
/// change, and left out it would leave the runs that hung before: then a change that only kills would seem to hang all
/// runs of a DSO that hangs in some by itself.
pub(super) fn exposed<'a, 'b: 'a>(runs: impl Iterator<Item = &'a &'b RunFacts>) -> Counts {
    let tally = Tally::of(0, runs.copied());
    Counts { hung: tally.hung, of: tally.could_hang() + tally.crashed }
}
