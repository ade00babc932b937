//! Simulations that check the statistics of a hunt against a known truth. Do the intervals contain the true
//! rate as often as they claim? Is a sequential test wrong no more often than it claims? The tests print
//! their tables (`-- --nocapture`).
//!
//! `HANGSCOPE_TEST_EXPERIMENTS` is the number of experiments for each row. The default is 10,000, and fewer
//! where an experiment takes long.

#[path = "statistics/bisect.rs"]
mod bisect;

use hangscope_collector::analysis::sequential::{
    Against, Answer, ArmKind, Comparison, Decider, Observation, Until,
};
use hangscope_collector::analysis::stats::{CONFIDENCE, Rate, per_hour};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

/// The highest number of rounds of a hunt at `--rate 0.02`: four times 149.
const MOST: u32 = 596;

/// The probability of a false alarm of these tests: one in a million.
const CHANCE: f64 = 1e-6;

fn experiments(usual: u32) -> u32 {
    let given = std::env::var("HANGSCOPE_TEST_EXPERIMENTS").ok();
    given.map_or(usual, |text| text.parse().expect("HANGSCOPE_TEST_EXPERIMENTS is a number"))
}

/// `events` in `of` experiments do not show that the probability of an event is above `most`: at `most`, so
/// many events or more have a probability of at least [`CHANCE`]. Exact, by the binomial distribution.
fn is_at_most(events: u32, of: u32, most: f64) -> bool {
    events == 0 || Binomial::new(most, of.into()).expect("a share").sf(u64::from(events) - 1) >= CHANCE
}

/// The number of hangs in simulated runs.
fn hangs(random: &mut fastrand::Rng, rate: f64, runs: u32) -> u32 {
    (0..runs).filter(|_| random.f64() < rate).count() as u32
}

/// For each number of hangs, the bounds of [`Rate::exact`], and the bounds that are always two-sided.
struct Bounds {
    printed: Vec<(f64, f64)>,
    two_sided: Vec<(f64, f64)>,
}

impl Bounds {
    fn of(runs: u32) -> Bounds {
        let printed = |x| {
            let rate = Rate::exact(x, runs, CONFIDENCE);
            (rate.low, rate.high)
        };
        // For none and for all, the printed bound has the whole error. The two-sided bound has half of it.
        let half = |x| {
            let rate = Rate::exact(x, runs, 1.0 - (1.0 - CONFIDENCE) / 2.0);
            (rate.low, rate.high)
        };
        let two_sided = |x| if x == 0 || x == runs { half(x) } else { printed(x) };
        Bounds { printed: (0..=runs).map(printed).collect(), two_sided: (0..=runs).map(two_sided).collect() }
    }
}

/// The probability that the lower bound is above a rate, and that the upper bound is below it.
fn misses(bounds: &[(f64, f64)], rate: f64) -> (f64, f64) {
    let runs = bounds.len() as u64 - 1;
    let of = Binomial::new(rate, runs).expect("a share");
    let mass = |missed: &dyn Fn(f64, f64) -> bool| -> f64 {
        (0..=runs).zip(bounds).filter(|(_, (low, high))| missed(*low, *high)).map(|(x, _)| of.pmf(x)).sum()
    };
    (mass(&|low, _| low > rate), mass(&|_, high| high < rate))
}

#[test]
fn intervals_hold_the_true_rate_as_often_as_they_say() {
    let (n, error) = (experiments(10_000), 1.0 - CONFIDENCE);
    println!("coverage of the Clopper-Pearson intervals at 95 %, {n} experiments a row");
    println!("  runs    rate   two-sided  as printed  low alone  high alone");
    for (seed, runs) in (1..).zip([13, 50, 149]) {
        let bounds = Bounds::of(runs);
        let mut random = fastrand::Rng::with_seed(seed);
        // The last rate is just above the upper bound of 0 hangs. Both bounds
        // together are at their worst there.
        for rate in [0.005, 0.02, 0.1, 0.5, bounds.printed[0].1 + 1e-9] {
            let (mut missed, mut both, mut low, mut high) = (0, 0, 0, 0);
            for _ in 0..n {
                let x = hangs(&mut random, rate, runs) as usize;
                let outside = |(from, to): (f64, f64)| (u32::from(from > rate), u32::from(to < rate));
                let (two, printed) = (outside(bounds.two_sided[x]), outside(bounds.printed[x]));
                missed += two.0 + two.1;
                both += printed.0 + printed.1;
                low += printed.0;
                high += printed.1;
            }
            let share = |missed: u32| 1.0 - f64::from(missed) / f64::from(n);
            println!(
                "  {runs:>4}  {rate:.4}      {:.4}      {:.4}     {:.4}      {:.4}",
                share(missed),
                share(both),
                share(low),
                share(high)
            );
            assert!(is_at_most(missed, n, error), "two-sided, {rate}: {missed}");
            assert!(is_at_most(low, n, error) && is_at_most(high, n, error), "{rate}: {low} {high}");
            assert!(is_at_most(both, n, 1.5 * error), "as printed, {rate}: {both}");
        }
    }
}

