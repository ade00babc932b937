//! `threads.json`: what every thread does, the finding, and the DSOs.

use std::collections::BTreeMap;

use hangscope_protocol::record::{
    SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, dump_reason, thread_flags,
};
use serde::{Deserialize, Serialize};

use crate::analysis::beats::Beats;
use crate::analysis::integrity;
use crate::analysis::{Finding, History, Integrity, ThreadWait};
use crate::session::syscalls::Syscalls;
use crate::session::trace::{AllocatorDso, Frame, ThreadTrace, TraceSource, Traces};
use crate::session::{Dump, record_text};
use crate::text::message::{Lang, counted};
use crate::text::view::View;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadsFile {
    /// `hangscope/threads/1`.
    pub(crate) schema: String,
    pub(crate) pid: u32,
    pub(crate) exe: String,
    pub(crate) command: Vec<String>,
    pub(crate) label: String,
    /// Number of the dump in this process, from 1.
    pub(crate) dump: u32,
    /// `deadline`, `asked`, `still`, `stall`.
    pub(crate) reason: String,
    /// Seconds since the process (or its program) began.
    pub(crate) since_start_s: f64,
    /// Seconds between the two looks; null if there was only one.
    pub(crate) between_looks_s: Option<f64>,
    /// Whether the dump has its end, and nothing was left out.
    pub(crate) whole: bool,
    pub(crate) finding: Finding,
    /// By tid, without the shim's own thread.
    pub(crate) threads: Vec<ThreadPart>,
    /// The DSOs that make up the allocator; the one that provides malloc comes first. Empty without stacks.
    #[serde(default)]
    pub(crate) allocator: Vec<AllocatorDso>,
    pub(crate) dsos: Vec<DsoPart>,
    /// What could not be read, and the notes of the shim.
    pub(crate) notes: Vec<String>,
    /// Source lines around the hot loop and the culprit's place, where the files are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) excerpts: Vec<Excerpt>,
    /// The heartbeats before the dump; none: there were none, or an older version wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beats: Option<Beats>,
}

