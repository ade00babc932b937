//! What is reported of a search for a commit or a setting.
//!
//! - [`mod@file`][]: `bisect.json`
//! - [`lines`]: the sentences, in both languages
//! - `text`: `report.md`, `report.ja.md` and the summary on the terminal

mod file;
pub(crate) mod lines;
mod text;

pub(crate) use file::{BisectFile, Inputs, Named, group_label};
pub(crate) use text::percent;
