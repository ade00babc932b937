//! The deadline that is enough for the next runs.

use super::task::{Task, Trial, Values};
use crate::analysis::facts::RunOutcome;

/// A deadline is so many times the longest good run of the command, or of a larger one.
const SLACK: f64 = 4.0;
/// No deadline is brought below, seconds.
const LEAST_DEADLINE: f64 = 1.0;
/// Good runs that have to be there before they say how long one takes.
const GOOD_RUNS: usize = 3;

/// The deadline for what comes after each candidate of a path was accepted, seconds; none where only a stall counts.
///
/// A hang costs at least its deadline, and one that is several times the longest good run of a larger command is enough for
/// a smaller one. What is at work for longer all the same is `slow`, and no hang.
pub(crate) fn deadlines(task: &Task, path: &[Values], journal: &[Trial]) -> Vec<Option<f64>> {
    let tighten = |deadline: &mut Option<f64>, values: &Values| {
        let good = good(journal.iter().filter(|trial| trial.values == *values));
        if good.len() >= GOOD_RUNS {
            let longest = good.iter().copied().fold(0.0, f64::max);
            let enough = round(SLACK * longest).max(LEAST_DEADLINE);
            *deadline = deadline.map(|deadline| deadline.min(enough));
        }
        Some(*deadline)
    };
    path.iter().scan(task.hang_after_s, tighten).collect()
}

/// The deadline for what comes after a whole path.
pub(crate) fn deadline(task: &Task, path: &[Values], journal: &[Trial]) -> Option<f64> {
    deadlines(task, path, journal).last().copied().unwrap_or(task.hang_after_s)
}

/// Up to a tenth of a second: it is put into a command.
fn round(seconds: f64) -> f64 {
    (seconds * 10.0).ceil() / 10.0
}

pub(super) fn good<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<f64> {
    trials.filter(|trial| trial.outcome == RunOutcome::Ok).map(|trial| trial.seconds).collect()
}