/// Lines of a source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Excerpt {
    /// As in the debug information.
    pub(crate) file: String,
    /// Number of the first line, from 1.
    pub(crate) first: u32,
    pub(crate) lines: Vec<String>,
    /// Numbers of the lines that are meant.
    pub(crate) marked: Vec<u32>,
    /// The file was changed after the DSO was built: these may be other lines than those of the code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) newer: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThreadPart {
    pub(crate) tid: u32,
    pub(crate) comm: String,
    /// Whether it is the first thread of the process.
    pub(crate) main: bool,
    /// State letter in the first look; null if it could not be read.
    pub(crate) state: Option<char>,
    /// State letter in the second look; null without one.
    pub(crate) state_later: Option<char>,
    /// Processor that it last ran on.
    pub(crate) cpu: u16,
    /// CPU time since its start, seconds.
    pub(crate) cpu_s: f64,
    /// CPU time between the looks, seconds; null without a second look.
    pub(crate) cpu_between_s: Option<f64>,
    /// Voluntary context switches.
    pub(crate) nvcsw: u64,
    /// Involuntary context switches.
    pub(crate) nivcsw: u64,
    /// Null if it runs or if it could not be read.
    pub(crate) wchan: Option<String>,
    /// Name of the system call; null if it runs.
    pub(crate) syscall: Option<String>,
    /// Arguments of the system call, hex; empty if it runs.
    pub(crate) args: Vec<String>,
    pub(crate) wait: Option<WaitPart>,
    /// `blocked` (memory), `perf` (a perf event), `ptrace`, `signal`, `none`.
    pub(crate) stack_from: TraceSource,
    /// Whether the stack ends before the start of the thread.
    pub(crate) truncated: bool,
    pub(crate) problem: Option<String>,
    pub(crate) samples: u32,
    /// How long before the dump it was already where the dump found it, as heartbeats show, seconds; none: not
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) still_s: Option<f64>,
    pub(crate) frames: Vec<FramePart>,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitPart {
    pub(crate) kind: String,
    /// Hex.
    pub(crate) address: Option<String>,
    pub(crate) symbol: Option<String>,
    pub(crate) owner: Option<u32>,
    /// All of it in words, for a person.
    pub(crate) detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FramePart {
    /// Hex.
    pub(crate) pc: String,
    pub(crate) function: Option<String>,
    /// Bytes from the start of the function.
    pub(crate) offset: Option<u64>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) dso: Option<String>,
    /// Address in the DSO's file, hex.
    pub(crate) dso_offset: Option<String>,
    /// Whether it is inlined into the next frame.
    pub(crate) inlined: bool,
    pub(crate) in_allocator: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DsoPart {
    pub(crate) path: String,
    /// Whether it is the allocator.
    pub(crate) allocator: bool,
    pub(crate) integrity: Integrity,
    /// Why the integrity is that.
    pub(crate) reason: String,
    /// Whether maps has ` (deleted)`.
    pub(crate) deleted: bool,
}

impl ThreadsFile {
    pub(crate) fn of(dump: &Dump, traces: &Traces, finding: &Finding) -> Self {
        let watchdog = dump.identity.fixed.watchdog_tid;
        let later: BTreeMap<u32, &ThreadRecord> = dump.second.iter().map(|t| (t.tid, t)).collect();
        let waits: BTreeMap<u32, &ThreadWait> = finding.waits.iter().map(|w| (w.tid, w)).collect();
        let whole = dump.gaps == 0 && dump.end.is_some_and(|end| end.flags == 0 && end.frames_dropped == 0);
        let between = dump.between_ns().map(|ns| ns as f64 / 1e9);
        ThreadsFile {
            schema: "hangscope/threads/1".to_owned(),
            pid: dump.identity.fixed.pid,
            exe: dump.identity.exe.clone(),
            command: dump.identity.command.clone(),
            label: dump.identity.label.clone(),
            dump: dump.begin.number,
            reason: reason(dump.begin.reason).to_owned(),
            since_start_s: seconds(dump.begin.since_init_ns),
            between_looks_s: between,
            whole,
            finding: finding.clone(),
            threads: dump
                .threads
                .iter()
                .filter(|t| t.tid != watchdog)
                .map(|t| thread(dump, traces, later.get(&t.tid).copied(), waits.get(&t.tid).copied(), t))
                .collect(),
            allocator: traces.allocator.clone(),
            dsos: dsos(dump),
            notes: notes(dump, traces, whole),
            excerpts: vec![],
            beats: None,
        }
    }

    /// With what the heartbeats before the dump showed.
    #[must_use]
    pub(crate) fn with_history(mut self, dump: &Dump, history: &History) -> Self {
        for part in &mut self.threads {
            let since = dump.thread(part.tid).and_then(|thread| history.since_ns(thread));
            part.still_s = since.map(|since| seconds(dump.begin.trigger_ns.saturating_sub(since)));
        }
        self.beats = Some(history.beats.clone()).filter(|beats| !beats.looks.is_empty());
        self
    }
}

fn reason(code: u8) -> &'static str {
    match code {
        dump_reason::DEADLINE => "deadline",
        dump_reason::ASKED => "asked",
        dump_reason::STILL => "still",
        dump_reason::STALL => "stall",
        dump_reason::CORE => "core",
        _ => "unknown",
    }
}

fn seconds(ns: u64) -> f64 {
    (ns as f64 / 1e6).round() / 1e3
}

