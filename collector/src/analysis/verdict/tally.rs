//! Counts runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analysis::facts::{HuntFacts, PINNED, RunFacts, RunOutcome};
use crate::analysis::stats::{self, CONFIDENCE, Counts, PerHour, Rate};
use crate::analysis::words::Integrity;

/// Numbers of runs by their outcome. Interrupted runs do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) planned: u32,
    pub(crate) made: u32,
    /// Exit status 0.
    pub(crate) ok: u32,
    pub(crate) hung: u32,
    /// Alive after the deadline.
    pub(crate) slow: u32,
    /// Died by a signal.
    pub(crate) crashed: u32,
    /// Failed otherwise.
    pub(crate) failed: u32,
    /// Those of `slow` that were stopped at the deadline.
    #[serde(skip)]
    pub(crate) cut_off: u32,
    /// Those of `ok`, `hung` and `slow` whose malloc is not proven to be the DSO ([`RunFacts::has_dso`]).
    /// They say nothing about it.
    #[serde(skip)]
    pub(crate) not_proven: u32,
    /// Those of `hung` among them.
    #[serde(skip)]
    pub(crate) hung_elsewhere: u32,
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
            let could_hang = matches!(run.outcome, RunOutcome::Ok | RunOutcome::Hung | RunOutcome::Slow);
            let counts = could_hang && !run.cut_off;
            tally.not_proven += u32::from(counts && !run.has_dso());
            tally.hung_elsewhere += u32::from(run.outcome == RunOutcome::Hung && !run.has_dso());
        }
        tally
    }

    /// With more planned runs if more were made: a hunt with a question goes on where runs died or failed.
    pub(super) fn with_all_planned(self) -> Self {
        Tally { planned: self.planned.max(self.made), ..self }
    }

    /// The number of runs that could have hung. The rate rests on them. A run that crashed or did not start
    /// could not hang. A run that was stopped while it was working says nothing about the rate either.
    pub(crate) fn could_hang(&self) -> u32 {
        (self.ok + self.hung + self.slow).saturating_sub(self.cut_off + self.not_proven)
    }

    pub(crate) fn rate(&self) -> Rate {
        Rate::exact(self.hung_here(), self.could_hang(), CONFIDENCE)
    }

    /// Hangs of programs whose malloc is proven to be the DSO.
    pub(crate) fn hung_here(&self) -> u32 {
        self.hung - self.hung_elsewhere
    }
}

/// The runs of a hunt, sorted by arm. Interrupted runs are left out.
#[derive(Debug)]
pub(super) struct Sorted<'a> {
    /// Runs of the main arm: the pinned one, or the only one there is.
    pub(super) main: Vec<&'a RunFacts>,
    /// Runs of the other arms.
    pub(super) arms: BTreeMap<&'a str, Vec<&'a RunFacts>>,
    /// Runs of the pinned build, in all arms.
    pub(super) same_build: Vec<&'a RunFacts>,
    /// All runs.
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

    /// The runs of the pinned build with a changed DSO ([`exposed`]).
    pub(super) fn exposed(&self) -> Counts {
        exposed(self.same_build.iter().filter(|r| r.integrity().is_changed()))
    }

    /// The runs of the main arm with an intact DSO.
    pub(super) fn control(&self) -> Counts {
        counts(self.main.iter().filter(|r| r.integrity() == Integrity::Intact))
    }
}

pub(super) fn counts<'a, 'b: 'a>(runs: impl Iterator<Item = &'a &'b RunFacts>) -> Counts {
    let tally = Tally::of(0, runs.copied());
    Counts { hung: tally.hung_here(), of: tally.could_hang() }
}

/// The median time of the runs that did not hang, seconds; none without such a run.
pub(crate) fn usual(runs: &[&RunFacts]) -> Option<f64> {
    let ended = runs.iter().filter(|run| did_not_hang(run));
    let seconds: Vec<f64> = ended.map(|run| run.seconds).collect();
    stats::spread(&seconds).map(|spread| spread.median)
}

/// Hangs per hour. A run that hung counts with the `usual` time of a run: the time in which it stood still is
/// no benchmark time.
pub(crate) fn per_hour(runs: &[&RunFacts], usual: Option<f64>) -> Option<PerHour> {
    let hung = runs.iter().filter(|run| run.outcome == RunOutcome::Hung).count() as u32;
    let seconds: f64 = runs.iter().filter(|run| did_not_hang(run)).map(|run| run.seconds).sum();
    stats::per_hour(hung, (seconds + f64::from(hung) * usual?) / 3600.0, CONFIDENCE)
}

fn did_not_hang(run: &RunFacts) -> bool {
    matches!(run.outcome, RunOutcome::Ok | RunOutcome::Slow)
}

/// Hung runs of all runs, for runs with a changed DSO. Runs that died count too, as runs that did not hang:
/// the change may have killed them. If they were left out, mainly runs that hung before the change would
/// remain, and a change that only kills would seem to hang.
pub(super) fn exposed<'a, 'b: 'a>(runs: impl Iterator<Item = &'a &'b RunFacts>) -> Counts {
    let tally = Tally::of(0, runs.copied());
    Counts { hung: tally.hung_here(), of: tally.could_hang() + tally.crashed }
}
