//! The question of a hunt with one arm or several, and its error rate.

use serde::{Deserialize, Serialize};

use crate::analysis::stats;

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
