//! A night as JSON: `hangscope report NIGHT --json`.

use serde::Serialize;

use super::lines::{self, Remarkable};
use super::model::{Bug, Damaged, Night, Outcome, Row, Run, Source};
use crate::analysis::signature::Signature;
use crate::analysis::stats::Spread;

const SCHEMA: &str = "hangscope/night/1";

/// What is not known is null, and never 0.
#[derive(Debug, Serialize)]
pub(crate) struct NightFile<'a> {
    schema: &'static str,
    name: &'a str,
    /// `sessions`, `matrix`, `hunt`.
    source: &'static str,
    headline: String,
    runs: usize,
    hung: usize,
    crashed: usize,
    /// By label (lane, arm) and allocator.
    table: Vec<RowPart<'a>>,
    /// Of all labels, by allocator; empty with one label.
    totals: Vec<RowPart<'a>>,
    /// Hangs of one signature, the most frequent first.
    signatures: Vec<BugPart<'a>>,
    /// Sessions that were stuck when they were stopped.
    stuck: Vec<RunPart<'a>>,
    not_intact: Vec<RunPart<'a>>,
    no_memory: Vec<RunPart<'a>>,
    open: Vec<RunPart<'a>>,
    lost: Vec<RunPart<'a>>,
    damaged: Vec<DamagedPart<'a>>,
    /// Bytes at the beginning of the list of sessions that were not read.
    left_out_bytes: u64,
}

#[derive(Debug, Serialize)]
struct RowPart<'a> {
    /// Null in the totals.
    label: Option<&'a str>,
    allocator: Option<&'a str>,
    runs: u32,
    ok: u32,
    hung: u32,
    slow: u32,
    crashed: u32,
    failed: u32,
    stopped: u32,
    open: u32,
    lost: u32,
    rate: RatePart,
    ops_s: Option<SpreadPart>,
    rss_kib: Option<SpreadPart>,
    /// SHA-1.
    builds: Vec<&'a str>,
}

/// As in `verdict.json`.
#[derive(Debug, Serialize)]
struct RatePart {
    hung: u32,
    of: u32,
    /// Null: no run could hang.
    low: Option<f64>,
    high: Option<f64>,
    confidence: f64,
    method: &'static str,
}

#[derive(Debug, Serialize)]
struct SpreadPart {
    n: u32,
    median: f64,
    q1: f64,
    q3: f64,
    min: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct BugPart<'a> {
    /// Null: nothing was captured from inside.
    signature: Option<String>,
    words: Option<String>,
    parts: Option<&'a Signature>,
    /// Only the class is known, if that: different bugs may stand together.
    bare: bool,
    count: usize,
    headline: &'a str,
    labels: Vec<&'a str>,
    allocators: Vec<&'a str>,
    builds: Vec<&'a str>,
    /// Start of the first and of the last of these runs, RFC 3339.
    first: Option<String>,
    last: Option<String>,
    hangs: Vec<RunPart<'a>>,
}

#[derive(Debug, Serialize)]
struct RunPart<'a> {
    name: &'a str,
    label: &'a str,
    allocator: Option<&'a str>,
    build: Option<&'a str>,
    command: &'a str,
    started: Option<String>,
    seconds: f64,
    end: &'a str,
    integrity: &'a str,
    class: Option<&'a str>,
    /// For how long nothing had moved when it was stopped.
    still_s: Option<f64>,
    headline: Option<&'a str>,
    /// Folders of evidence, relative to NIGHT.
    bundles: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct DamagedPart<'a> {
    file: &'a str,
    line: Option<u64>,
    /// Null: torn at its end.
    error: Option<&'a str>,
}

impl<'a> NightFile<'a> {
    pub(crate) fn of(night: &'a Night) -> NightFile<'a> {
        let runs = |what: Remarkable| {
            night.found.runs.iter().filter(|run| what.is(run)).map(run_part).collect::<Vec<_>>()
        };
        NightFile {
            schema: SCHEMA,
            name: &night.found.name,
            source: match night.found.source {
                Source::Sessions => "sessions",
                Source::Matrix => "matrix",
                Source::Hunt => "hunt",
            },
            headline: lines::headline(night).en().to_owned(),
            runs: night.runs().count(),
            hung: night.count(Outcome::Hung),
            crashed: night.count(Outcome::Crashed),
            table: night.rows.iter().map(row_part).collect(),
            totals: night.totals.iter().map(row_part).collect(),
            signatures: night.bugs.iter().map(|bug| bug_part(night, bug)).collect(),
            stuck: runs(Remarkable::Stuck),
            not_intact: runs(Remarkable::NotIntact),
            no_memory: runs(Remarkable::NoMemory),
            open: runs(Remarkable::Open),
            lost: runs(Remarkable::Lost),
            damaged: night.found.damaged.iter().map(damaged_part).collect(),
            left_out_bytes: night.found.left_out.as_ref().map_or(0, |(_, bytes)| *bytes),
        }
    }
}

fn row_part(row: &Row) -> RowPart<'_> {
    let rate = &row.rate;
    let bound = |bound: f64| (rate.of > 0).then_some(bound);
    RowPart {
        label: row.group.as_deref(),
        allocator: row.allocator.as_deref(),
        runs: row.runs,
        ok: row.ok,
        hung: row.hung,
        slow: row.slow,
        crashed: row.crashed,
        failed: row.failed,
        stopped: row.stopped,
        open: row.open,
        lost: row.lost,
        rate: RatePart {
            hung: rate.hung,
            of: rate.of,
            low: bound(rate.low),
            high: bound(rate.high),
            confidence: rate.confidence,
            method: rate.method.as_str(),
        },
        ops_s: row.ops.as_ref().map(spread_part),
        rss_kib: row.rss.as_ref().map(spread_part),
        builds: row.builds.iter().map(String::as_str).collect(),
    }
}

fn spread_part(spread: &Spread) -> SpreadPart {
    let Spread { n, median, q1, q3, min, max, .. } = *spread;
    SpreadPart { n, median, q1, q3, min, max }
}

fn bug_part<'a>(night: &'a Night, bug: &'a Bug) -> BugPart<'a> {
    let strings = |all: &'a std::collections::BTreeSet<String>| all.iter().map(String::as_str).collect();
    BugPart {
        signature: bug.id(),
        words: bug.signature.as_ref().map(Signature::words),
        parts: bug.signature.as_ref(),
        bare: bug.is_bare(),
        count: bug.hangs.len(),
        headline: bug.sentence.en(),
        labels: strings(&bug.groups),
        allocators: strings(&bug.allocators),
        builds: strings(&bug.builds),
        first: bug.between.map(|(first, _)| lines::stamp(first)),
        last: bug.between.map(|(_, last)| lines::stamp(last)),
        hangs: night.hangs(bug).map(run_part).collect(),
    }
}

fn run_part(run: &Run) -> RunPart<'_> {
    RunPart {
        name: run.name.en(),
        label: &run.group,
        allocator: run.allocator.as_deref(),
        build: run.build.as_deref(),
        command: &run.command,
        started: run.at.map(lines::stamp),
        seconds: run.seconds,
        end: &run.end,
        integrity: run.integrity.as_str(),
        class: run.class.as_deref(),
        still_s: run.stuck_s,
        headline: run.hang.as_ref().map(|hang| hang.sentence.en()),
        bundles: run.evidence.iter().map(|evidence| evidence.folder.as_str()).collect(),
    }
}

fn damaged_part(damaged: &Damaged) -> DamagedPart<'_> {
    DamagedPart { file: &damaged.file, line: damaged.line, error: damaged.error.as_deref() }
}
