//! What a process told about itself, put together from its frames.
//!
//! - [`model`]: the dump as data, what analysis gets
//! - [`assemble`]: frames in, dumps out; pure, also for a recorded `dump.bin`
//! - [`record`]: a dump as frames again
//! - [`copy`]: the allocator's bytes, from the descriptor that a process sent
//! - [`memory`]: memory that was asked for, from the descriptor of its last reading

pub(crate) mod arch;
pub(crate) mod assemble;
pub mod copy;
pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod record;
pub mod trace;

pub use assemble::{Assembler, BadDump, read_dumps};
pub use model::{Dso, Dump, Heartbeat, Identity, Memory, Note, Probe, Stack};

#[cfg(test)]
mod tests;
