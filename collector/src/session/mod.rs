//! What a process sent about itself, assembled from frames.
//!
//! - [`model`]: the dump as data, the input of the analysis
//! - [`assemble`]: frames in, dumps out; also for a recorded `dump.bin`
//! - [`record`]: a dump as frames again; [`packed`]: frames in a file
//! - [`copy`]: the allocator's bytes, from a descriptor that the process sent
//! - [`crash`]: what a process left of its crash, from a descriptor that the process sent
//! - [`memory`]: requested memory as it was at the exit, from a descriptor that the process sent
//! - [`maps`]: the mappings
//! - [`trace`]: stacks with names
//! - [`syscalls`]: system call numbers, by machine
//! - `own_ids`: thread ids of another PID namespace
//! - `patched`: threads in code that stands for an instruction of the allocator
//! - `timeouts`: where a system call keeps its timeout
//! - [`record_text`]: bytes of records as text

pub(crate) mod assemble;
pub(crate) mod chain;
pub mod code;
pub mod copy;
pub(crate) mod crash;
mod frame;
pub mod lists;
pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod model;
mod own_ids;
pub(crate) mod packed;
mod patched;
pub(crate) mod record;
pub(crate) mod record_text;
pub(crate) mod syscalls;
pub(crate) mod timeouts;
pub mod trace;

pub use assemble::{Assembler, BadDump, read_dumps};
pub(crate) use model::Hold;
pub use model::{Dso, Dump, Heartbeat, Identity, Memory, MemoryLimit, MemoryLimits, Note, Probe, Stack};

#[cfg(test)]
mod tests;
