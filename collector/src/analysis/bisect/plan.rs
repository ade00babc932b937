//! Which build to run next, and how often: the one whose runs promise the most information for their time.
//!
//! The information of a run is the mutual information of its outcome and the hypotheses: the entropy of the
//! outcome, minus its mean entropy if the hypothesis were known. This is the expected loss of entropy of
//! [`Belief`], which `git_bayesect` minimises, too. D. V. Lindley, On a measure of the information provided
//! by an experiment, Annals of Mathematical Statistics 27 (1956), 986-1005.
//!
//! A build that does not exist yet costs its build time once. A single run there would seldom be worth that,
//! so the information of several runs is compared with the time of the build and of these runs. The next
//! choice is made after each run all the same: what was learned may make the other runs needless, and the
//! build costs nothing any more.

use super::belief::{Belief, Rates};
use super::rates::Moments;
use super::space::Space;
use crate::analysis::stats::Counts;

/// Numbers of runs that are tried for a build that must be made first.
const BATCHES: [u32; 3] = [1, 4, 16];
/// Of the builds that must be made first, so many are looked at with all numbers of runs: those with the most
/// information in a single run.
const MOST_UNBUILT: usize = 12;
/// Relative difference of two promises that are equal but for rounding.
const EQUAL: f64 = 1e-6;
/// Hypotheses below this weight do not take part in the choice. They do take part in the answer.
const NEGLIGIBLE: f64 = 1e-4;

/// Whether a build can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    Yes,
    NotYet,
    /// It cannot be made.
    Failed,
}

/// What things take, seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A run that does not hang.
    pub good_s: f64,
    /// A run that hangs, with its capture.
    pub hang_s: f64,
    pub build_s: f64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    pub build: usize,
    /// Number of runs there that this choice counts on. The choice is made again after each of them.
    pub runs: u32,
    /// Expected information of these runs, bits.
    pub bits: f64,
    /// Expected time of these runs, with the build, seconds.
    pub seconds: f64,
}

/// The best next step; none: no build can be run.
pub fn next(
    space: &Space,
    counts: &[Counts],
    belief: &Belief,
    built: &[Built],
    costs: &Costs,
) -> Option<Ask> {
    let active: Vec<Active> = (space.hypotheses().iter().enumerate())
        .filter(|(index, _)| belief.weights[*index] >= NEGLIGIBLE)
        .map(|(index, hypothesis)| {
            let rates = Rates::of(space, *hypothesis, counts);
            Active { index, weight: belief.weights[index], outcomes: Outcomes::of(&rates) }
        })
        .collect();
    let ask = |build: usize, batch: usize, build_s: f64| {
        let runs = BATCHES[batch];
        let (bits, hangs) = promise(space, &active, build, batch);
        let seconds = build_s + (f64::from(runs) - hangs) * costs.good_s + hangs * costs.hang_s;
        Ask { build, runs, bits, seconds }
    };
    let single = |state: Built| {
        let build_s = if state == Built::NotYet { costs.build_s } else { 0.0 };
        let of_state = built.iter().enumerate().filter(move |(_, other)| **other == state);
        of_state.map(move |(build, _)| ask(build, 0, build_s))
    };
    let mut unbuilt: Vec<Ask> = single(Built::NotYet).collect();
    // Of equal ones, the first stays first: the choice depends on nothing else.
    let made = |ask: &Ask| counts[ask.build].of;
    unbuilt.sort_by(|a, b| b.bits.total_cmp(&a.bits));
    unbuilt.truncate(MOST_UNBUILT);
    let batches = unbuilt.iter().flat_map(|one| (1..BATCHES.len()).map(|b| ask(one.build, b, costs.build_s)));
    let mut best: Option<Ask> = None;
    for ask in single(Built::Yes).chain(batches.collect::<Vec<_>>()).chain(unbuilt) {
        let is_better = best.is_none_or(|best| {
            let (own, other) = (ask.bits / ask.seconds, best.bits / best.seconds);
            // Builds that promise the same take turns.
            if (own - other).abs() <= other * EQUAL { made(&ask) < made(&best) } else { own > other }
        });
        if is_better {
            best = Some(ask);
        }
    }
    best
}

/// A hypothesis that takes part.
struct Active {
    index: usize,
    weight: f64,
    outcomes: Outcomes,
}

/// For each number of runs in [`BATCHES`], how probable each number of hangs is.
enum Outcomes {
    Sides([Vec<Outcome>; 2]),
    /// Of each build.
    Each(Vec<Vec<Outcome>>),
}

impl Outcomes {
    fn of(rates: &Rates) -> Outcomes {
        let outcomes = |rate: &Moments| BATCHES.iter().map(|runs| Outcome::of(*rate, *runs)).collect();
        match rates {
            Rates::Sides(sides) => Outcomes::Sides([outcomes(&sides[0]), outcomes(&sides[1])]),
            Rates::Each(each) => Outcomes::Each(each.iter().map(outcomes).collect()),
        }
    }
}

/// The distribution of the number of hangs.
struct Outcome {
    /// By the number of hangs.
    chances: Vec<f64>,
    /// Bits.
    entropy: f64,
}

impl Outcome {
    /// Beta-binomial, with a Beta distribution that has the moments of the rate.
    fn of(rate: Moments, runs: u32) -> Outcome {
        let beta = rate.beta().filter(|_| runs > 1);
        // Relative to the chance of no hang.
        let (mut chances, mut last) = (vec![1.0_f64], 1.0);
        for hung in 0..runs {
            let left = runs - hung;
            let ratio = match beta {
                Some(beta) => (beta.hung + f64::from(hung)) / (beta.good + f64::from(left) - 1.0),
                None => rate.mean / (1.0 - rate.mean),
            };
            last *= f64::from(left) / f64::from(hung + 1) * ratio;
            chances.push(last);
        }
        let all: f64 = chances.iter().sum();
        chances.iter_mut().for_each(|chance| *chance /= all);
        let entropy = entropy(&chances);
        Outcome { chances, entropy }
    }
}

fn entropy(chances: &[f64]) -> f64 {
    chances.iter().filter(|chance| **chance > 0.0).map(|chance| -chance * chance.log2()).sum()
}

/// The expected information of the runs, bits, and the expected number of hangs.
fn promise(space: &Space, active: &[Active], build: usize, batch: usize) -> (f64, f64) {
    let mut mixed = vec![0.0; BATCHES[batch] as usize + 1];
    let (mut known, mut all) = (0.0, 0.0);
    for Active { index, weight, outcomes } in active {
        let outcome = match outcomes {
            Outcomes::Sides(sides) => {
                &sides[usize::from(space.is_bad(space.hypotheses()[*index], build))][batch]
            }
            Outcomes::Each(each) => &each[build][batch],
        };
        for (sum, chance) in mixed.iter_mut().zip(&outcome.chances) {
            *sum += weight * chance;
        }
        known += weight * outcome.entropy;
        all += weight;
    }
    mixed.iter_mut().for_each(|chance| *chance /= all);
    let hangs = mixed.iter().enumerate().map(|(hung, chance)| hung as f64 * chance).sum();
    ((entropy(&mixed) - known / all).max(0.0), hangs)
}
