//! What a hunt brought.

use std::path::Path;

use super::counters::Collected;
use crate::analysis::counters::LaneCounters;
use crate::analysis::{self, Conclusion, HuntFacts, RunFacts};
use crate::console::exit::Status;
use crate::files::atomic::WriteError;
use crate::report::{self, Extra};
use crate::text::message::Text;

#[derive(Debug)]
pub(crate) struct Hunted {
    pub(crate) facts: HuntFacts,
    /// Runs of the counter lane.
    pub(crate) stats: Vec<RunFacts>,
    pub(crate) counters: Vec<Collected>,
    /// Counters over the runs of each lane.
    pub(crate) lanes: Vec<LaneCounters>,
    /// The last line of the preload verification.
    pub(crate) preload: Option<String>,
    /// A verification run hung.
    pub(crate) verify_hang: Option<Text>,
    /// More sentences for the report.
    pub(crate) notes: Vec<Text>,
}

impl Hunted {
    /// The documented exit status.
    pub(crate) fn status(&self) -> Status {
        let code = analysis::verdict::exit_code(&self.facts);
        match Status::ALL.iter().find(|status| status.code() == code) {
            // A verification run is a run of the same program.
            Some(Status::NoHang) if self.verify_hang.is_some() => Status::Hang,
            // An unfinished hunt proves nothing.
            Some(Status::NoHang) if self.facts.interrupted => Status::Failed,
            Some(status) => *status,
            None => Status::Failed,
        }
    }

    /// Writes the reports to OUT.
    pub(crate) fn report(&self, out: &Path) -> Result<Conclusion, WriteError> {
        let counters = self.counters.iter().map(|c| (c.file.clone(), c.lines as u64)).collect();
        let extra = Extra {
            preload: self.preload.clone(),
            counters,
            lanes: self.lanes.clone(),
            notes: self.notes.iter().chain(&self.verify_hang).cloned().collect(),
        };
        report::write_hunt(out, &self.facts, &extra)
    }
}
