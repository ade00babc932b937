//! Allocators with one fault each, and the table of what an analysis must find about each fault.
//!
//! The allocators are this package's examples. Each is one DSO; `examples/common` has the code that they
//! share. This library has what tests read, and what the allocators need without an allocation:
//!
//! - [`table`]: every fault, with the class, the verdict, the lock and the culprit that must be found;
//! - [`races`]: the races of one more allocator, which hang a process in some of many runs;
//! - [`truth`]: what a faulty allocator writes about its own fault, just before the fault happens;
//! - [`artifacts`]: builds the DSOs and the benchmark;
//! - [`fault`], [`raw`]: code that the allocators call.
//!
//! A helper for tests panics if it cannot do its work, which fails the test.

pub mod artifacts;
pub mod fault;
pub mod races;
pub mod raw;
pub mod table;
pub mod truth;

pub use table::{FAULTS, Fault, Hangs};
