//! The deadline of the next runs.

use super::task::{Task, Trial, Values};
use crate::analysis::facts::RunOutcome;

/// The deadline is this many times the longest good run of the command, or of a larger one.
const SLACK: f64 = 4.0;
/// The shortest deadline, seconds.
const LEAST_DEADLINE: f64 = 1.0;
/// The number of good runs that show how long one takes.
const GOOD_RUNS: usize = 3;

/// For each candidate of a path, the deadline of the runs after it was accepted, seconds; none
/// where only a stall counts.
///
/// A hang costs at least its deadline. A deadline of several times the longest good run of a
/// larger command is enough for a smaller one. A run that is still working at the deadline is
/// `slow`, and does not count as a hang.
pub(crate) fn deadlines(task: &Task, path: &[Values], journal: &[&Trial]) -> Vec<Option<f64>> {
    let tighten = |deadline: &mut Option<f64>, values: &Values| {
        let good = good(journal.iter().copied().filter(|trial| trial.values == *values));
        if good.len() >= GOOD_RUNS {
            let longest = good.iter().copied().fold(0.0, f64::max);
            let enough = round(SLACK * longest).max(LEAST_DEADLINE);
            *deadline = deadline.map(|deadline| deadline.min(enough));
        }
        Some(*deadline)
    };
    path.iter().scan(task.hang_after_s, tighten).collect()
}

/// The runs of a journal that count.
pub(crate) fn counting(journal: &[Trial]) -> Vec<&Trial> {
    journal.iter().filter(|trial| !trial.chooses).collect()
}

/// The deadline of the runs after the last candidate of a path.
pub(crate) fn deadline(task: &Task, path: &[Values], journal: &[&Trial]) -> Option<f64> {
    deadlines(task, path, journal).last().copied().unwrap_or(task.hang_after_s)
}

/// Rounds up to a tenth of a second, because the deadline is printed in a command.
fn round(seconds: f64) -> f64 {
    (seconds * 10.0).ceil() / 10.0
}

/// The seconds of the good runs.
pub(super) fn good<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<f64> {
    trials.filter(|trial| trial.outcome == RunOutcome::Ok).map(|trial| trial.seconds).collect()
}
