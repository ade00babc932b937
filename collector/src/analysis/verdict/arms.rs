//! The arms of a hunt, each compared with the pinned one.

use super::tally::{Sorted, Tally, counts, exposed};
use crate::analysis::facts::{ArmFacts, HuntFacts, PINNED, RunFacts, RunOutcome};
use crate::analysis::stats::{CONFIDENCE, Counts, fisher, fisher_more, spread};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ArmResult {
    pub(crate) name: String,
    /// None: the hunt was started without arms.
    pub(crate) facts: Option<ArmFacts>,
    pub(crate) tally: Tally,
    /// Number of runs with a changed DSO, however they ended.
    pub(crate) changed_runs: u32,
    /// The comparison with the pinned arm; none: this is the pinned arm, or there are no runs to compare.
    pub(crate) test: Option<Test>,
    /// Median ops/s of the good runs; none: no good run printed any, or runs went on side by side.
    pub(crate) ops_s: Option<f64>,
    /// Median of the peak resident sets of the good runs, KiB; none without a good run.
    pub(crate) max_rss_kib: Option<f64>,
}

/// Fisher's exact test of an arm against the runs of the pinned arm with an intact DSO.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Test {
    /// The runs of the arm. An arm with a change: its runs with a changed DSO, also those that died. Another
    /// build: its runs that could have hung.
    pub(crate) arm: Counts,
    /// The runs of the pinned arm.
    pub(crate) control: Counts,
    /// The probability of such a difference by chance. An arm with a change: one-sided (does it hang more
    /// often?). Another build: two-sided (does it hang at another rate?).
    pub(crate) p: f64,
    /// `p` is one-sided.
    pub(crate) one_sided: bool,
    /// These runs show no difference between the rates, in either direction.
    pub(crate) alike: bool,
}

/// A probability as text: `0.007`, `7.77e-5`.
pub(crate) fn p_text(p: f64) -> String {
    if p < 0.001 { format!("{p:.2e}") } else { format!("{p:.3}") }
}

/// All arms, the main one first. An arm that has no runs yet is among them. A snap has no arms.
pub(crate) fn arms(facts: &HuntFacts) -> Vec<ArmResult> {
    if facts.is_snap() { vec![] } else { of(facts, &Sorted::of(facts)) }
}

pub(super) fn of(facts: &HuntFacts, sorted: &Sorted<'_>) -> Vec<ArmResult> {
    let main = sorted.main.first().map_or(PINNED, |run| run.arm.as_str());
    let asked = facts.arms.iter().map(|arm| arm.name.as_str());
    let mut names: Vec<&str> =
        std::iter::once(main).chain(asked).chain(sorted.arms.keys().copied()).collect();
    let mut seen = vec![];
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    let result = |name: &str| {
        let of_arm = sorted.all.iter().filter(|r| r.arm == name).copied();
        let runs: Vec<&RunFacts> = of_arm.collect();
        let bad = exposed(runs.iter().filter(|r| r.integrity().is_changed()));
        let changed_runs = runs.iter().filter(|r| r.integrity().is_changed()).count() as u32;
        let test =
            if name == main { None } else { test(facts.is_other_build(name), &runs, bad, sorted.control()) };
        let tally = Tally::of(facts.planned, runs.iter().copied()).with_all_planned();
        let good = || runs.iter().filter(|r| r.outcome == RunOutcome::Ok);
        let median = |figures: Vec<f64>| spread(&figures).map(|spread| spread.median);
        ArmResult {
            name: name.to_owned(),
            facts: facts.arm(name).cloned(),
            tally,
            changed_runs,
            test,
            ops_s: median(good().filter_map(|r| r.ops.filter(|_| facts.side_by_side.is_none())).collect()),
            max_rss_kib: median(good().filter_map(|r| r.max_rss_kib).map(|kib| kib as f64).collect()),
        }
    };
    names.into_iter().map(result).collect()
}

fn test(other_build: bool, runs: &[&RunFacts], bad: Counts, control: Counts) -> Option<Test> {
    let arm = if other_build { counts(runs.iter()) } else { bad };
    if arm.of == 0 || control.of == 0 {
        return None;
    }
    let p = if other_build { fisher(arm, control) } else { fisher_more(arm, control) };
    let alike = fisher(arm, control) >= 1.0 - CONFIDENCE;
    Some(Test { arm, control, p, one_sided: !other_build, alike })
}

/// The probability that the runs with a changed DSO hang so much more often than `control` by chance.
///
/// Each arm is tested alone, because a change without effect would hide one with an effect. The smallest p
/// counts, times the number of tests (O. J. Dunn, Multiple comparisons among means, JASA 56 (1961),
/// 52-64). `control` are the runs of the pinned arm with an intact DSO, or more runs than were made, to
/// see how many would be enough. `count` counts the runs of an arm that count.
pub(super) fn p_of_change(sorted: &Sorted<'_>, control: Counts, count: fn(&[&RunFacts]) -> Counts) -> f64 {
    let mut groups: Vec<(&str, Vec<&RunFacts>)> = vec![];
    for run in sorted.same_build.iter().filter(|r| r.integrity().is_changed()) {
        match groups.iter_mut().find(|(arm, _)| *arm == run.arm) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((&run.arm, vec![run])),
        }
    }
    let exposed = groups.iter().map(|(_, runs)| count(runs)).filter(|exposed| exposed.of > 0);
    let p: Vec<f64> = exposed.map(|exposed| fisher_more(exposed, control)).collect();
    (p.iter().copied().fold(1.0, f64::min) * p.len().max(1) as f64).min(1.0)
}
