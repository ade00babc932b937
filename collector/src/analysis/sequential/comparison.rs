//! The evidence that an arm hangs more often than another: an e-process for two proportions.

use std::sync::LazyLock;

/// The rates of the alternatives that [`Comparison`] bets on.
const RATES: [f64; 7] = [0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.0];

/// A bet on one alternative. A pair of runs multiplies it by a factor.
#[derive(Clone, Copy, Debug)]
struct Bet {
    /// Logarithm of the weight.
    weight: f64,
    /// Logarithms of the factors, by [`pair`].
    factors: [f64; 4],
}

/// An index that says which of a pair of runs hung: 2 for the arm, plus 1 for the control.
const fn pair(arm: bool, control: bool) -> usize {
    2 * arm as usize + control as usize
}

impl Bet {
    /// Bets that the arm hangs at the rate `arm`, and the control at the lower rate `control`.
    fn new(arm: f64, control: f64, weight: f64) -> Bet {
        let mean = f64::midpoint(arm, control);
        // The factor of one run: its probability at this rate over the one at the mean rate. It is never 0 over 0.
        let run = |rate: f64, hung: bool| if hung { rate / mean } else { (1.0 - rate) / (1.0 - mean) };
        let mut factors = [0.0; 4];
        for (a, c) in [(false, false), (false, true), (true, false), (true, true)] {
            factors[pair(a, c)] = (run(arm, a) * run(control, c)).ln();
        }
        Bet { weight: weight.ln(), factors }
    }

    fn all() -> Vec<Bet> {
        let lower = |arm: f64| RATES.into_iter().filter(move |control| *control < arm);
        let pairs: Vec<(f64, f64)> =
            RATES.into_iter().flat_map(|arm| lower(arm).map(move |c| (arm, c))).collect();
        // Half of the weight is on a control that never hangs. The verdict A claims this.
        let never = RATES.into_iter().map(|arm| Bet::new(arm, 0.0, 0.5 / RATES.len() as f64));
        let rarer = pairs.iter().map(|(arm, control)| Bet::new(*arm, *control, 0.5 / pairs.len() as f64));
        never.chain(rarer).collect()
    }
}

static BETS: LazyLock<Vec<Bet>> = LazyLock::new(Bet::all);

/// The evidence that an arm hangs more often than another, its control: an e-process.
///
/// Method: R. J. Turner, A. Ly, P. D. Grünwald, Generic E-variables for exact sequential k-sample tests that allow for
/// optional stopping, Journal of Statistical Planning and Inference 230 (2024), 106116, with blocks of one run each.
///
/// The rates of arm and control are a > c, and m is their mean. A pair of runs multiplies the evidence by the probability
/// of the pair under (a, c) over its probability under (m, m). If the arm hangs no more often than the control, this
/// factor is 1 or less on average, whatever the rates are. With the true rates p and q, and k = (a - m) / (m (1 - m)),
/// its mean is (1 + k (p - m)) (1 - k (q - m)). The mean grows with p, and is 1 - k² (p - m)² at p = q. The same holds
/// for the mean over many (a, c) with weights that are set beforehand.
///
/// By Ville's inequality (J. Ville, Étude critique de la notion de collectif, 1939), the evidence ever reaches 1/error
/// with a probability of at most the error, however often one looks and for whatever reason one stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Number of pairs, by [`pair`].
    pairs: [u32; 4],
    most: f64,
}

impl Default for Comparison {
    fn default() -> Self {
        Comparison { pairs: [0; 4], most: 1.0 }
    }
}

impl Comparison {
    /// Takes a pair of runs: `arm`: the run of the arm hung; `control`: the run of the control hung.
    pub fn push(&mut self, arm: bool, control: bool) {
        self.pairs[pair(arm, control)] += 1;
        // Only such a pair adds to the evidence.
        if arm && !control {
            self.most = self.most.max(self.now());
        }
    }

    /// The highest evidence so far; 1 at the start. One over it is a p-value that may be looked at after every run.
    pub fn evidence(&self) -> f64 {
        self.most
    }

