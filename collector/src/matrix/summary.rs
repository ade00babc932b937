//! `summary.md` and `summary.ja.md`.

use super::config::{Matrix, PhaseName};
use super::journal::Entry;
use super::results::{GroupResult, Results};
use super::samples::{Sample, Status};
use crate::analysis::stats::Rate;
use crate::analysis::verdict::{hang_sentence, percent, shard_sentences};
use crate::report::night::lines::figure;
use crate::report::shards;
use crate::text::escape;
use crate::text::matrix::MatrixLine;
use crate::text::message::{Lang, Text, ranges, say};

/// Runs of a list, at most. The others are in `runs.jsonl`.
const MOST_LISTED: usize = 40;

/// Name of the summary in OUT.
pub(crate) fn file_name(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "summary.md",
        Lang::Ja => "summary.ja.md",
    }
}

/// The name of a run for people: `main rss hz4 1`.
pub(crate) fn cell_name(sample: &Sample) -> String {
    format!("{} {} {} {}", sample.lane, sample.phase, sample.allocator, sample.run)
}

/// The same; of a run that does not count it says so.
pub(super) fn entry_name(entry: &Entry, lang: Lang) -> String {
    let cell = cell_name(&entry.sample);
    if entry.warmup { say!(MatrixLine::AtWarmup { cell }).text(lang) } else { cell }
}

/// What came of it, in a sentence or two.
pub(crate) fn headline(results: &Results, lang: Lang) -> String {
    let hung: Vec<String> = results
        .groups
        .iter()
        .filter(|group| group.count(Status::Hang) > 0)
        .map(|group| {
            let (hung, of) = (group.count(Status::Hang), group.entries.len());
            let (allocator, lane) = (&group.allocator, &group.lane);
            say!(MatrixLine::OfGroup { allocator, lane, phase: group.group.phase, hung, of }).text(lang)
        })
        .collect();
    let comma = if lang == Lang::Ja { "、" } else { ", " };
    let before: Vec<String> =
        results.hangs.iter().filter(|entry| entry.warmup).map(|entry| entry_name(entry, lang)).collect();
    let mut sentences = vec![match hung.is_empty() {
        true => say!(MatrixLine::NoHang { made: results.made }),
        false => {
            let (count, where_) = (results.hangs.len() - before.len(), hung.join(comma));
            say!(MatrixLine::SomeHung { hung: count, made: results.made, where_ })
        }
    }];
    if !before.is_empty() {
        sentences.push(say!(MatrixLine::WarmupHung { cells: before.join(comma) }));
    }
    if results.missing() > 0 {
        sentences.push(say!(MatrixLine::NotMade { runs: results.missing() }));
    }
    let space = if lang == Lang::Ja { "" } else { " " };
    sentences.iter().map(|sentence| sentence.text(lang)).collect::<Vec<_>>().join(space)
}

/// The summary in one language. `name`: that of OUT.
pub(crate) fn summary(name: &str, matrix: &Matrix, seed: u64, results: &Results, lang: Lang) -> String {
    let mut page = Page { text: String::new(), lang };
    page.line(&say!(MatrixLine::Title { name }));
    page.text += &format!("\n**{}**\n", headline(results, lang));
    if let Some(facts) = results.of_shards() {
        page.text += &shards::sections(&facts, lang);
        page.text.push('\n');
        shard_sentences(&facts, lang).iter().for_each(|line| page.item(line));
    }
    for (at, group) in results.groups.iter().enumerate() {
        let new = at.checked_sub(1).and_then(|before| results.groups.get(before));
        if new.is_none_or(|b| (b.group.phase, b.group.lane) != (group.group.phase, group.group.lane)) {
            let lane = &group.lane;
            page.heading(&match group.group.phase {
                PhaseName::Ops => say!(MatrixLine::PhaseOps { lane }),
                PhaseName::Rss => say!(MatrixLine::PhaseRss { lane }),
            });
            page.line(&MatrixLine::TableHead {});
            page.text += "|---|---|---|---|---|---|---|---|---|---|\n";
        }
        page.row(group_row(group, lang));
    }
    hangs(&mut page, results);
    others(&mut page, results);
    missing(&mut page, results);
    marks(&mut page, results);
    page.heading(&MatrixLine::Method {});
    method(matrix, seed).iter().for_each(|line| page.item(&line.text(lang)));
    page.text
}

