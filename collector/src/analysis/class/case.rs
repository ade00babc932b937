//! A class with its evidence, and the phrases for locks and waits that all deciders use.

use crate::analysis::finding::Lock;
use crate::analysis::role::{Role, role};
use crate::analysis::scene::{Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls, Proof};
use crate::analysis::standing;
use crate::analysis::wait::{Wait, WaitKind, WaitText};
use crate::analysis::why::Why;
use crate::analysis::words::{Blame, Cause, Class, Confidence};
use crate::session::trace::Frame;
use crate::text::message::{Say as _, Text, ranges, say};

/// The answer of a decider.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) class: Class,
    pub(super) confidence: Confidence,
    pub(super) cause: Option<Cause>,
    /// Whose mistake the hang is; none: the class and `in_allocator` decide.
    pub(super) blame: Option<Blame>,
    pub(super) why: Vec<Why>,
    pub(super) missing: Vec<Why>,
    pub(super) lock: Option<Lock>,
    /// The thread that runs or holds.
    pub(super) culprit: Option<u32>,
    /// The culprit's frame, where its innermost frame of the allocator is not the best one to show.
    pub(super) culprit_at: Option<Frame>,
    /// The threads of a ring of waits, each waiting for the next one.
    pub(super) members: Vec<u32>,
    /// Whether the stuck threads are inside the allocator; none where no stack tells.
    pub(super) in_allocator: Option<bool>,
    /// Threads that spin in the allocator together.
    pub(super) spinning: u32,
    /// Duration in seconds, where other threads have been observed for longer than the culprit.
    pub(super) for_s: Option<f64>,
}

impl Case {
    pub(super) fn new(class: Class, confidence: Confidence) -> Self {
        Case {
            class,
            confidence,
            cause: None,
            blame: None,
            why: vec![],
            missing: vec![],
            lock: None,
            culprit: None,
            culprit_at: None,
            members: vec![],
            in_allocator: None,
            spinning: 0,
            for_s: None,
        }
    }

    /// Sets whether the stuck threads are inside the allocator. If all of them are outside, the
    /// hang is the benchmark's.
    pub(super) fn located(mut self, in_allocator: Option<bool>) -> Self {
        self.in_allocator = in_allocator;
        match in_allocator {
            Some(false) => {
                self.class = Class::OutsideAllocator;
                self.why.push(Why::NotTheAllocators {});
            }
            None => self.missing.push(Why::PlaceUnknown {}),
            Some(true) => {}
        }
        self
    }

    pub(super) fn unproven(&mut self) {
        self.confidence = Confidence::Likely;
    }
}

/// Whether one of the threads is inside the allocator. None if that is not known of every thread.
pub(super) fn any_inside<'a>(threads: impl IntoIterator<Item = &'a Thread<'a>>) -> Option<bool> {
    let inside: Vec<Option<bool>> = threads.into_iter().map(|t| t.inside).collect();
    if inside.contains(&Some(true)) {
        Some(true)
    } else if !inside.is_empty() && inside.iter().all(|p| *p == Some(false)) {
        Some(false)
    } else {
        None
    }
}

/// Whether all threads that wait for one lock are stuck: no if one of them woke, since
/// the lock was then released.
pub(super) fn stuck_together<'a>(waiters: impl IntoIterator<Item = &'a Thread<'a>>) -> Stuck {
    let all: Vec<Stuck> = waiters.into_iter().map(Thread::stuck).collect();
    if all.contains(&Stuck::No) { Stuck::No } else { all.into_iter().max().unwrap_or(Stuck::Maybe) }
}

/// ``pthread-mutex `g_locks+160` ``; with the address where it has no symbol.
pub(super) fn lock_text(scene: &Scene<'_>, wait: &Wait) -> String {
    let name = scene.symbol(wait).map(|s| format!("`{s}`"));
    let address = wait.object.map(|a| format!("{a:#x}"));
    match name.or(address) {
        Some(name) => format!("{} {name}", wait.kind.as_str()),
        None => wait.kind.as_str().to_owned(),
    }
}

/// `g_locks+160`; the address where the lock has no symbol.
pub(super) fn lock_name(scene: &Scene<'_>, wait: &Wait) -> String {
    if wait.kind == WaitKind::Gil {
        return "GIL".to_owned();
    }
    let address = wait.object.or(wait.word).unwrap_or_default();
    scene.symbol(wait).cloned().unwrap_or_else(|| format!("{address:#x}"))
}

/// `` `hook` (bench.c:30) ``
pub(crate) fn place(frame: &Frame) -> String {
    let name = stack::name(frame).unwrap_or_else(|| format!("{:#x}", frame.pc));
    match source(frame) {
        Some(source) => format!("`{name}` ({source})"),
        None => format!("`{name}`"),
    }
}

/// `file:line`, the file without its folders.
pub(crate) fn source(frame: &Frame) -> Option<String> {
    let file = stack::file_name(frame.file.as_deref()?);
    Some(match frame.line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    })
}

