//! Findings from dumps. Pure: data in, data out, no I/O.
//!
//! - [`words`]: the fixed words: class, verdict, integrity, confidence, next action
//! - [`trace`]: named frames and stacks, what the findings are made from
//! - [`finding`]: what is said about one dump
//! - [`facts`]: what a hunt saw, what the verdict is made from

pub mod facts;
pub mod finding;
pub mod trace;
pub mod words;

pub use facts::{DsoFacts, HangFacts, HuntFacts, RunFacts, RunOutcome};
pub use finding::{Finding, Hot, Lock, ThreadCounts, ThreadWait};
pub use trace::{Frame, ThreadTrace, TraceSource, Traces};
pub use words::{Class, Confidence, Integrity, NextAction, Verdict};
