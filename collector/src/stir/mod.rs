//! Plans for `libhangscope_stir.so`: where the threads of a run are held, and for how long.
//!
//! - [`functions`]: the functions of a DSO, decoded
//! - [`sites`]: the atomic instructions among them, and what can be moved
//! - [`code`]: the code that takes their place
//! - [`noise`]: the numbers of a strategy
//! - [`plan`]: the file of a run, written before it and read after it

pub(crate) mod code;
pub(crate) mod functions;
pub(crate) mod noise;
pub(crate) mod plan;
pub(crate) mod sites;

#[cfg(test)]
mod tests;
