//! The records that payloads are made of.
//!
//! They carry raw facts, never conclusions: what a number means is said by the collector's analysis, so
//! that a recorded dump can be looked at again by a later version.
//!
//! - [`identity`]: hello, notes
//! - [`dso`]: DSOs and the allocator's bytes
//! - [`thread`]: heartbeats, threads, stacks, answers to the signal
//! - [`dump`]: a dump's frame, descriptors, requests
//! - [`memory`]: memory that was asked for

pub mod dso;
pub mod dump;
pub mod identity;
pub mod memory;
pub mod thread;

pub use dso::*;
pub use dump::*;
pub use identity::*;
pub use memory::*;
pub use thread::*;
