//! Counters in reports: the file `counters.json`, the section of `report.md`, the lines for a terminal, and
//! `counters` of `verdict.json`.

use serde::Serialize;

use super::extra::Extra;
use super::page::Page;
use crate::analysis::counters::{Figures, HungFigure, LaneCounters, Moment, RatioSummary};
use crate::text::labels::Label;
use crate::text::message::Lang;
use crate::text::message::{Text, say};

/// Most figures of hung runs in one cell.
const MOST_HUNG: usize = 4;
/// How many counters that are always 0 are named. `counters.json` has all of them.
const MOST_ZEROS: usize = 12;
/// Most names in one line for a terminal.
const MOST_NAMES: usize = 6;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CountersFile<'a> {
    /// `hangscope/counters/1`.
    pub(crate) schema: &'static str,
    /// What `skew` is.
    pub(crate) skew: &'static str,
    pub(crate) lanes: &'a [LaneCounters],
}

impl<'a> CountersFile<'a> {
    /// From what the counters come to.
    pub(crate) fn of(lanes: &'a [LaneCounters]) -> CountersFile<'a> {
        CountersFile {
            schema: "hangscope/counters/1",
            skew: "(max - min) / |median| of the good runs",
            lanes,
        }
    }
}

/// An item of `counters` in `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CountersPart {
    pub(crate) lane: String,
    /// Good runs that had counters.
    pub(crate) good: u32,
    pub(crate) hung: Vec<String>,
    /// Ratios that the profile names.
    pub(crate) ratios: Vec<RatioSummary>,
    /// Counters of hung runs that are outside the range of the good ones.
    pub(crate) outside: Vec<String>,
    /// Whether memory said the same as the lines in good runs; null where none had both.
    pub(crate) memory_checked: Option<bool>,
}

/// `counters` of `verdict.json`.
pub(crate) fn parts(lanes: &[LaneCounters]) -> Vec<CountersPart> {
    let part = |lane: &LaneCounters| CountersPart {
        lane: lane.lane.clone(),
        good: lane.good,
        hung: lane.hung.clone(),
        ratios: lane.ratios.clone(),
        outside: outside(lane).into_iter().map(str::to_owned).collect(),
        memory_checked: lane.check.as_ref().filter(|c| c.telling > 0).map(|c| c.differs.is_empty()),
    };
    lanes.iter().map(part).collect()
}

/// Counters of hung runs that are outside the range of the good ones.
fn outside(lane: &LaneCounters) -> Vec<&str> {
    let is_outside = |hung: &[HungFigure]| hung.iter().any(|h| h.outside == Some(true));
    lane.counters.iter().filter(|c| is_outside(&c.hung)).map(|c| &*c.name).collect()
}

/// The section of `report.md`; nothing where there are no counters.
pub(super) fn section(page: &mut Page, extra: &Extra) {
    if extra.counters.is_empty() && extra.lanes.is_empty() {
        return;
    }
    page.heading(&Label::Counters {});
    for (file, lines) in &extra.counters {
        page.line(&say!(Label::CounterFile { file, lines }));
    }
    for lane in &extra.lanes {
        self::lane(page, lane);
    }
}

fn lane(page: &mut Page, lane: &LaneCounters) {
    let hung = lane.hung.len() + lane.hung_without.len();
    page.heading(&say!(Label::CounterLane { lane: lane.lane, good: lane.good, hung }));
    let beside = !lane.hung.is_empty();
    let rule = if beside { "|---|---|---|---|---|---|\n" } else { "|---|---|---|---|---|\n" };
    let has_figure = |r: &&RatioSummary| r.good.is_some() || r.hung.iter().any(|h| h.value.is_some());
    let known: Vec<&RatioSummary> = lane.ratios.iter().filter(has_figure).collect();
    if !known.is_empty() {
        page.line(&if beside { Label::RatioTableHung {} } else { Label::RatioTable {} });
        page.raw(rule);
        for ratio in known {
            let name = format!("{} (`{}` / `{}`)", ratio.name, ratio.of, ratio.to);
            row(page, lane, &name, ratio.good.as_ref(), &ratio.hung);
        }
        page.raw("\n");
    }
    if !lane.counters.is_empty() {
        page.line(&if beside { Label::CounterTableHung {} } else { Label::CounterTable {} });
        page.raw(rule);
        for counter in &lane.counters {
            row(page, lane, &format!("`{}`", counter.name), counter.good.as_ref(), &counter.hung);
        }
        page.raw("\n");
    }
    for label in notes(lane) {
        page.line(&label);
    }
}

fn row(page: &mut Page, lane: &LaneCounters, name: &str, good: Option<&Figures>, hung: &[HungFigure]) {
    let none = || "-".to_owned();
    let median = good.map_or_else(none, |g| {
        let of = if g.n < lane.good { format!(" (n = {})", g.n) } else { String::new() };
        figure(g.median) + &of
    });
    let skew = good.and_then(|g| g.skew).map_or_else(none, |skew| format!("{:.1} %", skew * 100.0));
    let range = |of: fn(&Figures) -> f64| good.map_or_else(none, |g| figure(of(g)));
    let mut cells = vec![name.to_owned(), median, range(|g| g.min), range(|g| g.max), skew];
    if !lane.hung.is_empty() {
        cells.push(beside(lane, hung));
    }
    page.row(cells.iter().map(String::as_str));
}

