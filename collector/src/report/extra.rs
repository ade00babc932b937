//! What a report says beside the facts of a hunt.

use serde::{Deserialize, Serialize};

use crate::analysis::counters::LaneCounters;
use crate::text::message::Text;

/// What a report says beside the facts of the hunt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extra {
    /// The last line of `preload_verify/result.txt`, if the preload was verified.
    pub(crate) preload: Option<String>,
    /// Counter files of the counter lane, and how many lines are in each.
    pub(crate) counters: Vec<(String, u64)>,
    /// What the counters come to, a lane each.
    pub(crate) lanes: Vec<LaneCounters>,
    /// Anything else that is worth a line, in the words of whoever saw it: what could not be done, and why.
    pub(crate) notes: Vec<Text>,
}
