//! The evidence of a hang: what the shim sent, the outside view, perf of the hottest thread; then the run is stopped.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::bundle::Bundle;
use super::config::Config;
use super::counters;
use super::lane::Lane;
use super::outcome;
use super::run::{self, PATIENCE};
use super::watch::{Watch, Watched};
use crate::analysis::class::Why;
use crate::analysis::{Class, HangFacts, History, Integrity, integrity};
use crate::capture::{self, Outside, PerfOptions};
use crate::console::cancel::Cancel;
use crate::evidence::recorded;
use crate::files::facts;
use crate::launch::bench::{Bench, Ended, Member};
use crate::listen::{ConnId, Listener};
use crate::session::Dump;
use crate::snap;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Dumps of other processes of the run may take so much longer than the first.
const OTHER_DUMPS: Duration = Duration::from_secs(3);
/// Between two looks from outside.
const OUTSIDE_LOOKS: Duration = Duration::from_secs(1);

/// What said that the run hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The dump of this process.
    Inside(ConnId),
    /// Its time was over, and nothing came from inside: why.
    Outside(Note),
}

/// What was captured.
#[derive(Debug)]
pub(crate) struct Captured {
    /// The process that it is about.
    pub(crate) pid: u32,
    /// For the run's facts.
    pub(crate) hang: HangFacts,
    /// How the run ended when it was stopped.
    pub(crate) ended: Ended,
    /// It was slow, not hung: its threads came and went, or it came to a good end while it was captured.
    pub(crate) slow: bool,
    /// It ended before it was stopped.
    pub(crate) ended_by_itself: bool,
    /// Its wall clock until it was found to hang, seconds.
    pub(crate) seconds: f64,
    /// The allocator's DSO at the start.
    pub(crate) integrity_start: Integrity,
    /// At the hang.
    pub(crate) integrity_end: Integrity,
    /// `(deleted)` was seen on it.
    pub(crate) deleted_seen: bool,
    /// Its counters in memory; why there are none.
    pub(crate) counters: Result<counters::Read, Text>,
    /// What is worth a line.
    pub(crate) notes: Vec<Text>,
}

/// Captures the evidence, then stops the run.
///
/// # Errors
/// A file that cannot be written; the run is killed by the drop of its [`Bench`] then.
#[expect(clippy::too_many_arguments, reason = "all that belongs to a run, for once")]
pub(crate) fn capture(
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
    run::gather(lane, listener, watch, OTHER_DUMPS, cancel);
    // Of several processes the one that tells the most may have been the last to do so.
    let trigger = watch.subject().map_or(trigger, Trigger::Inside);
    let mut notes = vec![];
    let (process, why_not) = match trigger {
        Trigger::Inside(conn) => (watch.process(conn), Note::NoDump {}),
        Trigger::Outside(reason) => {
            notes.push(say!(Note::OutsideOnly { why: &reason }).said());
            let pid = subject(bench, &mut notes);
            (watch.processes().filter(|p| p.pid == pid).last(), reason)
        }
    };
    let pid = process.map_or_else(|| subject(bench, &mut notes), |process| process.pid);
    let mut bundle = Bundle::new(config, lane, &lane.snapshot(number))?;
    let outside = bundle.outside(pid)?;

    // From inside, as the shim saw it; else from outside, as far as that goes.
    let recorded = process.and_then(|p| p.dumps.last());
    let snapped = match recorded {
        Some(_) => None,
        None => match snap::take(pid, &snap::Options::default()) {
            Ok(dump) => Some(counters::with_memory(lane, pid, dump)),
            Err(why) => {
                notes.push(say!(Note::NotLookedInto { why }).said());
                None
            }
        },
    };
    let dump = recorded.map(|r| &r.dump).or(snapped.as_ref());
    bundle.dumps(watch, process, snapped.as_ref(), &why_not.en())?;
    let copy = bundle.copy(process)?;
    let same = copy.as_deref().and_then(|bytes| compare(lane, bytes));

    let allocator = process.and_then(Watched::allocator).or(dump.and_then(Dump::allocator));
    let is_ours = allocator.is_some_and(|a| lane.is_of(a));
    let (start, end, deleted_seen) = match allocator.filter(|_| is_ours) {
        Some(allocator) => {
            let now = integrity::judge(allocator, same);
            if now.integrity > Integrity::Unknown {
                notes.push(say!(Note::Dso { path: &allocator.path, why: &now.reason }).said());
            }
            // From outside there is nothing from the start.
            let start = process.map_or(Integrity::Unknown, |_| outcome::at_start(allocator));
            (start, now.integrity, now.deleted_seen)
        }
        None => (Integrity::Unknown, Integrity::Unknown, maps_say_deleted(&outside, config)),
    };

    let hot = match dump.filter(|dump| !dump.second.is_empty()) {
        Some(dump) => capture::hot::of_dump(dump),
        None => capture::look_twice(pid, &outside.cpu(), OUTSIDE_LOOKS, cancel),
    };
    match (&config.perf, hot) {
        (None, _) => capture::perf::refuse(bundle.dir(), "not asked for (--no-perf)")?,
        (Some(_), Err(why)) => capture::perf::refuse(bundle.dir(), &why)?,
        (Some(perf), Ok(hot)) => {
            let copies = match allocator {
                Some(allocator) if copy.is_some() => {
                    vec![(PathBuf::from(&allocator.path), bundle.copy_path())]
                }
                _ => vec![],
            };
            let maps = outside.maps.clone().unwrap_or_default();
            capture::perf(bundle.dir(), hot.tid, &PerfOptions { maps, copies, ..perf.clone() }, cancel)?;
        }
    }
    let counters = match dump {
        Some(dump) => counters::at_hang(lane, dump, process.filter(|_| recorded.is_some())),
        None => Err(why_not.said()),
    };
    let history = process.map_or_else(History::default, |p| p.history.clone());
    let examined = bundle.examine(dump, &history, Some(pid), &why_not.en())?;
    let mut finding = examined.map(|(finding, _)| finding);
    if let (Some(other), false, None) = (allocator, is_ours, process) {
        // Whatever it is, it is not about the DSO that is hunted.
        notes.push(say!(Note::MallocElsewhere { path: &other.path, snapshot: bundle.name() }).said());
        finding = None;
    }
    let ended_by_itself = bench.ended().try_recv().is_ok();
    if ended_by_itself {
        let seconds = bench.started().elapsed().as_secs_f64();
        notes.push(say!(Note::EndedMeanwhile { seconds: format!("{seconds:.0}") }).said());
    }
    let dump_ms = dump.and_then(dump_ms);
    let ended = bench.stop(PATIENCE).context("hunt: stopping the run")?;
    // What hangs does not come to a good end, unless it was asked by a signal or by ptrace, which may have cured it.
    let came_out = ended_by_itself && ended.code == Some(0);
    let asked = bundle.dir().join(recorded::OUTSIDE).exists()
        || finding.as_ref().is_some_and(|f| f.said.iter().any(|why| matches!(why, Why::Resumed { .. })));
    let slow = came_out && !asked || finding.as_ref().is_some_and(|f| f.class == Class::Slow);
    if slow {
        bundle.rename(&lane.slow_snapshot(number))?;
    }
    let snapshot = bundle.name().to_owned();
    Ok(Captured {
        pid,
        slow,
        ended_by_itself,
        hang: HangFacts { snapshot, finding, dump_ms },
        ended,
        seconds,
        integrity_start: start,
        integrity_end: end,
        deleted_seen,
        counters,
        notes,
    })
}

