//! The watchdog's thread: a look each tick, a dump at the deadline or on request.
//!
//! glibc does not know this thread. So the thread does not keep a process alive whose main thread has
//! ended, and libc does not think that the program has threads. The thread has a descriptor table of its
//! own, empty at first.
//!
//! - `state`: what the watchdog knows
//! - `run`: its loop, and when it leaves; `last`: with which status
//! - `hello`: whether the hello is out; `greet`: the hello, and what goes with it
//! - `look`: a heartbeat; `integrity`: the DSOs
//! - `dump`: a dump, made of `looks` at all threads and of `questions` to some; `pending`: a dump that is
//!   not complete
//! - `named`: the collector named as a tracer
//! - `views`: running threads seen through perf events; `safe`: whether a thread may be sent a signal
//! - `requests`: what the collector asks
//! - `disturb`: scheduling disturbed between the other work

mod disturb;
mod dump;
mod greet;
mod hello;
mod integrity;
mod last;
mod look;
mod looks;
mod named;
mod pending;
mod questions;
mod requests;
mod run;
mod safe;
mod state;
mod views;

pub(crate) use hello::{ended, facts_are_written, forked, is_filtered, let_it_say_hello, no_facts_will_come};
pub(crate) use run::entry;