fn thread(
    dump: &Dump,
    traces: &Traces,
    later: Option<&ThreadRecord>,
    waits: Option<&ThreadWait>,
    record: &ThreadRecord,
) -> ThreadPart {
    let trace = traces.threads.get(&record.tid);
    let samples = traces.samples.get(&record.tid).map_or(0, Vec::len) as u32;
    let letter = |state: u8| (state != 0).then_some(char::from(state));
    let wchan = record_text::padded(&record.wchan);
    let call = record.syscall;
    let name = match call {
        SYSCALL_RUNNING => None,
        SYSCALL_UNREADABLE => Some(format!("not readable (errno {})", record.err_syscall)),
        -1 => Some("none (page fault)".to_owned()),
        number => {
            let arch = Syscalls::from_elf(dump.identity.fixed.arch);
            let known = arch.and_then(|arch| arch.call(number)).map(|c| c.name.to_owned());
            Some(known.unwrap_or_else(|| number.to_string()))
        }
    };
    let cpu = |r: &ThreadRecord| if r.err_schedstat == 0 { r.cpu_ns } else { r.tick_cpu_ns };
    ThreadPart {
        tid: record.tid,
        comm: record_text::padded(&record.comm),
        main: record.flags & thread_flags::MAIN != 0,
        state: letter(record.state),
        state_later: later.and_then(|l| letter(l.state)),
        cpu: record.cpu,
        cpu_s: seconds(cpu(record)),
        cpu_between_s: later.map(|l| seconds(cpu(l).saturating_sub(cpu(record)))),
        nvcsw: record.nvcsw,
        nivcsw: record.nivcsw,
        wchan: (!wchan.is_empty()).then_some(wchan),
        syscall: name,
        args: if call >= 0 { record.args.iter().map(|a| format!("{a:#x}")).collect() } else { vec![] },
        wait: waits.map(wait),
        stack_from: trace.map_or(TraceSource::None, |t| t.source),
        truncated: trace.is_some_and(|t| t.truncated),
        problem: trace
            .map_or_else(|| Some(View::NotTaken {}.en()), |t| t.problem.as_ref().map(|p| p.en().to_owned())),
        samples,
        still_s: None,
        frames: frames(trace),
    }
}

pub(super) fn frames(trace: Option<&ThreadTrace>) -> Vec<FramePart> {
    let part = |frame: &Frame| FramePart {
        pc: format!("{:#x}", frame.pc),
        function: frame.function.clone(),
        offset: frame.offset,
        file: frame.file.clone(),
        line: frame.line,
        dso: frame.dso.clone(),
        dso_offset: frame.dso_offset.map(|o| format!("{o:#x}")),
        inlined: frame.inlined,
        in_allocator: frame.in_allocator,
    };
    trace.map_or_else(Vec::new, |t| t.frames.iter().map(part).collect())
}

fn wait(wait: &ThreadWait) -> WaitPart {
    WaitPart {
        kind: wait.kind.clone(),
        address: wait.address.map(|a| format!("{a:#x}")),
        symbol: wait.symbol.clone(),
        owner: wait.owner,
        detail: wait.detail.clone(),
    }
}

fn dsos(dump: &Dump) -> Vec<DsoPart> {
    let allocator = dump.identity.fixed.allocator;
    let files = dump.dsos.iter().filter(|d| integrity::is_file(&d.path));
    files
        .map(|dso| {
            let judged = integrity::judge(dso, None);
            DsoPart {
                path: dso.path.clone(),
                allocator: dso.init.id == allocator,
                integrity: judged.integrity,
                reason: judged.sentence(Lang::En),
                deleted: judged.deleted_seen,
            }
        })
        .collect()
}

fn notes(dump: &Dump, traces: &Traces, whole: bool) -> Vec<String> {
    let mut notes: Vec<String> =
        dump.notes.iter().filter(|n| !n.is_of_analysis()).map(|n| n.text.clone()).collect();
    notes.extend(traces.notes.iter().cloned());
    if !whole {
        let dropped = dump.end.map_or(0, |end| end.records_dropped);
        notes.push(match dump.end {
            Some(_) => format!(
                "the dump is not complete: {} and {} are missing",
                counted(&dump.gaps.to_string(), "frame"),
                counted(&dropped.to_string(), "record")
            ),
            None => "the dump has no end: this is the part that arrived".to_owned(),
        });
    }
    notes
}
