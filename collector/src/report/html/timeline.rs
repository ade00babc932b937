//! What each thread did from the start to the dump, as the heartbeats saw it.

use maud::{Markup, html};

use super::piece::{Table, each, grouped, name, percent, said};
use super::words::Html;
use crate::analysis::beats::{Beats, Doing, Track};
use crate::evidence::threads_file::{ThreadPart, ThreadsFile};
use crate::text::message::{ranges, say};

/// Most rows: the others are folded into the counts.
const MOST_ROWS: usize = 16;
/// Height of a row's bar and of the curves, pixels.
const BAR: &str = "14";

/// Moments, as shares of the whole time.
#[derive(Clone, Copy)]
struct Lines {
    /// Since when nothing has moved.
    frozen: Option<f64>,
    dump: f64,
}

fn swatch(class: &str) -> Markup {
    html! { svg width="8" height=(BAR) aria-hidden="true" { line class=(class) x1="4" x2="4" y1="0" y2=(BAR) {} } }
}

/// Threads that did the same in every look.
struct Row<'a> {
    tids: Vec<u32>,
    comm: &'a str,
    doing: &'a [Doing],
}

pub(super) fn section(file: &ThreadsFile) -> Option<Markup> {
    let frozen = frozen(file);
    let Some(beats) = &file.beats else {
        return Some(html! {
            p { (said(&Html::NoBeats {})) }
            @if let Some(still) = frozen { p { (frozen_text(still)) } }
        });
    };
    let end =
        (file.since_start_s * 1000.0).max(beats.looks.last().map_or(0.0, |look| look.ms as f64)).max(1.0);
    let at = |ms: f64| ms / end;
    let begins: Vec<f64> = beats.looks.iter().map(|look| at(look.ms as f64)).collect();
    let (rows, more) = rows(file, beats);
    let dump = file.since_start_s * 1000.0;
    let lines = Lines { frozen: frozen.map(|still| at(dump - still * 1000.0)), dump: at(dump) };
    let used = |doing: Doing| rows.iter().any(|row| row.doing.contains(&doing));
    Some(html! {
        p.lead { (said(&say!(Html::TimelineLead { looks: beats.seen, kept: beats.looks.len() }))) }
        @if let Some(still) = frozen { p { (frozen_text(still)) } }
        ul.legend {
            @for (doing, word) in WORDS.into_iter().filter(|(doing, _)| used(*doing)) {
                li { svg.swatch width="14" height="14" aria-hidden="true" { rect class=(class(doing)) width="14" height="14" {} } (said(&word)) }
            }
            @if lines.frozen.is_some() { li { (swatch("frozen")) (said(&Html::LineFrozen {})) } }
            li { (swatch("dump")) (said(&Html::LineDump {})) }
        }
        div.timeline aria-hidden="true" {
            @for row in &rows {
                div.label { (label(row)) }
                (bar(row.doing, &begins, lines))
            }
            div.label { (said(&Html::Rss {})) br; span.dim { (most(beats, |l| l.rss_kib)) " KiB" } }
            (curve(beats, &begins, |look| look.rss_kib as f64))
            div.label { (said(&Html::Runnable {})) }
            (curve(beats, &begins, |look| f64::from(look.running)))
            div.label {}
            div.axis { span { "0 s" } span { (format!("{:.1} s", end / 2000.0)) } span { (format!("{:.1} s", end / 1000.0)) } }
        }
        @if more > 0 { p.note { (said(&say!(Html::MoreRows { threads: more }))) } }
        p.note { (said(&Html::OpsNotKnown {})) }
        details { summary { (said(&Html::AsTable {})) } (table(file, beats, &rows)) }
    })
}

const WORDS: [(Doing, Html); 6] = [
    (Doing::Running, Html::DoingRuns {}),
    (Doing::Futex, Html::DoingFutex {}),
    (Doing::Call, Html::DoingCall {}),
    (Doing::Disk, Html::DoingDisk {}),
    (Doing::Stopped, Html::DoingStopped {}),
    (Doing::Absent, Html::DoingAbsent {}),
];

fn class(doing: Doing) -> &'static str {
    match doing {
        Doing::Running => "runs",
        Doing::Futex => "futex",
        Doing::Call => "call",
        Doing::Disk => "disk",
        Doing::Stopped | Doing::Unknown => "stopped",
        Doing::Absent => "absent",
    }
}

/// For how long all threads of the finding have been where the dump found them, seconds before the dump.
fn frozen(file: &ThreadsFile) -> Option<f64> {
    let finding = &file.finding;
    let mut tids: Vec<u32> = finding.ring.iter().map(|edge| edge.tid).collect();
    tids.extend(finding.lock.iter().flat_map(|lock| &lock.waiters));
    if tids.is_empty() {
        tids.extend(finding.hot.as_ref().map(|hot| hot.tid));
    }
    let of = |tid: &u32| file.threads.iter().find(|part| part.tid == *tid).and_then(|part| part.still_s);
    let known: Vec<f64> = tids.iter().filter_map(of).collect();
    known.into_iter().reduce(f64::min)
}

