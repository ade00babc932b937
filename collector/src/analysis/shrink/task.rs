//! What is to be shrunk, the runs that were made, and the run that comes next.

use serde::{Deserialize, Serialize};

use crate::analysis::facts::RunOutcome;
use crate::analysis::sprt::Sprt;
use crate::analysis::words::Class;
use crate::text::message::Text;

/// The numbers of a candidate, in the order of [`Task::numbers`].
pub(crate) type Values = Vec<u64>;

/// What is to be shrunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// The numbers that may change, in the order of the command; not empty.
    pub(crate) numbers: Vec<Number>,
    /// Class of the hang; none: that of the first hang of the original command that has one.
    pub(crate) class: Option<Class>,
    /// What a candidate has to pass.
    pub(crate) test: Sprt,
    /// Fresh runs of what the search ends with.
    pub(crate) confirm: u32,
    /// Deadline of a run, seconds; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
}

/// A number of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// As it was given.
    pub(crate) from: u64,
    /// The least that it may become; less than `from`.
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
    /// Its number, from 1.
    pub(crate) run: u32,
    /// What was run.
    pub(crate) values: Values,
    /// How it ended; never interrupted, such a run is not in the journal.
    pub(crate) outcome: RunOutcome,
    /// Class, if it hung and anything was heard from inside.
    pub(crate) class: Option<Class>,
    /// Wall clock until it ended, or until it was known to hang, seconds.
    pub(crate) seconds: f64,
    /// Deadline that it had, seconds.
    pub(crate) hang_after_s: Option<f64>,
    /// Exit status, 128+n for a signal n.
    pub(crate) rc: Option<i32>,
    /// What the run said about itself.
    pub(crate) note: Option<Text>,
    /// Folder of its evidence in OUT, if there was one; it may have been removed since.
    pub(crate) snapshot: Option<String>,
}

/// What a run is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To see that the original command hangs, and how.
    Reference,
    /// To try a candidate.
    Search,
    /// To count how often the smallest one hangs, apart from the runs that it was chosen by.
    Confirm,
}

/// The run that comes next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    /// What is to be run.
    pub(crate) values: Values,
    /// What for.
    pub(crate) phase: Phase,
    /// Deadline, seconds; none where only a stall counts.
    pub(crate) hang_after_s: Option<f64>,
}

/// How a shrink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// No number can be reduced any further.
    Minimal,
    /// The original command does not hang as often as is wanted.
    BelowRate,
    /// The original command could not be run: it ended with an error of its own.
    Refused,
    /// By Ctrl-C; it can go on.
    Interrupted,
    /// The time was over; it can go on.
    OutOfTime,
}
