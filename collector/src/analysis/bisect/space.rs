//! What can be built, and what may be the reason that some builds hang more often.

use serde::{Deserialize, Serialize};

/// A claim about all builds. Exactly one of the claims is true, if the model holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hypothesis {
    /// All builds hang at the same rate.
    Same,
    /// This build of a line, and all builds after it, hang more often.
    From(usize),
    /// The builds with this value of this setting hang more often; if not `is`, those with any other value.
    Setting { setting: usize, value: usize, is: bool },
    /// Each build has a rate of its own: no one setting explains the rates.
    Each,
}

/// The builds and the hypotheses. Builds have the numbers 0, 1, 2 and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    builds: usize,
    /// The number of values of each setting; empty: the builds are a line.
    settings: Vec<usize>,
    hypotheses: Vec<Hypothesis>,
}

impl Space {
    /// A line of commits. The first is the good one, the last is the bad one. There are at least two.
    pub fn line(builds: usize) -> Space {
        let hypotheses = (1..builds).map(Hypothesis::From);
        let hypotheses = std::iter::once(Hypothesis::Same).chain(hypotheses).collect();
        Space { builds, settings: vec![], hypotheses }
    }

    /// All combinations of settings with so many values each. The first setting changes slowest.
    pub fn settings(values: &[usize]) -> Space {
        let of = |(setting, values): (usize, &usize)| {
            // One value has no other. Of two values, each one is all others of the other one.
            let ways: &[bool] = match values {
                0 | 1 => &[],
                2 => &[true],
                _ => &[true, false],
            };
            let values = 0..*values;
            ways.iter().flat_map(move |is| {
                values.clone().map(move |value| Hypothesis::Setting { setting, value, is: *is })
            })
        };
        let single = values.iter().enumerate().flat_map(of);
        let hypotheses = [Hypothesis::Same, Hypothesis::Each].into_iter().chain(single).collect();
        Space { builds: values.iter().product(), settings: values.to_vec(), hypotheses }
    }

    pub fn builds(&self) -> usize {
        self.builds
    }

    /// Whether the builds are commits, one after the other.
    pub fn is_line(&self) -> bool {
        self.settings.is_empty()
    }

    pub fn hypotheses(&self) -> &[Hypothesis] {
        &self.hypotheses
    }

    /// The value of each setting in a build.
    pub fn values(&self, build: usize) -> Vec<usize> {
        let mut rest = build;
        let mut values: Vec<usize> =
            self.settings.iter().rev().map(|count| digit(&mut rest, *count)).collect();
        values.reverse();
        values
    }

    /// Whether a build hangs more often than others, if the hypothesis is true.
    pub fn is_bad(&self, hypothesis: Hypothesis, build: usize) -> bool {
        match hypothesis {
            Hypothesis::Same | Hypothesis::Each => false,
            Hypothesis::From(first) => build >= first,
            Hypothesis::Setting { setting, value, is } => {
                let below: usize = self.settings[setting + 1..].iter().product();
                (build / below % self.settings[setting] == value) == is
            }
        }
    }

    /// The share of belief that a hypothesis has before the first run.
    ///
    /// The user says that one of two ends hangs more often, so most of the belief is in a change. All
    /// places have the same share.
    pub(super) fn prior(&self, hypothesis: Hypothesis) -> f64 {
        let others = if self.is_line() { NO_CHANGE } else { NO_CHANGE + NO_SETTING };
        match hypothesis {
            Hypothesis::Same => NO_CHANGE,
            Hypothesis::Each => NO_SETTING,
            Hypothesis::From(_) | Hypothesis::Setting { .. } => {
                let special = if self.is_line() { 1 } else { 2 };
                (1.0 - others) / (self.hypotheses.len() - special).max(1) as f64
            }
        }
    }
}

/// The prior of [`Hypothesis::Same`].
pub const NO_CHANGE: f64 = 0.05;
/// The prior of [`Hypothesis::Each`].
pub const NO_SETTING: f64 = 0.05;

fn digit(rest: &mut usize, count: usize) -> usize {
    let digit = *rest % count;
    *rest /= count;
    digit
}
