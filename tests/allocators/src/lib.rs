//! Allocators with one fault each, and the table of what must be found about them.
//!
//! The allocators themselves are this package's examples, a DSO each; see `examples/common`. This library is
//! what tests read, and the little that the allocators need without allocating:
//!
//! - [`table`]: every fault with the class, the verdict, the lock and the culprit that it must get;
//! - [`truth`]: what a faulty allocator itself says about its fault, at the moment of it;
//! - [`artifacts`]: the built DSOs and the benchmark;
//! - [`fault`], [`raw`]: for the allocators.

pub mod artifacts;
pub mod fault;
pub mod raw;
pub mod table;
pub mod truth;

pub use table::{FAULTS, Fault, Hangs};
