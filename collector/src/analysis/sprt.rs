//! Wald's sequential probability ratio test: is a rate high enough? It takes no more runs than the answer needs.

use statrs::distribution::{Binomial, DiscreteCDF};

/// A test of "a run hangs with the upper rate or more" against "with the lower rate or less".
///
/// A. Wald, Sequential tests of statistical hypotheses, Annals of Mathematical Statistics 16 (1945), 117-186. After each
/// run the likelihood ratio of the two rates is compared with A = (1 - error) / error and B = error / (1 - error). At A
/// or above, the test accepts. At B or below, it rejects. The lower rate, or less, is accepted with a probability of at
/// most error / (1 - error). The upper rate, or more, is rejected with at most the same probability. Between the rates,
/// either answer is right.
///
/// A rate between them could need very many runs. Therefore the test is cut off after [`Sprt::most`] runs, three times
/// the number that Wald expects in the hardest case. A test that is cut off rejects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sprt {
    /// The upper rate, 0 to 1.
    pub(crate) rate: f64,
    /// The lower rate, 0 to 1.
    pub(crate) below: f64,
    /// The error rate on either side, 0 to 1.
    pub(crate) error: f64,
}

/// The answer of the runs so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SprtAnswer {
    /// More runs are needed.
    Open,
    /// The rate is high enough.
    Accepted,
    /// The rate is too low.
    Rejected,
    /// No answer within [`Sprt::most`] runs.
    CutOff,
}

impl Sprt {
    /// A test of a rate against half of that rate, with `1 - confidence` as the error rate on either side. Both arguments
    /// are between 0 and 1, both excluded.
    pub(crate) fn of(rate: f64, confidence: f64) -> Sprt {
        Sprt { rate, below: rate / 2.0, error: 1.0 - confidence }
    }

    /// What a hang adds to the logarithm of the likelihood ratio, and what a run without a hang takes away.
    fn steps(&self) -> (f64, f64) {
        ((self.rate / self.below).ln(), ((1.0 - self.below) / (1.0 - self.rate)).ln())
    }

    /// Logarithm of A, which is that of 1/B.
    fn bound(&self) -> f64 {
        ((1.0 - self.error) / self.error).ln()
    }

    /// The highest number of runs: three times Wald's expected number for the rate at which the ratio does not move on
    /// average. That number is ln A ln(1/B) over the mean square of a step, which is the product of the two steps there.
    pub(crate) fn most(&self) -> u32 {
        let (up, down) = self.steps();
        (3.0 * self.bound().powi(2) / (up * down)).ceil().clamp(1.0, f64::from(u32::MAX)) as u32
    }

    /// The answer of `hung` hangs in `of` runs. One run before, the answer was [`SprtAnswer::Open`].
    pub(crate) fn answer(&self, hung: u32, of: u32) -> SprtAnswer {
        let (up, down) = self.steps();
        let ratio = f64::from(hung) * up - f64::from(of.saturating_sub(hung)) * down;
        // Rounding must not move a ratio that is exactly at the bound.
        let bound = self.bound() - 1e-9;
        match () {
            () if ratio >= bound => SprtAnswer::Accepted,
            () if ratio <= -bound => SprtAnswer::Rejected,
            () if of >= self.most() => SprtAnswer::CutOff,
            () => SprtAnswer::Open,
        }
    }

    /// The lowest number of runs that is accepted: all of them hung.
    pub(crate) fn fewest(&self) -> u32 {
        let (up, _) = self.steps();
        ((self.bound() - 1e-9) / up).ceil().max(1.0) as u32
    }

    /// `hung` hangs in a fixed number of runs are compatible with the upper rate: at that rate, so few hangs or fewer have
    /// a probability of at least `error` (exact binomial, one-sided).
    pub(crate) fn agrees(&self, hung: u32, of: u32) -> bool {
        let at = Binomial::new(self.rate, u64::from(of));
        at.is_ok_and(|at| at.cdf(u64::from(hung)) >= self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probability of acceptance and the mean number of runs at a true rate. Exact: through all numbers of hangs.
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
        assert_eq!(open.iter().sum::<f64>(), 0.0, "the test ends");
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
        // The hardest case: at a rate of 37 % the ratio does not move on average.
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
