//! Captures the evidence of a hang, then stops the run.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::Select;
use hangscope_protocol::record::dump_reason;

use super::bundle;
use super::config::Config;
use super::counters;
use super::holds;
use super::judge;
use super::lane::Lane;
use super::programs;
use super::running::{Job, Running};
use super::watch::{Watch, Watched};
use crate::analysis::class::Why;
use crate::analysis::stall::is_stuck;
use crate::analysis::{
    Blame, Confidence, Finding, HangFacts, History, Integrity, Judged, RunFacts, integrity,
};
use crate::capture::Outside;
use crate::console::cancel::Cancel;
use crate::evidence::bundle::{Allocator, Contents};
use crate::evidence::finding_files;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::atomic::WriteError;
use crate::files::facts;
use crate::launch::bench::{Bench, Ended, TERM_TO_KILL};
use crate::launch::census;
use crate::listen::ConnId;
use crate::report::html;
use crate::session::{Dso, Dump};
use crate::snap;
use crate::snap::notes::OutsideNote;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;
use crate::text::progress::JobLine;

/// How long to wait for the dumps of the run's other processes.
const OTHER_DUMPS: Duration = Duration::from_secs(3);

/// Most notes of a look from outside that the report of the hunt has; threads.json has all.
const MOST_OUTSIDE_NOTES: usize = 4;
/// How long a run that waits for something that will come gets after its deadline, at most.
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// From the first look to the second after Ctrl-C. A thread that goes on is seen to do so in this time.
const EARLY_LOOK: Duration = Duration::from_millis(300);
/// How long to wait for dumps after Ctrl-C. The whole command is to end within two seconds.
const DUMP_AT_INTERRUPT: Duration = Duration::from_millis(800);
/// Time between TERM and KILL after Ctrl-C.
const TERM_TO_KILL_IN_HASTE: Duration = Duration::from_millis(200);

/// What showed that the run hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The dump of this process.
    Inside(ConnId),
    /// The deadline passed, and no dump came, for this reason.
    Outside(Note),
    /// Ctrl-C, or the hunt needs no more runs. The run may hang, or not.
    Interrupted,
}

#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) pid: u32,
    pub(crate) hang: HangFacts,
    /// How the run ended when it was stopped.
    pub(crate) ended: Ended,
    /// The run was slow and did not hang: its threads came and went, or it came to a good end during the
    /// capture.
    pub(crate) slow: bool,
    /// Ctrl-C came during the run, which is no proven hang.
    pub(crate) interrupted: bool,
    /// The run ended before it was stopped.
    pub(crate) ended_by_itself: bool,
    /// Wall clock time until the run was found to hang, seconds.
    pub(crate) seconds: f64,
    /// Wall clock time of the capture and of the end of the processes, seconds.
    pub(crate) captured_s: f64,
    /// Integrity of the allocator's DSO at the start.
    pub(crate) integrity_start: Integrity,
    /// Its integrity at the hang.
    pub(crate) integrity_end: Integrity,
    /// Whether `(deleted)` was seen on it.
    pub(crate) deleted_seen: bool,
    /// The process that hangs, and whether its malloc is proven.
    pub(crate) judged: Judged,
    /// Counters in memory; else why there are none.
    pub(crate) counters: Result<counters::Read, Text>,
    /// Offsets in the allocator of instructions at which threads were held last.
    pub(crate) hold_sites: BTreeSet<u32>,
    pub(crate) notes: Vec<Text>,
}

/// Integrity of the allocator's DSO.
struct DsoState {
    start: Integrity,
    end: Integrity,
    deleted_seen: bool,
}

