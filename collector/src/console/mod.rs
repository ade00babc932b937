//! The terminal and the exit.
//!
//! - [`cancel`]: Ctrl-C, as a channel
//! - [`exit`]: the documented exit statuses
//! - [`signals`]: actions of signals in this process
//! - [`usr1`]: requests for a dump, as a channel
//! - [`out`], [`wrap`]: what is printed, and how wide; [`table`]: in columns; [`pager`]: what is long

pub mod cancel;
pub(crate) mod exit;
pub(crate) mod out;
pub(crate) mod pager;
pub(crate) mod signals;
pub(crate) mod table;
pub(crate) mod usr1;
pub(crate) mod wrap;
