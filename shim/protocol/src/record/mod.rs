//! The records that payloads are made of.
//!
//! They carry raw facts, never conclusions. The collector's analysis says what a number means, so a later
//! version can look at a recorded dump again.
//!
//! - [`identity`]: hello, notes
//! - [`crash`]: what a process leaves of its crash
//! - [`dso`]: DSOs and the allocator's bytes
//! - [`thread`]: heartbeats, threads, stacks, answers to the signal
//! - [`dump`]: a dump's frame, descriptors, requests
//! - [`memory`]: memory that was asked for

pub mod crash;
pub mod dso;
pub mod dump;
pub mod identity;
pub mod memory;
pub mod thread;

pub use crash::*;
pub use dso::*;
pub use dump::*;
pub use identity::*;
pub use memory::*;
pub use thread::*;
