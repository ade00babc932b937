//! Hangs without a wait in the kernel: threads that run inside the allocator and do not come out.

use std::collections::BTreeSet;

use super::case::{Case, call_evidence, no_stack, tids, wait_text};
use super::why::Why;
use crate::analysis::scene::{Motion, Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls, Proof};
use crate::analysis::words::{Class, Confidence};
use crate::text::message::say;

/// Threads that are in one call of the allocator in all that was seen of them.
pub(super) fn inside(scene: &Scene<'_>) -> Option<Case> {
    let in_call = |t: &&Thread<'_>| matches!(t.calls, Calls::Inside(_)) && (t.runs() || t.naps);
    let mut runners: Vec<&Thread<'_>> = scene.all().filter(in_call).collect();
    // Of some it is proven, others were only there when they were asked: those stand where the proven ones
    // stand, or they may be on their way.
    let place = |t: &Thread<'_>| stack::telling_frame(t.frames(), scene.is).and_then(stack::name);
    if runners.iter().any(|t| proof(t) > Some(Proof::Once)) {
        let sure = |t: &&&Thread<'_>| proof(t) > Some(Proof::Once) || t.naps;
        let places: BTreeSet<_> = runners.iter().filter(sure).map(|t| place(t)).collect();
        runners.retain(|t| sure(&t) || places.contains(&place(t)));
    }
    // Seen once is enough only if nothing speaks against it.
    let weakest = runners.iter().filter_map(|t| proof(t)).min()?;
    if weakest < Proof::Bytes && scene.all().any(Thread::comes_and_goes) {
        return None;
    }
    if weakest == Proof::Once && runners.iter().any(|t| matches!(t.motion, Motion::Moved | Motion::Left)) {
        return None;
    }
    // The same nap in both looks is what a loop shows that never comes out, and what one shows that is only slow.
    if weakest == Proof::Once && runners.iter().all(|t| t.naps) {
        return None;
    }
    let sleeps =
        |t: &&Thread<'_>| t.inside == Some(true) && t.wait.is_some() && !t.naps && t.stuck() != Stuck::No;
    let mut sleepers: Vec<&Thread<'_>> = scene.all().filter(sleeps).collect();
    // Who naps elsewhere than where the others spin does not spin with them: it is what they wait for. If all
    // nap, or all are in one place, napping is how they spin.
    let awake: BTreeSet<_> = runners.iter().filter(|t| !t.naps).map(|t| place(t)).collect();
    if !awake.is_empty() {
        let elsewhere = |t: &&Thread<'_>| t.naps && !awake.contains(&place(t));
        sleepers.extend(runners.iter().copied().filter(elsewhere));
        runners.retain(|t| !elsewhere(t));
    }
    // Who runs nobody knows where may spin for one who naps here, or loop without end.
    let hidden: Vec<&Thread<'_>> = scene.all().filter(|t| t.inside.is_none() && t.runs()).collect();
    if !hidden.is_empty() && awake.is_empty() {
        return None;
    }
    let goes_on =
        |t: &&Thread<'_>| t.inside == Some(true) && (t.calls == Calls::Returns || t.comes_and_goes());
    let others: Vec<&Thread<'_>> = scene.all().filter(goes_on).collect();
    let (class, decided) = match (runners.len(), sleepers.len()) {
        (_, 1..) => (Class::SpinWait, Confidence::Likely),
        (1, _) => (Class::Runaway, Confidence::Proven),
        _ => (Class::Livelock, Confidence::Proven),
    };
    let mut case = Case::new(class, if weakest == Proof::Bytes { decided } else { Confidence::Likely });
    match class {
        Class::Runaway if others.is_empty() => case.why.push(say!(Why::Alone { tid: runners[0].tid() })),
        Class::Runaway => case.why.push(say!(Why::OthersGoOn { tids: tids(others) })),
        _ => case.why.push(say!(Why::Spinners { tids: tids(runners.iter().copied()) })),
    }
    for sleeper in sleepers.iter().take(3) {
        let wait = wait_text(scene, sleeper);
        case.why.push(say!(Why::Suspect { tid: sleeper.tid(), wait }));
    }
    if class == Class::Livelock {
        case.why.push(Why::NoSleeper {});
    }
    for runner in runners.iter().take(4) {
        call_evidence(&mut case, runner);
    }
    if !hidden.is_empty() {
        case.unproven();
        case.missing.extend(hidden.iter().take(4).map(|t| no_stack(t)));
    }
    if class == Class::SpinWait {
        case.missing.push(say!(Why::NoOwner { lock: "spin-lock" }));
    }
    // The one whose call is proven best; of those the one that is deepest in the allocator, since who retries
    // with something in its hands got further than who only wants to come in.
    let deep = |t: &Thread<'_>| stack::in_allocator(t.frames(), scene.is).map_or(0, |range| range.len());
    let key = |t: &&&Thread<'_>| (proof(t), deep(t), (t.cpu_share * 1e6) as u64, std::cmp::Reverse(t.tid()));
    let suspect = sleepers.first().filter(|_| class == Class::SpinWait);
    case.culprit = suspect.or(runners.iter().max_by_key(key)).map(|t| t.tid());
    case.culprit_at = suspect.and_then(|t| stack::errand(t.frames(), &[], scene.is)).cloned();
    case.for_s = runners.iter().filter_map(|t| scene.for_s(t)).max_by(f64::total_cmp);
    Some(case.placed(Some(true)))
}

fn proof(thread: &Thread<'_>) -> Option<Proof> {
    match thread.calls {
        Calls::Inside(proof) => Some(proof),
        _ => None,
    }
}
