//! Sequential tests: a hunt may look after every run, and stop as soon as its question is decided, without losing its
//! error rate.
//!
//! - One arm ([`Until`]): does a run hang, at a rate of R or more? A hang that was seen is there, and needs no test. None in
//!   N runs is less probable than the error as soon as (1 - R)^N is: N is [`stats::plan`](super::stats::plan), fixed before the first run, so that
//!   looking in between costs nothing. (It is A. Wald's test of the rates 0 and R, Sequential tests of statistical
//!   hypotheses, Annals of Mathematical Statistics 16 (1945), 117-186: its likelihood ratio is (1 - R)^-N or, after a hang, 0.)
//! - Several arms ([`Comparison`]): does an arm hang more often than the pinned one? An e-process for two proportions.
//!
//! [`Trial`] counts the runs of all arms and says what is decided.

mod comparison;
mod trial;
mod until;

pub use comparison::Comparison;
pub use trial::{Against, Answer, Role, Seen, Trial, TrialArm};
pub use until::Until;
