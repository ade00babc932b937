//! Recordings of real hangs, analysed again. A bug of the analysis that was found is kept here as a
//! recording.
//!
//! `recorded/NAME.json.gz` is the `recording.json.gz` of a bundle. If NAME is a row of the table of
//! faulty allocators, the finding must be what the row says. A snapshot holds everything that is said of
//! each recording. CONTRIBUTING.md says how to add one.

use std::fs;
use std::path::{Path, PathBuf};

use hangscope_collector::analysis::class::Why;
use hangscope_collector::analysis::{Class, Confidence, Finding};
use hangscope_collector::evidence::recording::Recording;
use hangscope_collector::text::message::Lang;
use hangscope_test_allocators::{FAULTS, Fault, Hangs};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

/// All recordings by name, sorted.
fn recordings() -> Vec<(String, Recording)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "gz"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".json.gz").unwrap().to_owned();
        let recording = Recording::read(&fs::read(&path).unwrap());
        (name, recording.unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    paths.into_iter().map(read).collect()
}

/// How a finding differs from the row of its fault.
fn differences(fault: &Fault, found: &Finding, recording: &Recording) -> Vec<String> {
    let mut wrong = vec![];
    if Some(found.class.as_str()) != fault.class {
        wrong.push(format!("class {}, not {:?}", found.class, fault.class));
    }
    let symbol = found.lock.as_ref().and_then(|lock| lock.symbol.as_deref());
    if fault
        .lock_symbol
        .is_some_and(|wanted| !fault.also_locks.iter().chain([&wanted]).any(|s| Some(*s) == symbol))
    {
        wrong.push(format!("lock {symbol:?}, not {:?}", fault.lock_symbol));
    }
    let owner = found.lock.as_ref().and_then(|lock| lock.owner_tid);
    if fault.owner_known && owner.is_none() {
        wrong.push("no owner".to_owned());
    }
    let frames = found.hot.as_ref().and_then(|hot| recording.traces.threads.get(&hot.tid)).map(|t| &t.frames);
    let stands_in = |function: &str| {
        let lines = fault.culprit_lines();
        frames.into_iter().flatten().any(|f| {
            f.function.as_deref() == Some(function)
                && lines.as_ref().is_none_or(|lines| f.line.is_some_and(|line| lines.contains(&line)))
        })
    };
    // If the owner is gone, or all threads wait alike, no thread can be named.
    if let Some(function) = fault.culprit_function.filter(|_| found.hot.is_some())
        && !stands_in(function)
    {
        wrong.push(format!("the culprit does not stand in {function}: {:?}", found.hot));
    }
    wrong
}

/// Everything that is said of a finding, in both languages.
fn said(found: &Finding) -> String {
    let mut text = format!("{} ({})\n", found.class, found.confidence);
    if let Some(lock) = &found.lock {
        let name = lock.symbol.as_deref().unwrap_or(&lock.address);
        text += &format!(
            "lock: {} {name}, {} waiters, owner {:?}\n",
            lock.kind,
            lock.waiters.len(),
            lock.owner_tid
        );
    }
    if let Some(hot) = &found.hot {
        text += &format!(
            "culprit: tid {} in {:?}, {:?}, inside {:?}\n",
            hot.tid, hot.function, hot.source, hot.in_allocator
        );
    }
    for (title, lines) in [("why", &found.said), ("missing", &found.said_missing)] {
        for lang in Lang::ALL {
            let lines: Vec<String> = lines.iter().map(|why: &Why| why.text(lang)).collect();
            lines.iter().for_each(|line| text += &format!("{title}: {line}\n"));
        }
    }
    text
}

#[test]
fn every_recording_shows_what_its_row_of_the_table_says() {
    let (mut wrong, mut rows) = (vec![], vec![]);
    for (name, recording) in recordings() {
        let found = recording.analyse();
        insta::with_settings!({ snapshot_path => "recorded", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name.clone(), said(&found));
        });
        if let Some(fault) = FAULTS.iter().find(|fault| fault.name == name) {
            wrong.extend(differences(fault, &found, &recording).into_iter().map(|w| format!("{name}: {w}")));
            rows.push(name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let always = FAULTS.iter().filter(|fault| fault.hangs == Hangs::Always);
    let left_out: Vec<&str> = always.map(|f| f.name).filter(|name| !rows.iter().any(|r| r == name)).collect();
    assert!(left_out.is_empty(), "not recorded: {left_out:?}");
}

/// A dump that is cut off must not be reported as if it were whole.
#[test]
fn less_of_a_recording_never_proves_more() {
    for (name, recording) in recordings() {
        let whole = recording.analyse();
        let mut one_look = recording.clone();
        one_look.dump.second.clear();
        one_look.dump.marks.retain(|mark| mark.part != hangscope_protocol::record::mark_part::SECOND_LOOK);
        one_look.traces.samples.clear();
        let less = one_look.analyse();
        // Any other class may be likely, but not proven.
        let proves = less.confidence == Confidence::Proven && less.class != Class::Unknown;
        assert!(
            !proves || (less.class, less.confidence) == (whole.class, whole.confidence),
            "{name}: {}",
            said(&less)
        );
        let mut nothing = one_look;
        nothing.traces = Default::default();
        nothing.dump.threads.clear();
        assert_eq!(nothing.analyse().class.as_str(), "unknown", "{name}");
    }
}
