//! The runs of a hunt's arms, counted, and what they decide.

use serde::{Deserialize, Serialize};

use super::{Comparison, Until};

/// What an arm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmKind {
    /// The control.
    Pinned,
    /// Something happens to the DSO of its runs.
    Changed,
    /// Another build.
    Build,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It hung; whether the DSO was known to be intact.
    Hung {
        /// Known to be intact.
        intact: bool,
    },
    /// It could have hung, and did not.
    Passed,
    /// It died.
    Crashed,
    /// It failed, or did not start.
    Failed,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// There is one arm, and a run of it hung.
    Hangs,
    /// No run hung, of so many that a hang at the rate, or above it, would have shown itself.
    BelowRate,
    /// A run of the pinned build hung with its DSO intact: whatever a change does, it is not needed for a hang.
    HangsIntact,
    /// An arm in which the DSO is changed hangs more often than the pinned one.
    ChangeHangs,
    /// Every other build hangs more often than the pinned one, or less often, or neither hangs at the rate.
    BuildsTold,
}

/// What is decided about one arm, against the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// It hangs more often.
    More,
    /// Less often.
    Less,
    /// Neither hangs at the rate or above it.
    BelowRate,
}

/// An arm of a [`Decider`].
#[derive(Clone, Debug, PartialEq)]
pub struct ArmRuns {
    kind: ArmKind,
    /// Of every run, whether it hung.
    hung: Vec<bool>,
    hangs: u32,
    /// Runs that count for the claim that it hangs below the rate.
    counted: u32,
    more: Comparison,
    less: Comparison,
}

impl ArmRuns {
    /// What it is for.
    pub(crate) fn kind(&self) -> ArmKind {
        self.kind
    }

    /// Runs.
    pub fn runs(&self) -> u32 {
        self.hung.len() as u32
    }

    /// Hangs among them.
    pub fn hangs(&self) -> u32 {
        self.hangs
    }

    /// Runs that count for the claim that it hangs below the rate.
    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    /// That it hangs more often than the pinned one.
    pub(crate) fn more(&self) -> &Comparison {
        &self.more
    }

    /// That it hangs less often.
    pub(crate) fn less(&self) -> &Comparison {
        &self.less
    }
}

/// The runs of a hunt, and what they decide.
///
/// The k-th run of each arm is held against the k-th of the pinned one, whatever became of its DSO, and whether it died: a
/// run of an arm that was over before its DSO could be changed, or died of the change, is one that did not hang. (To leave those
/// out would keep, of a DSO that hangs by itself, the runs that hung before the change, and lose the others: an arm that does
/// no more than kill would seem to hang.) That no arm hangs at the rate rests on runs that could have hung; of one
/// whose DSO is changed those that died count, too: what kills every run does not hang.
#[derive(Clone, Debug, PartialEq)]
pub struct Decider {
    until: Until,
    arms: Vec<ArmRuns>,
    control: usize,
    intact: bool,
}

impl Decider {
    /// Of arms with these kinds, in an order of the caller's.
    pub fn new(kinds: &[ArmKind], until: Until) -> Decider {
        let arm = |kind: &ArmKind| ArmRuns {
            kind: *kind,
            hung: vec![],
            hangs: 0,
            counted: 0,
            more: Comparison::default(),
            less: Comparison::default(),
        };
        let control = kinds.iter().position(|kind| *kind == ArmKind::Pinned).unwrap_or(0);
        Decider { until, arms: kinds.iter().map(arm).collect(), control, intact: false }
    }

    /// A run of an arm, by its index.
    pub fn push(&mut self, arm: usize, seen: Observation) {
        let (hung, number) = (matches!(seen, Observation::Hung { .. }), self.arms[arm].hung.len());
        let kind = self.arms[arm].kind;
        self.intact |= seen == Observation::Hung { intact: true } && kind != ArmKind::Build;
        let counts = match seen {
            Observation::Hung { .. } | Observation::Passed => true,
            Observation::Crashed => kind == ArmKind::Changed,
            Observation::Failed => false,
        };
        self.arms[arm].hung.push(hung);
        self.arms[arm].hangs += u32::from(hung);
        self.arms[arm].counted += u32::from(counts);
        let control = self.control;
        if arm != control {
            if let Some(other) = self.arms[control].hung.get(number).copied() {
                self.arms[arm].compare(hung, other);
            }
        } else {
            for other in self.arms.iter_mut().enumerate().filter(|(at, _)| *at != control).map(|(_, o)| o) {
                if let Some(its) = other.hung.get(number).copied() {
                    other.compare(its, hung);
                }
            }
        }
    }

