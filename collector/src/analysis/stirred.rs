//! What each strategy of `--stir auto` did: its rates, kept apart.

use super::facts::{HuntFacts, RunFacts, RunOutcome, STATS};
use super::stats::PerHour;
use super::stir::{Choice, Strategy};
use super::verdict::tally::{self, Tally};

/// The runs of an arm with one strategy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StrategyRates {
    pub(crate) arm: String,
    pub(crate) strategy: Strategy,
    pub(crate) runs: Tally,
    /// Runs with a near-hang that did not hang.
    pub(crate) near: u32,
    /// Wall clock of all of them, until a run was known to hang, seconds.
    pub(crate) seconds: f64,
    /// None: no run tells how long one takes.
    pub(crate) per_hour: Option<PerHour>,
}

/// The strategies of a hunt with `--stir auto`, most hangs per hour first; arm by arm. Empty for another
/// hunt.
pub(crate) fn by_strategy(facts: &HuntFacts) -> Vec<StrategyRates> {
    if facts.stir.is_none_or(|plan| plan.choice != Choice::Auto) {
        return vec![];
    }
    let counts = |run: &&RunFacts| run.outcome != RunOutcome::Interrupted && run.arm != STATS;
    let runs: Vec<&RunFacts> = facts.runs.iter().filter(counts).collect();
    let usual = tally::usual(&runs);
    let mut arms: Vec<&str> = vec![];
    for run in &runs {
        if !arms.contains(&run.arm.as_str()) {
            arms.push(&run.arm);
        }
    }
    let rates = |arm: &str, strategy: Strategy| {
        let with = |run: &&RunFacts| run.arm == arm && run.stir.is_some_and(|stir| stir.strategy == strategy);
        let runs: Vec<&RunFacts> = runs.iter().copied().filter(with).collect();
        (!runs.is_empty()).then(|| StrategyRates {
            arm: arm.to_owned(),
            strategy,
            near: runs.iter().filter(|run| run.nearly_hung()).count() as u32,
            seconds: runs.iter().map(|run| run.seconds).sum(),
            per_hour: tally::per_hour(&runs, tally::usual(&runs).or(usual)),
            runs: Tally::of(0, runs),
        })
    };
    let of_arm = |arm: &&str| {
        let mut all: Vec<_> = Strategy::ALL.into_iter().filter_map(|strategy| rates(arm, strategy)).collect();
        let hourly = |rates: &StrategyRates| rates.per_hour.map_or(0.0, |hourly| hourly.rate);
        all.sort_by(|a, b| hourly(b).total_cmp(&hourly(a)));
        all
    };
    arms.iter().flat_map(of_arm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{HoldCounts, Stir, StirPlan};
    use crate::testkit::hunt::{Hunt, hung, run};

    #[test]
    fn the_rates_of_the_strategies_are_kept_apart() {
        let with = |facts: RunFacts, text: &str| {
            let stir = Stir { strategy: text.parse().unwrap(), seed: 1 };
            RunFacts { stir: Some(stir), ..facts }
        };
        let holds = |n: u32| HoldCounts { long_waits: u64::from(n), ..HoldCounts::default() };
        let mut hunt = Hunt::new(0);
        for number in 1..=6 {
            hunt = hunt.push(with(
                RunFacts { seconds: 2.0, holds: Some(holds(number / 6)), ..run(number) },
                "calls:2",
            ));
        }
        hunt = hunt.push(with(RunFacts { seconds: 15.0, ..hung(7, None) }, "both:2"));
        let lost = RunFacts { outcome: RunOutcome::Interrupted, ..run(8) };
        let mut facts = hunt.push(with(lost, "sites:1")).facts();
        assert_eq!(by_strategy(&facts), []);
        facts.stir = Some(StirPlan { choice: Choice::Auto, seed: 1 });
        let rates = by_strategy(&facts);
        let got = |at: usize| {
            let StrategyRates { strategy, runs, near, seconds, per_hour, .. } = &rates[at];
            (strategy.to_string(), runs.made, runs.hung, *near, *seconds, per_hour.map(|h| h.hours * 3600.0))
        };
        assert_eq!(rates.len(), 2);
        assert_eq!(got(0), ("both:2".into(), 1, 1, 0, 15.0, Some(2.0)), "the time of the other runs");
        assert_eq!(got(1), ("calls:2".into(), 6, 0, 1, 12.0, Some(12.0)));
    }
}