struct Page {
    text: String,
    lang: Lang,
}

impl Page {
    fn line(&mut self, line: &MatrixLine) {
        self.text += &line.text(self.lang);
        self.text.push('\n');
    }

    fn heading(&mut self, line: &MatrixLine) {
        self.text.push('\n');
        self.line(line);
        self.text.push('\n');
    }

    fn item(&mut self, text: &str) {
        self.text += &format!("- {}\n", escape::line(text));
    }

    /// The first of a list, and how many more there are.
    fn items(&mut self, all: &[String]) {
        all.iter().take(MOST_LISTED).for_each(|line| self.item(line));
        if let Some(more @ 1..) = all.len().checked_sub(MOST_LISTED) {
            self.item(&say!(MatrixLine::More { more }).text(self.lang));
        }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.text += "|";
        for cell in cells {
            self.text += &format!(" {} |", escape::line(&cell).replace('|', "\\|"));
        }
        self.text.push('\n');
    }
}

pub(super) fn group_row(group: &GroupResult, lang: Lang) -> Vec<String> {
    let unknown = || MatrixLine::Unknown {}.text(lang);
    let spread = group.spread.as_ref();
    let two = |of: fn(&crate::analysis::stats::Spread) -> (f64, f64)| {
        spread.map(of).map_or_else(unknown, |(low, high)| format!("{} - {}", figure(low), figure(high)))
    };
    let ratio = match (&group.ratio, group.group.allocator) {
        (_, 0) => MatrixLine::First {}.text(lang),
        (None, _) => unknown(),
        (Some(ratio), _) => {
            let (low, high) = (format!("{:.3}", ratio.low), format!("{:.3}", ratio.high));
            // Below this an interval says next to nothing.
            let interval = match ratio.confidence >= 0.5 {
                true => {
                    let percent = format!("{:.0}", (ratio.confidence * 100.0).floor());
                    say!(MatrixLine::Confidence { low, high, percent })
                }
                false => say!(MatrixLine::NoInterval { low, high }),
            };
            format!("{:.3} ({})", ratio.ratio, interval.text(lang))
        }
    };
    let others: Vec<String> = [Status::Timeout, Status::Crash, Status::Fail, Status::Oom]
        .into_iter()
        .filter(|status| group.count(*status) > 0)
        .map(|status| format!("{status} {}", group.count(status)))
        .collect();
    let marked = group.entries.iter().filter(|entry| !entry.marks.is_empty()).count();
    let Rate { hung, of, low, high, .. } = group.conclusion.rate;
    let rate = if of == 0 { unknown() } else { format!("{} - {} %", percent(low), percent(high)) };
    vec![
        group.allocator.clone(),
        format!("{} / {} / {}", group.count(Status::Ok), group.entries.len(), group.planned),
        spread.map_or_else(unknown, |spread| figure(spread.median)),
        two(|spread| (spread.q1, spread.q3)),
        two(|spread| (spread.min, spread.max)),
        ratio,
        match group.count(Status::Hang) {
            all if all == hung => format!("{hung}/{of}"),
            // Some of them are not proven to have had this allocator.
            all => format!("{all}/{}", group.entries.len()),
        },
        rate,
        if others.is_empty() { "-".to_owned() } else { others.join(", ") },
        if marked == 0 { "-".to_owned() } else { marked.to_string() },
    ]
}

