//! The arms of a hunt, each held against the pinned one.

use super::tally::{Sorted, Tally, counts, exposed};
use crate::analysis::facts::{ArmFacts, HuntFacts, PINNED, RunFacts};
use crate::analysis::stats::{CONFIDENCE, Counts, fisher, fisher_more};

/// An arm's runs, and how they compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ArmResult {
    /// Its name.
    pub(crate) name: String,
    /// What is known of it; none where nobody asked for arms.
    pub(crate) facts: Option<ArmFacts>,
    /// Its runs.
    pub(crate) tally: Tally,
    /// How many of them had a DSO that was not intact, however they ended.
    pub(crate) changed_runs: u32,
    /// Of what the comparison with the pinned arm is made; none for that arm itself, and where there is nothing to compare.
    pub(crate) test: Option<Test>,
}

/// Fisher's exact test of an arm against the runs of the pinned arm whose DSO was intact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Test {
    /// Of an arm whose DSO is changed: its runs whose DSO was not intact, those that died among them. Of another build: its
    /// runs that could have hung.
    pub(crate) arm: Counts,
    /// The pinned arm's.
    pub(crate) control: Counts,
    /// Probability of such a difference by chance. Of a changed DSO one-sided (does it hang more often?), of another
    /// build two-sided (does it hang at another rate?).
    pub(crate) p: f64,
    /// Which of the two.
    pub(crate) one_sided: bool,
    /// Whether the rates cannot be told apart in either direction.
    pub(crate) alike: bool,
}

/// A probability for people: `0.007`, `7.77e-5`.
pub(crate) fn p_text(p: f64) -> String {
    if p < 0.001 { format!("{p:.2e}") } else { format!("{p:.3}") }
}

/// Every arm that has runs (or was to have some), the pinned one first.
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
        let tally = Tally::of(facts.planned, runs.iter().copied());
        ArmResult { name: name.to_owned(), facts: facts.arm(name).cloned(), tally, changed_runs, test }
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

/// How probable it is that the runs with a DSO that was not intact hang so much more often than those of the pinned arm with
/// an intact one by chance alone. Each arm whose DSO was not intact is tested for itself, since a change that does no harm
/// would water down one that does; the smallest p counts, times the number of tests (O. J. Dunn, Multiple comparisons
/// among means, JASA 56 (1961), 52-64). `control` may be more runs than there were.
pub(super) fn p_of_change(sorted: &Sorted<'_>, control: Counts) -> f64 {
    let mut groups: Vec<(&str, Vec<&RunFacts>)> = vec![];
    for run in sorted.same_build.iter().filter(|r| r.integrity().is_changed()) {
        match groups.iter_mut().find(|(arm, _)| *arm == run.arm) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((&run.arm, vec![run])),
        }
    }
    let exposed = groups.iter().map(|(_, runs)| exposed(runs.iter())).filter(|exposed| exposed.of > 0);
    let p: Vec<f64> = exposed.map(|exposed| fisher_more(exposed, control)).collect();
    (p.iter().copied().fold(1.0, f64::min) * p.len().max(1) as f64).min(1.0)
}
