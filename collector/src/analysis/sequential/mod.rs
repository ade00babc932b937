//! Sequential tests: a hunt may look after every run and stop as soon as its question is decided. Its error rate holds
//! all the same.
//!
//! - One arm ([`Until`]): does a run hang, at a rate of R or more? A hang needs no test. No hang in N runs has the
//!   probability (1 - R)^N at most. N is fixed before the first run, as the smallest number for which this is below the
//!   error rate ([`stats::plan`](super::stats::plan)), so looking in between costs nothing. This is A. Wald's test of
//!   the rates 0 and R (Sequential tests of statistical hypotheses, Annals of Mathematical Statistics 16 (1945),
//!   117-186). Its likelihood ratio is (1 - R)^-N, and 0 after a hang.
//! - Several arms ([`Comparison`]): does an arm hang more often than the pinned one? An e-process for two proportions.
//!
//! [`Decider`] counts the runs of all arms and gives the answer.

mod comparison;
mod decider;
mod until;

pub use comparison::Comparison;
pub use decider::{Against, Answer, ArmKind, ArmRuns, Decider, Observation};
pub use until::Until;
