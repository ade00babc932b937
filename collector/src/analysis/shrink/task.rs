//! What is to be shrunk, the runs that were made, and the next run.

use serde::{Deserialize, Serialize};

use crate::analysis::facts::RunOutcome;
use crate::analysis::sprt::Sprt;
use crate::analysis::stir::Strategy;
use crate::analysis::words::Class;
use crate::text::message::Text;

/// The numbers of a candidate, in the order of [`Task::numbers`].
pub(crate) type Values = Vec<u64>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// The numbers that may change, in the order of the command. There is at least one.
    pub(crate) numbers: Vec<Number>,
    /// The class of hang to look for; none: the class of the first hang of the original command that has one.
    pub(crate) class: Option<Class>,
    /// The test that a candidate has to pass.
    pub(crate) test: Sprt,
    /// The number of fresh runs of the smallest candidate.
    pub(crate) confirm: u32,
    /// Deadline of a run, seconds; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
    /// The strategy of the runs is chosen first (`--stir auto`).
    pub(crate) chooses: bool,
}

/// A number of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// The number in the original command.
    pub(crate) from: u64,
    /// The smallest number that it may become; less than `from`.
    pub(crate) least: u64,
}

impl Task {
    /// The numbers of the original command.
    pub(crate) fn original(&self) -> Values {
        self.numbers.iter().map(|number| number.from).collect()
    }
}

/// A run that was made: a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// Number of the run, from 1.
    pub(crate) run: u32,
    pub(crate) values: Values,
    /// Never `Interrupted`: such a run is not in the journal.
    pub(crate) outcome: RunOutcome,
    /// None: the run did not hang, or the shim sent nothing.
    pub(crate) class: Option<Class>,
    /// Wall clock until the run ended, or until it was known to hang, seconds.
    pub(crate) seconds: f64,
    /// Deadline of the run, seconds.
    pub(crate) hang_after_s: Option<f64>,
    /// Exit status, 128+n for a signal n.
    pub(crate) rc: Option<i32>,
    /// The first line on stderr of a run that failed, or the note of the run.
    pub(crate) note: Option<Text>,
    /// Folder of the evidence in OUT. It may have been removed since.
    pub(crate) snapshot: Option<String>,
    /// Only of `--stir auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<Strategy>,
    /// The run helped to choose the strategy, and counts for nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) chooses: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Chooses the strategy, by runs of the original command.
    Choose,
    /// Shows that the original command hangs, and with which class.
    Reference,
    Search,
    /// Counts how often the smallest candidate hangs. The runs by which it was chosen do not count here.
    Confirm,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) values: Values,
    pub(crate) phase: Phase,
    /// The strategy, if it was chosen here.
    pub(crate) strategy: Option<Strategy>,
    /// Deadline, seconds; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// No number can be reduced any further.
    Minimal,
    /// The original command does not hang often enough.
    BelowRate,
    /// The original command ended with an error.
    Refused,
    /// Ctrl-C. The shrink can be resumed.
    Interrupted,
    /// The time limit was reached. The shrink can be resumed.
    OutOfTime,
}