/// Figures of hung runs, with a star where they are outside; with their runs where there are several.
fn beside(lane: &LaneCounters, hung: &[HungFigure]) -> String {
    let one = |h: &HungFigure| {
        let star = if h.outside == Some(true) { "*" } else { "" };
        let run = if lane.hung.len() > 1 { format!(" ({})", h.run) } else { String::new() };
        h.value.map(|value| format!("{}{star}{run}", figure(value)))
    };
    let all: Vec<String> = hung.iter().filter_map(one).collect();
    match all.len() {
        0 => "-".to_owned(),
        n if n > MOST_HUNG => format!("{}, ... ({n})", all[..MOST_HUNG].join(", ")),
        _ => all.join(", "),
    }
}

/// Notes below the figures of a lane.
fn notes(lane: &LaneCounters) -> Vec<Label> {
    let mut notes = vec![Label::Skew {}];
    if !lane.hung.is_empty() && lane.good > 0 {
        let percent = format!("{:.0}", lane.by_chance() * 100.0);
        let any = !outside(lane).is_empty();
        notes.push(if any {
            say!(Label::Outside { percent, good: lane.good })
        } else {
            Label::NoneOutside {}
        });
    }
    let read_at = |moment| {
        let runs = lane.runs.iter().filter(|run| lane.hung.contains(&run.run) && run.moment == Some(moment));
        runs.map(|run| &*run.run).collect::<Vec<_>>()
    };
    let (inside, outside) = (read_at(Moment::Dump), read_at(Moment::Outside));
    if !inside.is_empty() {
        notes.push(Label::FromMemory {});
    }
    if !outside.is_empty() {
        notes.push(say!(Label::FromOutside { runs: outside.join(", ") }));
    }
    match &lane.check {
        Some(check) if check.differs.is_empty() && check.telling == 0 => notes.push(Label::MemoryAllZero {}),
        Some(check) if check.differs.is_empty() => {
            let (runs, counters, telling) = (check.runs, check.counters, check.telling);
            notes.push(say!(Label::MemoryAgrees { runs, counters, telling }));
        }
        Some(check) => {
            let one = |d: &crate::analysis::counters::Differs| {
                format!("`{}` ({} / {}, {})", d.name, figure(d.printed), figure(d.memory), d.run)
            };
            let list = check.differs.iter().map(one).collect::<Vec<_>>().join(", ");
            let differing = check.differs.len();
            notes.push(say!(Label::MemoryDiffers { differing, counters: check.counters, list }));
        }
        None if inside.len() + outside.len() > 0 => notes.push(Label::MemoryUnchecked {}),
        None => {}
    }
    notes.extend(Text::joined(&lane.missing).map(|list| say!(Label::MissingVariables { list })));
    for ratio in &lane.ratios {
        let (name, to) = (&ratio.name, &ratio.to);
        if !ratio.unknown.is_empty() {
            let counters = ratio.unknown.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
            notes.push(say!(Label::NoSuchCounter { name, counters }));
        }
        if ratio.zero > 0 {
            notes.push(say!(Label::ZeroBelow { name, to, zero: ratio.zero }));
        }
        let without = ratio.hung.iter().filter(|h| h.value.is_none());
        let runs = without.map(|h| &*h.run).collect::<Vec<_>>().join(", ");
        if !runs.is_empty() {
            notes.push(say!(Label::ZeroBelowHung { name, to, runs }));
        }
    }
    notes.extend(lane.hung_without.iter().map(|h| say!(Label::HungWithout { run: h.run, why: h.why })));
    if !lane.zeros.is_empty() {
        let shown = lane.zeros.iter().take(MOST_ZEROS).map(|name| format!("`{name}`"));
        let names = shown.collect::<Vec<_>>().join(", ");
        let names = if lane.zeros.len() > MOST_ZEROS { names + ", ..." } else { names };
        notes.push(say!(Label::AlwaysZero { count: lane.zeros.len(), names }));
    }
    if lane.passed_over > 0 {
        notes.push(say!(Label::PassedOver { words: lane.passed_over }));
    }
    if lane.repeated > 0 {
        notes.push(say!(Label::CameAgain { times: lane.repeated }));
    }
    notes
}

/// Ratios and what is outside, for a terminal; empty where there are no counters.
pub(crate) fn brief(lanes: &[LaneCounters], lang: Lang) -> String {
    let mut lines = vec![];
    for lane in lanes {
        let hung = lane.hung.len() + lane.hung_without.len();
        lines.push(String::new());
        lines.push(say!(Label::CountersBrief { lane: lane.lane, good: lane.good, hung }).text(lang));
        for ratio in &lane.ratios {
            let mut parts: Vec<String> = vec![];
            if let Some(good) = &ratio.good {
                let (median, min, max) = (figure(good.median), figure(good.min), figure(good.max));
                parts.push(format!("{median} ({min} - {max})"));
            }
            if ratio.hung.iter().any(|h| h.value.is_some()) {
                let figures = beside(lane, &ratio.hung);
                parts.push(say!(Label::HungBrief { figures }).text(lang));
            }
            if !parts.is_empty() {
                let (name, of, to) = (&ratio.name, &ratio.of, &ratio.to);
                lines.push(format!("- {name}, {of} / {to}: {}", parts.join("; ")));
            }
        }
        let outside = outside(lane);
        if let Some(some) = outside.get(..MOST_NAMES.min(outside.len())).filter(|some| !some.is_empty()) {
            let more =
                if outside.len() > some.len() { format!(", ... ({})", outside.len()) } else { String::new() };
            lines.push(say!(Label::OutsideBrief { names: some.join(", ") + &more }).text(lang));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A figure for people: a whole number, or four significant digits.
fn figure(x: f64) -> String {
    if x.fract() == 0.0 {
        return format!("{x:.0}");
    }
    let before = x.abs().log10().floor();
    let digits = (3.0 - before).clamp(0.0, 12.0) as usize;
    format!("{x:.digits$}")
}
