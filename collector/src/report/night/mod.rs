//! The report of a night: the sessions of a collector, the runs of a matrix or of a hunt, counted by
//! allocator, with the hangs of one bug together.
//!
//! - [`model`]: the runs, what they come to
//! - [`hang`]: what is known of one hang
//! - [`lines`]: what all renderers say
//! - [`terminal`], [`markdown`], [`mod@file`]: the renderers; the page is in `report/html`
//! - [`mod@write`]: the files in OUT

pub(crate) mod file;
pub(crate) mod hang;
pub(crate) mod lines;
pub(crate) mod markdown;
pub(crate) mod model;
pub(crate) mod terminal;
pub(crate) mod write;