fn hangs(page: &mut Page, results: &Results) {
    if results.hangs.is_empty() {
        return;
    }
    page.heading(&MatrixLine::Hangs {});
    page.line(&MatrixLine::HangHead {});
    page.text += "|---|---|---|---|\n";
    let lang = page.lang;
    for entry in &results.hangs {
        page.row(vec![
            entry_name(entry, lang),
            entry.sample.class.clone().unwrap_or_default(),
            hang_sentence(&entry.facts, lang),
            entry.sample.bundle.clone().unwrap_or_default(),
        ]);
    }
}

/// Runs that are neither good nor hung, with what is known of them.
pub(super) fn other_lines(results: &Results, lang: Lang) -> Vec<String> {
    let not_ok = |entry: &&Entry| !matches!(entry.sample.status, Status::Ok | Status::Hang);
    results
        .groups
        .iter()
        .flat_map(|group| group.entries.iter().filter(not_ok))
        .map(|entry| {
            let rc = entry.sample.rc.map(|rc| format!(", rc {rc}")).unwrap_or_default();
            let words = entry.facts.last_words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
            let note =
                entry.facts.note.as_ref().map(|note| format!(" ({})", note.text(lang))).unwrap_or_default();
            format!("{}: {}{rc}{words}{note}", entry_name(entry, lang), entry.sample.status)
        })
        .collect()
}

fn others(page: &mut Page, results: &Results) {
    let all = other_lines(results, page.lang);
    if !all.is_empty() {
        page.heading(&MatrixLine::NotOk {});
        page.items(&all);
    }
}

/// What is known of the shards that were joined: sentences, then a line for each, then one for each machine.
pub(super) fn shard_lines(results: &Results, lang: Lang) -> Vec<String> {
    let Some(facts) = results.of_shards() else { return vec![] };
    let joined = facts.shards.iter().flat_map(shards::shard_rows);
    let rows = joined.chain(shards::node_rows(&facts));
    let line = |row: Vec<Text>| row.iter().map(|cell| cell.text(lang)).collect::<Vec<_>>().join("; ");
    shard_sentences(&facts, lang).into_iter().chain(rows.map(line)).collect()
}

/// Planned runs that were not made.
pub(super) fn missing_lines(results: &Results, lang: Lang) -> Vec<String> {
    let groups = results.groups.iter().filter(|group| !group.missing.is_empty());
    groups
        .map(|group| {
            let cell = format!("{} {} {}", group.lane, group.group.phase, group.allocator);
            say!(MatrixLine::MissingRuns { cell, runs: ranges(&group.missing) }).text(lang)
        })
        .collect()
}

fn missing(page: &mut Page, results: &Results) {
    let lines = missing_lines(results, page.lang);
    if !lines.is_empty() {
        page.heading(&MatrixLine::Missing {});
    }
    lines.iter().for_each(|line| page.item(line));
}

/// Runs during which something else was at work.
pub(super) fn mark_lines(results: &Results, lang: Lang) -> Vec<String> {
    let marked =
        results.groups.iter().flat_map(|group| &group.entries).filter(|entry| !entry.marks.is_empty());
    marked
        .map(|entry| {
            let marks: Vec<String> =
                entry.marks.iter().map(|mark| mark.said().text(lang).to_owned()).collect();
            format!("{}: {}", entry_name(entry, lang), marks.join("; "))
        })
        .collect()
}

fn marks(page: &mut Page, results: &Results) {
    let lines = mark_lines(results, page.lang);
    if !lines.is_empty() {
        page.heading(&MatrixLine::Marked {});
        page.line(&MatrixLine::Marks {});
        page.text.push('\n');
        page.items(&lines);
    }
}

/// How the runs were made, and what the figures are.
pub(super) fn method(matrix: &Matrix, seed: u64) -> [MatrixLine; 5] {
    [
        say!(MatrixLine::MethodOrder { order: matrix.order.as_str(), seed }),
        MatrixLine::MethodFigures {},
        MatrixLine::MethodRatio {},
        MatrixLine::MethodHangs {},
        MatrixLine::MethodMemory {},
    ]
}

#[cfg(test)]
mod tests;
