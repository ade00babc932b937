//! What all renderers of a night say: its headline, the cells of its table, its hangs, its remarks.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use super::model::{Bug, Damaged, Night, Outcome, Row, Run, Source};
use crate::analysis::Integrity;
use crate::analysis::stats::Spread;
use crate::analysis::verdict::percent;
use crate::text::message::{Lang, Say as _, Text, say};
use crate::text::night::NightLine;

/// Most names (labels, allocators, builds) of a list within a line.
const MOST_NAMES: usize = 4;
/// Digits of a SHA-1 that are shown.
const DIGITS: usize = 12;
/// A cell of which nothing is known.
const UNKNOWN: &str = "-";

/// What came of it, in a sentence or two.
pub(crate) fn headline(night: &Night) -> Text {
    let (hung, all) = (night.count(Outcome::Hung), night.runs().count());
    let sessions = night.found.source == Source::Sessions;
    let mut sentences = vec![match (hung, sessions) {
        _ if all == 0 => NightLine::NoRun {},
        (0, true) => say!(NightLine::SessionsNone { sessions: all }),
        (0, false) => say!(NightLine::RunsNone { runs: all }),
        (_, true) => say!(NightLine::SessionsSome { hung, sessions: all }),
        (_, false) => say!(NightLine::RunsSome { hung, runs: all }),
    }];
    if hung > 1 {
        sentences.push(say!(NightLine::Different { bugs: night.bugs.len() }));
    }
    let crashed = night.count(Outcome::Crashed);
    if crashed > 0 {
        sentences.push(say!(NightLine::Crashed { crashed }));
    }
    let before = night.found.runs.iter().filter(|run| !run.counts && run.outcome == Outcome::Hung).count();
    if before > 0 {
        sentences.push(say!(NightLine::BeforeOthers { hung: before }));
    }
    Text::of(|lang| {
        let space = if lang == Lang::Ja { "" } else { " " };
        sentences.iter().map(|sentence| sentence.text(lang)).collect::<Vec<_>>().join(space)
    })
}

/// The headings of the table.
pub(crate) fn heads(source: Source) -> [NightLine; 13] {
    [
        match source {
            Source::Sessions => NightLine::ColLabel {},
            Source::Matrix => NightLine::ColLane {},
            Source::Hunt => NightLine::ColArm {},
        },
        NightLine::ColAllocator {},
        NightLine::ColRuns {},
        NightLine::ColHangs {},
        NightLine::ColRate {},
        NightLine::ColSlow {},
        NightLine::ColCrashed {},
        NightLine::ColFailed {},
        NightLine::ColOther {},
        NightLine::ColOps {},
        NightLine::ColSpread {},
        NightLine::ColRss {},
        NightLine::ColRssMost {},
    ]
}

/// The headings of the table of hangs.
pub(crate) const BUG_HEADS: [NightLine; 6] = [
    NightLine::ColTimes {},
    NightLine::ColSignature {},
    NightLine::ColWhat {},
    NightLine::ColWhere {},
    NightLine::ColBuilds {},
    NightLine::ColWhen {},
];

/// The cells of a row. What is not known is `-`, and never 0.
pub(crate) fn cells(row: &Row) -> [Text; 13] {
    let figure_of = |spread: &Option<Spread>, of: fn(&Spread) -> f64| {
        spread.as_ref().map_or_else(|| UNKNOWN.said(), |spread| figure(of(spread)).said())
    };
    let rate = &row.rate;
    let hangs = match rate.hung == row.hung {
        true => format!("{}/{}", rate.hung, rate.of),
        // Some of them are not proven to have had this allocator.
        false => format!("{}/{}", row.hung, row.runs),
    };
    let quartiles = |spread: &Spread| format!("{} - {}", figure(spread.q1), figure(spread.q3));
    [
        row.group.as_ref().map_or_else(|| NightLine::All {}.said(), |group| group.said()),
        row.allocator.as_ref().map_or_else(|| NightLine::NoAllocator {}.said(), |name| name.said()),
        row.runs.said(),
        hangs.said(),
        match rate.of {
            0 => UNKNOWN.said(),
            _ => format!("{} - {} %", percent(rate.low), percent(rate.high)).said(),
        },
        row.slow.said(),
        row.crashed.said(),
        row.failed.said(),
        (row.stopped + row.open + row.lost).said(),
        figure_of(&row.ops, |spread| spread.median),
        row.ops.as_ref().map_or_else(|| UNKNOWN.said(), |spread| quartiles(spread).said()),
        figure_of(&row.rss, |spread| spread.median),
        figure_of(&row.rss, |spread| spread.max),
    ]
}