/// The same, calculated instead of simulated, at all rates.
#[test]
fn exact_coverage_over_all_rates() {
    let error = 1.0 - CONFIDENCE;
    println!("least coverage over all rates, exact");
    for runs in [1, 3, 13, 50, 149] {
        let bounds = Bounds::of(runs);
        // The coverage falls where the rate passes a bound. So the least coverage is just beside a bound.
        let edges = bounds.printed.iter().chain(&bounds.two_sided).flat_map(|(low, high)| [*low, *high]);
        let beside =
            edges.flat_map(|edge| [edge - 1e-9, edge + 1e-9]).filter(|rate| *rate > 0.0 && *rate < 1.0);
        let (mut two_sided, mut printed) = (1.0f64, 1.0f64);
        for rate in beside {
            let (low, high) = misses(&bounds.printed, rate);
            assert!(low <= error + 1e-6 && high <= error + 1e-6, "{runs} runs at {rate}: {low} {high}");
            printed = printed.min(1.0 - low - high);
            let (low, high) = misses(&bounds.two_sided, rate);
            two_sided = two_sided.min(1.0 - low - high);
        }
        println!("  {runs:>4} runs: two-sided {two_sided:.4}, as printed {printed:.4}");
        assert!(two_sided >= CONFIDENCE - 1e-6, "{runs}: {two_sided}");
        assert!(printed >= 1.0 - 1.5 * error - 1e-6, "{runs}: {printed}");
    }
}

/// A hunt that stops at its first hang has no number of runs that was fixed beforehand.
#[test]
fn intervals_of_a_hunt_that_stops_at_its_first_hang() {
    let (n, most, error) = (experiments(10_000), 50u32, 1.0 - CONFIDENCE);
    let mut random = fastrand::Rng::with_seed(4);
    println!("coverage where a hunt stops at its first hang, or after {most} runs, {n} experiments a row");
    println!("    rate  as printed  low alone  high alone");
    for rate in [0.005, 0.02, 0.1, 0.5, 0.9] {
        let (mut low, mut high) = (0, 0);
        for _ in 0..n {
            let first = (1..=most).find(|_| random.f64() < rate);
            let interval = Rate::exact(u32::from(first.is_some()), first.unwrap_or(most), CONFIDENCE);
            low += u32::from(interval.low > rate);
            high += u32::from(interval.high < rate);
        }
        let share = |missed: u32| 1.0 - f64::from(missed) / f64::from(n);
        println!("  {rate:.4}      {:.4}     {:.4}      {:.4}", share(low + high), share(low), share(high));
        assert!(is_at_most(low, n, error) && is_at_most(high, n, error), "{rate}: {low} {high}");
        assert!(is_at_most(low + high, n, 1.5 * error), "{rate}: {low} {high}");
    }
}

#[test]
fn hangs_per_hour_hold_the_true_rate_as_often_as_they_say() {
    let (n, error) = (experiments(10_000), 1.0 - CONFIDENCE);
    let mut random = fastrand::Rng::with_seed(5);
    println!("coverage of Garwood's interval at 95 %, an hour, {n} experiments a row");
    println!("    rate  as printed  low alone  high alone");
    for rate in [0.1, 1.0, 3.1, 10.0, 30.0] {
        let (mut low, mut high) = (0, 0);
        for _ in 0..n {
            // Waiting times of a Poisson process.
            let mut time = 0.0;
            let mut hung = 0;
            loop {
                time -= (1.0 - random.f64()).ln() / rate;
                if time > 1.0 {
                    break;
                }
                hung += 1;
            }
            let interval = per_hour(hung, 1.0, CONFIDENCE).expect("an hour");
            low += u32::from(interval.low > rate);
            high += u32::from(interval.high < rate);
        }
        let share = |missed: u32| 1.0 - f64::from(missed) / f64::from(n);
        println!("  {rate:>6.1}      {:.4}     {:.4}      {:.4}", share(low + high), share(low), share(high));
        assert!(is_at_most(low, n, error) && is_at_most(high, n, error), "{rate}: {low} {high}");
        assert!(is_at_most(low + high, n, 1.5 * error), "{rate}: {low} {high}");
    }
}

