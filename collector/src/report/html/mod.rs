//! `report.html`: one file without anything from outside, in both languages, light and dark.
//!
//! - `words`, `job_words`: what the pages say
//! - `doc`: head, navigation, sections; `style.css` and `script.js` are in every page
//! - `piece`: texts in both languages, names, tables
//! - `files`: links from sentences to the files that they name
//! - `layout`: where the nodes of the wait-for graph stand; `drawing`: as SVG and as a table
//! - `timeline`, `flame`, `hot_loop`, `ring`, `stacks`, `dsos`, `counters`, `holds`: a section each
//! - `strip`: runs by time and outcome; `plot`: figures as dots
//! - [`bundle`], [`hunt`], [`matrix`], [`night`]: the pages

pub(crate) mod bundle;
mod counters;
mod doc;
mod drawing;
mod dsos;
mod files;
mod flame;
mod holds;
mod hot_loop;
pub(crate) mod hunt;
mod job_words;
mod layout;
pub(crate) mod matrix;
pub(crate) mod night;
mod piece;
mod plot;
mod ring;
mod stacks;
mod strip;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;
mod words;

pub(crate) use bundle::{add_to, write_again};
pub(crate) use piece::FILE;
