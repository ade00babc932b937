//! A dump that was made because nothing had moved for so long: symbolized, analysed, and judged stuck or idle.

use crate::analysis::class::Why;
use crate::analysis::stall::is_stuck;
use crate::analysis::{Finding, History, analyse};
use crate::session::Dump;
use crate::symbolize::{Sources, symbolize};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Things that are missing and are said in a line.
const MOST_MISSING: usize = 3;

/// What such a dump turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standstill {
    /// It cannot end by itself.
    pub(crate) stuck: bool,
    /// What it shows.
    pub(crate) finding: Finding,
    /// What could not be had: what it shows may be less than what was there.
    missing: Vec<Text>,
    /// The dump did not come to its end.
    cut_off: bool,
}

impl Standstill {
    /// Looks at a dump. One that was cut off lacks the second look and proves nothing.
    pub(crate) fn of(dump: &Dump, sources: &Sources, history: &History) -> Standstill {
        let traces = symbolize(dump, sources);
        let finding = analyse(dump, &traces, history);
        let notes = traces.notes.iter().map(|note| note.said());
        let missing = finding.said_missing.iter().map(Why::said).chain(notes).take(MOST_MISSING).collect();
        let cut_off = dump.end.is_none();
        Standstill { stuck: !cut_off && is_stuck(&finding), finding, missing, cut_off }
    }

    /// One that is no hang, as a line for a person.
    pub(crate) fn note(&self, dump: &Dump) -> Note {
        let seconds = format!("{:.1}", dump.begin.since_init_ns as f64 / 1e9);
        let (class, confidence) = (self.finding.class, self.finding.confidence);
        match Text::joined(&self.missing) {
            _ if self.cut_off => say!(Note::StallCutOff { seconds }),
            Some(missing) => say!(Note::IdleAsFarAs { seconds, class, confidence, missing }),
            None => say!(Note::Idle { seconds, class, confidence }),
        }
    }
}
