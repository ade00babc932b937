//! The hunt: runs a benchmark under a pinned allocator until it hangs, and captures the evidence.
//!
//! - [`config`]: what is hunted, and how
//! - `preflight`: checks before the first run: the DSOs, the preload
//! - `runs`: the runs of a hunt, from the first to the last; `turns`: those of the arms; [`hunted`]: what
//!   they brought
//! - [`original`]: what happens to the user's own file meanwhile
//! - [`arm`], `arms`: what is done to the DSO of a run, and which arm runs next
//! - [`strategies`]: how each run is disturbed; `holds`: the plans of runs whose threads are held;
//!   [`replay`]: how a run of an earlier hunt was
//! - `part`: a hunt that is a shard, and goes on after a kill; [`leftovers`]: evidence of runs that are made
//!   again
//! - `crew`: the threads that make the runs, one for each set of CPUs
//! - [`lane`]: the environment of a run: its socket, its preload, its files
//! - [`running`]: a run under way; [`watch`]: what its shims said, and what follows from it
//! - `run`: one run from its start to its facts; `outcome`: how it ended; `judge`: whether its DSO was
//!   intact; `programs`, `notes`: what its hellos show; `last_words`: its last line on stderr
//! - [`on_hang`]: what follows a hang
//! - `wanted`: dumps that somebody asks for while a run goes on
//! - [`hang`], `bundle`: the evidence of a hang, and its folder
//! - `crash`: where a run crashed
//! - [`counters`], [`memory`]: counters, from lines and from memory
//! - [`run_files`], [`screen`]: the files and the lines that grow with every run

pub(crate) mod arm;
mod arms;
mod bundle;
pub(crate) mod config;
pub(crate) mod counters;
mod crash;
mod crew;
pub(crate) mod hang;
mod holds;
pub(crate) mod hunted;
mod judge;
pub(crate) mod lane;
mod last_words;
pub(crate) mod leftovers;
pub(crate) mod memory;
mod notes;
mod on_hang;
pub(crate) mod original;
mod outcome;
mod part;
mod preflight;
mod programs;
pub(crate) mod replay;
mod run;
pub(crate) mod run_files;
pub(crate) mod running;
mod runs;
pub(crate) mod screen;
pub(crate) mod strategies;
mod turns;
mod wanted;
pub(crate) mod watch;

pub(crate) use config::{Config, Limits, StatsLane};
pub(crate) use on_hang::OnHang;
pub(crate) use preflight::verify_preload;
pub(crate) use running::Job;
pub(crate) use runs::hunt;
pub(crate) use screen::Screen;
