//! Cores: written from a live process, and read in its place.
//!
//! - `write`: a core of a live process, as `core.zst` in a bundle
//! - `stopped`: all threads of a process stopped at one moment, with their registers
//! - `regions`: which memory is in a core
//! - `notes`: what a core says beside the kernel's notes
//! - `problem`: why there is no core
//! - `file`: an ELF core as a file; `memory`: the memory in it; `maps_of`: its mappings
//! - `dump`: a core as a dump; `refused`: why a core cannot be read

mod dump;
mod file;
mod maps_of;
mod memory;
mod notes;
mod problem;
mod refused;
mod regions;
mod stopped;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use dump::{From, Read, read};
pub(crate) use problem::size;
pub(crate) use refused::BadCore;
pub(crate) use write::{FILE, write};
