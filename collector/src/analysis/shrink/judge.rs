//! Judges whether the runs of a candidate show that it hangs often enough.

use super::task::{Task, Trial};
use crate::analysis::facts::RunOutcome;
use crate::analysis::sprt::SprtAnswer;
use crate::analysis::stats::Counts;
use crate::analysis::words::Class;

/// What the runs of a candidate show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) acceptance: Acceptance,
    /// The runs up to the decision of the sequential test.
    pub(crate) test: Counts,
    /// The fresh runs after it. Their number was fixed beforehand, so the share of hangs among them is the rate.
    pub(crate) fresh: Counts,
}

/// Whether a candidate is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// More runs are needed.
    Open,
    /// The sequential test shows that it hangs often enough. The fresh runs agree, if all of them were made.
    Accepted,
    Rejected(Rejection),
}

/// Rejection a candidate is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It hangs too seldom.
    Below,
    /// The test reached its highest number of runs without a decision.
    Undecided,
    /// It passed the test, but hung too seldom in the fresh runs.
    NotConfirmed,
    /// It ended with an error: the benchmark does not accept these numbers.
    Refused,
    /// It died by a signal.
    Crashed,
}

/// Judges the runs of one candidate, in their order.
///
/// A hang of another class, or without a class, counts as a run that did not hang. One refusal or crash rejects the
/// candidate. A crash of the original command counts as a run that did not hang, because there is no larger command to go
/// back to.
pub(super) fn judge(task: &Task, class: Option<Class>, trials: &[&Trial], original: bool) -> Judged {
    let (mut test, mut fresh) = (Counts { hung: 0, of: 0 }, Counts { hung: 0, of: 0 });
    let mut acceptance = Acceptance::Open;
    for trial in trials {
        let rejection = match trial.outcome {
            RunOutcome::Failed => Some(Rejection::Refused),
            RunOutcome::Crashed if !original => Some(Rejection::Crashed),
            _ => None,
        };
        if let Some(rejection) = rejection {
            return Judged { acceptance: Acceptance::Rejected(rejection), test, fresh };
        }
        let hung = trial.outcome == RunOutcome::Hung && class.is_some() && trial.class == class;
        let counts = if acceptance == Acceptance::Accepted { &mut fresh } else { &mut test };
        counts.of += 1;
        counts.hung += u32::from(hung);
        match acceptance {
            Acceptance::Open => {
                acceptance = match task.test.answer(test.hung, test.of) {
                    SprtAnswer::Open => Acceptance::Open,
                    SprtAnswer::Accepted => Acceptance::Accepted,
                    SprtAnswer::Rejected => Acceptance::Rejected(Rejection::Below),
                    SprtAnswer::CutOff => Acceptance::Rejected(Rejection::Undecided),
                };
            }
            Acceptance::Accepted if fresh.of == task.confirm && !task.test.agrees(fresh.hung, fresh.of) => {
                acceptance = Acceptance::Rejected(Rejection::NotConfirmed);
            }
            Acceptance::Accepted | Acceptance::Rejected(_) => {}
        }
    }
    Judged { acceptance, test, fresh }
}
