//! Faulty allocators.
pub mod fault;
pub mod raw;
pub mod truth;