    /// What was asked.
    pub(crate) fn until(&self) -> Until {
        self.until
    }

    /// The arms, in the caller's order.
    pub fn arms(&self) -> &[ArmRuns] {
        &self.arms
    }

    /// Evidence that decides: one over the error rate, times the number of comparisons that are made (of another build
    /// two, one for each direction: O. J. Dunn, Multiple comparisons among means, JASA 56 (1961), 52-64).
    pub(crate) fn needed(&self) -> f64 {
        let comparisons: u32 = self.others().map(|arm| if arm.kind == ArmKind::Build { 2 } else { 1 }).sum();
        f64::from(comparisons.max(1)) / self.until.error()
    }

    /// What is decided about an arm against the pinned one.
    pub fn against(&self, arm: usize) -> Option<Against> {
        let (of, control) = (&self.arms[arm], &self.arms[self.control]);
        if arm == self.control {
            None
        } else if of.more.evidence() >= self.needed() {
            Some(Against::More)
        } else if of.kind == ArmKind::Build && of.less.evidence() >= self.needed() {
            Some(Against::Less)
        } else {
            (self.is_below(of) && self.is_below(control)).then_some(Against::BelowRate)
        }
    }

    /// What is decided about the whole.
    pub fn answer(&self) -> Option<Answer> {
        if self.arms.len() == 1 {
            let only = &self.arms[self.control];
            return match only.hangs() {
                0 => self.is_below(only).then_some(Answer::BelowRate),
                _ => Some(Answer::Hangs),
            };
        }
        let has = |kind: ArmKind| self.arms.iter().any(|arm| arm.kind == kind);
        let builds: Option<Vec<Against>> = (0..self.arms.len())
            .filter(|at| self.arms[*at].kind == ArmKind::Build)
            .map(|at| self.against(at))
            .collect();
        let builds = builds?;
        if has(ArmKind::Changed) {
            return self.change();
        }
        let below = builds.iter().all(|against| *against == Against::BelowRate);
        Some(if below { Answer::BelowRate } else { Answer::BuildsTold })
    }

    /// What is decided about what happens to the DSO.
    pub(crate) fn change(&self) -> Option<Answer> {
        let changed: Vec<usize> =
            (0..self.arms.len()).filter(|at| self.arms[*at].kind == ArmKind::Changed).collect();
        let every = |against| changed.iter().all(|at| self.against(*at) == Some(against));
        if changed.is_empty() {
            None
        } else if self.intact {
            Some(Answer::HangsIntact)
        } else if changed.iter().any(|at| self.against(*at) == Some(Against::More)) {
            Some(Answer::ChangeHangs)
        } else {
            every(Against::BelowRate).then_some(Answer::BelowRate)
        }
    }

    /// Runs that are still missing, per arm that is not decided, if none of those hangs and the pinned one does not; none
    /// once one did; 0 where all is decided.
    pub(crate) fn missing(&self) -> Option<u32> {
        if self.answer().is_some() {
            return Some(0);
        }
        let is_open = |at: usize| at == self.control || self.against(at).is_none();
        let open = || (0..self.arms.len()).filter(|at| is_open(*at)).map(|at| &self.arms[at]);
        let fewest = open().map(|arm| arm.counted).min().unwrap_or(0);
        open().all(|arm| arm.hangs() == 0).then(|| self.until.runs.saturating_sub(fewest))
    }

    fn is_below(&self, arm: &ArmRuns) -> bool {
        arm.hangs() == 0 && arm.counted >= self.until.runs
    }

    fn others(&self) -> impl Iterator<Item = &ArmRuns> {
        let control = self.control;
        self.arms.iter().enumerate().filter(move |(at, _)| *at != control).map(|(_, arm)| arm)
    }
}