/// Captures the evidence, then stops the run.
///
/// # Errors
/// A file that cannot be written. The drop of the [`Bench`] kills the run then.
pub(super) fn capture(running: &mut Running<'_>, trigger: Trigger) -> anyhow::Result<Captured> {
    let seconds = running.bench.started().elapsed().as_secs_f64();
    let at_interrupt = trigger == Trigger::Interrupted;
    match at_interrupt {
        true => running.dump_now(EARLY_LOOK, DUMP_AT_INTERRUPT),
        false => running.gather(OTHER_DUMPS),
    }
    running.look();
    let (trigger, pid) = subject(running, trigger);
    let judged = running.judged(Some(pid), None);
    let Running { job, bench, watch, rows, .. } = running;
    let job = *job;
    let Job { config, lane, number, cancel, .. } = job;
    // Somebody waits at the terminal, or the hunt has its hang: what takes seconds is left out.
    let haste = cancel.is_set() || at_interrupt;
    let mut notes = vec![];
    let (process, why_not) = match trigger {
        Trigger::Inside(conn) => (watch.process(conn), Note::NoDump {}),
        Trigger::Outside(reason) => {
            notes.push(say!(Note::OutsideOnly { why: &reason }).said());
            // An earlier program of this process tells nothing about the one that hangs.
            let is_it = |p: &&Watched| {
                let own_dsos = || programs::report(p);
                p.pid == pid && (!p.ended || census::has_mapped(pid, own_dsos().own_dsos()))
            };
            (watch.processes().filter(is_it).last(), reason)
        }
        Trigger::Interrupted => {
            let process = watch.first_look();
            (process, process.map_or(Note::NoDump {}, |p| say!(Note::DumpUnfinished { pid: p.pid })))
        }
    };
    let mut name = lane.snapshot(number);
    let mut bundle = bundle::begin(config, lane, &name, pid, process);

    let recorded = process.and_then(|p| p.dumps.last());
    let first_look = process.filter(|_| haste).and_then(|p| p.first_look.as_deref().cloned());
    let snapped = match (recorded, first_look) {
        (Some(_), _) => None,
        (None, Some(first_look)) => Some(first_look),
        (None, None) => take_from_outside(lane, pid, haste, &mut notes),
    };
    let dump = recorded.map(|r| &r.dump).or(snapped.as_ref());
    let bytes = bundle::allocator_bytes(lane, process);
    let allocator = process.and_then(Watched::allocator).or(dump.and_then(Dump::allocator));
    let is_ours = allocator.is_some_and(|a| lane.is_of(a));
    let dso = match allocator.filter(|_| is_ours) {
        Some(allocator) => {
            let same = bytes.as_ref().ok().and_then(|bytes| compare(lane, bytes));
            dso_state(allocator, same, process.is_some(), &mut notes)
        }
        None => DsoState {
            start: Integrity::Unknown,
            end: Integrity::Unknown,
            deleted_seen: maps_say_deleted(bundle.outside(), config),
        },
    };
    let history = process.map_or_else(History::default, |p| p.history.clone());
    let contents = Contents {
        dump: bundle::dump_frames(process, snapped.as_ref())
            .ok_or_else(|| format!("no dump: {}", why_not.en())),
        other_dumps: bundle::other_dumps(watch, process),
        history: &history,
        allocator: Allocator::new(allocator.map(|a| a.path.as_str()), &bytes),
        copies: lane.files(),
        kept: config.kept.clone(),
        alive: true,
        supplement: (!haste).then_some(snap::supplement),
        full: config.full,
        perf: match haste {
            true if cancel.is_set() => Err("interrupted (Ctrl-C)"),
            true => Err("another run hung, and the hunt stops at its first hang"),
            false => config.perf.as_ref().ok_or("not asked for (--no-perf)"),
        },
    };
    let mut file = bundle.finish(&contents, cancel);
    let mut shown = file.clone();
    notes.extend(job.lacks(&bundle));
    // What `take_from_outside` notes is in the file, too.
    notes.extend(file.iter().flat_map(|file| OutsideNote::among(&file.notes)).take(MOST_OUTSIDE_NOTES));
    let mut finding = file.as_ref().map(|file| file.finding.clone());
    let counters = match dump {
        Some(dump) => counters::at_hang(lane, dump, process.filter(|_| recorded.is_some())),
        None => Err(why_not.said()),
    };
    if let (Some(other), false, None) = (allocator, is_ours, process) {
        // The finding is not about the DSO that is hunted.
        notes.push(say!(Note::MallocElsewhere { path: &other.path, snapshot: &name }).said());
        (finding, file) = (None, None);
    }
    // A program that sleeps until after its deadline may come to its end.
    let may_end = |f: &Finding| f.blame == Some(Blame::Nobody) || f.may_end();
    if !at_interrupt && finding.as_ref().is_some_and(may_end) {
        let limit = config.hang_after.time().map_or(MOST_PATIENCE, |after| after.min(MOST_PATIENCE));
        wait_for_end(bench, limit, cancel);
    }
    let ended_by_itself = bench.ended().try_recv().is_ok();
    let lasted = bench.started().elapsed().as_secs_f64();
    if at_interrupt {
        notes.push(at_interrupt_note(seconds, dump, cancel.is_set()));
    } else if ended_by_itself {
        notes.push(say!(Note::EndedMeanwhile { seconds: format!("{lasted:.0}") }).said());
    }
    let dump_ms = dump.and_then(dump_ms);
    let hangs = finding.as_ref().is_none_or(|finding| !finding.is_no_hang());
    if let Some(limit) = config.core.filter(|_| !haste && !ended_by_itself) {
        notes.push(job.core(bundle.dir(), pid, limit));
    }
    let patience = if haste { TERM_TO_KILL_IN_HASTE } else { TERM_TO_KILL };
    let ended = match job.keep && hangs && !haste && !ended_by_itself {
        true => {
            job.screen.say(&say!(JobLine::KeptAlive { pid, group: bench.pid() }));
            notes.push(say!(Note::KeptAlive { pid }).said());
            bench.leave()
        }
        false => bench.stop(patience).context("hunt: stopping the run")?,
    };
    // A process that hangs does not come to a good end, unless a signal or ptrace ended a wait.
    let came_out = ended_by_itself && ended.code == Some(0);
    let asked = bundle.disturbed()
        || finding.as_ref().is_some_and(|f| f.said.iter().any(|why| matches!(why, Why::Resumed { .. })));
    let ended_well = came_out && !asked && !finding.as_ref().is_some_and(Finding::is_no_hang);
    let slow = ended_well || finding.as_ref().is_some_and(Finding::is_no_hang);
    // Nobody has waited for the deadline. Only what cannot end by itself is a hang.
    let proven = |f: &Finding| f.confidence == Confidence::Proven && is_stuck(f);
    let interrupted = at_interrupt && (came_out || !finding.as_ref().is_some_and(proven));
    if ended_well && !interrupted {
        shown = end_well(bundle.dir(), file, bench.started().elapsed().as_secs_f64())?;
        finding = shown.as_ref().map(|file| file.finding.clone());
    }
    let slow = slow && !interrupted;
    if slow || interrupted {
        name = if slow { lane.slow_snapshot(number) } else { lane.interrupted_snapshot(number) };
        bundle.move_to(config.out.join(&name))?;
    }
    html::add_to(&bundle, shown.as_ref());
    rows.dumped(pid, shown.as_ref(), &config.out.join(&name), !slow && !interrupted);
    Ok(Captured {
        pid,
        slow,
        interrupted,
        ended_by_itself,
        hang: HangFacts { snapshot: name, finding, dump_ms },
        ended,
        seconds: if slow && ended_by_itself { lasted } else { seconds },
        captured_s: bench.started().elapsed().as_secs_f64() - seconds,
        integrity_start: dso.start,
        integrity_end: dso.end,
        deleted_seen: dso.deleted_seen,
        judged,
        counters,
        hold_sites: dump.filter(|_| is_ours).map(holds::sites_before).unwrap_or_default(),
        notes,
    })
}

