//! Whether a rate is high enough, by Wald's sequential probability ratio test: as many runs as the answer needs, and no more.

use statrs::distribution::{Binomial, DiscreteCDF};

/// A test of "a run hangs at least with this rate" against "at most with that lower one".
///
/// A. Wald, Sequential tests of statistical hypotheses, Annals of Mathematical Statistics 16 (1945), 117-186. After every
/// run the likelihood ratio of the two rates is held against A = (1 - error) / error and B = error / (1 - error), with the
/// same error on either side: above A it is accepted, below B rejected. A rate at the lower one or below is accepted with a
/// probability of at most error / (1 - error), and one at the upper one or above rejected with at most the same; between
/// them either answer is right. So that a rate between them does not take for ever, the test is cut off after
/// [`Sprt::most`] runs, three times the number that Wald expects where it is hardest, and what is open then is rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sprt {
    /// Accepted if the rate is this or more, 0 to 1.
    pub(crate) rate: f64,
    /// Rejected if it is this or less.
    pub(crate) below: f64,
    /// The error on either side.
    pub(crate) error: f64,
}

/// What the runs so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SprtAnswer {
    /// More runs are needed.
    Open,
    /// The rate is high enough.
    Accepted,
    /// It is not.
    Rejected,
    /// Neither was shown within [`Sprt::most`] runs.
    CutOff,
}

impl Sprt {
    /// Of a rate against half of it, with `1 - confidence` as the error on either side. Both between 0 and 1, both
    /// excluded.
    pub(crate) fn of(rate: f64, confidence: f64) -> Sprt {
        Sprt { rate, below: rate / 2.0, error: 1.0 - confidence }
    }

    /// Logarithm of the likelihood ratio that a hang adds, and of the one that a run without takes away.
    fn steps(&self) -> (f64, f64) {
        ((self.rate / self.below).ln(), ((1.0 - self.below) / (1.0 - self.rate)).ln())
    }

    /// Logarithm of A, which is that of 1/B.
    fn bound(&self) -> f64 {
        ((1.0 - self.error) / self.error).ln()
    }

    /// Most runs: three times Wald's number for the rate at which the ratio goes nowhere, ln A ln(1/B) over the mean square of a
    /// step (there the product of the two steps).
    pub(crate) fn most(&self) -> u32 {
        let (up, down) = self.steps();
        (3.0 * self.bound().powi(2) / (up * down)).ceil().clamp(1.0, f64::from(u32::MAX)) as u32
    }

    /// What `hung` of `of` runs say, which left it open one run before.
    pub(crate) fn answer(&self, hung: u32, of: u32) -> SprtAnswer {
        let (up, down) = self.steps();
        let ratio = f64::from(hung) * up - f64::from(of.saturating_sub(hung)) * down;
        // A bound that is met exactly, but for rounding, is met.
        let bound = self.bound() - 1e-9;
        match () {
            () if ratio >= bound => SprtAnswer::Accepted,
            () if ratio <= -bound => SprtAnswer::Rejected,
            () if of >= self.most() => SprtAnswer::CutOff,
            () => SprtAnswer::Open,
        }
    }

    /// Fewest runs, all hung, that are accepted.
    pub(crate) fn fewest(&self) -> u32 {
        let (up, _) = self.steps();
        ((self.bound() - 1e-9) / up).ceil().max(1.0) as u32
    }

    /// Whether `hung` of a fixed number of runs can be those of a rate as high as is wanted: so few or fewer have at least
    /// the probability `error` there (exact binomial, one-sided).
    pub(crate) fn agrees(&self, hung: u32, of: u32) -> bool {
        let at = Binomial::new(self.rate, u64::from(of));
        at.is_ok_and(|at| at.cdf(u64::from(hung)) >= self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probability of being accepted and runs on average at a true rate, exactly: through all numbers of hangs.
    fn exactly(test: &Sprt, rate: f64) -> (f64, f64) {
        let (mut open, mut accepted, mut runs) = (vec![1.0], 0.0, 0.0);
        for of in 1..=test.most() {
            let mut next = vec![0.0; open.len() + 1];
            for (hung, p) in open.iter().enumerate() {
                runs += p;
                for (hung, p) in [(hung, p * (1.0 - rate)), (hung + 1, p * rate)] {
                    match test.answer(hung as u32, of) {
                        SprtAnswer::Open => next[hung] += p,
                        SprtAnswer::Accepted => accepted += p,
                        SprtAnswer::Rejected | SprtAnswer::CutOff => {}
                    }
                }
            }
            open = next;
        }
        assert_eq!(open.iter().sum::<f64>(), 0.0, "it ends");
        (accepted, runs)
    }

    #[test]
    fn it_keeps_its_error_rates_also_where_it_is_cut_off() {
        for rate in [0.05, 0.2, 0.5, 0.8, 0.95] {
            for confidence in [0.9, 0.95, 0.99] {
                let test = Sprt::of(rate, confidence);
                let ((wrong, _), (right, runs)) = (exactly(&test, test.below), exactly(&test, test.rate));
                println!(
                    "{rate} at {confidence}: {wrong:.4} wrong, {:.4} missed, {runs:.0} runs",
                    1.0 - right
                );
                let most = test.error / (1.0 - test.error);
                assert!(wrong <= most, "{test:?}: accepts half the rate with {wrong}");
                assert!(1.0 - right <= most, "{test:?}: rejects the rate with {}", 1.0 - right);
                assert!(runs < f64::from(test.most()));
            }
        }
    }

    #[test]
    fn what_is_clear_takes_few_runs() {
        let test = Sprt::of(0.5, 0.95);
        assert_eq!(
            (test.fewest(), test.answer(5, 5), test.answer(4, 4)),
            (5, SprtAnswer::Accepted, SprtAnswer::Open)
        );
        assert_eq!((test.answer(0, 8), test.answer(0, 7)), (SprtAnswer::Rejected, SprtAnswer::Open));
        // Where the ratio goes nowhere: 37 % of the runs hang.
        assert_eq!(
            (test.most(), test.answer(34, 92), test.answer(34, 93)),
            (93, SprtAnswer::Open, SprtAnswer::CutOff)
        );
        assert_eq!(
            (0..test.most()).filter(|n| test.answer(0, *n) == SprtAnswer::Open).count(),
            8,
            "none to seven"
        );
    }

    #[test]
    fn a_fixed_number_agrees_unless_it_is_too_few() {
        let test = Sprt::of(0.5, 0.95);
        // R: qbinom(0.05, 20, 0.5) is 6.
        assert!(test.agrees(6, 20) && !test.agrees(5, 20) && test.agrees(20, 20));
        assert!(test.agrees(0, 1), "one run shows nothing");
    }
}