    /// The evidence of all pairs so far.
    fn now(&self) -> f64 {
        let of = |bet: &Bet| {
            // The logarithm of a factor of 0 is infinite. It must not be multiplied by 0 pairs.
            let factors = bet.factors.iter().zip(self.pairs).filter(|(_, n)| *n > 0);
            (bet.weight + factors.map(|(factor, n)| factor * f64::from(n)).sum::<f64>()).exp()
        };
        BETS.iter().map(of).sum()
    }

    pub(crate) fn pairs(&self) -> u32 {
        self.pairs.iter().sum()
    }

    /// An estimate of how many more pairs bring the evidence to `needed`. It assumes that the share of pairs in which
    /// only the arm hangs stays the same, and that no other pair takes evidence away. None: there is no such pair yet.
    pub(crate) fn missing(&self, needed: f64) -> Option<u32> {
        let supporting = self.pairs[pair(true, false)];
        let mut ahead = self.clone();
        // Each such pair multiplies the evidence by a factor that tends to 2 or more, unless the evidence is near 0.
        let count = (0..10_000u32).find(|_| {
            let there = ahead.most >= needed;
            ahead.push(true, false);
            there
        })?;
        let all = f64::from(self.pairs());
        (supporting > 0).then(|| (f64::from(count) * all / f64::from(supporting)).ceil() as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The evidence by its definition: the weighted mean, over all bets, of the products of their factors.
    fn product(pairs: &[(bool, bool)]) -> f64 {
        let of = |bet: &Bet| {
            pairs.iter().map(|(a, c)| bet.factors[pair(*a, *c)].exp()).fold(bet.weight.exp(), |x, y| x * y)
        };
        BETS.iter().map(of).sum()
    }

    /// The proof of the error rate, in numbers: where the arm's rate is not the higher one, no bet grows on average.
    #[test]
    fn no_bet_grows_if_the_arm_hangs_no_more_often() {
        let grid = || (0..=50).map(|i| f64::from(i) / 50.0);
        for bet in BETS.iter() {
            for (control, arm) in grid().flat_map(|c| grid().filter(move |a| *a <= c).map(move |a| (c, a))) {
                let share = |rate: f64, hung: bool| if hung { rate } else { 1.0 - rate };
                let all = [(false, false), (false, true), (true, false), (true, true)];
                let mean: f64 = all
                    .iter()
                    .map(|(a, c)| share(arm, *a) * share(control, *c) * bet.factors[pair(*a, *c)].exp())
                    .sum();
                assert!(mean <= 1.0 + 1e-12, "{bet:?} at {arm} and {control}: {mean}");
            }
        }
        let weights: f64 = BETS.iter().map(|bet| bet.weight.exp()).sum();
        assert!((weights - 1.0).abs() < 1e-12, "{weights}");
    }

    #[test]
    fn three_hangs_of_three_against_none_are_enough_at_95_percent() {
        let mut comparison = Comparison::default();
        let mut evidence = vec![];
        for _ in 0..4 {
            comparison.push(true, false);
            evidence.push((comparison.evidence() * 10.0).round() / 10.0);
        }
        assert_eq!(evidence, [2.7, 7.7, 23.7, 77.7]);
        assert_eq!(comparison.missing(1e9), Some(13), "the arm alone hung in all pairs so far");
        let reached = comparison.evidence();
        comparison.push(false, true);
        assert_eq!((comparison.evidence(), comparison.pairs()), (reached, 5), "the highest evidence stays");
    }

    proptest! {
        #[test]
        fn evidence_is_the_most_of_the_products(pairs in prop::collection::vec((any::<bool>(), any::<bool>()), 0..60)) {
            let mut comparison = Comparison::default();
            let mut most = 1.0f64;
            for (at, (arm, control)) in pairs.iter().enumerate() {
                comparison.push(*arm, *control);
                most = most.max(product(&pairs[..=at]));
                prop_assert!((comparison.evidence() - most).abs() <= 1e-9 * most);
            }
        }
    }
}
