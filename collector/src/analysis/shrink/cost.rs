//! The rate and the run time of a candidate.

use serde::{Deserialize, Serialize};

use super::deadline::good;
use super::state::State;
use super::task::{Task, Trial, Values};
use crate::analysis::facts::RunOutcome;
use crate::analysis::stats::{self, Rate};

/// What the runs of one candidate show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measure {
    /// The rate of hangs with the wanted class. From the fresh runs where all of them were made (`fresh`):
    /// their number was fixed beforehand. Otherwise from the runs of the test, which stopped at its decision.
    pub(crate) rate: Rate,
    /// `rate` is the rate of the fresh runs.
    pub(crate) fresh: bool,
    /// Median time of a good run, seconds; none: there is no good run.
    pub(crate) good_run_s: Option<f64>,
    pub(crate) good_runs: u32,
    /// Number of runs that were still working at their deadline.
    pub(crate) slow_runs: u32,
    /// Median time until a hang was known to be one, seconds: the deadline and two looks.
    pub(crate) hang_s: Option<f64>,
    /// The time of all runs over the number of hangs, seconds; none: there is no hang.
    pub(crate) seconds_per_hang: Option<f64>,
    /// Deadline of the last run, seconds.
    pub(crate) hang_after_s: Option<f64>,
}

pub(crate) fn measure(
    task: &Task,
    state: &State,
    journal: &[Trial],
    values: &Values,
    confidence: f64,
) -> Measure {
    let trials = || journal.iter().filter(|trial| trial.values == *values && !trial.chooses);
    let judged = state.judged(values);
    let fresh = judged.is_some_and(|judged| judged.fresh.of >= task.confirm);
    let counts = judged.map(|judged| if fresh { judged.fresh } else { judged.test });
    let (hung, of) = counts.map_or((0, 0), |counts| (counts.hung, counts.of));
    let good = good(trials());
    let hangs: Vec<f64> = trials()
        .filter(|trial| {
            trial.outcome == RunOutcome::Hung && state.class.is_some() && trial.class == state.class
        })
        .map(|trial| trial.seconds)
        .collect();
    let all: f64 = trials().map(|trial| trial.seconds).sum();
    Measure {
        rate: Rate::exact(hung, of, confidence),
        fresh,
        good_run_s: stats::spread(&good).map(|spread| spread.median),
        good_runs: good.len() as u32,
        slow_runs: trials().filter(|trial| trial.outcome == RunOutcome::Slow).count() as u32,
        hang_s: stats::spread(&hangs).map(|spread| spread.median),
        seconds_per_hang: (!hangs.is_empty()).then(|| all / hangs.len() as f64),
        hang_after_s: trials().next_back().and_then(|trial| trial.hang_after_s),
    }
}
