//! The exported files are read back.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::analysis::History;
use crate::evidence::{finding_files, recording};
use crate::hunt::run_files;
use crate::report::{Extra, write_hunt};
use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, hung};

const LOOP: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
const WAITS: &[&str] = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];

/// A bundle with 20 samples of one thread and 7 of another one, and two threads that wait.
fn bundle(dir: &Path) {
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 103, 0), WAITS).futex(102, &mutex(LOCK, 103, 0), WAITS);
    make.runs(103, 0.9, LOOP, Sampled::OneCall(20));
    make.runs(104, 0.1, &[&["a;b \"x\",\n<script>@foo"], LOOP].concat(), Sampled::OneCall(7));
    let finding = make.analyse();
    let dump = make.finish();
    fs::create_dir_all(dir).unwrap();
    finding_files::write(dir, &dump, &make.traces, &finding).unwrap();
    recording::write(dir, &dump, &make.traces, &History::default()).unwrap();
}

fn exported(format: Format) -> String {
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path());
    text(dir.path(), format).unwrap()
}

#[test]
fn the_sums_of_folded_stacks_are_the_samples() {
    let text = exported(Format::Folded);
    let count = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<u32>().unwrap();
    assert_eq!(text.lines().map(count).sum::<u32>(), 27);
    assert!(text.lines().all(|line| line.split(';').count() >= 6), "{text}");
}

