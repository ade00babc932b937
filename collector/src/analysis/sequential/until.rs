//! The question of a hunt (`--until-decided`).

use serde::{Deserialize, Serialize};

use crate::analysis::stats;

/// The rate and the confidence at which the question counts as decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Until {
    /// The lowest rate of hangs that the hunt has to find: 0 to 1, both excluded.
    pub rate: f64,
    /// One minus the error rate: 0 to 1, both excluded.
    pub(crate) confidence: f64,
    /// Number of runs that decide if none of them hangs.
    pub(crate) runs: u32,
}

impl Until {
    /// None: an argument is not between 0 and 1, or the number of runs does not fit into a `u32`.
    pub fn new(rate: f64, confidence: f64) -> Option<Until> {
        let runs = stats::plan(rate, confidence).filter(|_| rate < 1.0)?;
        Some(Until { rate, confidence, runs })
    }

    /// The error rate: one minus the confidence.
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
