//! The evidence of a hang: what the shim sent, the outside view, perf of the hottest thread; then the run is stopped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::bench::{Bench, Ended, Member};
use super::config::Config;
use super::lane::Lane;
use super::run::{self, PATIENCE};
use super::watch::{Watch, Watched};
use crate::analysis::integrity::{self, FileFacts};
use crate::analysis::{self, Class, Finding, HangFacts, Integrity};
use crate::cancel::Cancel;
use crate::capture::{self, Outside, PerfOptions};
use crate::file_facts;
use crate::listen::{ConnId, Listener, RecordedDump};
use crate::report;
use crate::session;
use crate::store::atomic::{self, WriteError};
use crate::symbolize::{self, Sources};

/// Dumps of other processes of the run may take so much longer than the first.
const OTHER_DUMPS: Duration = Duration::from_secs(3);
/// Between two looks from outside.
const OUTSIDE_LOOKS: Duration = Duration::from_secs(1);

/// What said that the run hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The dump of this process.
    Inside(ConnId),
    /// Its time was over, and nothing came from inside: why.
    Outside(String),
}

/// What was captured.
#[derive(Debug)]
pub struct Captured {
    /// The process that it is about.
    pub pid: u32,
    /// For the run's facts.
    pub hang: HangFacts,
    /// How the run ended when it was stopped.
    pub ended: Ended,
    /// Its wall clock until it was found to hang, seconds.
    pub seconds: f64,
    /// The allocator's DSO at the start.
    pub integrity_start: Integrity,
    /// At the hang.
    pub integrity_end: Integrity,
    /// `(deleted)` was seen on it.
    pub deleted_seen: bool,
    /// What is worth a line.
    pub notes: Vec<String>,
}

/// Captures the evidence, then stops the run.
///
/// # Errors
/// A file that cannot be written; the run is killed by the drop of its [`Bench`] then.
#[expect(clippy::too_many_arguments, reason = "all that belongs to a run, for once")]
pub fn capture(
    config: &Config,
    lane: &Lane,
    number: u32,
    bench: &mut Bench,
    listener: &Listener,
    watch: &mut Watch,
    trigger: Trigger,
    cancel: &Cancel,
) -> anyhow::Result<Captured> {
    let seconds = bench.started().elapsed().as_secs_f64();
    run::gather(listener, watch, OTHER_DUMPS, cancel);
    // Of several processes the one that tells the most may have been the last to do so.
    let trigger = watch.subject().map_or(trigger, Trigger::Inside);
    let mut notes = vec![];
    let inside = match &trigger {
        Trigger::Inside(conn) => watch.process(*conn),
        Trigger::Outside(reason) => {
            notes.push(format!("captured from outside only: {reason}"));
            None
        }
    };
    let pid = inside.map_or_else(|| leaf(&bench.members(), bench.pid()), |process| process.pid);
    let recorded = inside.and_then(|process| process.dumps.last());
    let name = lane.snapshot(number);
    let dir = config.out.join(&name);
    atomic::make_dir(&dir)?;

    let outside = look(config, lane, pid);
    outside.write(&dir)?;
    let why_not = match &trigger {
        Trigger::Inside(_) => "no dump",
        Trigger::Outside(reason) => reason,
    };
    write_dumps(&dir, watch, inside, why_not)?;
    let process = inside.or_else(|| watch.processes().filter(|p| p.pid == pid).last());
    let copy = write_copy(config, lane, &dir, process)?;
    let same = copy.as_deref().and_then(|bytes| compare(lane, bytes));

    let mut facts = Facts::default();
    if let Some(allocator) = process.and_then(Watched::allocator) {
        let now = integrity::judge(allocator, same);
        facts = Facts { start: run::at_start(allocator), end: now.integrity, deleted: now.deleted_seen };
        if now.integrity > Integrity::Unknown {
            notes.push(format!("{}: {}", allocator.path, now.sentence(crate::analysis::message::Lang::En)));
        }
    } else {
        facts.deleted = maps_say_deleted(&outside, config);
    }

    let hot = match recorded.filter(|r| !r.dump.second.is_empty()) {
        Some(r) => capture::hot::of_dump(&r.dump),
        None => capture::look_twice(pid, &outside.cpu(), OUTSIDE_LOOKS, cancel),
    };
    match (&config.perf, hot) {
        (None, _) => capture::perf::refuse(&dir, "not asked for (--no-perf)")?,
        (Some(_), None) => capture::perf::refuse(&dir, "no thread used any CPU between two looks")?,
        (Some(perf), Some(hot)) => {
            let copies = match process.and_then(Watched::allocator) {
                Some(allocator) if facts.end != Integrity::Intact && copy.is_some() => {
                    vec![(PathBuf::from(&allocator.path), dir.join(format!("{}.so", config.name)))]
                }
                _ => vec![],
            };
            let maps = outside.maps.clone().unwrap_or_default();
            capture::perf(&dir, hot.tid, &PerfOptions { maps, copies, ..perf.clone() }, cancel)?;
        }
    }
    let finding = examine(config, lane, &dir, inside, true, why_not)?;
    if bench.ended().try_recv().is_ok() {
        let seconds = bench.started().elapsed().as_secs_f64();
        notes.push(format!("it ended by itself while it was captured, after about {seconds:.0} s"));
    }
    let ended = bench.stop(PATIENCE).context("hunt: stopping the run")?;
    let mut name = name;
    if finding.as_ref().is_some_and(|f| f.class == Class::Slow) {
        name = lane.slow_snapshot(number);
        let to = config.out.join(&name);
        std::fs::rename(&dir, &to).map_err(|source| WriteError { path: to, source })?;
    }
    Ok(Captured {
        pid,
        hang: HangFacts { snapshot: name, finding, dump_ms: recorded.and_then(dump_ms) },
        ended,
        seconds,
        integrity_start: facts.start,
        integrity_end: facts.end,
        deleted_seen: facts.deleted,
        notes,
    })
}

