//! What is left on disk.
//!
//! - [`atomic`]: files that are whole or not there

pub mod atomic;
