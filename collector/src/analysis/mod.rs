//! Findings from dumps. Pure: data in, data out, no I/O.
//!
//! - [`words`]: the fixed words: class, verdict, integrity, confidence, next action
//! - [`integrity`]: whether a DSO is still the file that was loaded
//! - [`wait`]: what each thread waits for
//! - [`history`]: what heartbeats told before a dump
//! - `stack`, `scene`, `graph`: questions to a stack, to a dump, to the wait-for graph
//! - [`class`]: the class of a hang: [`analyse`]
//! - [`finding`]: what is said about one dump
//! - [`stall`]: whether what stands still is stuck or idle
//! - [`run_counters`]: an allocator's counters in one run
//! - [`counters`]: an allocator's counters over the runs
//! - [`stir`]: how the scheduling was disturbed
//! - [`stats`]: intervals, tests, spread
//! - [`sequential`], [`sprt`]: tests that may be looked at after every run
//! - [`decision`]: what a hunt that was to decide a question has decided
//! - [`shrink`]: the smallest numbers with which a command still hangs
//! - [`facts`]: what a hunt saw, what the verdict is made from
//! - [`verdict`]: A, B or another word, with its evidence: [`conclude`]

pub mod class;
pub(crate) mod counters;
pub(crate) mod decision;
pub(crate) mod facts;
pub(crate) mod finding;
mod graph;
pub(crate) mod history;
pub mod integrity;
pub(crate) mod run_counters;
mod scene;
pub mod sequential;
pub(crate) mod shrink;
pub(crate) mod sprt;
mod stack;
pub(crate) mod stall;
pub mod stats;
pub(crate) mod stir;
pub(crate) mod verdict;
pub(crate) mod wait;
pub(crate) mod words;

pub use class::analyse;
pub(crate) use decision::Stopped;
pub(crate) use facts::{ArmFacts, DsoFacts, HangFacts, HuntFacts, RunFacts, RunOutcome};
pub use finding::{Finding, Hot, Lock, ThreadCounts, ThreadWait};
pub use history::History;
pub(crate) use stir::Stir;
pub(crate) use verdict::{Conclusion, conclude};
pub use words::{Class, Confidence, Integrity, NextAction, Verdict};
