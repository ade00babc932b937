//! A dump that was made because nothing had moved for so long: symbolized, analysed, and judged stuck or idle.

use crate::analysis::message::say;
use crate::analysis::stall::is_stuck;
use crate::analysis::{Finding, History, analyse};
use crate::note::Note;
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
    pub fn note(&self, dump: &Dump) -> Note {
        let seconds = format!("{:.1}", dump.begin.since_init_ns as f64 / 1e9);
        say!(Note::Idle { seconds, class: self.finding.class, confidence: self.finding.confidence })
    }
}
