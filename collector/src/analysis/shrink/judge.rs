//! Whether the runs of a candidate show that it hangs as often as is wanted.

use super::task::{Task, Trial};
use crate::analysis::facts::RunOutcome;
use crate::analysis::sprt::Said;
use crate::analysis::stats::Counts;
use crate::analysis::words::Class;

/// What the runs of a candidate say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The answer, if there is one yet.
    pub(crate) verdict: Verdict,
    /// Runs of the sequential test: those up to its decision.
    pub(crate) test: Counts,
    /// Runs after it: they were made whatever came of them, so that their share is the rate.
    pub(crate) fresh: Counts,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More runs are needed.
    Open,
    /// It hangs as often as is wanted, by the sequential test; and the fresh runs, if all were made, agree.
    Accepted,
    /// It is not taken.
    Rejected(Why),
}

/// Why a candidate is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It hangs less often than is wanted.
    Below,
    /// Neither was shown within the most runs that are made.
    Undecided,
    /// It passed the test, but hung too seldom in the fresh runs.
    NotConfirmed,
    /// It ended with an exit status of its own: the benchmark does not take these numbers.
    Refused,
    /// It died by a signal.
    Crashed,
}

/// Judges the runs of one candidate, in their order. A hang of another class, or one of which no class is known, is no
/// success, and no error either. What is refused or crashes once is out; a crash of the original command is one more run
/// that did not hang, since there is nothing to go back to.
pub(super) fn judge(task: &Task, class: Option<Class>, trials: &[&Trial], original: bool) -> Judged {
    let (mut test, mut fresh) = (Counts { hung: 0, of: 0 }, Counts { hung: 0, of: 0 });
    let mut verdict = Verdict::Open;
    for trial in trials {
        let out = match trial.outcome {
            RunOutcome::Failed => Some(Why::Refused),
            RunOutcome::Crashed if !original => Some(Why::Crashed),
            _ => None,
        };
        if let Some(why) = out {
            return Judged { verdict: Verdict::Rejected(why), test, fresh };
        }
        let hung = trial.outcome == RunOutcome::Hung && class.is_some() && trial.class == class;
        let counts = if verdict == Verdict::Accepted { &mut fresh } else { &mut test };
        counts.of += 1;
        counts.hung += u32::from(hung);
        match verdict {
            Verdict::Open => {
                verdict = match task.test.says(test.hung, test.of) {
                    Said::Open => Verdict::Open,
                    Said::Accepted => Verdict::Accepted,
                    Said::Rejected => Verdict::Rejected(Why::Below),
                    Said::CutOff => Verdict::Rejected(Why::Undecided),
                };
            }
            Verdict::Accepted if fresh.of == task.confirm && !task.test.agrees(fresh.hung, fresh.of) => {
                verdict = Verdict::Rejected(Why::NotConfirmed);
            }
            Verdict::Accepted | Verdict::Rejected(_) => {}
        }
    }
    Judged { verdict, test, fresh }
}
