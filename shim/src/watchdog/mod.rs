//! The watchdog's thread.

mod dump;
mod look;
mod requests;
mod run;

pub(crate) use dump::Running;
pub(crate) use run::{Watchdog, entry, forked, let_it_say_hello};