/// ``pthread mutex (normal) `g_locks+160` ``, `read of fd 3 (pipe:[123])`.
pub(super) fn wait_text(scene: &Scene<'_>, thread: &Thread<'_>) -> Text {
    match &thread.wait {
        Some(wait) => with_symbol(&wait.detail, scene.symbol(wait)),
        None => WaitText::Runs {}.said(),
    }
}

/// The phrase of a wait with the symbol of its object, where it has one.
pub(crate) fn with_symbol(detail: &Text, symbol: Option<&String>) -> Text {
    match symbol {
        Some(symbol) => Text::of(|lang| format!("{} `{symbol}`", detail.text(lang))),
        None => detail.clone(),
    }
}

/// The lock of a group of waiters.
pub(super) fn lock_of(scene: &Scene<'_>, wait: &Wait, waiters: &[&Thread<'_>]) -> Lock {
    let address = wait.object.or(wait.word).unwrap_or_default();
    Lock {
        address: format!("{address:#x}"),
        symbol: scene.symbol(wait).cloned(),
        kind: wait.kind.as_str().to_owned(),
        owner_tid: wait.owner.map(|owner| owner.tid()),
        waiters: waiters.iter().map(|t| t.tid()).collect(),
        at: most_common(waiters.iter().filter_map(|t| waits_at(scene, t))),
    }
}

/// The frame that waits: in the allocator the most telling one of its own, else the frame that called the system.
fn waits_at<'a>(scene: &Scene<'_>, thread: &Thread<'a>) -> Option<&'a Frame> {
    let frames = thread.trace.map_or(&[][..], |trace| &trace.frames);
    of_program(scene, frames).or_else(|| stack::telling_frame(frames, scene.is))
}

/// As [`waits_at`], but not a wrapper of a lock: the line at which the lock is wanted.
pub(super) fn wants_at<'a>(scene: &Scene<'_>, thread: &Thread<'a>) -> Option<&'a Frame> {
    let frames = thread.trace.map_or(&[][..], |trace| &trace.frames);
    of_program(scene, frames).or_else(|| stack::task_frame(frames, &[], scene.is))
}

/// The frame that called the system, if it is the program's.
fn of_program<'a>(scene: &Scene<'_>, frames: &'a [Frame]) -> Option<&'a Frame> {
    standing::caller(frames, scene.is).filter(|frame| role(frame, scene.is) == Role::Program)
}

/// The most common frame, by function and line; of equally common ones the first.
pub(super) fn most_common<'a>(frames: impl Iterator<Item = &'a Frame>) -> Option<Frame> {
    let mut counts: Vec<(usize, &Frame)> = vec![];
    let line = |f: &'a Frame| (f.function.as_deref(), f.file.as_deref(), f.line);
    for frame in frames {
        match counts.iter_mut().find(|(_, other)| line(other) == line(frame)) {
            Some((count, _)) => *count += 1,
            None => counts.push((1, frame)),
        }
    }
    let most = counts.iter().map(|(count, _)| *count).max()?;
    counts.into_iter().find(|(count, _)| *count == most).map(|(_, frame)| frame.clone())
}

/// Adds what the samples of a running thread show, and what they do not show.
pub(super) fn call_evidence(case: &mut Case, thread: &Thread<'_>) {
    let tid = thread.tid();
    let samples = sample_count(thread);
    match thread.calls {
        Calls::Inside(Proof::Bytes) => case.why.push(say!(Why::CallProven { tid, samples })),
        Calls::Inside(Proof::Frames) => {
            case.why.push(say!(Why::CallFrames { tid, samples }));
            case.missing.push(say!(Why::NoBytes { tid }));
        }
        Calls::Inside(Proof::Once) => {
            case.why.push(say!(Why::CallOnce { tid }));
            case.missing.push(say!(Why::NoSamples { tid }));
        }
        Calls::NotSeen => case.missing.push(no_stack(thread)),
        Calls::Outside | Calls::Returns => {}
    }
}

/// The number of samples with a stack; 1, for the stack of the dump, where there are none.
pub(super) fn sample_count(thread: &Thread<'_>) -> usize {
    thread.samples.iter().filter(|t| !t.frames.is_empty()).count().max(1)
}

pub(super) fn no_stack(thread: &Thread<'_>) -> Why {
    let problem = thread.trace.and_then(|t| t.problem.clone());
    let problem = problem.unwrap_or_else(|| Why::NoneTaken {}.said());
    say!(Why::NoStackOf { tid: thread.tid(), problem })
}

pub(super) fn seconds(s: f64) -> String {
    format!("{s:.1}")
}

pub(super) fn tids<'a>(threads: impl IntoIterator<Item = &'a Thread<'a>>) -> Text {
    let all: Vec<u32> = threads.into_iter().map(Thread::tid).collect();
    ranges(&all)
}
