//! Everything but locks and loops in the allocator: stopped, the kernel, the benchmark, slow, unknown.

use std::collections::BTreeMap;

use super::case::{Case, most_common, no_stack, tids, wait_text};
use super::idle;
use crate::analysis::scene::{Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls};
use crate::analysis::wait::WaitKind;
use crate::analysis::why::Why;
use crate::analysis::words::{Class, Confidence};
use crate::session::record_text;
use crate::text::message::{Text, say};

/// All threads are stopped by a signal or a debugger.
pub(super) fn stopped(scene: &Scene<'_>) -> Option<Case> {
    let all = scene.all().count();
    let stopped = scene.all().filter(|t| t.stopped()).count();
    (all > 0 && stopped == all).then(|| {
        let mut case = Case::new(Class::Unknown, Confidence::Proven);
        case.why.push(Why::Stopped {});
        case
    })
}

pub(super) fn in_kernel(scene: &Scene<'_>) -> Option<Case> {
    let thread = scene.all().find(|t| t.in_kernel())?;
    let looked_twice = thread.stuck() == Stuck::Yes;
    let mut case =
        Case::new(Class::KernelWait, if looked_twice { Confidence::Proven } else { Confidence::Likely });
    let (tid, wchan) = (thread.tid(), record_text::padded(&thread.record.wchan));
    let wchan = if wchan.is_empty() { "?".to_owned() } else { wchan };
    if looked_twice {
        case.why.push(say!(Why::Uninterruptible { tid, wchan }));
    } else {
        case.why.push(say!(Why::UninterruptibleOnce { tid, wchan }));
        case.missing.push(Why::NoSecondLook {});
    }
    if let Some(wait) = thread.wait.as_ref().filter(|w| matches!(w.kind, WaitKind::Call("clone" | "fork"))) {
        case.why.push(say!(Why::WaitsForChild { tid, call: &wait.detail }));
    }
    case.culprit = Some(tid);
    case.in_allocator = thread.inside;
    case.for_s = scene.for_s(thread);
    Some(case)
}

/// No thread is inside the allocator, and some threads do not move.
pub(super) fn outside(scene: &Scene<'_>) -> Option<Case> {
    let threads = scene.all().count();
    let known = scene.all().filter(|t| t.inside == Some(false)).count();
    // A running thread without a stack may be inside the allocator.
    let hidden = scene.all().any(|t| t.inside.is_none() && t.runs());
    if known == 0 || hidden || scene.all().any(|t| t.inside == Some(true)) || idle::goes_on(scene) {
        return None;
    }
    let waits = |t: &&Thread<'_>| t.wait.as_ref().is_some_and(|w| w.kind != WaitKind::Join);
    let stuck: Vec<&Thread<'_>> = scene.all().filter(waits).filter(|t| t.stuck() != Stuck::No).collect();
    let runners: Vec<&Thread<'_>> = scene.all().filter(|t| t.runs()).collect();
    if stuck.is_empty() && runners.is_empty() {
        return None;
    }
    // Absence of frames proves something only if it is known which frames are meant.
    let identified = scene.dump.allocator_is_mapped();
    let proven = known == threads
        && identified
        && doubtful(scene).is_none()
        && runners.is_empty()
        && stuck.iter().all(|t| t.stuck() == Stuck::Yes);
    let mut case =
        Case::new(Class::OutsideAllocator, if proven { Confidence::Proven } else { Confidence::Likely });
    case.in_allocator = Some(false);
    case.why.push(say!(Why::NoAllocatorFrame { threads: known }));
    let mut by_wait: BTreeMap<String, (Text, usize)> = BTreeMap::new();
    for thread in &stuck {
        let wait = wait_text(scene, thread);
        by_wait.entry(wait.en().to_owned()).or_insert((wait, 0)).1 += 1;
    }
    for (wait, waiters) in by_wait.into_values() {
        case.why.push(say!(Why::StuckOutside { waiters, wait }));
    }
    if !runners.is_empty() {
        case.why.push(say!(Why::RunsOutside { tids: tids(runners.iter().copied()) }));
        let key = |t: &&&Thread<'_>| ((t.cpu_share * 1e6) as u64, std::cmp::Reverse(t.tid()));
        case.culprit = runners.iter().max_by_key(key).map(|t| t.tid());
    }
    // No thread runs: show the frame in which most threads wait.
    if case.culprit.is_none() {
        let most = most_common(stuck.iter().filter_map(|t| stack::program_frame(t.frames())));
        let waits_there = |t: &&&Thread<'_>| {
            let at = stack::program_frame(t.frames());
            at.map(|f| (&f.function, f.line)) == most.as_ref().map(|f| (&f.function, f.line))
        };
        let first = stuck.iter().find(waits_there);
        case.culprit = first.filter(|_| most.is_some()).map(|t| t.tid());
        case.culprit_at = most;
    }
    if scene.between_s.is_none() {
        case.missing.push(Why::NoSecondLook {});
    }
    if !identified {
        case.missing.push(Why::AllocatorUnknown {});
    }
    case.missing.extend(doubtful(scene).map(|(tid, dso)| say!(Why::DoubtfulDso { tid, dso })));
    if !idle::is_closed(scene, &mut case) {
        case.unproven();
    }
    case.missing.extend(scene.all().filter(|t| t.inside.is_none()).take(4).map(no_stack));
    case.for_s = stuck.iter().chain(&runners).filter_map(|t| scene.for_s(t)).max_by(f64::total_cmp);
    Some(case)
}

/// A thread with a frame of which it is not known whether it is the allocator's, and the frame's DSO.
fn doubtful(scene: &Scene<'_>) -> Option<(u32, String)> {
    scene.all().find_map(|t| {
        let frame = scene.doubtful(t)?;
        Some((t.tid(), stack::file_name(frame.dso.as_deref()?).to_owned()))
    })
}

/// Threads still make progress.
pub(super) fn slow(scene: &Scene<'_>) -> Option<Case> {
    let moving: Vec<&Thread<'_>> = scene.all().filter(|t| t.makes_progress()).collect();
    let returning: Vec<&Thread<'_>> =
        scene.all().filter(|t| t.calls == Calls::Returns && !t.samples.is_empty()).collect();
    if moving.is_empty() && returning.is_empty() && scene.came.is_empty() {
        return None;
    }
    let mut case = Case::new(Class::Slow, Confidence::Proven);
    if !returning.is_empty() {
        case.why.push(say!(Why::Returns { tids: tids(returning.iter().copied()) }));
    }
    let left = scene.all().filter(|t| t.motion == crate::analysis::scene::Motion::Left).count();
    if left + scene.came.len() > 0 {
        case.why.push(say!(Why::Turnover { left: left, came: scene.came.len() }));
    }
    if !moving.is_empty() {
        case.why.push(say!(Why::Moves { tids: tids(moving.iter().copied()) }));
    }
    Some(case)
}

/// No class is proven: names the evidence that is missing.
pub(super) fn unknown(scene: &Scene<'_>) -> Case {
    let mut case = Case::new(Class::Unknown, Confidence::Likely);
    if scene.between_s.is_none() {
        case.missing.push(Why::NoSecondLook {});
    }
    if scene.has_stacks() {
        case.missing.extend(scene.all().filter(|t| t.inside.is_none()).take(4).map(no_stack));
    } else {
        case.missing.push(Why::NoStacks {});
    }
    if case.missing.is_empty() {
        case.missing.push(Why::NothingFits {});
    }
    case
}
