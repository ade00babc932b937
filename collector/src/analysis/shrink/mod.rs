//! The smallest numbers with which a command still hangs: what is to be run next, and what was found. Pure: the journal of
//! the runs in, the next run out, so that to go on after a kill is to read the journal again.
//!
//! - [`command`]: which words of a command are its numbers
//! - `task`: what is to be shrunk, runs that were made, the run that comes next
//! - [`judge`]: whether the runs of a candidate show that it hangs as often as is wanted
//! - [`search`]: which candidate comes next, by delta debugging over the numbers
//! - `deadline`: the deadline that is enough for the next runs
//! - `state`: what a journal says: [`look`]
//! - [`cost`]: the rate and the time of a candidate
//! - [`lines`]: the sentences, in both languages

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
pub(crate) use judge::{Verdict, Why};
pub(crate) use state::{State, kept, look};
pub(crate) use task::{Ask, End, Phase, Task, Trial, Values};
