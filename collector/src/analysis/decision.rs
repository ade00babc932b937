//! What a hunt that was to decide a question has decided: its runs as a [`Trial`].

use super::facts::{ArmFacts, HuntFacts, RunFacts, RunOutcome};
use super::sequential::{Against, Answer, Comparison, Role, Seen, Trial, Until};
use super::verdict::tally::{PINNED, integrity};
use super::words::Integrity;

/// Runs that are counted as they are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    names: Vec<String>,
    trial: Trial,
}

impl Progress {
    /// Of a hunt with these arms; of one that has only the pinned one, none.
    pub fn new(arms: &[ArmFacts], until: Until) -> Progress {
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
    pub fn push(&mut self, run: &RunFacts) {
        let seen = match run.outcome {
            RunOutcome::Hung => Seen::Hung { intact: integrity(run) == Integrity::Intact },
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
    pub fn is_decided(&self) -> bool {
        self.trial.answer().is_some()
    }
}

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What was asked.
    pub until: Until,
    /// What is decided; none: nothing yet.
    pub answer: Option<Answer>,
    /// What is decided about the changes of the DSO.
    pub change: Option<Answer>,
    /// Evidence that decides about an arm.
    pub needed: f64,
    /// More runs, per arm, that decide if none hangs ([`Trial::missing`]).
    pub missing: Option<u32>,
    /// The arms; one only where there is only the pinned one.
    pub arms: Vec<DecidedArm>,
}

/// An arm, against the pinned one.
#[derive(Clone, Debug, PartialEq)]
pub struct DecidedArm {
    /// Its name.
    pub name: String,
    /// The comparison with the pinned one; none for that arm itself.
    pub against: Option<Versus>,
    /// Its runs.
    pub runs: u32,
    /// Hangs among them.
    pub hung: u32,
    /// Runs that count for the claim that it hangs more rarely than was asked.
    pub counted: u32,
}

/// An arm held against the pinned one, run for run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Versus {
    /// What is decided.
    pub answer: Option<Against>,
    /// Pairs of runs.
    pub pairs: u32,
    /// Most evidence that the arm hangs more often.
    pub more: f64,
    /// That it hangs less often; only of another build.
    pub less: Option<f64>,
    /// About so many more pairs would decide, were they like those so far; none where that cannot be said.
    pub missing: Option<u32>,
}

/// Of a hunt; none if it was not to decide anything.
pub fn of(facts: &HuntFacts) -> Option<Decision> {
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
