//! The stack of each thread: the better of two, one read from memory and one with the thread's registers. If
//! it is not whole, the reason is given.

use std::collections::{BTreeMap, BTreeSet};

use hangscope_protocol::record::{probe_outcome, probe_way};

use super::allocator::AllocatorSet;
use super::arch::Arch;
use super::names::Names;
use super::problem::StackProblem;
use super::stack::{Cut, StackBytes};
use super::unwind::{Unwinder, Walk};
use crate::session::trace::{SIGNAL_FRAME, ThreadTrace, TraceSource};
use crate::session::{Dump, Probe};
use crate::text::message::{Say as _, Text, say};

/// Functions in which threads and programs start. Unwind tables mark most of them as outermost, but not
/// all (`clone` of musl; `start_thread` of a libc whose assembly has no tables).
const STARTS: [&str; 9] = [
    "clone3",
    "clone",
    "__clone3",
    "__clone",
    "start_thread",
    "_start",
    "__libc_start_call_main",
    "__libc_start_main",
    "thread_start",
];

#[derive(Debug)]
pub(super) struct Raw {
    tid: u32,
    source: TraceSource,
    walk: Walk,
    /// Why the signal gave no stack.
    refused: Option<StackProblem>,
}

impl Raw {
    pub(super) fn tid(&self) -> u32 {
        self.tid
    }

    pub(super) fn walk(&self) -> &Walk {
        &self.walk
    }

    /// Addresses that names are needed for.
    pub(super) fn lookups(&self) -> impl Iterator<Item = u64> {
        self.walk.frames.iter().map(|f| f.lookup())
    }

    /// The stack was read from memory, and the thread's registers may give more.
    pub(super) fn wants_registers(&self) -> bool {
        let helps = |cut| {
            matches!(cut, Cut::NeedsFramePointer | Cut::NeedsRegister(_) | Cut::NoTable | Cut::NotCode(_))
        };
        self.source == TraceSource::Blocked && self.walk.cut.is_some_and(helps)
    }

    /// The thread blocks the signal, or gave no answer.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// For comparison: a whole stack is better than a cut one, then a deeper one is better.
    fn rank(&self) -> (bool, usize) {
        (self.walk.cut.is_none(), self.walk.frames.len())
    }
}

/// One stack for every thread of the dump.
pub(super) fn of_dump(dump: &Dump, unwinder: &Unwinder<'_>, arch: &Arch) -> Vec<Raw> {
    let probes: BTreeMap<u32, &Probe> = dump.probes.iter().map(|p| (p.record.tid, p)).collect();
    let stacks: BTreeMap<u32, _> =
        dump.stacks.iter().filter(|s| s.record.look == 1).map(|s| (s.record.tid, s)).collect();
    let tids: BTreeSet<u32> = dump.threads.iter().map(|t| t.tid).collect();
    let of_thread = |tid| {
        let thread = dump.thread(tid)?;
        let blocked = stacks.get(&tid).filter(|_| thread.pc != 0).map(|stack| Raw {
            // A thread that blocks the signal cannot answer it.
            refused: blocks(dump, thread.sigblk),
            ..of_memory(tid, (thread.pc, stack.record.sp), &stack.bytes, unwinder, arch)
        });
        let Some(probe) = probes.get(&tid) else {
            return Some(blocked.unwrap_or_else(|| none(tid, Some(StackProblem::NotSent {}))));
        };
        let asked = of_probe(dump, probe, unwinder, arch);
        Some(match blocked {
            None => asked,
            Some(blocked) if asked.rank() > blocked.rank() => asked,
            Some(blocked) => Raw { refused: asked.refused.or(blocked.refused), ..blocked },
        })
    };
    tids.into_iter().filter_map(of_thread).collect()
}

/// The stack from an answer to the signal. If there was no answer, the reason.
pub(super) fn of_probe(dump: &Dump, probe: &Probe, unwinder: &Unwinder<'_>, arch: &Arch) -> Raw {
    let tid = probe.record.tid;
    if let Some(refused) = refused(dump, probe) {
        return none(tid, Some(refused));
    }
    let regs = &probe.record.regs;
    let (source, regs) = match probe.record.outcome {
        probe_outcome::READ => (TraceSource::Blocked, arch.blocked(regs[arch.pc], regs[arch.sp])),
        _ => (source(probe.record.way), arch.answered(regs)),
    };
    let walk = unwinder.walk(regs, &StackBytes { start: probe.record.stack, bytes: &probe.stack });
    Raw { tid, source, walk, refused: None }
}

