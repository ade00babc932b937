//! How each run of a hunt is disturbed.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Config;
use crate::analysis::choice::{self, Chooser, Seen};
use crate::analysis::{Choice, RunFacts, RunOutcome, Stir, StirPlan, Strategy};
use crate::text::message::say;
use crate::text::progress::JobLine;

/// Instructions at which threads are held more often. With more of them no place is special.
const MOST_SITES: usize = 8;

/// Gives the runs their strategies.
///
/// Runs of several arms with the same number have the same strategy. So the arms differ in nothing but what
/// they are compared by, whatever the strategies do.
#[derive(Debug)]
pub(crate) struct Strategies {
    plan: Option<StirPlan>,
    chooser: Chooser,
    /// Those that take turns.
    usable: Vec<Strategy>,
    /// They take turns in an order that does not depend on the runs: the tests of `--until-decided` are of
    /// one rate, and a mix that changes with the runs has none.
    in_turn: bool,
    /// Offsets in the allocator of instructions at which threads are held more often.
    preferred: BTreeSet<u32>,
    /// In how many hangs each of them was.
    in_hangs: BTreeMap<u32, u32>,
    /// Hangs add to them. Not where runs are compared: all of them have the same then.
    learns: bool,
    /// The number that began last, and its strategy.
    last: Option<(u32, Strategy)>,
}

impl Strategies {
    /// `sites`: threads can be held at instructions of the allocator.
    pub(crate) fn of(config: &Config, sites: bool) -> Strategies {
        let strategies = Strategies::of_plan(config.stir, config.limits.until.is_some(), sites);
        let replays = config.stir.is_some_and(|plan| matches!(plan.choice, Choice::Replay(_)));
        let learns = config.arms.len() == 1 && config.limits.until.is_none() && !replays;
        Strategies { preferred: config.preferred_sites.clone(), learns, ..strategies }
    }

    pub(super) fn of_plan(plan: Option<StirPlan>, in_turn: bool, sites: bool) -> Strategies {
        let usable: Vec<Strategy> =
            Strategy::ALL.into_iter().filter(|strategy| sites || !strategy.holds_at_sites()).collect();
        let chooser = Chooser::new(usable.iter().copied());
        Strategies {
            plan,
            chooser,
            usable,
            in_turn,
            preferred: BTreeSet::new(),
            in_hangs: BTreeMap::new(),
            learns: true,
            last: None,
        }
    }

    /// How the next run is disturbed, which has this number in its arm.
    pub(crate) fn next(&mut self, number: u32) -> Option<Stir> {
        let plan = self.plan?;
        let same = self.last.filter(|(last, _)| *last == number).map(|(_, strategy)| strategy);
        let strategy = match (plan.choice, same) {
            (Choice::Fixed(strategy) | Choice::Replay(strategy), _) | (Choice::Auto, Some(strategy)) => {
                strategy
            }
            (Choice::Auto, None) if self.in_turn => choice::in_turn(&self.usable, plan.seed, number)?,
            (Choice::Auto, None) => self.chooser.choose()?,
        };
        self.last = Some((number, strategy));
        self.chooser.begins(strategy);
        Some(plan.of_run(strategy, number))
    }

    /// Offsets in the allocator of instructions at which threads of the next run are held more often.
    pub(crate) fn preferred_sites(&self) -> &BTreeSet<u32> {
        &self.preferred
    }

    /// Prefers those that were in most hangs.
    fn prefer(&mut self, sites: &BTreeSet<u32>) {
        for site in sites {
            *self.in_hangs.entry(*site).or_default() += 1;
        }
        let mut sites: Vec<(&u32, &u32)> = self.in_hangs.iter().collect();
        sites.sort_by_key(|(_, hangs)| std::cmp::Reverse(**hangs));
        self.preferred = sites.into_iter().take(MOST_SITES).map(|(site, _)| *site).collect();
    }

    /// A run has ended that had this strategy.
    pub(crate) fn ended(&mut self, strategy: Strategy, run: &RunFacts) {
        if self.learns && run.outcome == RunOutcome::Hung {
            self.prefer(&run.hold_sites);
        }
        match run.outcome {
            RunOutcome::Interrupted => self.chooser.dropped(strategy),
            outcome => {
                let (hung, near) = (outcome == RunOutcome::Hung, run.nearly_hung());
                if run.holds.is_some_and(|holds| holds.no_sites) {
                    self.chooser.keep_if(|strategy| !strategy.holds_at_sites());
                }
                self.chooser.ended(strategy, Seen { hung, near, seconds: run.seconds });
            }
        }
    }
}

