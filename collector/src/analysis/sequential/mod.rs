//! Sequential tests: a hunt may look after every run, and stop as soon as its question is decided, without losing its
//! error rate.
//!
//! - One arm ([`Until`]): does a run hang, at a rate of R or more? A hang that was seen is there, and needs no test. None in
//!   N runs is less probable than the error as soon as (1 - R)^N is: N is [`stats::plan`], fixed before the first run, so that
//!   looking in between costs nothing. (It is A. Wald's test of the rates 0 and R, Sequential tests of statistical
//!   hypotheses, Annals of Mathematical Statistics 16 (1945), 117-186: its likelihood ratio is (1 - R)^-N or, after a hang, 0.)
//! - Several arms ([`Comparison`]): does an arm hang more often than the pinned one? An e-process for two proportions.
//!
//! [`Trial`] counts the runs of all arms and says what is decided.

use serde::{Deserialize, Serialize};

use super::stats;

mod comparison;
mod trial;

pub use comparison::Comparison;
pub use trial::{Against, Answer, Role, Seen, Trial, TrialArm};

/// When a question counts as decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Until {
    /// Hangs in fewer runs than this are not looked for: 0 to 1, both excluded.
    pub rate: f64,
    /// The error rate is one minus this: 0 to 1, both excluded.
    pub(crate) confidence: f64,
    /// Runs that decide if none of them hangs.
    pub(crate) runs: u32,
}

impl Until {
    /// None unless both are between 0 and 1, or if it takes more runs than a `u32` holds.
    pub fn new(rate: f64, confidence: f64) -> Option<Until> {
        let runs = stats::plan(rate, confidence).filter(|_| rate < 1.0)?;
        Some(Until { rate, confidence, runs })
    }

    /// The error rate.
    pub fn error(&self) -> f64 {
        1.0 - self.confidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_make_no_sense() {
        for (rate, confidence) in
            [(0.0, 0.95), (1.0, 0.95), (0.02, 0.0), (0.02, 1.0), (f64::NAN, 0.5), (1e-12, 0.9)]
        {
            assert_eq!(Until::new(rate, confidence), None);
        }
        assert_eq!(Until::new(0.02, 0.95).map(|until| until.runs), Some(149));
    }
}
