//! Cores: written from a live process, and read in its place.
//!
//! - `write`: a core of a live process, as `core.zst` in a bundle
//! - `stopped`: all threads of a process stopped at one moment, with their registers
//! - `regions`: which memory is in a core
//! - `notes`: what a core says beside the kernel's notes
//! - `problem`: why there is no core

mod notes;
mod problem;
mod regions;
mod stopped;
mod write;

pub(crate) use problem::size;
pub(crate) use write::{FILE, write};