/// What is said before the first run; none if nothing is disturbed.
pub(super) fn line(config: &Config) -> Option<JobLine> {
    let plan = config.stir?;
    let options = plan.options();
    Some(match plan.choice {
        Choice::Auto if config.limits.until.is_some() => say!(JobLine::StirInTurn { options }),
        Choice::Auto => say!(JobLine::StirAuto { options }),
        Choice::Fixed(_) => say!(JobLine::Stir { options }),
        Choice::Replay(_) => say!(JobLine::StirReplay { options }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::HoldCounts;
    use crate::testkit::hunt::{hung, run};

    fn of(choice: Choice, in_turn: bool) -> Strategies {
        Strategies::of_plan(Some(StirPlan { choice, seed: 7 }), in_turn, true)
    }

    #[test]
    fn the_arms_of_a_round_have_the_same_strategy_and_seed() {
        let mut strategies = of(Choice::Auto, false);
        let rounds: Vec<Stir> =
            (1..=3).flat_map(|number| [number; 2]).filter_map(|n| strategies.next(n)).collect();
        assert_eq!((rounds[0], rounds[2], rounds[4]), (rounds[1], rounds[3], rounds[5]));
        assert_eq!([rounds[0].seed, rounds[2].seed, rounds[4].seed], [7, 8, 9]);
        assert_ne!(rounds[0].strategy, rounds[2].strategy);
        assert_eq!(Strategies::of_plan(None, false, true).next(1), None);
    }

    #[test]
    fn what_is_fixed_stays_and_what_takes_turns_does_not_depend_on_the_runs() {
        let calls: Strategy = "calls".parse().unwrap();
        let seeds = |choice| (1..=2).map(|n| of(choice, false).next(n).unwrap()).collect::<Vec<_>>();
        let stir = |seed| Stir { strategy: calls, seed };
        assert_eq!(seeds(Choice::Fixed(calls)), [stir(7), stir(8)]);
        assert_eq!(seeds(Choice::Replay(calls)), [stir(7), stir(7)]);
        let turns = |facts: &dyn Fn(u32) -> RunFacts| {
            let mut strategies = of(Choice::Auto, true);
            let next = |number| {
                let stir = strategies.next(number).unwrap();
                strategies.ended(stir.strategy, &facts(number));
                stir.strategy
            };
            (1..=30).map(next).collect::<Vec<_>>()
        };
        let without = turns(&run);
        assert_eq!(without, turns(&|number| hung(number, None)));
        for round in without.chunks(Strategy::ALL.len()) {
            assert!(Strategy::ALL.iter().all(|strategy| round.contains(strategy)));
        }
    }

    #[test]
    fn what_cannot_be_used_is_not_chosen() {
        let sites = |strategies: &mut Strategies, from: u32| {
            let mut sites = 0;
            for number in from..from + 20 {
                let stir = strategies.next(number).unwrap();
                let no_sites = stir.strategy.holds_at_sites();
                sites += u32::from(no_sites);
                let holds = HoldCounts { no_sites, ..HoldCounts::default() };
                strategies.ended(stir.strategy, &RunFacts { holds: Some(holds), ..run(number) });
            }
            sites
        };
        let plan = Some(StirPlan { choice: Choice::Auto, seed: 7 });
        assert_eq!(sites(&mut Strategies::of_plan(plan, false, false), 1), 0);
        assert_eq!(sites(&mut Strategies::of_plan(plan, true, false), 1), 0);
        // The first run shows it.
        let mut strategies = Strategies::of_plan(plan, false, true);
        assert_eq!((sites(&mut strategies, 1), sites(&mut strategies, 21)), (1, 0));
    }

    #[test]
    fn where_a_hang_began_threads_are_held_again() {
        let mut strategies = of(Choice::Auto, false);
        let strategy = strategies.next(1).unwrap().strategy;
        let sites = BTreeSet::from([0x10, 0x20]);
        strategies.ended(strategy, &RunFacts { hold_sites: sites.clone(), ..run(1) });
        assert!(strategies.preferred_sites().is_empty(), "it did not hang");
        strategies.ended(strategy, &RunFacts { hold_sites: sites.clone(), ..hung(2, None) });
        assert_eq!(*strategies.preferred_sites(), sites);
        // Of many, those of most hangs.
        for number in 3..20 {
            let hold_sites = BTreeSet::from([0x20, 0x100 + number, 0x200 + number]);
            strategies.ended(strategy, &RunFacts { hold_sites, ..hung(number, None) });
        }
        assert_eq!(strategies.preferred_sites().len(), MOST_SITES);
        assert!(strategies.preferred_sites().contains(&0x20));
    }

    #[test]
    fn a_strategy_that_hangs_comes_again() {
        let mut strategies = of(Choice::Auto, false);
        let mut given = vec![];
        for number in 1..=200 {
            let stir = strategies.next(number).unwrap();
            let hangs = stir.strategy == Strategy::ALL[4];
            strategies.ended(stir.strategy, &if hangs { hung(number, None) } else { run(number) });
            given.push(stir.strategy);
        }
        assert_eq!(given[..15], Strategy::ALL);
        let later = given[100..].iter().filter(|strategy| **strategy == Strategy::ALL[4]).count();
        assert!(later > 80, "{later}");
    }
}
