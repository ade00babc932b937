//! Counters of an allocator: what its lines say, what was read of its memory, and what that comes to over the runs of
//! a lane. Pure.
//!
//! - [`lines`]: `[PREFIX] a=1 b=0x2 c=3.5%` into figures
//! - [`compare`]: the figures of good runs, ratios, and hung runs beside them
//! - [`model`]: what that comes to
//! - [`rest`]: whether a hung process can be made to print them
//!
//! A run that hangs prints nothing at its exit: of it there is only what was read of memory. That the names of a profile
//! are at the right places in memory is not believed, but checked: in good runs both are there, and must say the same.

pub(crate) mod compare;
pub(crate) mod lines;
pub(crate) mod model;
pub(crate) mod rest;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::text::message::Text;

pub(crate) use compare::lane;
pub(crate) use model::{
    Check, Differs, Figures, HungFigure, HungWithout, LaneCounters, RatioSummary, RunTable, Summary,
};

/// Two counters whose quotient is worth looking at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    /// What it is called in a report.
    pub(crate) name: String,
    /// Counter above the line: its name, or `TAG name` where several lines have that name.
    pub(crate) of: String,
    /// Counter below it.
    pub(crate) to: String,
}

/// A counter that a run printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Printed {
    /// What its line begins with: `[HZ4_OS_STATS_B6]`; empty where the line begins with a counter.
    pub(crate) tag: String,
    /// Its name.
    pub(crate) name: String,
    /// Its figure; whole numbers above 2^53 are rounded.
    pub(crate) value: f64,
}

/// When memory was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Moment {
    /// In the shim's destructor, after the program's own exit handlers.
    Exit,
    /// In the first look of the last dump.
    Dump,
    /// At the hang, from outside, where nothing came from inside.
    Outside,
}

/// Counters read of a process's memory, word by word while its threads may run: not all of one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// When.
    pub(crate) moment: Moment,
    /// Names and figures, in the profile's order.
    pub(crate) values: Vec<(String, f64)>,
}

/// What one run told of its counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunCounters {
    /// Counter lines.
    pub(crate) lines: u32,
    /// Counters, in the order in which they first came.
    pub(crate) printed: Vec<Printed>,
    /// Words in those lines that are no `name=number`.
    pub(crate) passed_over: u32,
    /// Times that a counter came again (another process of the run, or later in the same one): the largest figure counts.
    pub(crate) repeated: u32,
    /// What was read of memory.
    pub(crate) memory: Option<Reading>,
    /// Why nothing was, where something should have been.
    pub(crate) not_read: Option<Text>,
    /// Variables that are not in this build as the profile has them, each with what is otherwise; where others are. And what
    /// could not be read of this run, where something was.
    pub(crate) missing: Vec<Text>,
}

impl RunCounters {
    /// Whether there is any figure.
    pub(crate) fn is_empty(&self) -> bool {
        self.printed.is_empty() && self.memory.as_ref().is_none_or(|m| m.values.is_empty())
    }
}
