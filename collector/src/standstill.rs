//! A dump that was made because nothing had moved for so long: symbolized, analysed, and judged stuck or idle.

use crate::analysis::stall::is_stuck;
use crate::analysis::{Finding, History, analyse};
use crate::session::Dump;
use crate::symbolize::{Sources, symbolize};

/// What such a dump turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Standstill {
    /// It cannot end by itself.
    pub stuck: bool,
    /// What it shows.
    pub finding: Finding,
}

impl Standstill {
    /// Looks at a dump. One that was cut off lacks the second look and proves nothing.
    pub fn of(dump: &Dump, sources: &Sources, history: &History) -> Standstill {
        let finding = analyse(dump, &symbolize(dump, sources), history);
        Standstill { stuck: dump.end.is_some() && is_stuck(&finding), finding }
    }

    /// One that is no hang, as a line for a person.
    pub fn note(&self, dump: &Dump) -> String {
        format!(
            "stood still at {:.1} s after its start, idle for all that can be told: {} ({})",
            dump.begin.since_init_ns as f64 / 1e9,
            self.finding.class,
            self.finding.confidence
        )
    }
}
