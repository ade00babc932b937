//! The evidence that an arm hangs more often than another: an e-process for two proportions.

use std::sync::LazyLock;

/// The rates of the alternatives that [`Comparison`] bets on.
const RATES: [f64; 7] = [0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.0];

/// An alternative: log of its weight, and of what a pair of runs multiplies it by, by who of the two hung.
#[derive(Clone, Copy, Debug)]
struct Bet {
    weight: f64,
    factors: [f64; 4],
}

/// Which of a pair of runs hung, as an index: the arm's counts two, the control's one.
const fn pair(arm: bool, control: bool) -> usize {
    2 * arm as usize + control as usize
}

impl Bet {
    /// That the arm hangs at the rate `arm`, the control at the lower rate `control`.
    fn new(arm: f64, control: f64, weight: f64) -> Bet {
        let mean = f64::midpoint(arm, control);
        // What one run is worth: its probability here over that at the mean rate. 0 of 0 does not happen.
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
        // Half of it on a control that never hangs: that is what the verdict A claims.
        let never = RATES.into_iter().map(|arm| Bet::new(arm, 0.0, 0.5 / RATES.len() as f64));
        let rarer = pairs.iter().map(|(arm, control)| Bet::new(*arm, *control, 0.5 / pairs.len() as f64));
        never.chain(rarer).collect()
    }
}

static BETS: LazyLock<Vec<Bet>> = LazyLock::new(Bet::all);

/// The evidence that an arm hangs more often than another, its control: an e-process.
///
/// R. J. Turner, A. Ly, P. D. Grünwald, Generic E-variables for exact sequential k-sample tests that allow for optional
/// stopping, Journal of Statistical Planning and Inference 230 (2024), 106116, with blocks of one run each. For rates a > c of
/// arm and control, and their mean m, a pair of runs multiplies the evidence by its probability under (a, c) over that
/// under (m, m). If the arm hangs no more often than the control, at whatever rates, that is 1 or less on average: with the
/// true rates p and q it is (1 + k (p - m)) (1 - k (q - m)) for k = (a - m) / (m (1 - m)), which grows with p, and at p = q is
/// 1 - k² (p - m)². So is the mean over many (a, c) with weights that are set beforehand, and by Ville's inequality (J. Ville,
/// Étude critique de la notion de collectif, 1939) the evidence ever reaches 1/error with a probability of at most the error,
/// however often one looks and for whatever reason one stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// By [`pair`].
    pairs: [u32; 4],
    most: f64,
}

impl Default for Comparison {
    fn default() -> Self {
        Comparison { pairs: [0; 4], most: 1.0 }
    }
}

impl Comparison {
    /// Two runs that belong together: whether the arm's hung, and whether the control's did.
    pub fn push(&mut self, arm: bool, control: bool) {
        self.pairs[pair(arm, control)] += 1;
        // No other pair adds to the evidence.
        if arm && !control {
            self.most = self.most.max(self.now());
        }
    }

    /// The most that the evidence ever was; 1 at the start. One over it is a p-value that may be looked at after every
    /// run.
    pub fn evidence(&self) -> f64 {
        self.most
    }

    /// What it is now.
    fn now(&self) -> f64 {
        let of = |bet: &Bet| {
            // A factor of 0 is a logarithm that is infinite, and only counts if it happened.
            let factors = bet.factors.iter().zip(self.pairs).filter(|(_, n)| *n > 0);
            (bet.weight + factors.map(|(factor, n)| factor * f64::from(n)).sum::<f64>()).exp()
        };
        BETS.iter().map(of).sum()
    }

    /// Pairs.
    pub(crate) fn pairs(&self) -> u32 {
        self.pairs.iter().sum()
    }

    /// How many more pairs, at the share of those that speak for the arm so far, bring the evidence to `needed`, if nothing
    /// else came between: a guess. None if none spoke for it yet.
    pub(crate) fn missing(&self, needed: f64) -> Option<u32> {
        let speak = self.pairs[pair(true, false)];
        let mut ahead = self.clone();
        // Each such pair adds to the evidence by a factor that tends to 2 or more, unless it has fallen to nothing.
        let count = (0..10_000u32).find(|_| {
            let there = ahead.most >= needed;
            ahead.push(true, false);
            there
        })?;
        (speak > 0).then(|| (f64::from(count) * f64::from(self.pairs()) / f64::from(speak)).ceil() as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The weighted mean over all bets of the products of their factors, as it is defined.
    fn product(pairs: &[(bool, bool)]) -> f64 {
        let of = |bet: &Bet| {
            pairs.iter().map(|(a, c)| bet.factors[pair(*a, *c)].exp()).fold(bet.weight.exp(), |x, y| x * y)
        };
        BETS.iter().map(of).sum()
    }

    /// The proof of the error rate, in numbers: at any two rates of which the arm's is not the higher one, no bet grows on
    /// average.
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
        assert_eq!(comparison.missing(1e9), Some(13), "all pairs so far speak for it");
        let reached = comparison.evidence();
        comparison.push(false, true);
        assert_eq!((comparison.evidence(), comparison.pairs()), (reached, 5), "what was reached, stays");
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
