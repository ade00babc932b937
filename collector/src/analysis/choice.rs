//! Chooses the strategy of each run of `--stir auto` by what the runs before did: no strategy wins on every
//! race. The aim is the most hangs for the time.
//!
//! Each strategy has a rate of hangs in time, of which the runs tell. The next run goes to the strategy whose
//! rate may be the highest: Bayes-UCB (E. Kaufmann, O. Cappé, A. Garivier, On Bayesian upper confidence
//! bounds for bandit problems, AISTATS 2012), with the gamma posterior of a Poisson rate. The confidence of
//! "may be" grows with the number of hangs, and not of runs: a run without a hang says little, so thousands
//! of runs are no reason to go on exploring. While nothing hangs, all strategies get the same time: one whose
//! runs take three times as long gets a third of the runs.

use statrs::distribution::{ContinuousCDF as _, Gamma};

use super::stir::Strategy;

/// Hangs that a strategy is thought to have had before its first run, in the time of one run. It is far less
/// than 1: most strategies do nothing for most races, and rates differ by powers of ten.
const BEFORE: f64 = 0.1;

/// What near-hangs are worth, at most, in hangs. They say that a thread missed something by far, but also a
/// busy machine makes threads wait. However many there are, one hang outweighs them.
const NEAR: f64 = 0.2;

/// The first confidence is 1 - 1/10. A lower one drops the best strategy for good if a bad one hangs first.
const DOUBT: f64 = 10.0;

/// What is known of a strategy.
#[derive(Clone, Copy, Debug)]
struct Tried {
    strategy: Strategy,
    /// Runs that have ended, hung or not.
    ended: u32,
    hung: u32,
    /// Runs with a near-hang, hung or not.
    near: u32,
    /// Runs under way.
    running: u32,
    /// Time of the runs that did not hang, seconds.
    seconds: f64,
}

impl Tried {
    /// The mean time of a run that does not hang, seconds.
    fn mean(&self) -> Option<f64> {
        let good = self.ended - self.hung;
        (good > 0).then(|| self.seconds / f64::from(good))
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) hung: bool,
    /// A wait was far longer than any hold explains, and ended.
    pub(crate) near: bool,
    /// Wall clock, seconds. That of a run that hung does not count: nobody knows when it began to stand
    /// still, and the deadline costs the same with each strategy.
    pub(crate) seconds: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Chooser(Vec<Tried>);

impl Chooser {
    /// In the order in which they are tried first. With none there is nothing to choose.
    pub(crate) fn new(strategies: impl IntoIterator<Item = Strategy>) -> Chooser {
        let fresh = |strategy| Tried { strategy, ended: 0, hung: 0, near: 0, running: 0, seconds: 0.0 };
        Chooser(strategies.into_iter().map(fresh).collect())
    }

    /// The strategy that the next run should have.
    pub(crate) fn choose(&self) -> Option<Strategy> {
        let fresh = self.0.iter().position(|tried| tried.ended + tried.running == 0);
        let best = fresh.or_else(|| {
            let usual = self.usual();
            let hangs: u32 = self.0.iter().map(|tried| tried.hung).sum();
            let confidence = 1.0 - 1.0 / (f64::from(hangs) + DOUBT);
            // Most strategies have had no hang, and so the same shape.
            let mut known: Vec<(f64, f64)> = vec![];
            let mut most = |shape: f64| match known.iter().find(|(of, _)| *of == shape) {
                Some((_, most)) => *most,
                None => {
                    known.push((shape, quantile(shape, confidence)));
                    known[known.len() - 1].1
                }
            };
            let bounds: Vec<f64> =
                self.0.iter().map(|tried| most(shape(tried)) / time(tried, usual)).collect();
            highest(bounds)
        })?;
        Some(self.0[best].strategy)
    }

    /// A run begins. As long as it is under way, it counts as time without a hang: so runs side by side get
    /// different strategies, unless one is far better.
    pub(crate) fn begins(&mut self, strategy: Strategy) {
        if let Some(tried) = self.0.iter_mut().find(|tried| tried.strategy == strategy) {
            tried.running += 1;
        }
    }

    /// A run has ended.
    pub(crate) fn ended(&mut self, strategy: Strategy, seen: Seen) {
        if let Some(tried) = self.at_work(strategy) {
            tried.ended += 1;
            tried.hung += u32::from(seen.hung);
            tried.near += u32::from(seen.near);
            tried.seconds += if seen.hung { 0.0 } else { seen.seconds.max(0.0) };
        }
    }

    /// A run has ended that counts nowhere.
    pub(crate) fn dropped(&mut self, strategy: Strategy) {
        self.at_work(strategy);
    }

    /// Drops the strategies that cannot be used.
    pub(crate) fn keep_if(&mut self, usable: impl Fn(Strategy) -> bool) {
        self.0.retain(|tried| usable(tried.strategy));
    }

