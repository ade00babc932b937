//! One look at the search: what is believed, and whether it goes on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::belief::{self, Belief, Group};
use super::plan::{self, Ask, Built, Costs};
use super::space::{Hypothesis, Space};
use crate::analysis::stats::Counts;

/// Each combination of settings has so many runs before none is called better than another: 0 of 14 is a rate
/// below 20 % at 95 %.
const LEAST_RUNS: u32 = 14;

/// What is searched, and when the search ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    pub space: Space,
    /// The answer has at least this posterior, 0 to 1.
    pub confidence: f64,
    /// Most runs that count.
    pub max_runs: u32,
}

/// What was seen so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The runs of each build that count.
    pub counts: Vec<Counts>,
    pub built: Vec<Built>,
    /// Hypotheses that are false: the builds before and after the change have the same bytes.
    pub excluded: BTreeSet<usize>,
    pub costs: Costs,
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// One change, or a group that cannot be told apart, has the wanted posterior.
    Found,
    /// That no build hangs more often than another has the wanted posterior.
    NoDifference,
    /// That no single setting explains the rates has the wanted posterior.
    NotOneSetting,
    /// All runs were made.
    OutOfRuns,
    /// The time limit was reached. The search can be resumed.
    OutOfTime,
    /// Ctrl-C. The search can be resumed.
    Interrupted,
}

/// The state of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub belief: Belief,
    /// The most probable first.
    pub groups: Vec<Group>,
    pub next: Result<Ask, End>,
}

impl Search {
    pub fn look(&self, seen: &Seen) -> Look {
        let belief = Belief::of(&self.space, &seen.counts, &seen.excluded);
        let failed = (0..seen.built.len()).filter(|build| seen.built[*build] == Built::Failed).collect();
        let groups = belief.groups(&self.space, &failed);
        let made: u32 = seen.counts.iter().map(|runs| runs.of).sum();
        let is_same = self.space.hypotheses()[groups[0].members[0]] == Hypothesis::Same;
        let hardly_run = self.hardly_run(seen).filter(|_| is_same);
        let next = match (self.answer(seen, &groups[0]), hardly_run) {
            (Some(end), None) => Err(end),
            (_, _) if made >= self.max_runs => Err(End::OutOfRuns),
            (_, Some(ask)) => Ok(ask),
            (None, None) => {
                plan::next(&self.space, &seen.counts, &belief, &seen.built, &seen.costs).ok_or(End::OutOfRuns)
            }
        };
        Look { belief, groups, next }
    }

    /// The combination of settings that was run least, if that is less than [`LEAST_RUNS`]. It comes first
    /// once no difference is the most probable: two settings may make it hang only together, and a
    /// combination that was not run shows nothing. In a line of commits the runs of one commit count for
    /// those beside it.
    fn hardly_run(&self, seen: &Seen) -> Option<Ask> {
        let builds = (0..self.space.builds()).filter(|build| seen.built[*build] != Built::Failed);
        let build = builds.min_by_key(|build| seen.counts[*build].of)?;
        let runs = LEAST_RUNS.saturating_sub(seen.counts[build].of);
        let build_s = if seen.built[build] == Built::NotYet { seen.costs.build_s } else { 0.0 };
        let seconds = build_s + f64::from(runs) * seen.costs.good_s;
        (!self.space.is_line() && runs > 0).then_some(Ask { build, runs, bits: 0.0, seconds })
    }

    /// How the search ends with this group, if it is probable enough.
    fn answer(&self, seen: &Seen, first: &Group) -> Option<End> {
        if first.posterior < self.confidence {
            return None;
        }
        let hypothesis = self.space.hypotheses()[first.members[0]];
        match hypothesis {
            Hypothesis::Same => Some(End::NoDifference),
            Hypothesis::Each => Some(End::NotOneSetting),
            // Nothing is blamed for a hang that nobody has seen.
            Hypothesis::From(_) | Hypothesis::Setting { .. } => {
                let [_, bad] = belief::sides(&self.space, hypothesis, &seen.counts);
                (bad.hung > 0).then_some(End::Found)
            }
        }
    }
}