impl ArmRuns {
    fn compare(&mut self, its: bool, control: bool) {
        self.more.push(its, control);
        self.less.push(control, its);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decider(kinds: &[ArmKind], rate: f64) -> Decider {
        Decider::new(kinds, Until::new(rate, 0.95).expect("a question"))
    }

    const HUNG: Observation = Observation::Hung { intact: true };
    const BAD: Observation = Observation::Hung { intact: false };

    #[test]
    fn one_arm_is_decided_by_a_hang_or_by_enough_runs_that_could_have_hung() {
        let mut one = decider(&[ArmKind::Pinned], 0.25);
        assert_eq!((one.until().runs, one.missing()), (11, Some(11)));
        for _ in 0..10 {
            one.push(0, Observation::Passed);
            one.push(0, Observation::Crashed);
            one.push(0, Observation::Failed);
            assert_eq!(one.answer(), None);
        }
        assert_eq!(one.missing(), Some(1), "what died or failed says nothing");
        let mut hangs = one.clone();
        one.push(0, Observation::Passed);
        assert_eq!((one.answer(), one.missing()), (Some(Answer::BelowRate), Some(0)));
        hangs.push(0, BAD);
        assert_eq!((hangs.answer(), hangs.missing()), (Some(Answer::Hangs), Some(0)));
    }

    #[test]
    fn a_change_that_hangs_is_told_from_one_that_is_not_needed() {
        let kinds = [ArmKind::Changed, ArmKind::Pinned, ArmKind::Changed];
        let mut shared = decider(&kinds, 0.25);
        assert_eq!(shared.needed().round() as u32, 40, "two comparisons share the error");
        for _ in 0..3 {
            shared.push(0, BAD);
            shared.push(1, Observation::Passed);
            shared.push(2, Observation::Passed);
            assert_eq!(shared.answer(), None);
        }
        let mut intact = shared.clone();
        shared.push(0, BAD);
        assert_eq!(shared.answer(), None, "it has no partner yet");
        shared.push(1, Observation::Passed);
        assert_eq!(shared.answer(), Some(Answer::ChangeHangs));
        assert_eq!(
            (shared.against(0), shared.against(1), shared.against(2)),
            (Some(Against::More), None, None)
        );
        intact.push(1, HUNG);
        assert_eq!(intact.answer(), Some(Answer::HangsIntact));
    }

    #[test]
    fn no_arm_hangs() {
        let mut none = decider(&[ArmKind::Pinned, ArmKind::Changed, ArmKind::Build], 0.25);
        for k in 0..11 {
            assert_eq!((none.answer(), none.missing()), (None, Some(11 - k)));
            none.push(0, Observation::Passed);
            // A copy in place kills every run: none of them hung.
            none.push(1, Observation::Crashed);
            none.push(2, Observation::Passed);
        }
        assert_eq!(none.answer(), Some(Answer::BelowRate));
        assert_eq!(none.against(2), Some(Against::BelowRate));
    }

    #[test]
    fn builds_are_told_apart_in_either_direction() {
        let kinds = [ArmKind::Pinned, ArmKind::Build, ArmKind::Build];
        let mut builds = decider(&kinds, 0.25);
        while builds.answer().is_none() {
            builds.push(0, HUNG);
            builds.push(1, Observation::Passed);
            builds.push(2, Observation::Passed);
            assert!(builds.arms()[0].runs() < 10, "{builds:?}");
        }
        assert_eq!(builds.answer(), Some(Answer::BuildsTold));
        assert_eq!((builds.against(1), builds.against(2)), (Some(Against::Less), Some(Against::Less)));
        assert_eq!(builds.change(), None, "nothing was changed");
    }

    proptest! {
        /// Whose turn it was does not matter, only the number of the run.
        #[test]
        fn the_order_within_a_round_does_not_matter(
            rounds in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..40),
        ) {
            let seen = |hung: bool| if hung { BAD } else { Observation::Passed };
            let (mut one, mut other) =
                (decider(&[ArmKind::Pinned, ArmKind::Changed], 0.1), decider(&[ArmKind::Pinned, ArmKind::Changed], 0.1));
            for (pinned, arm, first) in rounds {
                for at in [0, 1] {
                    one.push(at, seen(if at == 0 { pinned } else { arm }));
                    let turn = if first { at } else { 1 - at };
                    other.push(turn, seen(if turn == 0 { pinned } else { arm }));
                }
            }
            prop_assert_eq!(one, other);
        }
    }
}