    /// The strategy with the highest rate, as it is expected from the runs so far; the first one before them.
    pub(crate) fn best(&self) -> Option<Strategy> {
        let usual = self.usual();
        let best = highest(self.0.iter().map(|tried| shape(tried) / time(tried, usual)))?;
        Some(self.0[best].strategy)
    }

    /// Takes one run off those under way.
    fn at_work(&mut self, strategy: Strategy) -> Option<&mut Tried> {
        let tried = self.0.iter_mut().find(|tried| tried.strategy == strategy)?;
        tried.running = tried.running.saturating_sub(1);
        Some(tried)
    }

    /// The mean time of a run with any strategy, seconds; 1 before the first has ended.
    fn usual(&self) -> f64 {
        let means: Vec<f64> = self.0.iter().filter_map(Tried::mean).filter(|mean| *mean > 0.0).collect();
        if means.is_empty() { 1.0 } else { means.iter().sum::<f64>() / means.len() as f64 }
    }
}

/// Hangs, with those of before the first run.
fn shape(tried: &Tried) -> f64 {
    let near = f64::from(tried.near) / f64::from(tried.ended.max(1));
    BEFORE + NEAR * near + f64::from(tried.hung)
}

/// The time in which they came, seconds. Of a run that hung or is under way, the mean of the others.
fn time(tried: &Tried, usual: f64) -> f64 {
    let mean = tried.mean().filter(|mean| *mean > 0.0).unwrap_or(usual);
    tried.seconds + f64::from(1 + tried.hung + tried.running) * mean
}

/// The figure that a gamma distribution of scale 1 does not exceed with this probability.
fn quantile(shape: f64, probability: f64) -> f64 {
    // The shape is positive, so the distribution exists.
    Gamma::new(shape, 1.0).map_or(0.0, |gamma| gamma.inverse_cdf(probability))
}

/// The index of the highest figure; of several, the first.
fn highest(figures: impl IntoIterator<Item = f64>) -> Option<usize> {
    let figures = figures.into_iter().enumerate();
    figures.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(at, _)| at)
}

