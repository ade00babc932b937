//! Counters of an allocator: what its lines say, what was read of its memory, and what that comes to over the runs of
//! a lane. Pure.
//!
//! - [`compare`]: the figures of good runs, ratios, and hung runs beside them
//! - [`model`]: what that comes to
//!
//! A run that hangs prints nothing at its exit: of it there is only what was read of memory. That the names of a profile
//! are at the right places in memory is not believed, but checked: in good runs both are there, and must say the same.

pub(crate) mod compare;
pub(crate) mod model;

#[cfg(test)]
mod tests;

pub(crate) use super::run_counters::{Gatherer, Moment, Reading, RunCounters};
pub(crate) use compare::lane;
pub(crate) use model::{Differs, Figures, HungFigure, LaneCounters, Ratio, RatioSummary};
