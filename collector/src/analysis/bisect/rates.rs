//! Two unknown rates, the lower one before the change: their evidence and their means, with both rates
//! integrated out.
//!
//! A Beta prior is conjugate to counts of hung runs, so every integral is a Beta function. The idea to search
//! for a change in a likelihood in this way, with the rates integrated out and the next commit chosen by
//! expected entropy, is that of `git_bayesect` (S. Jain, <https://hauntsaninja.github.io/git_bayesect.html>).
//! Added here: the bad rate is above the good one.

use statrs::function::gamma::ln_gamma;

use crate::analysis::stats::Counts;

/// The prior of a rate: Beta with these numbers of hung and of good runs. The first is a whole number, which
/// [`ln_more`] needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Beta {
    pub(super) hung: f64,
    pub(super) good: f64,
}

/// Uniform: every rate is as probable as any other.
pub(super) const UNIFORM: Beta = Beta { hung: 1.0, good: 1.0 };

impl Beta {
    /// The posterior, after these runs.
    pub(super) fn after(self, runs: Counts) -> Beta {
        Beta { hung: self.hung + f64::from(runs.hung), good: self.good + f64::from(runs.of - runs.hung) }
    }

    /// With so many more hung runs.
    fn more(self, hung: f64) -> Beta {
        Beta { hung: self.hung + hung, ..self }
    }

    fn ln(self) -> f64 {
        ln_beta(self.hung, self.good)
    }

    /// The mean of the rate, and of its square.
    pub(super) fn moments(self) -> Moments {
        let (hung, all) = (self.hung, self.hung + self.good);
        let mean = hung / all;
        Moments { mean, square: mean * (hung + 1.0) / (all + 1.0) }
    }
}

/// ln of the probability of the runs of builds that share one rate, in one certain order.
pub(super) fn ln_evidence_of_one(prior: Beta, runs: Counts) -> f64 {
    prior.after(runs).ln() - prior.ln()
}

/// Two rates of which the second is above the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) good: Beta,
    pub(super) bad: Beta,
}

impl Pair {
    pub(super) fn after(self, good: Counts, bad: Counts) -> Pair {
        Pair { good: self.good.after(good), bad: self.bad.after(bad) }
    }

    /// ln of the integral of both densities (without their constants) over all rates with good below bad.
    fn ln(self) -> f64 {
        self.good.ln() + self.bad.ln() + ln_more(self.good, self.bad)
    }

    /// ln of the probability of the runs, in one certain order.
    pub(super) fn ln_evidence(self, good: Counts, bad: Counts) -> f64 {
        self.after(good, bad).ln() - self.ln()
    }

    /// The moments of both rates, the good one first.
    pub(super) fn moments(self) -> [Moments; 2] {
        let all = self.ln();
        let share =
            |good, bad| (Pair { good: self.good.more(good), bad: self.bad.more(bad) }.ln() - all).exp();
        [
            Moments { mean: share(1.0, 0.0), square: share(2.0, 0.0) },
            Moments { mean: share(0.0, 1.0), square: share(0.0, 2.0) },
        ]
    }
}

/// The mean of a rate, and the mean of its square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) square: f64,
}

impl Moments {
    /// The Beta distribution with these moments; none: the rate has no spread that numbers can show.
    pub(super) fn beta(self) -> Option<Beta> {
        let variance = self.square - self.mean * self.mean;
        let all = self.mean * (1.0 - self.mean) / variance - 1.0;
        let beta = Beta { hung: self.mean * all, good: (1.0 - self.mean) * all };
        (variance > 0.0 && all.is_finite() && all > 0.0).then_some(beta)
    }
}

/// ln of the probability that the rate `bad` is above the rate `good`, if they are independent. The first
/// parameter of `bad` is a whole number.
///
/// With the good rate fixed at x, a Beta(a, b) variable is above x with the probability of fewer than `a`
/// successes in a binomial (a whole: a sum of `a` terms). Each term, integrated over x, is a Beta function. This
/// is the closed form of E. Miller (Formulas for Bayesian A/B testing, 2015) and J. D. Cook (Exact calculation
/// of beta inequalities, 2005). A term follows from the one before, so no term needs a gamma function.
pub(super) fn ln_more(good: Beta, bad: Beta) -> f64 {
    let terms = bad.hung.round() as u32;
    let rest = good.good + bad.good;
    // ln of the scale that `term` and `sum` are given in.
    let mut scale = ln_beta(good.hung, rest) - good.ln();
    let (mut term, mut sum) = (1.0_f64, 1.0_f64);
    for i in 0..terms.saturating_sub(1) {
        let i = f64::from(i);
        term *= (good.hung + i) / (good.hung + i + rest) * (bad.good + i) / (1.0 + i);
        sum += term;
        if sum > 1e200 {
            (term, sum, scale) = (term / sum, 1.0, scale + sum.ln());
        }
    }
    (scale + sum.ln()).min(0.0)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}