fn frozen_text(still: f64) -> Markup {
    said(&say!(Html::FrozenFor { seconds: format!("{still:.1}") }))
}

/// Rows by what they did: the threads of the finding first, then the largest groups. And how many threads
/// have none.
fn rows<'a>(file: &ThreadsFile, beats: &'a Beats) -> (Vec<Row<'a>>, usize) {
    let finding = &file.finding;
    let told = finding.hot.iter().map(|hot| hot.tid);
    let told = told.chain(finding.lock.iter().filter_map(|lock| lock.owner_tid));
    let told: Vec<u32> = told.chain(finding.ring.iter().map(|edge| edge.tid)).collect();
    let mut rows: Vec<Row<'a>> = vec![];
    for (tid, Track { comm, doing }) in &beats.threads {
        let alone = told.contains(tid);
        let same = |row: &&mut Row<'a>| !alone && row.doing == doing && !told.contains(&row.tids[0]);
        match rows.iter_mut().find(same) {
            Some(row) => row.tids.push(*tid),
            None => rows.push(Row { tids: vec![*tid], comm, doing }),
        }
    }
    rows.sort_by_key(|row| (!told.contains(&row.tids[0]), std::cmp::Reverse(row.tids.len()), row.tids[0]));
    let all = beats.looks.iter().map(|look| look.threads as usize).max().unwrap_or_default();
    rows.truncate(MOST_ROWS);
    let shown: usize = rows.iter().map(|row| row.tids.len()).sum();
    (rows, all.saturating_sub(shown))
}

fn label(row: &Row<'_>) -> Markup {
    match &row.tids[..] {
        [tid] => html! { "tid " (tid) " " span.dim { (name(row.comm)) } },
        many => said(&say!(Html::CountOfThreads { count: many.len() })),
    }
}

/// A bar of states. Each lasts until the next look.
fn bar(doing: &[Doing], begins: &[f64], lines: Lines) -> Markup {
    let mut parts: Vec<(f64, f64, Doing)> = vec![];
    for (n, (of, begin)) in doing.iter().zip(begins).enumerate() {
        let end = begins.get(n + 1).copied().unwrap_or(1.0);
        match parts.last_mut() {
            Some((_, to, last)) if last == of => *to = end,
            _ => parts.push((*begin, end, *of)),
        }
    }
    html! {
        svg.states width="100%" height=(BAR) {
            @for (from, to, of) in &parts {
                rect class=(class(*of)) x=(percent(*from)) width=(percent((to - from).max(0.002))) y="0" height=(BAR) {}
            }
            @if let Some(x) = lines.frozen {
                line.frozen x1=(percent(x)) x2=(percent(x)) y1="0" y2=(BAR) {}
            }
            line.dump x1=(percent(lines.dump)) x2=(percent(lines.dump)) y1="0" y2=(BAR) {}
        }
    }
}

fn curve(beats: &Beats, begins: &[f64], of: impl Fn(&crate::analysis::beats::Look) -> f64) -> Markup {
    let most = beats.looks.iter().map(&of).fold(1.0, f64::max);
    let mut points = String::new();
    for (look, x) in beats.looks.iter().zip(begins) {
        points += &format!("{:.1},{:.1} ", x * 1000.0, 38.0 - of(look) / most * 36.0);
    }
    if let Some(last) = beats.looks.last() {
        points += &format!("1000,{:.1}", 38.0 - of(last) / most * 36.0);
    }
    html! {
        svg.curve width="100%" height="40" viewBox="0 0 1000 40" preserveAspectRatio="none" { polyline points=(points) {} }
    }
}

fn most(beats: &Beats, of: impl Fn(&crate::analysis::beats::Look) -> u64) -> String {
    grouped(beats.looks.iter().map(of).max().unwrap_or_default() as f64)
}

/// In words: from when each thread did what it did last.
fn table(file: &ThreadsFile, beats: &Beats, rows: &[Row<'_>]) -> Table {
    let head = [Html::ColThreads {}, Html::ColLast {}, Html::ColSince {}];
    let mut table = Table::new("timeline-table", &Html::TimelineTable {}, &head);
    for row in rows {
        let last = row.doing.last().copied().unwrap_or(Doing::Unknown);
        let same = row.doing.iter().rev().take_while(|doing| **doing == last).count();
        let from = beats.looks.get(row.doing.len() - same).map_or(0, |look| look.ms);
        let word = WORDS.iter().find(|(of, _)| *of == last).map(|(_, word)| said(word));
        let part = file.threads.iter().find(|part| part.tid == row.tids[0]);
        table.row([
            html! { (label(row)) @if row.tids.len() > 1 { " (tid " (said(&ranges(&row.tids))) ")" } },
            word.unwrap_or_default(),
            since(part, from),
        ]);
    }
    table
}

fn since(part: Option<&ThreadPart>, from_ms: u64) -> Markup {
    match part.and_then(|part| part.still_s) {
        Some(still) => each(|lang| say!(Html::StillFor { seconds: format!("{still:.1}") }).text(lang)),
        None => each(|lang| {
            say!(Html::FromSecond { second: format!("{:.1}", from_ms as f64 / 1000.0) }).text(lang)
        }),
    }
}
