//! The mathematics of a search: cases computed by hand, and what must hold for all counts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::belief::Rates;
use super::rates::{Beta, Pair, UNIFORM, ln_evidence_of_one, ln_more};
use super::{Belief, Built, Costs, End, Hypothesis, Search, Seen, Space, plan};
use crate::analysis::stats::Counts;

const COSTS: Costs = Costs { good_s: 1.0, hang_s: 15.0, build_s: 10.0 };

fn runs(hung: u32, of: u32) -> Counts {
    Counts { hung, of }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn belief(space: &Space, counts: &[Counts]) -> Belief {
    Belief::of(space, counts, &BTreeSet::new())
}

#[test]
fn cases_by_hand() {
    let beta = |hung, good| Beta { hung, good };
    let more = |good: Beta, bad: Beta| ln_more(good, bad).exp();
    // Of two equal rates each is above the other half of the time.
    assert!(near(more(UNIFORM, UNIFORM), 0.5) && near(more(beta(3.0, 7.0), beta(3.0, 7.0)), 0.5));
    // Above a uniform rate: the mean.
    assert!(near(more(UNIFORM, beta(2.0, 1.0)), 2.0 / 3.0) && near(more(UNIFORM, beta(3.0, 7.0)), 0.3));
    // The larger of two uniform rates has the mean 2/3, the smaller one 1/3.
    let pair = Pair { good: UNIFORM, bad: UNIFORM };
    assert!(near(pair.ln_evidence(runs(0, 0), runs(1, 1)).exp(), 2.0 / 3.0));
    assert!(near(pair.ln_evidence(runs(1, 1), runs(0, 0)).exp(), 1.0 / 3.0));
    let [good, bad] = pair.moments();
    assert!(near(good.mean, 1.0 / 3.0) && near(bad.mean, 2.0 / 3.0));
    // The squares: 1/6 and 1/2.
    assert!(near(good.square, 1.0 / 6.0) && near(bad.square, 0.5));
    // One certain order of 1 hang in 3 runs: 1/(3 * 4).
    assert!(near(ln_evidence_of_one(UNIFORM, runs(1, 3)).exp(), 1.0 / 12.0));
    // Two commits, one hang of the second: 0.05 * 1/2 against 0.95 * 2/3.
    let weights = belief(&Space::line(2), &[runs(0, 0), runs(1, 1)]).weights;
    assert!(near(weights[1] / weights[0], 0.95 * 2.0 / 3.0 / (0.05 / 2.0)), "{weights:?}");
    // Large counts stay numbers: the logarithm of a probability that no f64 can hold.
    assert!(ln_more(beta(1501.0, 1.0), beta(1.0, 1501.0)) < -2000.0);
    assert!(near(ln_more(beta(1.0, 1501.0), beta(1501.0, 1.0)), 0.0));
}

#[test]
fn all_settings_are_counted_once() {
    let space = Space::settings(&[2, 3, 1]);
    assert_eq!((space.builds(), space.hypotheses().len()), (6, 2 + 2 + 3 + 3));
    assert_eq!(space.values(5), [1, 2, 0]);
    let bad = |setting, value| {
        let hypothesis = Hypothesis::Setting { setting, value, is: true };
        (0..6).filter(|build| space.is_bad(hypothesis, *build)).collect::<Vec<_>>()
    };
    assert_eq!((bad(0, 1), bad(1, 2)), (vec![3, 4, 5], vec![2, 5]));
    let other = Hypothesis::Setting { setting: 1, value: 0, is: false };
    assert!(space.hypotheses().contains(&other));
    assert_eq!((0..6).filter(|build| space.is_bad(other, *build)).collect::<Vec<_>>(), [1, 2, 4, 5]);
    for space in [space, Space::line(60)] {
        let sum: f64 = space.hypotheses().iter().map(|hypothesis| space.prior(*hypothesis)).sum();
        assert!(near(sum, 1.0), "{sum}");
    }
}

#[test]
fn commits_that_do_not_build_leave_a_range() {
    let space = Space::line(8);
    let failed = BTreeSet::from([3, 4, 6]);
    let groups = belief(&space, &[runs(0, 0); 8]).groups(&space, &failed);
    let members: BTreeSet<Vec<usize>> = groups.into_iter().map(|group| group.members).collect();
    // Index 0 is that nothing changed; index n is a change with commit n.
    assert_eq!(members, BTreeSet::from([vec![0], vec![1], vec![2], vec![3, 4, 5], vec![6, 7]]));
}

#[test]
fn nothing_is_blamed_before_a_hang_was_seen() {
    let search = Search { space: Space::line(2), confidence: 0.9, max_runs: 100 };
    let seen = |counts: [Counts; 2]| Seen {
        counts: counts.to_vec(),
        built: vec![Built::Yes; 2],
        excluded: BTreeSet::new(),
        costs: COSTS,
    };
    // The prior alone is 95 %.
    assert!(search.look(&seen([runs(0, 0), runs(0, 0)])).next.is_ok());
    assert_eq!(search.look(&seen([runs(0, 5), runs(3, 3)])).next, Err(End::Found));
    assert_eq!(search.look(&seen([runs(20, 50), runs(20, 50)])).next, Err(End::OutOfRuns));
}

#[test]
fn a_commit_near_the_middle_is_run_first_and_a_build_is_worth_its_time() {
    let space = Space::line(61);
    let counts = vec![runs(0, 0); 61];
    let ask = |built: &[Built], costs: &Costs| {
        plan::next(&space, &counts, &belief(&space, &counts), built, costs).unwrap()
    };
    let middle = ask(&[Built::Yes; 61], &COSTS);
    assert!((20..=40).contains(&middle.build) && middle.runs == 1, "{middle:?}");
    // A build that takes long is made for many runs, or not at all.
    let mut built = vec![Built::NotYet; 61];
    let dear = ask(&built, &Costs { build_s: 600.0, ..COSTS });
    assert!(dear.runs > 4 && (20..=40).contains(&dear.build), "{dear:?}");
    built[20] = Built::Yes;
    assert_eq!(ask(&built, &Costs { build_s: 1e6, ..COSTS }).build, 20);
    built.fill(Built::Failed);
    assert_eq!(plan::next(&space, &counts, &belief(&space, &counts), &built, &COSTS), None);
}

/// Counts of `builds` builds.
fn counts(builds: usize) -> impl Strategy<Value = Vec<Counts>> {
    let one = (0_u32..60).prop_flat_map(|of| (0..=of).prop_map(move |hung| runs(hung, of)));
    prop::collection::vec(one, builds)
}

proptest! {
    #[test]
    fn a_posterior_is_a_distribution_and_the_bad_rate_is_above_the_good_one(counts in counts(7)) {
        let space = Space::line(7);
        let belief = belief(&space, &counts);
        prop_assert!(near(belief.weights.iter().sum(), 1.0));
        prop_assert!(belief.weights.iter().all(|weight| (0.0..=1.0).contains(weight)));
        for hypothesis in space.hypotheses() {
            let Rates::Sides([good, bad]) = Rates::of(&space, *hypothesis, &counts) else { continue };
            prop_assert!(*hypothesis == Hypothesis::Same || good.mean < bad.mean);
            for rate in [good, bad] {
                prop_assert!(rate.mean > 0.0 && rate.mean < 1.0 && rate.square <= rate.mean);
                prop_assert!(rate.square + 1e-9 >= rate.mean * rate.mean);
            }
        }
        let ask = plan::next(&space, &counts, &belief, &[Built::NotYet; 7], &COSTS).unwrap();
        prop_assert!(ask.bits >= 0.0 && ask.bits <= 3.0 && ask.seconds > 10.0);
    }

    #[test]
    fn one_of_two_rates_is_above_the_other(a in counts(2)) {
        let [a, b] = [UNIFORM.after(a[0]), UNIFORM.after(a[1])];
        prop_assert!(near(ln_more(a, b).exp() + ln_more(b, a).exp(), 1.0));
    }

    #[test]
    fn good_runs_before_a_commit_that_hangs_make_it_more_probable(good in 1_u32..40, hung in 3_u32..10) {
        let space = Space::line(9);
        let with = |good| {
            let mut counts = vec![runs(0, 0); 9];
            (counts[3], counts[4]) = (runs(0, good), runs(hung, 10));
            belief(&space, &counts).weights[4]
        };
        prop_assert!(with(good + 1) > with(good));
    }
}
