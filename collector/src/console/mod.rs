//! The terminal and the exit.
//!
//! - [`cancel`]: Ctrl-C, as a channel
//! - [`exit`]: the documented exit statuses
//! - [`out`], [`wrap`]: what is printed, and how wide

pub mod cancel;
pub(crate) mod exit;
pub(crate) mod out;
pub(crate) mod wrap;
