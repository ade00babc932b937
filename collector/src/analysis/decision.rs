//! What a hunt that was to decide a question has decided: its runs as a [`Trial`].

use serde::{Deserialize, Serialize};

use super::facts::{ArmFacts, HuntFacts, PINNED, RunFacts, RunOutcome};
use super::sequential::{Against, Answer, Comparison, Role, Seen, Trial, Until};
use super::words::Integrity;

/// Runs that are counted as they are made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    names: Vec<String>,
    trial: Trial,
}

impl Progress {
    /// Of a hunt with these arms; of one that has only the pinned one, none.
    pub(crate) fn new(arms: &[ArmFacts], until: Until) -> Progress {
        let role = |arm: &ArmFacts| match arm {
            ArmFacts { other_build: true, .. } => Role::Build,
            ArmFacts { change: Some(_), .. } => Role::Changed,
            _ => Role::Pinned,
        };
        match arms {
            [] => Progress { names: vec![PINNED.to_owned()], trial: Trial::new(&[Role::Pinned], until) },
            arms => Progress {
                names: arms.iter().map(|arm| arm.name.clone()).collect(),
                trial: Trial::new(&arms.iter().map(role).collect::<Vec<_>>(), until),
            },
        }
    }

    /// A run was made. One that was interrupted says nothing, nor does one that was stopped while it was at work.
    pub(crate) fn push(&mut self, run: &RunFacts) {
        let seen = match run.outcome {
            RunOutcome::Hung => Seen::Hung { intact: run.integrity() == Integrity::Intact },
            RunOutcome::Slow if run.cut_off => return,
            RunOutcome::Ok | RunOutcome::Slow => Seen::Passed,
            RunOutcome::Crashed => Seen::Crashed,
            RunOutcome::Failed => Seen::Failed,
            RunOutcome::Interrupted => return,
        };
        if let Some(arm) = self.names.iter().position(|name| *name == run.arm) {
            self.trial.push(arm, seen);
        }
    }

    /// Whether the question is decided.
    pub(crate) fn is_decided(&self) -> bool {
        self.trial.answer().is_some()
    }
}

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// What was asked.
    pub(crate) until: Until,
    /// What is decided; none: nothing yet.
    pub(crate) answer: Option<Answer>,
    /// What is decided about the changes of the DSO.
    pub(crate) change: Option<Answer>,
    /// Evidence that decides about an arm.
    pub(crate) needed: f64,
    /// More runs, per arm, that decide if none hangs ([`Trial::missing`]).
    pub(crate) missing: Option<u32>,
    /// The arms; one only where there is only the pinned one.
    pub(crate) arms: Vec<DecidedArm>,
}

/// An arm, against the pinned one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DecidedArm {
    /// Its name.
    pub(crate) name: String,
    /// The comparison with the pinned one; none for that arm itself.
    pub(crate) against: Option<Versus>,
    /// Its runs.
    pub(crate) runs: u32,
    /// Hangs among them.
    pub(crate) hung: u32,
    /// Runs that count for the claim that it hangs more rarely than was asked.
    pub(crate) counted: u32,
}

/// An arm held against the pinned one, run for run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versus {
    /// What is decided.
    pub(crate) answer: Option<Against>,
    /// Pairs of runs.
    pub(crate) pairs: u32,
    /// Most evidence that the arm hangs more often.
    pub(crate) more: f64,
    /// That it hangs less often; only of another build.
    pub(crate) less: Option<f64>,
    /// About so many more pairs would decide, were they like those so far; none where that cannot be said.
    pub(crate) missing: Option<u32>,
}

/// Of a hunt; none if it was not to decide anything.
pub(crate) fn of(facts: &HuntFacts) -> Option<Decision> {
    let mut progress = Progress::new(&facts.arms, facts.until?);
    facts.runs.iter().for_each(|run| progress.push(run));
    let (Progress { names, trial }, mut arms) = (progress, vec![]);
    for (at, (name, arm)) in names.into_iter().zip(trial.arms()).enumerate() {
        let (more, less) = (arm.more(), Some(arm.less()).filter(|_| arm.role() == Role::Build));
        // The direction that is nearer to being decided.
        let nearer = less.filter(|less| less.evidence() > more.evidence()).unwrap_or(more);
        let against = (arm.role() != Role::Pinned).then(|| Versus {
            answer: trial.against(at),
            pairs: more.pairs(),
            more: more.evidence(),
            less: less.map(Comparison::evidence),
            missing: nearer.missing(trial.needed()),
        });
        let (runs, hung, counted) = (arm.runs(), arm.hangs(), arm.counted());
        arms.push(DecidedArm { name, against, runs, hung, counted });
    }
    Some(Decision {
        until: trial.until(),
        answer: trial.answer(),
        change: trial.change(),
        needed: trial.needed(),
        missing: trial.missing(),
        arms,
    })
}

/// Why no more runs were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stopped {
    /// All that were wanted were.
    AllMade,
    /// A run hung, and one hang was enough.
    FirstHang,
    /// The question was decided.
    Decided,
    /// Its time was over.
    MaxTime,
    /// Ctrl-C or a signal.
    Interrupted,
}

impl HuntFacts {
    /// Why no more runs were made. Here and not beside [`HuntFacts`], because the answer takes the decision.
    pub(crate) fn stopped(&self) -> Stopped {
        let decided = || of(self).is_some_and(|decision| decision.answer.is_some());
        let hung = || self.runs.iter().any(|run| run.outcome == RunOutcome::Hung);
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
