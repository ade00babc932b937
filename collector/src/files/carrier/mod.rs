//! A carrier: a small DSO that brings the shim and an allocator, for programs that take one path only.
//!
//! Its dynamic section names the shim (DT_AUXILIARY) and the allocator (DT_FILTER). ld.so loads both and puts
//! them in front of the carrier in the order of symbol search (glibc, `elf/dl-deps.c`). A missing allocator
//! stops the program with exit status 127; a missing shim is passed over. The notes hold the shim's settings,
//! and what the carrier was made of ([`hangscope_protocol::carrier`]).
//!
//! - `model`: what a carrier holds
//! - `read`, `write`: the bytes of one

mod model;
mod read;
mod write;

#[cfg(test)]
pub(crate) use model::Broken;
pub(crate) use model::{Carrier, MadeOf, beside};

#[cfg(test)]
mod tests;
