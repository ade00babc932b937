//! Signals to threads of the host, and what the host's threads do in our handler.
//!
//! - `handler`: the one handler, put in only while it is needed
//! - `slots`: answers to questions, written by the handler
//! - `probe`: asks blocked threads, and collects their answers
//! - `stops`: a thread stopped or slowed inside the allocator (stir, level 3)
//! - [`crash`]: the record of a crash, and the handler that writes it
//! - `hide`: the host's queries do not see that handler
//! - `timers`: the timers that interrupt threads for `stops`

pub(crate) mod crash;
mod handler;
pub(crate) mod hide;
mod probe;
mod slots;
mod stops;
mod timers;

pub(crate) use handler::Handler;
pub(crate) use probe::{Candidate, Prober};
pub(crate) use slots::Slots;
pub(crate) use timers::Timers;