/// Keeps the dumps of a run that was past its time and ended by itself.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn keep(
    config: &Config,
    lane: &Lane,
    number: u32,
    pid: u32,
    watch: &Watch,
) -> anyhow::Result<HangFacts> {
    let subject = watch.processes().filter(|p| !p.dumps.is_empty() && !watch.is_wrapper(p)).last();
    let bundle = Bundle::new(config, lane, &lane.slow_snapshot(number))?;
    bundle.outside(subject.map_or(pid, |p| p.pid))?;
    bundle.dumps(watch, subject, None, "no dump")?;
    bundle.copy(subject)?;
    capture::perf::refuse(bundle.dir(), "the run had ended")?;
    let dump = subject.and_then(|p| p.dumps.last()).map(|r| &r.dump);
    let history = subject.map_or_else(History::default, |p| p.history.clone());
    let finding = bundle.examine(dump, &history, None, "no dump")?.map(|(finding, _)| finding);
    Ok(HangFacts { snapshot: bundle.name().to_owned(), finding, dump_ms: dump.and_then(dump_ms) })
}

fn maps_say_deleted(outside: &Outside, config: &Config) -> bool {
    let name = format!("maps_{}.txt", config.name);
    let lines = outside.files.iter().find(|(n, _)| *n == name).and_then(|(_, part)| part.as_ref().ok());
    lines.is_some_and(|lines| lines.split(|b| *b == b'\n').any(|line| line.ends_with(b" (deleted)")))
}

/// The process that a look from outside is about; the first where the others could not be looked for.
fn subject(bench: &Bench, notes: &mut Vec<Text>) -> u32 {
    let members = bench.members().unwrap_or_else(|why| {
        let note = say!(Note::MembersUnknown { why }).said();
        if !notes.contains(&note) {
            notes.push(note);
        }
        vec![]
    });
    leaf(&members, bench.pid())
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

/// Whether the DSO's file has the bytes that the process started with.
fn compare(lane: &Lane, bytes: &[u8]) -> Option<bool> {
    let now = facts::now(&lane.dso, None).ok()?;
    now.filter(|now| now.size == bytes.len() as u64)?;
    std::fs::read(&lane.dso).ok().map(|file| file == bytes)
}

/// From the trigger to the last byte of the first look, ms.
fn dump_ms(dump: &Dump) -> Option<f64> {
    dump.end.map(|end| end.first_look_ns as f64 / 1e6)
}
