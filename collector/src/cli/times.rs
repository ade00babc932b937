//! Durations on the command line: the same grammar, limits and messages as in the shim's variables. An option
//! that may be `off` is a [`Limit`](hangscope_protocol::duration::Limit), which clap reads by itself.

use std::time::Duration;

use hangscope_protocol::duration::{self, Problem};

pub(super) fn time(text: &str) -> Result<Duration, Problem> {
    duration::parse(text.as_bytes())
}

/// The time between two looks of the watchdog, which has a lower bound of its own.
pub(super) fn tick(text: &str) -> Result<Duration, Problem> {
    duration::parse_tick(text.as_bytes())
}
