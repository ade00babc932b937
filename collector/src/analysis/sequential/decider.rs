//! Counts the runs of all arms of a hunt, and says what they decide.

use serde::{Deserialize, Serialize};

use super::{Comparison, Until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmKind {
    /// Nothing: the arm is the control.
    Pinned,
    /// The hunt changes the DSO during each run.
    Changed,
    /// The arm runs another build.
    Build,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    Hung {
        /// The DSO was known to be intact.
        intact: bool,
    },
    /// The run could have hung, and did not.
    Passed,
    /// The run died by a signal.
    Crashed,
    /// The run ended with an error, or did not start.
    Failed,
}

/// The answer to the question of a hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// There is one arm, and a run of it hung.
    Hangs,
    /// No run hung, and there were enough runs to exclude the rate of the question.
    BelowRate,
    /// A run of the pinned build hung with its DSO intact. No change of the DSO is needed for a hang.
    HangsIntact,
    /// An arm with a changed DSO hangs more often than the pinned one.
    ChangeHangs,
    /// Each other build has an answer of its own ([`Against`]), and at least one of
    /// them is more or less often.
    BuildsTold,
}

/// The answer about one arm, compared with the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The arm hangs more often.
    More,
    /// The arm hangs less often.
    Less,
    /// Both hang below the rate of the question.
    BelowRate,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ArmRuns {
    kind: ArmKind,
    hung: Vec<bool>,
    hangs: u32,
    /// Runs that count for the claim that the arm hangs below the rate.
    counted: u32,
    more: Comparison,
    less: Comparison,
}

impl ArmRuns {
    pub(crate) fn kind(&self) -> ArmKind {
        self.kind
    }

    pub fn runs(&self) -> u32 {
        self.hung.len() as u32
    }

    pub fn hangs(&self) -> u32 {
        self.hangs
    }

    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    /// The evidence that the arm hangs more often than the pinned one.
    pub(crate) fn more(&self) -> &Comparison {
        &self.more
    }

    /// The evidence that the arm hangs less often than the pinned one.
    pub(crate) fn less(&self) -> &Comparison {
        &self.less
    }
}

/// The runs of a hunt, and what they decide.
///
/// The k-th run of each arm is compared with the k-th run of the pinned arm, whatever happened to its DSO and
/// also if it died. A run that ended before its DSO could be changed, or that died of the change, is a run
/// that did not hang. Such runs must not be left out. If the DSO hangs by itself, the runs that hung before
/// the change would be kept and the others lost, and an arm whose change only kills would seem to hang.
///
/// The claim that no arm hangs at the rate rests on runs that could have hung. In an arm with a changed DSO,
/// runs that died count too: a change that kills every run does not hang.
#[derive(Clone, Debug, PartialEq)]
pub struct Decider {
    until: Until,
    arms: Vec<ArmRuns>,
    control: usize,
    /// A run of the pinned build hung with its DSO intact.
    intact: bool,
}

impl Decider {
    /// For arms of these kinds, in the caller's order.
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

    /// Takes a run of the arm with this index.
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

    pub(crate) fn until(&self) -> Until {
        self.until
    }

    /// The arms, in the caller's order.
    pub fn arms(&self) -> &[ArmRuns] {
        &self.arms
    }

    /// The amount of evidence that decides: the number of comparisons over the error rate (O. J.
    /// Dunn, Multiple comparisons among means, JASA 56 (1961), 52-64). Another build makes two
    /// comparisons, one for each direction.
    pub(crate) fn needed(&self) -> f64 {
        let comparisons: u32 = self.others().map(|arm| if arm.kind == ArmKind::Build { 2 } else { 1 }).sum();
        f64::from(comparisons.max(1)) / self.until.error()
    }

    /// The answer about an arm, by its index; none: not decided yet.
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

    /// The answer to the question; none: not decided yet.
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

    /// The answer about the arms with a changed DSO; none: not decided yet, or there is no such arm.
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

    /// Runs per undecided arm that are still needed if neither these arms nor the pinned one hangs. 0: the
    /// question is decided. None: one of them hung already.
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
        assert_eq!(one.missing(), Some(1), "runs that died or failed do not count");
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
        assert_eq!(shared.answer(), None, "the run has no partner yet");
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
            // A copy in place kills every run, and none of them hung.
            none.push(1, Observation::Crashed);
            none.push(2, Observation::Passed);
        }
        assert_eq!(none.answer(), Some(Answer::BelowRate));
        assert_eq!(none.against(2), Some(Against::BelowRate));
    }

    #[test]
    fn builds_are_distinguished_in_either_direction() {
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
        /// The order of the arms within a round does not matter, only the number of the run.
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