/// Waits until the run ends, for so long at most. Ctrl-C ends the wait.
fn wait_for_end(bench: &Bench, limit: Duration, cancel: &Cancel) {
    // Nothing is taken out of the channels: the caller reads them.
    let mut ready = Select::new();
    ready.recv(bench.ended());
    ready.recv(cancel.channel());
    let _ = ready.ready_timeout(limit);
}

/// A dump from outside, with the memory of the counters; none if the process may not be looked at.
fn take_from_outside(lane: &Lane, pid: u32, haste: bool, notes: &mut Vec<Text>) -> Option<Dump> {
    let mut options = snap::Options::default();
    if haste {
        options.second_look_after = EARLY_LOOK;
    }
    match snap::take(pid, &options) {
        Ok(mut dump) => {
            if !haste {
                dump.begin.reason = dump_reason::DEADLINE;
            }
            Some(counters::with_memory(lane, pid, dump))
        }
        Err(why) => {
            notes.push(say!(Note::NotLookedInto { why }).said());
            None
        }
    }
}

/// What a finding at Ctrl-C, or beside another hang, rests on.
fn at_interrupt_note(seconds: f64, dump: Option<&Dump>, by_user: bool) -> Text {
    let seconds = format!("{seconds:.1}");
    match dump.and_then(Dump::between_ns) {
        _ if !by_user => say!(Note::CapturedBesideHang { seconds }).said(),
        Some(ns) => say!(Note::AtInterrupt { seconds, between: format!("{:.1}", ns as f64 / 1e9) }).said(),
        None => say!(Note::AtInterruptOnce { seconds }).said(),
    }
}

