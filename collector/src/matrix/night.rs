//! The runs of OUT, for the report of a night: from `runs.jsonl`, and from `samples.csv` those that are only
//! there. Nothing is changed, so the matrix may be at work.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::journal::{self, Entry};
use super::samples::{self, Sample, Status};
use super::state::{self, State};
use super::summary;
use crate::analysis::crash::signal_name;
use crate::analysis::{Integrity, RunFacts};
use crate::files::lines;
use crate::report::night::model::{Damaged, Evidence, Found, Hang, Outcome, Run, Source};
use crate::report::sessions::is_below;
use crate::text::message::{Say as _, Text};

/// What OUT of a matrix holds.
pub(crate) struct Read {
    /// The runs of which all is known, in the order in which they were made.
    pub(crate) entries: Vec<Entry>,
    pub(crate) found: Found,
}

/// Whether OUT has the rows of a matrix, its runs, or what it began with.
pub(crate) fn is_night(out: &Path) -> bool {
    let mut found = State::is_there(out);
    let mut ignored = vec![];
    each_line(out, samples::FILE, &mut ignored, |number, text| {
        found |= number == 1 && text == samples::HEADER;
        Ok(())
    });
    each_line(out, journal::FILE, &mut ignored, |_, text| {
        found = found || serde_json::from_str::<Entry>(text).is_ok();
        Ok(())
    });
    found
}

/// Reads the runs of OUT. Lines that cannot be read are named in it.
pub(crate) fn read(out: &Path) -> Read {
    let mut damaged = vec![];
    let mut entries: Vec<Entry> = vec![];
    each_line(out, journal::FILE, &mut damaged, |_, text| {
        entries.push(serde_json::from_str(text).map_err(|error| error.to_string())?);
        Ok(())
    });
    let known: HashSet<(String, String, String, u32)> =
        entries.iter().filter(|entry| !entry.warmup).map(|entry| key(&entry.sample)).collect();
    let mut alone: Vec<Sample> = vec![];
    each_line(out, samples::FILE, &mut damaged, |number, text| {
        if number == 1 && text == samples::HEADER {
            return Ok(());
        }
        let sample = Sample::of_row(text).ok_or("no row of a matrix")?;
        if !known.contains(&key(&sample)) {
            alone.push(sample);
        }
        Ok(())
    });
    let state = State::load(out).unwrap_or_else(|why| {
        damaged.push(Damaged { file: state::FILE.to_owned(), line: None, error: Some(why) });
        None
    });
    let builds = state.as_ref().map(State::builds).unwrap_or_default();
    let mut found = of_entries(out, &entries, &builds);
    found.runs.extend(alone.iter().map(|sample| run(out, sample, None, &builds)));
    found.damaged = damaged;
    Read { entries, found }
}

/// The runs of a matrix that is in memory. `builds`: SHA-1 of the allocators' files, by name.
pub(crate) fn of_entries(out: &Path, entries: &[Entry], builds: &BTreeMap<&str, &str>) -> Found {
    let name = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    Found {
        name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: Source::Matrix,
        runs: entries.iter().map(|entry| run(out, &entry.sample, Some(entry), builds)).collect(),
        damaged: vec![],
        left_out: None,
    }
}

/// Calls `of` with the number and the text of each line of a file in OUT. A file that is not there has no
/// lines.
fn each_line(
    out: &Path,
    file: &str,
    damaged: &mut Vec<Damaged>,
    mut of: impl FnMut(u64, &str) -> Result<(), String>,
) {
    let mut bad = |line, error| damaged.push(Damaged { file: file.to_owned(), line, error });
    let read = lines::each(&out.join(file), None, |line| {
        let text = std::str::from_utf8(line.bytes).map_err(|error| error.to_string());
        if let Err(error) = text.and_then(|text| of(line.number, text)) {
            bad(Some(line.number), line.whole.then_some(error));
        }
    });
    match read {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => bad(None, Some(error.to_string())),
        _ => {}
    }
}

fn key(sample: &Sample) -> (String, String, String, u32) {
    (sample.lane.clone(), sample.phase.clone(), sample.allocator.clone(), sample.run)
}

/// `entry`: all that is known of the run; none: only its row is there.
fn run(out: &Path, sample: &Sample, entry: Option<&Entry>, builds: &BTreeMap<&str, &str>) -> Run {
    let facts = entry.map(|entry| &entry.facts);
    let outcome = match sample.status {
        Status::Ok => Outcome::Ok,
        Status::Hang => Outcome::Hung,
        Status::Timeout => Outcome::Slow,
        Status::Crash | Status::Oom => Outcome::Crashed,
        Status::Fail => Outcome::Failed,
    };
    let name = match entry {
        Some(entry) => Text::of(|lang| summary::entry_name(entry, lang)),
        None => summary::cell_name(sample).said(),
    };
    Run {
        name,
        group: sample.lane.clone(),
        allocator: Some(sample.allocator.clone()),
        build: builds.get(sample.allocator.as_str()).map(|sha1| (*sha1).to_owned()),
        command: String::new(),
        at: facts.and_then(|facts| facts.started),
        seconds: sample.seconds,
        outcome,
        end: end(sample, facts),
        counts: entry.is_none_or(|entry| !entry.warmup),
        in_rate: match facts {
            Some(facts) => facts.could_hang(),
            // A row does not say whether a run that was too slow was stopped.
            None => matches!(outcome, Outcome::Ok | Outcome::Hung),
        },
        no_memory: sample.status == Status::Oom,
        stuck_s: None,
        // In the other phase something looks at the memory all the time.
        ops: sample.ops_s.filter(|_| sample.phase == "ops"),
        rss_kib: sample.max_rss_kib,
        integrity: facts.map_or(Integrity::Unknown, RunFacts::integrity),
        class: sample.class.clone(),
        hang: (outcome == Outcome::Hung).then(|| hang(out, sample, facts)),
        evidence: bundle(sample).map(|folder| Evidence::of(out, folder.to_owned())).into_iter().collect(),
    }
}

fn end(sample: &Sample, facts: Option<&RunFacts>) -> String {
    match (facts.and_then(|facts| facts.signal), sample.rc) {
        _ if sample.status == Status::Hang => sample.status.to_string(),
        (Some(signal), _) => format!("{}, {}", sample.status, signal_name(signal)),
        (None, Some(rc)) => format!("{}, rc {rc}", sample.status),
        (None, None) => sample.status.to_string(),
    }
}

/// Nothing outside of OUT is read because of a name in a file.
fn bundle(sample: &Sample) -> Option<&str> {
    sample.bundle.as_deref().filter(|folder| is_below(folder))
}

fn hang(out: &Path, sample: &Sample, facts: Option<&RunFacts>) -> Hang {
    let finding = facts.and_then(|facts| facts.hang.as_ref()?.finding.as_ref());
    let of_bundle = || Hang::of_bundle(&out.join(bundle(sample)?)).map(|(hang, _)| hang);
    match finding {
        Some(finding) => Hang::of(Some(finding)),
        None => of_bundle().unwrap_or_else(|| Hang::of(None)),
    }
}
