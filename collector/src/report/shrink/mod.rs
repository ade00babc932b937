//! What is reported of a shrink.
//!
//! - [`mod@file`]: writes `shrink.json`
//! - `text`: `shrink.md`, `shrink.ja.md` and the summary on the terminal

mod file;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use file::{Inputs, ShrinkFile, error_note};