/// Seven digits, without an exponent.
pub(crate) fn figure(figure: f64) -> String {
    match figure.abs() {
        most if most >= 1e4 => format!("{figure:.0}"),
        _ if figure.fract() == 0.0 => format!("{figure:.0}"),
        _ => format!("{figure:.3}"),
    }
}

/// The first rows, with all that have a hang or a crash; and how many are left out.
pub(crate) fn first_rows(night: &Night, most: usize) -> (&[Row], usize) {
    let telling = night.rows.iter().take_while(|row| row.hung + row.crashed > 0).count();
    let shown = most.max(telling).min(night.rows.len());
    (&night.rows[..shown], night.rows.len() - shown)
}

/// What stands under the table: what is counted, and what cannot be known.
pub(crate) fn notes(night: &Night) -> Vec<NightLine> {
    let sessions = night.found.source == Source::Sessions;
    let mut notes = vec![NightLine::AboutRate {}];
    if night.rows.iter().any(|row| row.rate.hung != row.hung) {
        notes.push(NightLine::AboutProof {});
    }
    if night.runs().any(|run| run.outcome == Outcome::Slow && !run.in_rate) {
        notes.push(NightLine::AboutCutOff {});
    }
    if night.rows.iter().any(|row| row.stopped + row.open + row.lost > 0) {
        notes.push(if sessions { NightLine::AboutOtherSessions {} } else { NightLine::AboutOtherRuns {} });
    }
    if sessions {
        notes.push(NightLine::NoOps {});
    } else if night.rows.iter().any(|row| row.ops.is_some()) {
        let matrix = night.found.source == Source::Matrix;
        notes.push(if matrix { NightLine::AboutOps {} } else { NightLine::AboutOpsOfRuns {} });
    }
    if night.rows.iter().any(|row| row.rss.is_some()) {
        notes.push(if sessions { NightLine::AboutRssSessions {} } else { NightLine::AboutRssRuns {} });
    }
    notes
}

/// The signature in words.
pub(crate) fn signature(bug: &Bug) -> Text {
    bug.signature
        .as_ref()
        .map_or_else(|| NightLine::NoFinding {}.said(), |signature| signature.words().said())
}

/// The first names of a set, with `more` where there are others.
pub(crate) fn names(names: &BTreeSet<String>) -> Text {
    listed(names.iter().cloned(), names.len())
}

/// The first digits of the builds' SHA-1.
pub(crate) fn builds(builds: &BTreeSet<String>) -> Text {
    listed(builds.iter().map(|sha1| sha1.chars().take(DIGITS).collect()), builds.len())
}

fn listed(names: impl Iterator<Item = String>, all: usize) -> Text {
    let first = names.take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    match all.saturating_sub(MOST_NAMES) {
        _ if all == 0 => UNKNOWN.said(),
        0 => first.said(),
        more => Text::of(|lang| {
            let comma = if lang == Lang::Ja { "、" } else { ", " };
            format!("{first}{comma}{}", say!(NightLine::MoreLines { more }).text(lang))
        }),
    }
}

/// `2026-02-13T04:12:01Z to 2026-02-13T05:40:59Z`; one time if both are equal.
pub(crate) fn between(bug: &Bug) -> Text {
    let Some((first, last)) = bug.between else { return UNKNOWN.said() };
    let (first, last) = (stamp(first), stamp(last));
    if first == last { first.said() } else { say!(NightLine::Between { first, last }).said() }
}

/// RFC 3339, UTC. `at`: seconds since the epoch.
pub(crate) fn stamp(at: f64) -> String {
    // RFC 3339 has four digits for the year.
    let at = Duration::try_from_secs_f64(at.clamp(0.0, 8e9)).unwrap_or_default();
    humantime::format_rfc3339_seconds(UNIX_EPOCH + at).to_string()
}

