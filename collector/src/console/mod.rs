//! The terminal and the exit.
//!
//! - [`cancel`]: Ctrl-C, as a channel
//! - [`exit`]: the documented exit statuses
//! - [`out`], [`wrap`]: what is printed, and how wide

pub mod cancel;
pub mod exit;
pub mod out;
pub mod wrap;
