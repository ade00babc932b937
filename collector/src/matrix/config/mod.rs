//! `matrix.toml`.
//!
//! - [`model`]: what a matrix is made of
//! - [`read`]: reads the file

mod model;
mod read;

pub(crate) use model::{Allocator, Lane, Matrix, Order, Phase, PhaseName, bundle_prefix, lane_prefix};
pub(crate) use read::{load, load_of};
