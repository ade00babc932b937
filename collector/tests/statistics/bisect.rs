//! Simulated searches for the commit that made a program hang, against plain `git bisect`.

use std::collections::BTreeSet;

use hangscope_collector::analysis::bisect::{Built, Costs, End, Hypothesis, Search, Seen, Space};
use hangscope_collector::analysis::stats::{CONFIDENCE, Counts};
use statrs::distribution::{Binomial, DiscreteCDF};

use super::{experiments, is_at_most};

/// Commits of the repository, the good end among them.
const COMMITS: usize = 60;
/// The 37th commit brought the fault.
const FAULT: usize = 36;
/// Seconds of a good run, of a hang and of a build. A hang is found by its deadline, so it is long.
const COSTS: Costs = Costs { good_s: 1.0, hang_s: 15.0, build_s: 10.0 };
/// Most runs of a search.
const MOST: u32 = 3000;

/// How a search ended.
struct Ended {
    end: End,
    /// What it found; none: nothing.
    found: Option<Hypothesis>,
    posterior: f64,
    runs: u32,
    seconds: f64,
}

/// Searches in a space where build `b` hangs with probability `rate(b)`.
fn search(space: &Space, random: &mut fastrand::Rng, rate: impl Fn(usize) -> f64) -> Ended {
    let search = Search { space: space.clone(), confidence: CONFIDENCE, max_runs: MOST };
    let mut seen = Seen {
        counts: vec![Counts { hung: 0, of: 0 }; space.builds()],
        built: vec![Built::NotYet; space.builds()],
        excluded: BTreeSet::new(),
        costs: COSTS,
    };
    let (mut runs, mut seconds) = (0, 0.0);
    loop {
        let look = search.look(&seen);
        let ask = match look.next {
            Ok(ask) => ask,
            Err(end) => {
                let first = &look.groups[0];
                let found = (end == End::Found).then(|| space.hypotheses()[first.members[0]]);
                return Ended { end, found, posterior: first.posterior, runs, seconds };
            }
        };
        if seen.built[ask.build] == Built::NotYet {
            seen.built[ask.build] = Built::Yes;
            seconds += COSTS.build_s;
        }
        let hung = random.f64() < rate(ask.build);
        seen.counts[ask.build].of += 1;
        seen.counts[ask.build].hung += u32::from(hung);
        seconds += if hung { COSTS.hang_s } else { COSTS.good_s };
        runs += 1;
    }
}

/// What plain `git bisect` needs for the same error over all its steps, if it knows both rates: at each step a
/// fixed number of runs and a threshold. It goes on to the next step as soon as the answer is certain.
struct Plain {
    runs: u32,
    threshold: u32,
}

impl Plain {
    fn of(good: f64, bad: f64) -> Plain {
        let error = (1.0 - CONFIDENCE) / (COMMITS as f64).log2();
        let below = |rate: f64, runs: u32, hangs: u32| {
            Binomial::new(rate, runs.into()).expect("a share").cdf(u64::from(hangs) - 1)
        };
        let fits = |runs, hangs| below(bad, runs, hangs) <= error && 1.0 - below(good, runs, hangs) <= error;
        let all = (1..10_000).flat_map(|runs| (1..=runs).map(move |threshold| Plain { runs, threshold }));
        { all }.find(|plain| fits(plain.runs, plain.threshold)).expect("enough runs")
    }

    /// The commit that it names, the runs and the seconds that it takes.
    fn search(&self, random: &mut fastrand::Rng, rate: impl Fn(usize) -> f64) -> (usize, u32, f64) {
        let (mut good, mut bad, mut all, mut seconds) = (0, COMMITS - 1, 0, 0.0);
        while bad - good > 1 {
            let middle = good.midpoint(bad);
            seconds += COSTS.build_s;
            let (mut hangs, mut runs) = (0, 0);
            while hangs < self.threshold && hangs + (self.runs - runs) >= self.threshold {
                let hung = random.f64() < rate(middle);
                (hangs, runs) = (hangs + u32::from(hung), runs + 1);
                seconds += if hung { COSTS.hang_s } else { COSTS.good_s };
            }
            all += runs;
            if hangs >= self.threshold {
                bad = middle;
            } else {
                good = middle;
            }
        }
        (bad, all, seconds)
    }
}

/// The random numbers of a search. With these seeds, 20 searches show the share of right ones that many show
/// (`scripts/soak.sh statistics`).
fn random(one: u32) -> fastrand::Rng {
    fastrand::Rng::with_seed(u64::from(one) * 7919 + 1)
}

