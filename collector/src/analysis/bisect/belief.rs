//! How probable each hypothesis is, after the runs that were made.

use std::collections::BTreeSet;

use super::rates::{self, Beta, Moments, Pair, UNIFORM};
use super::space::{Hypothesis, Space};
use crate::analysis::stats::Counts;

/// The priors of the two rates. Uniform, with the bad rate above the good one.
const PAIR: Pair = Pair { good: UNIFORM, bad: UNIFORM };
/// The prior of a rate that all builds share, or that one build has.
const ONE: Beta = UNIFORM;

/// The posterior probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Belief {
    /// In the order of [`Space::hypotheses`]. The sum is 1.
    pub weights: Vec<f64>,
}

/// Hypotheses that no run can tell apart: between them are only builds that cannot be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Indices in [`Space::hypotheses`], ascending.
    pub members: Vec<usize>,
    /// Of all members together.
    pub posterior: f64,
}

impl Belief {
    /// `counts`: the runs of each build. `excluded`: hypotheses that are known to be false.
    pub fn of(space: &Space, counts: &[Counts], excluded: &BTreeSet<usize>) -> Belief {
        let logs: Vec<f64> = (space.hypotheses().iter().enumerate())
            .map(|(index, hypothesis)| match excluded.contains(&index) {
                true => f64::NEG_INFINITY,
                false => space.prior(*hypothesis).ln() + ln_evidence(space, *hypothesis, counts),
            })
            .collect();
        // Relative to the largest, so that none of them becomes 0 by rounding that matters.
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let all: f64 = shares.iter().sum();
        Belief { weights: shares.iter().map(|share| share / all).collect() }
    }

    /// The groups, the most probable first. `failed`: the builds that cannot be made.
    pub fn groups(&self, space: &Space, failed: &BTreeSet<usize>) -> Vec<Group> {
        let pattern = |hypothesis: Hypothesis| -> Vec<bool> {
            let made = (0..space.builds()).filter(|build| !failed.contains(build));
            made.map(|build| space.is_bad(hypothesis, build)).collect()
        };
        let mut groups: Vec<(Option<Vec<bool>>, Group)> = vec![];
        for (index, hypothesis) in space.hypotheses().iter().enumerate() {
            let own = match hypothesis {
                // They differ from all others, whatever can be built.
                Hypothesis::Same | Hypothesis::Each => None,
                Hypothesis::From(_) | Hypothesis::Setting { .. } => Some(pattern(*hypothesis)),
            };
            let posterior = self.weights[index];
            match groups.iter_mut().find(|(other, _)| own.is_some() && *other == own) {
                Some((_, group)) => {
                    group.members.push(index);
                    group.posterior += posterior;
                }
                None => groups.push((own, Group { members: vec![index], posterior })),
            }
        }
        let mut groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
        groups.sort_by(|a, b| b.posterior.total_cmp(&a.posterior));
        groups
    }
}

/// Sums of the runs of the builds that are not bad, and of those that are.
pub(super) fn sides(space: &Space, hypothesis: Hypothesis, counts: &[Counts]) -> [Counts; 2] {
    let mut sides = [Counts { hung: 0, of: 0 }; 2];
    for (build, runs) in counts.iter().enumerate().filter(|(_, runs)| runs.of > 0) {
        let side = &mut sides[usize::from(space.is_bad(hypothesis, build))];
        side.hung += runs.hung;
        side.of += runs.of;
    }
    sides
}

fn ln_evidence(space: &Space, hypothesis: Hypothesis, counts: &[Counts]) -> f64 {
    let [good, bad] = sides(space, hypothesis, counts);
    match hypothesis {
        Hypothesis::Same => rates::ln_evidence_of_one(ONE, good),
        Hypothesis::Each => counts.iter().map(|runs| rates::ln_evidence_of_one(ONE, *runs)).sum(),
        Hypothesis::From(_) | Hypothesis::Setting { .. } => PAIR.ln_evidence(good, bad),
    }
}

/// What is known of the rates under a hypothesis.
#[derive(Clone, Debug)]
pub(super) enum Rates {
    /// Of the builds that are not bad, and of those that are.
    Sides([Moments; 2]),
    /// Of each build.
    Each(Vec<Moments>),
}

impl Rates {
    pub(super) fn of(space: &Space, hypothesis: Hypothesis, counts: &[Counts]) -> Rates {
        let [good, bad] = sides(space, hypothesis, counts);
        match hypothesis {
            Hypothesis::Same => Rates::Sides([ONE.after(good).moments(); 2]),
            Hypothesis::Each => Rates::Each(counts.iter().map(|runs| ONE.after(*runs).moments()).collect()),
            Hypothesis::From(_) | Hypothesis::Setting { .. } => Rates::Sides(PAIR.after(good, bad).moments()),
        }
    }
}