/// The stack from its bytes alone, with the instruction pointer and the stack pointer.
pub(super) fn of_memory(
    tid: u32,
    (pc, sp): (u64, u64),
    bytes: &[u8],
    unwinder: &Unwinder<'_>,
    arch: &Arch,
) -> Raw {
    let walk = unwinder.walk(arch.blocked(pc, sp), &StackBytes { start: sp, bytes });
    Raw { tid, source: TraceSource::Blocked, walk, refused: None }
}

fn source(way: u8) -> TraceSource {
    match way {
        probe_way::PERF => TraceSource::Perf,
        probe_way::PTRACE => TraceSource::Ptrace,
        _ => TraceSource::Signal,
    }
}

fn none(tid: u32, refused: Option<StackProblem>) -> Raw {
    Raw { tid, source: TraceSource::None, walk: Walk { frames: vec![], cut: None }, refused }
}

/// `blocks signal 62`, if the mask blocks it.
fn blocks(dump: &Dump, mask: u64) -> Option<StackProblem> {
    let signal = dump.identity.fixed.probe_signal;
    let blocked = (1..=64).contains(&signal) && mask & 1 << (signal - 1) != 0;
    blocked.then(|| say!(StackProblem::Blocks { signal }))
}

/// Why the signal gave nothing; none if it gave something.
fn refused(dump: &Dump, probe: &Probe) -> Option<StackProblem> {
    let signal = dump.identity.fixed.probe_signal;
    Some(match probe.record.outcome {
        probe_outcome::ANSWERED | probe_outcome::READ => return None,
        probe_outcome::BLOCKED => say!(StackProblem::Blocks { signal }),
        probe_outcome::GONE => StackProblem::LeftBefore {},
        probe_outcome::LATE => StackProblem::Late {},
        probe_outcome::LEFT => StackProblem::LeftMeanwhile {},
        probe_outcome::NO_SIGNAL => StackProblem::NoSignalFree {},
        probe_outcome::NOT_SENT => {
            let errno = nix::errno::Errno::from_raw(probe.record.errno.into());
            say!(StackProblem::SignalFailed { signal, why: errno.desc() })
        }
        probe_outcome::NOT_SEEN if probe.record.errno == 0 => StackProblem::Filtered {},
        probe_outcome::NOT_SEEN => {
            let errno = nix::errno::Errno::from_raw(probe.record.errno.into());
            say!(StackProblem::NotSeen { why: errno.desc() })
        }
        probe_outcome::NOT_SAFE => StackProblem::NotSafe {},
        outcome => say!(StackProblem::UnknownAnswer { outcome }),
    })
}

pub(super) fn named(raw: Raw, names: &Names, set: &AllocatorSet<'_>, arch: &Arch) -> ThreadTrace {
    let mut frames = vec![];
    for (frame, mark) in raw.walk.frames.iter().zip(set.marks(&raw.walk)) {
        for mut named in names.frames(frame.pc, frame.lookup(), set.modules()) {
            named.in_allocator = mark.in_allocator;
            named.entry = mark.entry;
            named.cfa = frame.cfa;
            named.kept = frame.kept;
            if frame.signal {
                named.function = Some(SIGNAL_FRAME.into());
            }
            frames.push(named);
        }
    }
    // A thread with `clone` as its innermost frame calls it. The thread does not begin there.
    let last = frames.last().filter(|_| raw.walk.frames.len() > 1);
    let at_start = last.and_then(|f| f.function.as_deref()).is_some_and(|f| {
        let plain = f.split('@').next().unwrap_or(f);
        STARTS.contains(&plain) || plain.starts_with("__libc_start_main")
    });
    let cut = raw.walk.cut.filter(|_| !at_start);
    let why = |cut| match (cut, raw.source) {
        // The thread has answered.
        (Cut::NeedsFramePointer, from) if from != TraceSource::Blocked => {
            say!(StackProblem::Register { register: arch.fp_name })
        }
        (cut, _) => cut.why(arch),
    };
    let cut_text =
        cut.map(|c| say!(StackProblem::CutAt { frame: frames.len().saturating_sub(1), why: why(c) }));
    let problems: Vec<Text> = match raw.source {
        // Why there was no answer matters only if the stack without a signal is cut.
        TraceSource::Blocked if cut.is_none() => vec![],
        _ => cut_text.into_iter().chain(raw.refused).map(|problem| problem.said()).collect(),
    };
    ThreadTrace {
        tid: raw.tid,
        source: raw.source,
        truncated: cut.is_some() || raw.source == TraceSource::None,
        problem: Text::joined(&problems),
        frames,
    }
}