/// Simulates a hunt. Each round has one run of each arm, at the arm's rate. The hunt ends at its decision, or
/// after `most` rounds. Returns the answer, the number of rounds and the decider.
fn hunt(
    random: &mut fastrand::Rng,
    arms: &[(ArmKind, f64)],
    intact: bool,
    until: Until,
    most: u32,
) -> (Option<Answer>, u32, Decider) {
    let kinds: Vec<ArmKind> = arms.iter().map(|(kind, _)| *kind).collect();
    let mut decider = Decider::new(&kinds, until);
    for round in 1..=most {
        for (at, (kind, rate)) in arms.iter().enumerate() {
            let intact = intact && *kind != ArmKind::Changed;
            let seen = if random.f64() < *rate { Observation::Hung { intact } } else { Observation::Passed };
            decider.push(at, seen);
            if let Some(answer) = decider.answer() {
                return (Some(answer), round, decider);
            }
        }
    }
    (None, most, decider)
}

fn until() -> Until {
    Until::new(0.02, 0.95).expect("a question")
}

#[test]
fn one_arm_is_found_below_the_rate_wrongly_no_more_often_than_it_says() {
    let (n, until) = (experiments(10_000), until());
    let mut random = fastrand::Rng::with_seed(6);
    println!("--until-decided, one arm, --rate 0.02 --confidence 0.95, {n} experiments a row");
    println!("    rate   hangs  below rate  runs on average");
    for rate in [0.0, 0.005, 0.02, 0.1, 0.5] {
        let (mut hangs, mut below, mut runs) = (0, 0, 0u64);
        for _ in 0..n {
            let (answer, rounds, _) = hunt(&mut random, &[(ArmKind::Pinned, rate)], true, until, MOST);
            runs += u64::from(rounds);
            match answer {
                Some(Answer::Hangs) => hangs += 1,
                Some(Answer::BelowRate) => below += 1,
                other => panic!("{other:?} of one arm whose every run counts"),
            }
        }
        let share = |count: u32| f64::from(count) / f64::from(n);
        println!(
            "  {rate:.4}  {:.4}      {:.4}  {:>15.1}",
            share(hangs),
            share(below),
            runs as f64 / f64::from(n)
        );
        assert!(rate < until.rate || is_at_most(below, n, until.error()), "{rate}: {below} of {n}");
        assert!(rate > 0.0 || hangs == 0);
    }
}

/// The evidence alone, in the hardest case: no hang with an intact DSO ends the hunt early.
#[test]
fn evidence_is_wrong_no_more_often_than_it_says() {
    let (n, error) = (experiments(1000), 1.0 - CONFIDENCE);
    let mut random = fastrand::Rng::with_seed(7);
    println!(
        "an arm that hangs no more often than the pinned one, {MOST} rounds, looked at after each, {n} experiments a row"
    );
    println!("  pinned     arm  found to hang more often");
    for (pinned, arm) in [(0.005, 0.005), (0.02, 0.02), (0.1, 0.1), (0.5, 0.5), (0.9, 0.9), (0.1, 0.05)] {
        let wrong = (0..n).filter(|_| {
            let mut comparison = Comparison::default();
            (0..MOST).any(|_| {
                comparison.push(random.f64() < arm, random.f64() < pinned);
                comparison.evidence() >= 1.0 / error
            })
        });
        let wrong = wrong.count() as u32;
        println!("  {pinned:.4}  {arm:.4}  {:.4}", f64::from(wrong) / f64::from(n));
        assert!(is_at_most(wrong, n, error), "{pinned} {arm}: {wrong} of {n}");
    }
}

