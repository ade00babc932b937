//! A matrix: every allocator in every lane and phase, a number of runs each. A run that hangs is captured as
//! in a hunt, and the matrix goes on.
//!
//! - [`config`]: what a matrix is made of, read from `matrix.toml`; [`example`]: one to begin with
//! - `plan`: which run is the next
//! - `samples`, `journal`, `tables`: the files that grow with every run
//! - `state`: what a matrix began with; `meta`: the machine and the settings
//! - `lanes`: the settings of a hunt for each run; `task`: what is asked for; `begin`: a new matrix, or one
//!   that goes on; `preflight`: checks before the first run; `leftovers`: evidence of runs that are made
//!   again; [`mod@run`]: makes the runs
//! - `series`: memory over time; `machine`: what else was at work
//! - `results`: what the runs show; [`summary`], `page`, [`verdict`]: its files

mod begin;
pub(crate) mod config;
pub(crate) mod example;
mod journal;
mod lanes;
mod leftovers;
mod machine;
mod meta;
mod page;
mod plan;
mod preflight;
mod results;
mod run;
mod samples;
mod series;
mod state;
pub(crate) mod summary;
mod tables;
mod task;
mod usage;
pub(crate) mod verdict;

pub(crate) use lanes::Common;
pub(crate) use run::run;
pub(crate) use task::{Console, Task};
