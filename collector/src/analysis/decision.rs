//! What a hunt with `--until-decided` has decided: its runs, given to a [`Decider`].

use serde::{Deserialize, Serialize};

use super::facts::{ArmFacts, HuntFacts, PINNED, RunFacts, RunOutcome, STATS};
use super::sequential::{Against, Answer, ArmKind, Comparison, Decider, Observation, Until};
use super::words::Integrity;

/// Counts the runs as they are made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    names: Vec<String>,
    decider: Decider,
}

impl Progress {
    /// `arms` is empty where there is only the pinned arm.
    pub(crate) fn new(arms: &[ArmFacts], until: Until) -> Progress {
        let kind = |arm: &ArmFacts| match arm {
            ArmFacts { other_build: true, .. } => ArmKind::Build,
            ArmFacts { change: Some(_), .. } => ArmKind::Changed,
            _ => ArmKind::Pinned,
        };
        match arms {
            [] => {
                Progress { names: vec![PINNED.to_owned()], decider: Decider::new(&[ArmKind::Pinned], until) }
            }
            arms => Progress {
                names: arms.iter().map(|arm| arm.name.clone()).collect(),
                decider: Decider::new(&arms.iter().map(kind).collect::<Vec<_>>(), until),
            },
        }
    }

    /// Takes a run. An interrupted run does not count, nor does one that was stopped while it was working.
    pub(crate) fn push(&mut self, run: &RunFacts) {
        let seen = match run.outcome {
            RunOutcome::Hung => Observation::Hung { intact: run.integrity() == Integrity::Intact },
            RunOutcome::Slow if run.cut_off => return,
            RunOutcome::Ok | RunOutcome::Slow => Observation::Passed,
            RunOutcome::Crashed => Observation::Crashed,
            RunOutcome::Failed => Observation::Failed,
            RunOutcome::Interrupted => return,
        };
        if let Some(arm) = self.names.iter().position(|name| *name == run.arm) {
            self.decider.push(arm, seen);
        }
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.decider.answer().is_some()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) until: Until,
    /// None: not decided yet.
    pub(crate) answer: Option<Answer>,
    /// The answer about the arms that change the DSO.
    pub(crate) change: Option<Answer>,
    /// The amount of evidence that decides about an arm.
    pub(crate) needed: f64,
    /// Runs per arm that are still needed if none of them hangs ([`Decider::missing`]).
    pub(crate) missing: Option<u32>,
    /// All arms, the pinned one included.
    pub(crate) arms: Vec<DecidedArm>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DecidedArm {
    pub(crate) name: String,
    /// The comparison with the pinned arm; none for the pinned arm itself.
    pub(crate) against: Option<Versus>,
    pub(crate) runs: u32,
    pub(crate) hung: u32,
    /// Runs that count for the claim that the arm hangs below the rate of the question.
    pub(crate) counted: u32,
}

/// The comparison of an arm with the pinned one, run by run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versus {
    /// None: not decided yet.
    pub(crate) answer: Option<Against>,
    pub(crate) pairs: u32,
    /// Highest evidence so far that the arm hangs more often.
    pub(crate) more: f64,
    /// Highest evidence so far that the arm hangs less often; only for another build.
    pub(crate) less: Option<f64>,
    /// Estimated number of pairs that are still needed, if they hang as the pairs so far; none
    /// where there is no estimate.
    pub(crate) missing: Option<u32>,
}

/// The decision of a hunt; none: the hunt has no question.
pub(crate) fn of(facts: &HuntFacts) -> Option<Decision> {
    let mut progress = Progress::new(&facts.arms, facts.until?);
    facts.runs.iter().for_each(|run| progress.push(run));
    let (Progress { names, decider }, mut arms) = (progress, vec![]);
    for (at, (name, arm)) in names.into_iter().zip(decider.arms()).enumerate() {
        let (more, less) = (arm.more(), Some(arm.less()).filter(|_| arm.kind() == ArmKind::Build));
        // The direction with more evidence.
        let nearer = less.filter(|less| less.evidence() > more.evidence()).unwrap_or(more);
        let against = (arm.kind() != ArmKind::Pinned).then(|| Versus {
            answer: decider.against(at),
            pairs: more.pairs(),
            more: more.evidence(),
            less: less.map(Comparison::evidence),
            missing: nearer.missing(decider.needed()),
        });
        let (runs, hung, counted) = (arm.runs(), arm.hangs(), arm.counted());
        arms.push(DecidedArm { name, against, runs, hung, counted });
    }
    Some(Decision {
        until: decider.until(),
        answer: decider.answer(),
        change: decider.change(),
        needed: decider.needed(),
        missing: decider.missing(),
        arms,
    })
}

/// Why no more runs were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stopped {
    /// All planned runs were made.
    AllMade,
    /// A run hung, and the hunt stops at its first hang.
    FirstHang,
    /// The question is decided.
    Decided,
    /// The time limit was reached.
    MaxTime,
    Interrupted,
}

impl HuntFacts {
    /// Why no more runs were made. Here and not beside [`HuntFacts`], because the answer takes the decision.
    pub(crate) fn stopped(&self) -> Stopped {
        let decided = || of(self).is_some_and(|decision| decision.answer.is_some());
        // The counter lane comes after the hunt.
        let hung = || self.runs.iter().any(|run| run.outcome == RunOutcome::Hung && run.arm != STATS);
        if self.interrupted {
            Stopped::Interrupted
        } else if decided() {
            Stopped::Decided
        } else if self.stop_at_first && hung() {
            Stopped::FirstHang
        } else if self.time_over_s.is_some() {
            Stopped::MaxTime
        } else {
            Stopped::AllMade
        }
    }
}
