//! A matrix: every allocator in every lane and phase, a number of runs each. A run that hangs is captured as
//! in a hunt, and the matrix goes on.
//!
//! - [`config`]: what a matrix is made of, read from `matrix.toml`; [`example`]: one to begin with
//! - `plan`: which run is the next
//! - `samples`, `journal`, `tables`: the files that grow with every run
//! - `state`: what a matrix began with; `meta`: the machine and the settings
//! - `lanes`: the settings of a hunt for each run; `task`: what is asked for; `begin`: a new matrix, or one
//!   that goes on; `preflight`: checks before the first run; [`mod@run`]: makes the runs
//! - `part`: a matrix that is a shard; `joined`: the files of shards that were joined
//! - `series`: memory over time; `machine`: what else was at work
//! - `results`: what the runs show; [`summary`], [`page`], [`verdict`]: its files; [`night`]: the runs as a
//!   night

mod begin;
pub(crate) mod config;
pub(crate) mod example;
mod joined;
mod journal;
mod lanes;
mod machine;
mod meta;
pub(crate) mod night;
pub(crate) mod page;
mod part;
mod plan;
mod preflight;
pub(crate) mod results;
mod run;
mod samples;
mod series;
mod state;
pub(crate) mod summary;
mod tables;
mod task;
mod usage;
pub(crate) mod verdict;

pub(crate) use joined::JoinedMatrix;
pub(crate) use journal::Entry;
pub(crate) use lanes::Common;
pub(crate) use run::run;
#[cfg(test)]
pub(crate) use samples::HEADER as SAMPLES_HEADER;
pub(crate) use state::FILE as STATE;
pub(crate) use task::{Console, Task};