/// A run of a remark: its name, its label, its allocator.
fn run_in_words(run: &Run) -> Text {
    let of = [Some(&run.group), run.allocator.as_ref()].into_iter().flatten();
    let of = of.filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>().join(", ");
    let command: String = run.command.chars().take(120).collect();
    Text::of(|lang| {
        let mut words = run.name.text(lang).to_owned();
        if !of.is_empty() {
            words += &format!(" ({of})");
        }
        if !command.is_empty() {
            words += &format!(" {command}");
        }
        words
    })
}

/// What a run that is remarkable without a hang is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remarkable {
    Stuck,
    NotIntact,
    NoMemory,
    Open,
    Lost,
}

impl Remarkable {
    pub(crate) const ALL: [Remarkable; 5] =
        [Remarkable::Stuck, Remarkable::NotIntact, Remarkable::NoMemory, Remarkable::Open, Remarkable::Lost];

    pub(crate) fn is(self, run: &Run) -> bool {
        match self {
            Remarkable::Stuck => run.stuck_s.is_some(),
            Remarkable::NotIntact => run.integrity > Integrity::Unknown,
            Remarkable::NoMemory => run.no_memory,
            Remarkable::Open => run.outcome == Outcome::Open,
            Remarkable::Lost => run.outcome == Outcome::Lost,
        }
    }

    fn heading(self, count: usize) -> NightLine {
        match self {
            Remarkable::Stuck => say!(NightLine::Stuck { sessions: count }),
            Remarkable::NotIntact => say!(NightLine::NotIntact { runs: count }),
            Remarkable::NoMemory => say!(NightLine::NoMemory { runs: count }),
            Remarkable::Open => say!(NightLine::Open { sessions: count }),
            Remarkable::Lost => say!(NightLine::Lost { sessions: count }),
        }
    }

    fn line(self, run: &Run) -> Text {
        let session = run_in_words(run);
        match self {
            Remarkable::Stuck => {
                let seconds = format!("{:.0}", run.stuck_s.unwrap_or_default());
                say!(NightLine::StuckFor { session, seconds, end: run.end }).said()
            }
            Remarkable::NotIntact => {
                say!(NightLine::NotIntactOf { session, integrity: run.integrity.said() }).said()
            }
            Remarkable::Open | Remarkable::Lost => match run.at {
                Some(at) => say!(NightLine::Since { session, started: stamp(at) }).said(),
                None => session,
            },
            Remarkable::NoMemory => session,
        }
    }
}

/// A heading with its lines.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remark {
    pub(crate) heading: Text,
    /// The first ones.
    pub(crate) lines: Vec<Text>,
    /// How many are left out.
    pub(crate) more: usize,
}

impl Remark {
    /// The lines, with one more where some are left out.
    pub(crate) fn all_lines(&self) -> Vec<Text> {
        let mut lines = self.lines.clone();
        if self.more > 0 {
            lines.push(say!(NightLine::MoreLines { more: self.more }).said());
        }
        lines
    }
}

/// What is neither good nor a hang, and what could not be read. `most`: lines of a list.
pub(crate) fn remarks(night: &Night, most: usize) -> Vec<Remark> {
    let mut remarks = vec![];
    for what in Remarkable::ALL {
        let count = night.found.runs.iter().filter(|run| what.is(run)).count();
        if count > 0 {
            let runs = night.found.runs.iter().filter(|run| what.is(run)).take(most);
            let lines = runs.map(|run| what.line(run)).collect();
            remarks.push(Remark {
                heading: what.heading(count).said(),
                lines,
                more: count.saturating_sub(most),
            });
        }
    }
    let damaged = &night.found.damaged;
    if !damaged.is_empty() {
        let heading = say!(NightLine::Damaged { lines: damaged.len() }).said();
        let lines = damaged.iter().take(most).map(damaged_line).collect();
        remarks.push(Remark { heading, lines, more: damaged.len().saturating_sub(most) });
    }
    if let Some((file, bytes)) = &night.found.left_out {
        let line = say!(NightLine::LeftOutBytes { bytes, file }).said();
        remarks.push(Remark { heading: NightLine::LeftOut {}.said(), lines: vec![line], more: 0 });
    }
    remarks
}

fn damaged_line(damaged: &Damaged) -> Text {
    let file = &damaged.file;
    let error = damaged.error.as_ref().map_or_else(|| NightLine::Torn {}.said(), |error| error.said());
    match damaged.line {
        Some(line) => say!(NightLine::DamagedLine { file, line, error }).said(),
        None => say!(NightLine::DamagedFile { file, error }).said(),
    }
}
