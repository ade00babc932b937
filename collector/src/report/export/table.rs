//! Threads of a hang, and runs of a hunt, as comma-separated values.

use serde::Serialize;

use crate::analysis::{HuntFacts, RunFacts};
use crate::evidence::threads_file::{ThreadPart, ThreadsFile};

/// A row of the threads. An unknown value is empty.
#[derive(Serialize)]
struct ThreadRow<'a> {
    tid: u32,
    name: &'a str,
    state: Option<char>,
    state_later: Option<char>,
    cpu_s: f64,
    cpu_between_s: Option<f64>,
    syscall: Option<&'a str>,
    wchan: Option<&'a str>,
    wait: Option<&'a str>,
    address: Option<&'a str>,
    symbol: Option<&'a str>,
    owner: Option<u32>,
    stack_from: crate::session::trace::TraceSource,
    truncated: bool,
    samples: u32,
    frames: usize,
    /// Of the innermost frame.
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    /// Of the innermost frame in the allocator.
    allocator_function: Option<&'a str>,
}

/// A row of the runs. An unknown value is empty.
#[derive(Serialize)]
struct RunRow<'a> {
    run: u32,
    arm: &'a str,
    outcome: crate::analysis::RunOutcome,
    class: Option<&'a str>,
    confidence: Option<&'a str>,
    /// Seconds since the epoch.
    started: Option<f64>,
    seconds: f64,
    ops_s: Option<f64>,
    max_rss_kib: Option<u64>,
    rc: Option<i32>,
    signal: Option<i32>,
    integrity: &'a str,
    stir: Option<String>,
    lock: Option<&'a str>,
    owner: Option<u32>,
    culprit: Option<u32>,
    function: Option<&'a str>,
    source: Option<&'a str>,
    bundle: Option<&'a str>,
}

pub(super) fn of_threads(file: &ThreadsFile) -> String {
    rows(file.threads.iter().map(thread))
}

pub(super) fn of_runs(facts: &HuntFacts) -> String {
    rows(facts.runs.iter().map(run))
}

/// With the names of the fields as the header; empty where there is no row.
fn rows(rows: impl Iterator<Item = impl Serialize>) -> String {
    let mut to = csv::Writer::from_writer(vec![]);
    for row in rows {
        // Only a writer that fails, or fields that differ from row to row, give an error.
        let _ = to.serialize(row);
    }
    to.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn thread(part: &ThreadPart) -> ThreadRow<'_> {
    let wait = part.wait.as_ref();
    let inner = part.frames.first();
    ThreadRow {
        tid: part.tid,
        name: &part.comm,
        state: part.state,
        state_later: part.state_later,
        cpu_s: part.cpu_s,
        cpu_between_s: part.cpu_between_s,
        syscall: part.syscall.as_deref(),
        wchan: part.wchan.as_deref(),
        wait: wait.map(|wait| wait.kind.as_str()),
        address: wait.and_then(|wait| wait.address.as_deref()),
        symbol: wait.and_then(|wait| wait.symbol.as_deref()),
        owner: wait.and_then(|wait| wait.owner),
        stack_from: part.stack_from,
        truncated: part.truncated,
        samples: part.samples,
        frames: part.frames.len(),
        function: inner.and_then(|frame| frame.function.as_deref()),
        file: inner.and_then(|frame| frame.file.as_deref()),
        line: inner.and_then(|frame| frame.line),
        allocator_function: part.frames.iter().find(|f| f.in_allocator).and_then(|f| f.function.as_deref()),
    }
}

fn run(run: &RunFacts) -> RunRow<'_> {
    let finding = run.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    let lock = finding.and_then(|finding| finding.lock.as_ref());
    let hot = finding.and_then(|finding| finding.hot.as_ref());
    RunRow {
        run: run.run,
        arm: &run.arm,
        outcome: run.outcome,
        class: finding.map(|finding| finding.class.as_str()),
        confidence: finding.map(|finding| finding.confidence.as_str()),
        started: run.started,
        seconds: run.seconds,
        ops_s: run.ops,
        max_rss_kib: run.max_rss_kib,
        rc: run.rc,
        signal: run.signal,
        integrity: run.integrity().as_str(),
        stir: run.stir.map(|stir| stir.strategy.to_string()),
        lock: lock.map(|lock| lock.symbol.as_ref().unwrap_or(&lock.address).as_str()),
        owner: lock.and_then(|lock| lock.owner_tid),
        culprit: hot.map(|hot| hot.tid),
        function: hot.and_then(|hot| hot.function.as_deref()),
        source: hot.and_then(|hot| hot.source.as_deref()),
        bundle: run.hang.as_ref().map(|hang| hang.snapshot.as_str()),
    }
}
