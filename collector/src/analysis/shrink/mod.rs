//! The smallest numbers with which a command still hangs. The journal of the runs goes in, and the next run
//! comes out. Therefore a shrink that was killed goes on when the journal is read again.
//!
//! - [`command`]: the numbers in a command
//! - `task`: what is to be shrunk, the runs, and the next run
//! - [`choose`]: the strategy of `--stir auto`
//! - [`judge`]: whether the runs of a candidate show that it hangs often enough
//! - [`search`]: the next candidate, by delta debugging over the numbers
//! - [`deadline`]: the deadline of the next runs
//! - `state`: what a journal shows: [`look`]
//! - [`cost`]: the rate and the time of a candidate
//! - [`lines`]: the texts in both languages

pub(crate) mod choose;
pub(crate) mod command;
pub(crate) mod cost;
pub(crate) mod deadline;
mod judge;
pub(crate) mod lines;
mod search;
mod state;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use command::Shape;
pub(crate) use cost::Measure;
pub(crate) use judge::{Acceptance, Rejection};
pub(crate) use state::{State, kept, look};
pub(crate) use task::{Ask, End, Phase, Task, Trial, Values};
