//! Judges the dump of a process in which nothing has moved for a long time: stuck or idle.

use crate::analysis::class::Why;
use crate::analysis::stall::is_stuck;
use crate::analysis::{Finding, History, analyse};
use crate::session::Dump;
use crate::symbolize::{Sources, symbolize};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Most missing things that a note lists.
const MOST_MISSING: usize = 3;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JudgedStall {
    /// The process cannot go on by itself.
    pub(crate) stuck: bool,
    pub(crate) finding: Finding,
    /// What could not be read: the process may be stuck where the finding says idle.
    missing: Vec<Text>,
    /// The dump has no end.
    cut_off: bool,
}

impl JudgedStall {
    /// Analyses a dump. A dump that was cut off has no second look and proves nothing.
    pub(crate) fn of(dump: &Dump, sources: &Sources, history: &History) -> JudgedStall {
        let traces = symbolize(dump, sources);
        let finding = analyse(dump, &traces, history);
        let notes = traces.notes.iter().map(|note| note.said());
        let missing = finding.said_missing.iter().map(Why::said).chain(notes).take(MOST_MISSING).collect();
        let cut_off = dump.end.is_none();
        JudgedStall { stuck: !cut_off && is_stuck(&finding), finding, missing, cut_off }
    }

    /// The line for a person about a process that is not stuck.
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
