//! What the deciders hand to each other: a class with its evidence, and the words for locks and waits.

use super::why::Why;
use crate::analysis::finding::Lock;
use crate::analysis::scene::{Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls, Proof};
use crate::analysis::wait::Wait;
use crate::analysis::wait::what::What;
use crate::analysis::words::{Class, Confidence};
use crate::session::trace::Frame;
use crate::text::message::{Say as _, Text, ranges, say};

/// A class, decided.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) class: Class,
    pub(super) confidence: Confidence,
    pub(super) why: Vec<Why>,
    pub(super) missing: Vec<Why>,
    pub(super) lock: Option<Lock>,
    /// The thread that runs or holds.
    pub(super) culprit: Option<u32>,
    /// Where the culprit is, if its innermost frame of the allocator does not tell best.
    pub(super) culprit_at: Option<Frame>,
    /// What is stuck is inside the allocator; none where it is not known.
    pub(super) in_allocator: Option<bool>,
    /// For how long, where more is known than of the culprit.
    pub(super) for_s: Option<f64>,
}

impl Case {
    pub(super) fn new(class: Class, confidence: Confidence) -> Self {
        Case {
            class,
            confidence,
            why: vec![],
            missing: vec![],
            lock: None,
            culprit: None,
            culprit_at: None,
            in_allocator: None,
            for_s: None,
        }
    }

    /// Where the stuck threads are. If all of them are outside the allocator, it is the benchmark's own.
    pub(super) fn placed(mut self, in_allocator: Option<bool>) -> Self {
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

/// Inside the allocator if any is, outside if all are, else unknown.
pub(super) fn place<'a>(threads: impl IntoIterator<Item = &'a Thread<'a>>) -> Option<bool> {
    let places: Vec<Option<bool>> = threads.into_iter().map(|t| t.inside).collect();
    if places.contains(&Some(true)) {
        Some(true)
    } else if !places.is_empty() && places.iter().all(|p| *p == Some(false)) {
        Some(false)
    } else {
        None
    }
}

/// Whether a lock that these wait for was let go: one of them woke, or all slept through, or it is not known.
pub(super) fn stuck_together<'a>(waiters: impl IntoIterator<Item = &'a Thread<'a>>) -> Stuck {
    let all: Vec<Stuck> = waiters.into_iter().map(Thread::stuck).collect();
    if all.contains(&Stuck::No) { Stuck::No } else { all.into_iter().max().unwrap_or(Stuck::Maybe) }
}

/// `pthread-mutex g_locks+160`, with the address where it has no name.
pub(super) fn lock_text(scene: &Scene<'_>, wait: &Wait) -> String {
    let name = scene.symbol(wait).map(|s| format!("`{s}`"));
    let address = wait.object.map(|a| format!("{a:#x}"));
    match name.or(address) {
        Some(name) => format!("{} {name}", wait.kind.as_str()),
        None => wait.kind.as_str().to_owned(),
    }
}

/// A wait for a person: `pthread mutex (normal) g_locks+160`, `read of fd 3 (pipe:[123])`.
pub(super) fn wait_text(scene: &Scene<'_>, thread: &Thread<'_>) -> Text {
    match &thread.wait {
        Some(wait) => with_symbol(&wait.detail, scene.symbol(wait)),
        None => What::Runs {}.said(),
    }
}

/// A wait with the name of what is waited for, where it has one.
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
        at: most_common(waiters.iter().filter_map(|t| stack::telling_frame(t.frames(), scene.is))),
    }
}

/// The frame that most share, by function and line; of equals the one that came first.
pub(super) fn most_common<'a>(frames: impl Iterator<Item = &'a Frame>) -> Option<Frame> {
    let mut counts: Vec<(usize, &Frame)> = vec![];
    let place = |f: &'a Frame| (f.function.as_deref(), f.file.as_deref(), f.line);
    for frame in frames {
        match counts.iter_mut().find(|(_, seen)| place(seen) == place(frame)) {
            Some((count, _)) => *count += 1,
            None => counts.push((1, frame)),
        }
    }
    let most = counts.iter().map(|(count, _)| *count).max()?;
    counts.into_iter().find(|(count, _)| *count == most).map(|(_, frame)| frame.clone())
}

/// What the samples say of a thread that runs, and what they lack.
pub(super) fn call_evidence(case: &mut Case, thread: &Thread<'_>) {
    let tid = thread.tid();
    let samples = seen(thread);
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

/// How many samples were had of a thread; the one stack of the dump where there are none.
pub(super) fn seen(thread: &Thread<'_>) -> usize {
    thread.samples.iter().filter(|t| !t.frames.is_empty()).count().max(1)
}

pub(super) fn no_stack(thread: &Thread<'_>) -> Why {
    let problem = thread.trace.and_then(|t| t.problem.clone());
    let problem = problem.unwrap_or_else(|| Why::NoneTaken {}.said());
    say!(Why::NoStackOf { tid: thread.tid(), problem })
}

/// Seconds for a sentence.
pub(super) fn seconds(s: f64) -> String {
    format!("{s:.1}")
}

/// Tids for a sentence.
pub(super) fn tids<'a>(threads: impl IntoIterator<Item = &'a Thread<'a>>) -> Text {
    let all: Vec<u32> = threads.into_iter().map(Thread::tid).collect();
    ranges(&all)
}