#[test]
fn the_commit_is_found_as_often_as_its_posterior_says() {
    let n = experiments(1000) / 50;
    println!(
        "{COMMITS} commits, the fault from the 37th on; {n} searches a row; minutes with 1 s a good run, 15 s a hang,"
    );
    println!("10 s a build. git bisect: enough runs a step for the same error, and it knows both rates");
    println!("  good   bad   right  stated  runs  minutes | git bisect: right  runs  minutes");
    for (good, bad) in [(0.05, 0.30), (0.0, 0.30), (0.01, 0.20)] {
        let rate = |build| if build >= FAULT { bad } else { good };
        let space = Space::line(COMMITS);
        let ended: Vec<Ended> = (0..n).map(|one| search(&space, &mut random(one), rate)).collect();
        let right = ended.iter().filter(|end| end.found == Some(Hypothesis::From(FAULT))).count() as u32;
        let found = ended.iter().filter(|end| end.end == End::Found);
        let stated = found.clone().map(|end| end.posterior).sum::<f64>() / found.count().max(1) as f64;
        let mean = |sum: f64| sum / f64::from(n);
        let runs = mean(ended.iter().map(|end| f64::from(end.runs)).sum());
        let minutes = mean(ended.iter().map(|end| end.seconds).sum()) / 60.0;
        let plain = Plain::of(good, bad);
        let others: Vec<_> = (0..n).map(|one| plain.search(&mut random(one), rate)).collect();
        let plain_right = others.iter().filter(|(commit, ..)| *commit == FAULT).count();
        let plain_runs = mean(others.iter().map(|(_, runs, _)| f64::from(*runs)).sum());
        let plain_minutes = mean(others.iter().map(|(.., seconds)| seconds).sum()) / 60.0;
        println!(
            "  {good:4.2}  {bad:4.2}  {right:3}/{n:<3}  {stated:5.3} {runs:5.0}  {minutes:7.1} |         \
             {plain_right:6}/{n:<3}  {plain_runs:4.0}  {plain_minutes:7.1}"
        );
        assert!(right * 20 >= n * 19, "{right} of {n} at {good} and {bad}");
        assert!(
            is_at_most(n - right, n, 1.0 - stated),
            "{right} of {n} at {good} and {bad}: {stated} stated"
        );
    }
}

/// The setting that is to blame is found; without a difference no setting is blamed.
#[test]
fn the_setting_is_found_and_none_is_blamed_for_nothing() {
    let n = experiments(1000) / 50;
    let space = Space::settings(&[2, 3, 2]);
    let mut random = fastrand::Rng::with_seed(11);
    // One value hangs, or all values but one.
    for is in [true, false] {
        let fault = Hypothesis::Setting { setting: 1, value: 2, is };
        let rate = |build| if space.is_bad(fault, build) { 0.25 } else { 0.02 };
        let ended: Vec<Ended> = (0..n).map(|one| search(&space, &mut self::random(one), rate)).collect();
        let right = ended.iter().filter(|end| end.found == Some(fault)).count() as u32;
        let runs = ended.iter().map(|end| f64::from(end.runs)).sum::<f64>() / f64::from(n);
        println!("settings, {fault:?}: {right} of {n} right, {runs:.0} runs each");
        assert!(is_at_most(n - right, n, 1.0 - CONFIDENCE), "{right} of {n}");
    }

    let never: Vec<Ended> = (0..n / 10).map(|_| search(&space, &mut random, |_| 0.0)).collect();
    assert!(never.iter().all(|end| end.end == End::NoDifference), "a program that never hangs");
    // Two settings together make it hang: no single one explains that. One of the two may be blamed, another
    // one is not.
    let both = |build: usize| if space.values(build)[..2] == [1, 2] { 0.5 } else { 0.0 };
    let ended: Vec<Ended> = (0..n).map(|one| search(&space, &mut self::random(one), both)).collect();
    let apart = ended.iter().filter(|end| end.end == End::NotOneSetting).count() as u32;
    let of_both = [(0, 1), (1, 2)].map(|(setting, value)| Hypothesis::Setting { setting, value, is: true });
    let others = ended.iter().filter_map(|end| end.found).filter(|found| !of_both.contains(found));
    let others = others.count() as u32;
    println!("two settings together: {apart} of {n} are no single setting's, {others} blame another one");
    assert!(
        is_at_most(n - apart, n, 0.2) && is_at_most(others, n, 1.0 - CONFIDENCE),
        "{apart}, {others} of {n}"
    );
}
