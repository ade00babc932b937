//! One process from its hello to its end.
//!
//! - `input`: what it begins with, and what it takes
//! - `state`: its files, and what it says
//! - `dumps`: what each dump shows; `asked`: dumps that somebody wants
//! - `end`: how it ended

mod asked;
mod dumps;
mod end;
mod input;
mod state;

pub(super) use input::{Asked, Beginning, Input};
pub(super) use state::Session;
