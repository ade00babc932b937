//! From dumps to findings, from findings to a verdict. Pure: data in, data out, no I/O.
//!
//! - [`words`]: the fixed words: class, verdict, integrity, confidence, next action
//! - [`integrity`]: whether a DSO is still the file that was loaded
//! - [`wait`]: what each thread waits for
//! - `ends`: which waits end by themselves, and when
//! - [`history`]: the heartbeats before a dump; [`beats`]: some of them, over time
//! - `stack`, `scene`, `graph`: queries on a stack, on a dump, on the wait-for graph
//! - `role`, `standing`: whose code a frame is, whose code a thread is in
//! - `motion`: whether a thread that woke has gone on
//! - [`class`]: the class of a hang: [`analyse`]
//! - [`finding`]: the result for one dump; `why`: its sentences
//! - [`hot_loop`]: the loop of the hot thread; [`list_ring`]: a list that leads back into itself
//! - [`signature`]: which hangs are the same bug again
//! - [`stall`]: whether a process that does not move is stuck or idle
//! - [`run_counters`]: an allocator's counters in one run
//! - [`counters`]: an allocator's counters over the runs
//! - [`stir`]: how a process is disturbed; [`choice`]: which strategy the next run gets;
//!   [`stirred`]: what each strategy did
//! - [`stats`]: intervals, tests, spread
//! - [`ratio`]: the ratio of two samples, with its interval
//! - [`sequential`], [`sprt`]: tests whose result may be read after every run
//! - [`decision`]: the answer of a hunt that had a question to decide
//! - [`shrink`]: the smallest numbers with which a command still hangs
//! - [`bisect`]: which commit or which setting of a build made a program hang
//! - [`launcher`]: whether a process only waits for what it has started
//! - [`judged`]: whose malloc a run shows
//! - [`crash`]: where a run crashed
//! - [`shards`]: shards that were joined
//! - [`facts`]: the facts of a hunt, from which the verdict is made
//! - [`verdict`]: A, B or another word, with its evidence: [`conclude`]

pub(crate) mod beats;
pub mod bisect;
pub(crate) mod choice;
pub mod class;
pub(crate) mod counters;
pub(crate) mod crash;
pub(crate) mod decision;
mod ends;
pub(crate) mod facts;
pub(crate) mod finding;
mod graph;
pub(crate) mod history;
pub(crate) mod hot_loop;
pub mod integrity;
pub(crate) mod judged;
pub(crate) mod launcher;
pub(crate) mod list_ring;
mod motion;
pub(crate) mod ratio;
mod role;
pub(crate) mod run_counters;
mod scene;
pub mod sequential;
pub(crate) mod shards;
pub(crate) mod shrink;
pub(crate) mod signature;
pub(crate) mod sprt;
mod stack;
pub(crate) mod stall;
mod standing;
pub mod stats;
pub(crate) mod stir;
pub(crate) mod stirred;
pub(crate) mod verdict;
pub(crate) mod wait;
mod why;
pub(crate) mod words;

pub use class::analyse;
pub(crate) use crash::CrashFacts;
pub(crate) use decision::Stopped;
pub(crate) use facts::{ArmFacts, DsoFacts, HangFacts, HuntFacts, RunFacts, RunOutcome};
pub use finding::{Finding, Hot, Lock, ThreadCounts, ThreadWait};
pub use history::History;
pub(crate) use judged::{Judged, Told};
pub(crate) use role::file_name;
pub(crate) use stir::{Choice, HoldCounts, Stir, StirPlan, Strategy};
pub(crate) use verdict::{Conclusion, conclude};
pub use words::{Blame, Cause, Class, Confidence, Integrity, NextAction, Verdict};