/// Judges the allocator's DSO. `same`: whether its file has the bytes that the process started with.
/// `inside`: whether the shim told of the DSO; from outside nothing is known of the start.
fn dso_state(allocator: &Dso, same: Option<bool>, inside: bool, notes: &mut Vec<Text>) -> DsoState {
    let now = integrity::judge(allocator, same);
    if now.integrity > Integrity::Unknown {
        notes.push(say!(Note::Dso { path: &allocator.path, why: &now.reason }).said());
    }
    let start = if inside { judge::at_start(allocator) } else { Integrity::Unknown };
    DsoState { start, end: now.integrity, deleted_seen: now.deleted_seen }
}

/// Keeps the dumps of a run that was past its deadline and ended by itself.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn keep(
    job: &Job<'_>,
    facts: &RunFacts,
    watch: &Watch,
    notes: &mut Vec<Text>,
) -> anyhow::Result<HangFacts> {
    let Job { config, lane, .. } = *job;
    let (number, pid) = (facts.run, facts.pid.unwrap_or(0));
    let subject = watch.processes().filter(|p| !p.dumps.is_empty() && !watch.is_wrapper(p)).last();
    let name = lane.slow_snapshot(number);
    let bundle = bundle::begin(config, lane, &name, subject.map_or(pid, |p| p.pid), subject);
    let bytes = bundle::allocator_bytes(lane, subject);
    let history = subject.map_or_else(History::default, |p| p.history.clone());
    let contents = Contents {
        dump: bundle::dump_frames(subject, None).ok_or_else(|| "no dump".to_owned()),
        other_dumps: bundle::other_dumps(watch, subject),
        history: &history,
        allocator: Allocator::new(None, &bytes),
        copies: lane.files(),
        kept: config.kept.clone(),
        alive: false,
        supplement: None,
        full: config.full,
        perf: Err("the run had ended"),
    };
    let file = bundle.finish(&contents, &Cancel::never());
    notes.extend(job.lacks(&bundle));
    let file = match facts.rc {
        Some(0) => end_well(bundle.dir(), file, facts.seconds)?,
        _ => file,
    };
    html::add_to(&bundle, file.as_ref());
    let finding = file.map(|file| file.finding);
    let dump = subject.and_then(|p| p.dumps.last()).map(|r| &r.dump);
    Ok(HangFacts { snapshot: name, finding, dump_ms: dump.and_then(dump_ms) })
}

/// The `threads.json` of a process that ended by itself with status 0, written again with that finding.
fn end_well(dir: &Path, file: Option<ThreadsFile>, seconds: f64) -> Result<Option<ThreadsFile>, WriteError> {
    let Some(mut file) = file else { return Ok(None) };
    file.finding.ended_well(seconds);
    match finding_files::write_again(dir, &file).into_iter().next() {
        Some(error) => Err(error),
        None => Ok(Some(file)),
    }
}

fn maps_say_deleted(outside: &Outside, config: &Config) -> bool {
    let name = format!("maps_{}.txt", config.name);
    let lines = outside.files.iter().find(|(n, _)| *n == name).and_then(|(_, part)| part.as_ref().ok());
    lines.is_some_and(|lines| lines.split(|b| *b == b'\n').any(|line| line.ends_with(b" (deleted)")))
}

/// The process that hangs, and how it shows: by its own dump, or from outside.
fn subject(running: &Running<'_>, trigger: Trigger) -> (Trigger, u32) {
    let watch = &running.watch;
    // Of several processes, the one whose dump shows the most may have been the last to send it.
    let trigger = watch.subject().map_or(trigger, Trigger::Inside);
    let Trigger::Inside(conn) = trigger else {
        let cut_off = watch.first_look().filter(|_| trigger == Trigger::Interrupted);
        return (trigger, cut_off.map_or_else(|| running.census.leaf(), |process| process.pid));
    };
    let pid = watch.process(conn).map_or_else(|| running.census.leaf(), |process| process.pid);
    // A program that only waits may wait for one that says nothing.
    if watch.only_waits(conn) {
        let judged = running.judged(Some(pid), None);
        if let Some(other) = judged.in_doubt().filter(|program| program.pid != pid) {
            return (Trigger::Outside(say!(Note::WaitsBeside { pid })), other.pid);
        }
    }
    (Trigger::Inside(conn), pid)
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