/// The whole rule: the answers for arms with these rates, how often each comes, and after how many rounds.
///
/// Three answers are wrong: a change hangs more often where it does not, a build hangs more or less often
/// where it does not, and no arm hangs where one hangs at the rate of the question.
///
/// The last column is the share of experiments in which the interval of an arm contains its
/// rate, for the worst arm. The interval is made for a number of runs that was fixed beforehand,
/// so it promises nothing here.
#[test]
fn several_arms_get_a_wrong_answer_no_more_often_than_claimed() {
    use ArmKind::{Build, Changed, Pinned};
    let (n, until) = (experiments(300), until());
    let mut random = fastrand::Rng::with_seed(8);
    println!(
        "--until-decided, several arms, --rate 0.02 --confidence 0.95, at most {MOST} rounds, {n} experiments a row"
    );
    println!(
        "  rates                                change  intact  builds   below    none   wrong  rounds on average"
    );
    let rows: [(&[(ArmKind, f64)], bool); 13] = [
        (&[(Pinned, 0.0), (Changed, 0.0)], true),
        (&[(Pinned, 0.0), (Changed, 1.0)], true),
        (&[(Pinned, 0.0), (Changed, 0.0), (Changed, 1.0)], true),
        (&[(Pinned, 0.0), (Changed, 0.5)], true),
        (&[(Pinned, 0.0), (Changed, 0.1)], true),
        (&[(Pinned, 0.0), (Changed, 0.02)], true),
        (&[(Pinned, 0.02), (Changed, 0.02)], true),
        (&[(Pinned, 0.3), (Changed, 0.3), (Changed, 0.3)], true),
        // The same where nobody knows whether the DSO was intact.
        (&[(Pinned, 0.02), (Changed, 0.02)], false),
        (&[(Pinned, 0.3), (Changed, 0.3), (Changed, 0.3)], false),
        (&[(Pinned, 0.3), (Build, 0.3)], true),
        (&[(Pinned, 0.3), (Build, 0.0)], true),
        (&[(Pinned, 0.02), (Build, 0.5), (Build, 0.0)], true),
    ];
    for (arms, intact) in rows {
        let control = arms[0].1;
        let (mut counts, mut wrong, mut rounds) = ([0u32; 5], 0, 0u64);
        let mut contained = vec![0; arms.len()];
        for _ in 0..n {
            let (answer, made, decider) = hunt(&mut random, arms, intact, until, MOST);
            rounds += u64::from(made);
            counts[match answer {
                Some(Answer::ChangeHangs) => 0,
                Some(Answer::HangsIntact) => 1,
                Some(Answer::BuildsTold) => 2,
                Some(Answer::BelowRate) => 3,
                None => 4,
                Some(Answer::Hangs) => panic!("that is the answer for one arm"),
            }] += 1;
            // An arm may have a wrong answer before the whole question is decided.
            let is_wrong = |(at, (_, rate)): (usize, &(ArmKind, f64))| match decider.against(at) {
                Some(Against::More) => *rate <= control,
                Some(Against::Less) => *rate >= control,
                Some(Against::BelowRate) => *rate >= until.rate || control >= until.rate,
                None => false,
            };
            wrong += u32::from(arms.iter().enumerate().any(is_wrong));
            for ((contained, arm), (_, rate)) in contained.iter_mut().zip(decider.arms()).zip(arms) {
                let interval = Rate::exact(arm.hangs(), arm.runs(), CONFIDENCE);
                *contained += u32::from(interval.low <= *rate && *rate <= interval.high);
            }
        }
        let share = |count: u32| f64::from(count) / f64::from(n);
        let shares = counts.map(|count| format!("{:.4}", share(count))).join("  ");
        let rates: Vec<String> = arms.iter().map(|(kind, rate)| format!("{kind:?} {rate}")).collect();
        let known = if intact { "" } else { " (?)" };
        println!(
            "  {:<42} {shares}  {:.4}  {:>17.1}    {:.4}",
            rates.join(", ") + known,
            share(wrong),
            rounds as f64 / f64::from(n),
            share(contained.into_iter().min().unwrap_or(0))
        );
        assert!(is_at_most(wrong, n, until.error()), "{arms:?}: {wrong} of {n}");
        if arms[1..].iter().any(|(kind, rate)| *kind == Changed && *rate >= 0.1 && control == 0.0) {
            assert!(share(counts[0]) > 0.99, "{arms:?}: it has the power to see that: {counts:?}");
        }
    }
}