/// Keeps the dumps of a run that was past its time and ended by itself.
///
/// # Errors
/// A file that cannot be written.
pub fn keep(config: &Config, lane: &Lane, number: u32, pid: u32, watch: &Watch) -> anyhow::Result<HangFacts> {
    let subject = watch.processes().filter(|p| !p.dumps.is_empty() && !watch.is_wrapper(p)).last();
    let pid = subject.map_or(pid, |p| p.pid);
    let name = lane.slow_snapshot(number);
    let dir = config.out.join(&name);
    atomic::make_dir(&dir)?;
    look(config, lane, pid).write(&dir)?;
    write_dumps(&dir, watch, subject, "no dump")?;
    write_copy(config, lane, &dir, subject)?;
    capture::perf::refuse(&dir, "the run had ended")?;
    let recorded = subject.and_then(|p| p.dumps.last());
    let finding = examine(config, lane, &dir, subject, false, "no dump")?;
    Ok(HangFacts { snapshot: name, finding, dump_ms: recorded.and_then(dump_ms) })
}

#[derive(Debug)]
struct Facts {
    start: Integrity,
    end: Integrity,
    deleted: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Facts { start: Integrity::Unknown, end: Integrity::Unknown, deleted: false }
    }
}

fn look(config: &Config, lane: &Lane, pid: u32) -> Outside {
    let dso = vec![lane.dso.clone(), config.so.clone()];
    capture::outside(pid, &capture::Options { name: &config.name, profile: &config.profile, dso })
}

fn maps_say_deleted(outside: &Outside, config: &Config) -> bool {
    let name = format!("maps_{}.txt", config.name);
    let lines = outside.files.iter().find(|(n, _)| *n == name).and_then(|(_, part)| part.as_ref().ok());
    lines.is_some_and(|lines| lines.split(|b| *b == b'\n').any(|line| line.ends_with(b" (deleted)")))
}

