//! The counters of an allocator over the runs of a lane.
//!
//! - [`compare`]: figures of good runs, ratios, and the hung runs beside them
//! - [`model`]: the result, as data
//!
//! A run that hangs prints no counters, because it does not exit. Its counters are read from memory. The profile says
//! which word of memory is which counter. This is checked on the good runs: they have both, and both must agree.

pub(crate) mod compare;
pub(crate) mod model;

#[cfg(test)]
mod tests;

pub(crate) use super::run_counters::{Gatherer, Moment, Reading, RunCounters};
pub(crate) use compare::lane;
pub(crate) use model::{Differs, Figures, HungFigure, LaneCounters, Ratio, RatioSummary};