/// The strategy of a run, from 1, where it must not depend on what the runs before did: all of them in
/// rounds, each round in an order of its own. The same seed gives the same order.
pub(crate) fn in_turn(strategies: &[Strategy], seed: u32, run: u32) -> Option<Strategy> {
    let at = run.saturating_sub(1) as usize;
    let round = at.checked_div(strategies.len())?;
    let mut order = strategies.to_vec();
    fastrand::Rng::with_seed(u64::from(seed) << 32 | round as u64).shuffle(&mut order);
    order.get(at % strategies.len()).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    /// How a strategy behaves: hangs a run, and seconds of a run.
    type Bench<'a> = &'a dyn Fn(Strategy) -> (f64, f64);

    /// The runs of a strategy, and their time.
    #[derive(Clone, Copy, Debug, Default)]
    struct Got {
        runs: u32,
        seconds: f64,
    }

    fn strategy(text: &str) -> Strategy {
        text.parse().unwrap()
    }

    /// Makes runs until there are so many runs or hangs, `jobs` at a time.
    fn hunt(seed: u64, bench: Bench<'_>, runs: u32, hangs: u32, jobs: usize) -> BTreeMap<Strategy, Got> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut chooser = Chooser::new(Strategy::ALL);
        let (mut got, mut at_work) = (BTreeMap::<Strategy, Got>::new(), VecDeque::new());
        let (mut made, mut hung) = (0, 0);
        while made < runs && hung < hangs {
            while at_work.len() < jobs {
                let strategy = chooser.choose().unwrap();
                chooser.begins(strategy);
                at_work.push_back(strategy);
            }
            let strategy = at_work.pop_front().unwrap();
            let (rate, seconds) = bench(strategy);
            let hangs_now = random.f64() < rate;
            chooser.ended(strategy, Seen { hung: hangs_now, near: false, seconds });
            let got = got.entry(strategy).or_default();
            (got.runs, got.seconds) = (got.runs + 1, got.seconds + seconds);
            (made, hung) = (made + 1, hung + u32::from(hangs_now));
        }
        got
    }

    fn share(got: &BTreeMap<Strategy, Got>, of: Strategy) -> f64 {
        got[&of].seconds / got.values().map(|got| got.seconds).sum::<f64>()
    }

    /// The mean over hunts with these seeds.
    fn mean(seeds: u64, of: impl Fn(u64) -> f64) -> f64 {
        (0..seeds).map(of).sum::<f64>() / seeds as f64
    }

    #[test]
    fn the_time_goes_to_the_strategy_that_hangs() {
        for (rate, jobs) in [(0.3, 1), (0.02, 1), (0.02, 4)] {
            let shares = [10, 50, 200].map(|hangs| {
                mean(15, |seed| {
                    let good = Strategy::ALL[seed as usize];
                    let bench = |strategy| (if strategy == good { rate } else { rate / 100.0 }, 0.1);
                    share(&hunt(seed, &bench, u32::MAX, hangs, jobs), good)
                })
            });
            println!("{rate} a run, {jobs} at a time: after 10, 50, 200 hangs {shares:.2?} of the time");
            assert!(shares[0] > 0.25 && shares[1] > 0.6 && shares[2] > 0.8, "{shares:?}");
        }
    }

    #[test]
    fn strategies_that_hang_alike_share_the_time() {
        let shares = |seed| {
            let got = hunt(seed, &|_| (0.02, 0.1), 6000, u32::MAX, 1);
            got.values().map(|got| got.seconds / 600.0).collect::<Vec<f64>>()
        };
        let least = mean(10, |seed| shares(seed).into_iter().fold(f64::MAX, f64::min));
        let most = mean(10, |seed| shares(seed).into_iter().fold(0.0, f64::max));
        println!("alike: from {least:.3} to {most:.3} of the time, where 0.067 is an equal share");
        assert!(least > 0.004 && most < 0.35, "{least} {most}");
    }

    #[test]
    fn while_nothing_hangs_a_slow_strategy_gets_fewer_runs_and_the_same_time() {
        let slow = strategy("3");
        let got = hunt(1, &|strategy| (0.0, if strategy == slow { 0.3 } else { 0.1 }), 3000, 1, 1);
        let runs = |strategy: Strategy| f64::from(got[&strategy].runs);
        assert!((2.5..3.5).contains(&(runs(strategy("calls:1")) / runs(slow))), "{got:?}");
        assert!(got.values().all(|got| got.seconds > 15.0), "{got:?}");
    }

    #[test]
    fn three_times_as_slow_has_to_hang_three_times_as_often() {
        let (slow, fast) = (strategy("both:3"), strategy("sites:1"));
        let to_fast = mean(10, |seed| {
            let bench = |strategy| match strategy {
                _ if strategy == slow => (0.04, 0.3),
                _ if strategy == fast => (0.04, 0.1),
                _ => (0.0004, 0.1),
            };
            let got = hunt(seed, &bench, u32::MAX, 150, 1);
            got[&fast].seconds / got[&slow].seconds
        });
        println!("three times as slow: {to_fast:.1} times the time for the fast one");
        assert!(to_fast > 3.0, "{to_fast}");
    }

    #[test]
    fn near_hangs_give_a_little_more_time_until_something_hangs() {
        let (near, hangs) = (strategy("calls:1"), strategy("sites:3"));
        let mut chooser = Chooser::new(Strategy::ALL);
        let mut runs: BTreeMap<Strategy, u32> = BTreeMap::new();
        for run in 0..3000 {
            let strategy = chooser.choose().unwrap();
            chooser.begins(strategy);
            let hung = run > 1500 && strategy == hangs;
            chooser.ended(strategy, Seen { hung, near: strategy == near, seconds: 0.1 });
            *runs.entry(strategy).or_default() += 1;
            if run == 1500 {
                let (most, least) = (runs[&near], *runs.values().min().unwrap());
                println!("near-hangs in each run: {most} runs, {least} of the others");
                assert!(most > 2 * least && least > 40, "{runs:?}");
            }
        }
        assert_eq!(chooser.best(), Some(hangs));
        assert!(runs[&hangs] > 1300, "{runs:?}");
    }

    #[test]
    fn runs_side_by_side_differ_until_one_strategy_is_far_better() {
        let mut chooser = Chooser::new(Strategy::ALL);
        let begin = |chooser: &mut Chooser| {
            let strategy = chooser.choose().unwrap();
            chooser.begins(strategy);
            strategy
        };
        let first: Vec<Strategy> = (0..15).map(|_| begin(&mut chooser)).collect();
        assert_eq!(first, Strategy::ALL);
        for strategy in first {
            chooser.ended(strategy, Seen { hung: false, near: false, seconds: 0.1 });
        }
        let second: Vec<Strategy> = (0..8).map(|_| begin(&mut chooser)).collect();
        assert!((1..8).all(|at| !second[..at].contains(&second[at])), "{second:?}");
        // A run that counts nowhere gives its place back.
        second.iter().for_each(|strategy| chooser.dropped(*strategy));
        assert_eq!(chooser.choose(), Some(second[0]));
        for _ in 0..20 {
            chooser.begins(second[0]);
            chooser.ended(second[0], Seen { hung: true, near: false, seconds: 15.0 });
        }
        assert_eq!((begin(&mut chooser), begin(&mut chooser)), (second[0], second[0]));
        assert_eq!(Chooser::new([]).choose(), None);
    }

    #[test]
    fn turns_are_rounds_and_follow_from_the_seed() {
        let turns = |seed| (1..=45).filter_map(|run| in_turn(&Strategy::ALL, seed, run)).collect::<Vec<_>>();
        assert_eq!(turns(7), turns(7));
        assert_ne!(turns(7), turns(8));
        assert_ne!(turns(7)[..15], turns(7)[15..30]);
        for round in turns(7).chunks(15) {
            assert!(Strategy::ALL.iter().all(|strategy| round.contains(strategy)));
        }
        assert_eq!(in_turn(&[], 7, 1), None);
    }
}