/// The parts of `file-format-schema.json` of speedscope 1.25 that are used, each with all its keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Speedscope {
    #[serde(rename = "$schema")]
    schema: String,
    shared: Shared,
    profiles: Vec<Sampled_>,
    #[expect(dead_code, reason = "the type is the check")]
    name: String,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    #[expect(dead_code, reason = "the type is the check")]
    exporter: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    frames: Vec<SharedFrame>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedFrame {
    name: String,
    #[expect(dead_code, reason = "the type is the check")]
    file: Option<String>,
    line: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Sampled_ {
    r#type: String,
    name: String,
    unit: String,
    start_value: u64,
    end_value: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

#[test]
fn speedscope_reads_each_sample_once() {
    let file: Speedscope = serde_json::from_str(&exported(Format::Speedscope)).unwrap();
    assert_eq!(file.schema, speedscope::SCHEMA);
    let of: Vec<_> = file.profiles.iter().map(|p| (p.name.as_str(), p.samples.len())).collect();
    assert_eq!(of, [("bench (tid 103)", 20), ("bench (tid 104)", 7)]);
    for profile in &file.profiles {
        assert_eq!((profile.r#type.as_str(), profile.unit.as_str()), ("sampled", "none"));
        assert_eq!((profile.start_value, profile.end_value), (0, profile.samples.len() as u64));
        assert!(profile.weights.len() == profile.samples.len() && profile.weights.iter().all(|w| *w == 1));
        assert!(profile.samples.iter().flatten().all(|frame| *frame < file.shared.frames.len()));
    }
    let stack = &file.profiles[0].samples[0];
    let innermost = &file.shared.frames[*stack.last().unwrap()];
    assert_eq!((innermost.name.as_str(), innermost.line), ("foo_refill", Some(87)));
    assert_eq!(file.active, 0, "that of the hot thread");
}

fn column<'v>(table: &'v Value, name: &str) -> &'v Vec<Value> {
    table[name].as_array().unwrap_or_else(|| panic!("no column {name} in {table}"))
}

/// Every index of the tables of a thread leads somewhere.
#[test]
fn the_firefox_profile_holds_together() {
    let profile: Value = serde_json::from_str(&exported(Format::FirefoxProfiler)).unwrap();
    let threads = profile["threads"].as_array().unwrap();
    let mut samples_of = vec![];
    for thread in threads {
        let strings = column(thread, "stringArray");
        let (samples, stacks) = (&thread["samples"], &thread["stackTable"]);
        let (frames, functions) = (&thread["frameTable"], &thread["funcTable"]);
        let len = |table: &Value| table["length"].as_u64().unwrap();
        let within = |column: &[Value], most: u64| {
            column.iter().all(|index| index.is_null() || index.as_u64().unwrap() < most)
        };
        assert!(within(column(samples, "stack"), len(stacks)), "{samples}");
        assert!(
            within(column(stacks, "frame"), len(frames)) && within(column(stacks, "prefix"), len(stacks))
        );
        assert!(within(column(frames, "func"), len(functions)), "{frames}");
        assert!(within(column(functions, "name"), strings.len() as u64), "{functions}");
        assert!(within(column(&thread["markers"], "name"), strings.len() as u64));
        let weight: u64 = column(samples, "weight").iter().filter_map(Value::as_u64).sum();
        samples_of.push((thread["tid"].clone(), weight, column(&thread["markers"], "data").len()));
    }
    let expected = [("100", 1, 1), ("101", 1, 1), ("102", 1, 1), ("103", 20, 0), ("104", 7, 0)];
    let expected: Vec<_> = expected.iter().map(|(tid, n, m)| (Value::from(*tid), *n, *m)).collect();
    assert_eq!(samples_of, expected, "a thread without samples has its stack at the look, and its wait");
    let text = profile.to_string();
    assert!(text.contains("foo_refill (foo.c:87)") && text.contains("g_foo_locks+160"), "{text}");
}

#[test]
fn the_graph_has_each_waiter_and_owner_once() {
    insta::assert_snapshot!(exported(Format::Dot));
}

#[test]
fn perf_script_has_a_block_for_each_sample() {
    let text = exported(Format::PerfScript);
    let blocks: Vec<&str> = text.split("\n\n").filter(|block| !block.is_empty()).collect();
    assert_eq!(blocks.len(), 27);
    // As perf-script(1) of Linux 6.1 prints it, and as stackcollapse-perf.pl takes it.
    let head = regex::Regex::new(r"^\S+ \d+/\d+ \d+\.\d{6}: 1 cpu-clock:u: $").unwrap();
    let frame = regex::Regex::new(r"^\t[ 0-9a-f]{15}[0-9a-f] .+ \([^()\n]*\)$").unwrap();
    for block in blocks {
        let (first, frames) = block.split_once('\n').unwrap();
        assert!(head.is_match(first), "{first:?}");
        assert!(frames.lines().all(|line| frame.is_match(line)), "{frames}");
    }
}

#[test]
fn the_table_of_threads_is_read_back_whatever_a_name_holds() {
    let text = exported(Format::Csv);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let tids: Vec<&str> = rows.iter().map(|row| &row[at("tid")]).collect();
    assert_eq!(tids, ["100", "101", "102", "103", "104"]);
    assert_eq!((&rows[1][at("owner")], &rows[1][at("symbol")]), ("103", "g_foo_locks+160"));
    assert_eq!(&rows[4][at("function")], "a;b \"x\",\n<script>");
    assert_eq!((&rows[3][at("samples")], &rows[3][at("owner")]), ("20", ""), "not known is empty");
}

#[test]
fn runs_of_a_hunt_are_a_table_and_junit() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    bundle(&out.join("hang_run_3"));
    let facts = Hunt::new(2).push(hung(3, None)).facts();
    write_hunt(out, &facts, &Extra::default()).unwrap();
    let lines: Vec<String> = facts.runs.iter().map(|run| run_files::object(run).to_string()).collect();
    fs::write(out.join("runs.jsonl"), lines.join("\n") + "\n").unwrap();
    let table = text(out, Format::Csv).unwrap();
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let outcomes: Vec<String> = rows.records().map(|row| row.unwrap()[2].to_owned()).collect();
    assert_eq!(outcomes, ["ok", "ok", "hung"]);
    let junit = text(out, Format::Junit).unwrap();
    assert_eq!(quick_junit::Report::deserialize_from_str(&junit).unwrap().tests, 3);
    let error = text(&out.join("hang_run_3"), Format::Junit).unwrap_err().to_string();
    assert!(error.ends_with("give OUT of a hunt"), "{error}");
    // The only bundle of OUT.
    assert_eq!(text(out, Format::Folded).unwrap(), exported(Format::Folded));
}

#[test]
fn a_hang_without_samples_has_no_profile_and_the_error_says_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), WAITS);
    let (dump, traces) = (make.finish(), make.traces.clone());
    recording::write(dir.path(), &dump, &traces, &History::default()).unwrap();
    for format in [Format::Folded, Format::Speedscope, Format::PerfScript] {
        let error = text(dir.path(), format).unwrap_err().to_string();
        assert!(error.contains("no samples") && error.ends_with("dot and csv have its waits"), "{error}");
    }
    assert!(text(dir.path(), Format::FirefoxProfiler).unwrap().contains("g_foo_locks+160"));
    let missing = text(&dir.path().join("none"), Format::Csv).unwrap_err().to_string();
    assert!(missing.contains("cannot read") && !missing.contains('\n'), "{missing}");
}