/// Of several processes the one that the others were started for: it has no child among them, and did the most.
fn leaf(members: &[Member], first: u32) -> u32 {
    let has_child = |pid: u32| members.iter().any(|m| m.ppid == pid);
    members
        .iter()
        .filter(|m| !has_child(m.pid))
        .max_by_key(|m| (m.threads, m.cpu_ticks, m.pid))
        .map_or(first, |m| m.pid)
}

/// `dump.bin` of the process that it is about, `dump_{pid}.bin` of the others.
fn write_dumps(
    dir: &Path,
    watch: &Watch,
    subject: Option<&Watched>,
    why_not: &str,
) -> Result<(), WriteError> {
    let all =
        |process: &Watched| -> Vec<u8> { process.dumps.iter().flat_map(|d| d.raw.iter().copied()).collect() };
    for process in watch.processes().filter(|p| !p.dumps.is_empty()) {
        let is_subject = subject.is_some_and(|s| std::ptr::eq(s, process));
        if !is_subject {
            atomic::write(&dir.join(format!("dump_{}.bin", process.pid)), &all(process))?;
        }
    }
    let part = match subject.filter(|s| !s.dumps.is_empty()) {
        Some(subject) => Ok(all(subject)),
        None => Err(format!("no dump: {why_not}")),
    };
    capture::write_part(&dir.join("dump.bin"), &part)
}

/// `{name}.so`: the allocator's bytes as they were when the process started: from the process itself, else from the
/// pinned copy, if it still has the bytes that were pinned.
fn write_copy(
    config: &Config,
    lane: &Lane,
    dir: &Path,
    process: Option<&Watched>,
) -> Result<Option<Vec<u8>>, WriteError> {
    let sent = process.and_then(|p| p.copy.as_ref()).map(|(record, fd)| session::copy::read(fd, record));
    let part = match sent {
        Some(Ok(bytes)) => Ok(bytes),
        other => {
            let why = match other {
                Some(Err(e)) => e.to_string(),
                _ => "the process sent no copy of its allocator".to_owned(),
            };
            match lane.bytes() {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(format!("{why}, and the pinned one has other bytes by now")),
                Err(e) => Err(format!("{why}, and the pinned one cannot be read: {e}")),
            }
        }
    };
    capture::write_part(&dir.join(format!("{}.so", config.name)), &part)?;
    Ok(part.ok())
}

/// Whether the DSO's file has the bytes that the process started with.
fn compare(lane: &Lane, bytes: &[u8]) -> Option<bool> {
    let now: Option<FileFacts> = file_facts::now(&lane.dso, None);
    now.filter(|now| now.size == bytes.len() as u64)?;
    std::fs::read(&lane.dso).ok().map(|file| file == bytes)
}

/// From the trigger to the last byte of the first look, ms.
fn dump_ms(recorded: &RecordedDump) -> Option<f64> {
    recorded.dump.end.map(|end| end.first_look_ns as f64 / 1e6)
}

/// What the dump shows: stacks with names, then the class of the hang. `live` is the process, while it lives: some files
/// only it can still see.
///
/// Writes `threads.json` and `stacks.txt`.
fn examine(
    config: &Config,
    lane: &Lane,
    dir: &Path,
    process: Option<&Watched>,
    live: bool,
    why_not: &str,
) -> Result<Option<Finding>, WriteError> {
    let Some((process, recorded)) = process.and_then(|p| Some((p, p.dumps.last()?))) else {
        for file in ["threads.json", "stacks.txt"] {
            capture::write_part(&dir.join(file), &Err(format!("no dump: {why_not}")))?;
        }
        return Ok(None);
    };
    let dump = &recorded.dump;
    let sources = Sources {
        allocator_copy: Some(dir.join(format!("{}.so", config.name))),
        copies: vec![lane.dso.clone()],
        live_pid: live.then_some(process.pid),
        same_boot: true,
        ..Sources::default()
    };
    let traces = symbolize::symbolize(dump, &sources);
    let finding = analysis::analyse(dump, &traces, &process.history);
    report::write_dump(dir, dump, &traces, &finding)?;
    Ok(Some(finding))
}
