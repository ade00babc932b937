//! Hangs without a wait in the kernel: threads that run inside the allocator and do not leave it.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, call_evidence, most_common, no_stack, place, tids, wait_text};
use super::spinning;
use crate::analysis::scene::{Motion, Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls, Proof};
use crate::analysis::why::Why;
use crate::analysis::words::{Class, Confidence};
use crate::text::message::say;

/// Threads whose stacks are all in one call of the allocator.
pub(super) fn inside(scene: &Scene<'_>) -> Option<Case> {
    let in_call = |t: &&Thread<'_>| matches!(t.calls, Calls::Inside(_)) && (t.runs() || t.naps);
    let mut runners: Vec<&Thread<'_>> = scene.all().filter(in_call).collect();
    // Some threads have several stacks as proof, others only one. A thread with one stack counts only if it
    // is in the same function as a thread with proof: else it may just be passing.
    let function = |t: &Thread<'_>| stack::telling_frame(t.frames(), scene.is).and_then(stack::name);
    if runners.iter().any(|t| proof(t) > Some(Proof::Once)) {
        let sure = |t: &&&Thread<'_>| proof(t) > Some(Proof::Once) || t.naps;
        let functions: BTreeSet<_> = runners.iter().filter(sure).map(|t| function(t)).collect();
        runners.retain(|t| sure(&t) || functions.contains(&function(t)));
    }
    // One stack is enough only if no other evidence contradicts it.
    let weakest = runners.iter().filter_map(|t| proof(t)).min()?;
    if weakest < Proof::Bytes && scene.all().any(Thread::makes_progress) {
        return None;
    }
    if weakest == Proof::Once && runners.iter().any(|t| matches!(t.motion, Motion::Moved | Motion::Left)) {
        return None;
    }
    // A stuck loop and a slow loop both show the same short sleep in both looks, so it proves nothing.
    if weakest == Proof::Once && runners.iter().all(|t| t.naps) {
        return None;
    }
    let sleeps =
        |t: &&Thread<'_>| t.inside == Some(true) && t.wait.is_some() && !t.naps && t.stuck() != Stuck::No;
    let mut sleepers: Vec<&Thread<'_>> = scene.all().filter(sleeps).collect();
    // A thread that naps in another function than the spinning threads is the one that they wait for. If all
    // threads nap, or all are in one function, they nap as part of spinning.
    let awake: BTreeSet<_> = runners.iter().filter(|t| !t.naps).map(|t| function(t)).collect();
    if !awake.is_empty() {
        let elsewhere = |t: &&Thread<'_>| t.naps && !awake.contains(&function(t));
        sleepers.extend(runners.iter().copied().filter(elsewhere));
        runners.retain(|t| !elsewhere(t));
    }
    // A running thread without a stack may be spinning on a lock that a napping thread here holds, or it may
    // loop itself.
    let hidden: Vec<&Thread<'_>> = scene.all().filter(|t| t.inside.is_none() && t.runs()).collect();
    if !hidden.is_empty() && awake.is_empty() {
        return None;
    }
    // Threads that nap at the entrance through which the only running thread has gone wait for that thread.
    let behind = match &runners[..] {
        [runner] => sleepers.iter().all(|t| t.naps && stands_before(scene, t, runner)).then_some(*runner),
        _ => None,
    };
    if let Some(holder) = behind.filter(|_| !sleepers.is_empty() && hidden.is_empty()) {
        return Some(retried(scene, &sleepers, holder));
    }
    let goes_on =
        |t: &&Thread<'_>| t.inside == Some(true) && (t.calls == Calls::Returns || t.makes_progress());
    let others: Vec<&Thread<'_>> = scene.all().filter(goes_on).collect();
    let differ = places(scene, &runners);
    let elsewhere = alone_elsewhere(&differ).filter(|_| sleepers.is_empty());
    let (class, decided) = match (runners.len(), sleepers.len()) {
        (_, 1..) => (Class::SpinWait, Confidence::Likely),
        (1, _) => (Class::Runaway, Confidence::Proven),
        _ if elsewhere.is_some() => (Class::OwnerSpinning, Confidence::Likely),
        _ if differ.len() > 1 => (Class::Livelock, Confidence::Likely),
        _ => (Class::Livelock, Confidence::Proven),
    };
    let mut case = Case::new(class, if weakest == Proof::Bytes { decided } else { Confidence::Likely });
    match class {
        Class::Runaway if others.is_empty() => case.why.push(say!(Why::Alone { tid: runners[0].tid() })),
        Class::Runaway => case.why.push(say!(Why::OthersGoOn { tids: tids(others) })),
        _ => case.why.push(say!(Why::Spinners { tids: tids(runners.iter().copied()) })),
    }
    if let Some(thread) = elsewhere {
        let others = tids(runners.iter().copied().filter(|t| t.tid() != thread.tid()));
        let function = loop_of(scene, thread).unwrap_or_else(|| "?".to_owned());
        case.why.push(say!(Why::LoopsElsewhere { tid: thread.tid(), function, others }));
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
    if matches!(class, Class::SpinWait | Class::OwnerSpinning) {
        case.missing.push(say!(Why::NoOwner { lock: "spin-lock" }));
    }
    if class == Class::Livelock && differ.len() > 1 {
        let names: Vec<String> = differ.keys().flatten().take(4).map(|name| format!("`{name}`")).collect();
        case.missing.push(say!(Why::SpinsDiffer { functions: names.join(", ") }));
    }
    only_waits(scene, &mut case, &runners);
    case.spinning = match class {
        Class::Runaway => 0,
        Class::OwnerSpinning => runners.len() as u32 - 1,
        _ => runners.len() as u32,
    };
    // The thread with the best proof. Of equals the one deepest in the allocator: a thread that retries
    // while it holds something is deeper than a thread that only tries to enter.
    let deep = |t: &Thread<'_>| stack::in_allocator(t.frames(), scene.is).map_or(0, |range| range.len());
    let key = |t: &&&Thread<'_>| (proof(t), deep(t), (t.cpu_share * 1e6) as u64, std::cmp::Reverse(t.tid()));
    let suspect = sleepers.first().filter(|_| class == Class::SpinWait);
    case.culprit = elsewhere.or(suspect.or(runners.iter().max_by_key(key)).copied()).map(|t| t.tid());
    case.culprit_at = suspect.and_then(|t| stack::task_frame(t.frames(), &[], scene.is)).cloned();
    case.for_s = runners.iter().filter_map(|t| scene.for_s(t)).max_by(f64::total_cmp);
    Some(case.located(Some(true)))
}

/// A loop that changes nothing may be a wait for a thread that is gone: several such threads do not keep each
/// other busy, and a single one that reads one word may be one of several that would wait.
fn only_waits(scene: &Scene<'_>, case: &mut Case, runners: &[&Thread<'_>]) {
    let one_word = |t: &Thread<'_>| {
        let one = scene.traces.loops.get(&t.tid());
        one.is_some_and(|one| one.ring.is_none() && one.reads.len() == 1)
    };
    let waits = match case.class {
        Class::Livelock => true,
        Class::Runaway => runners.iter().all(|t| one_word(t)),
        _ => false,
    };
    if waits && spinning::only_reads(scene, runners) {
        case.missing.push(say!(Why::OnlyReads { tids: tids(runners.iter().copied()) }));
        case.unproven();
    }
}

/// The threads by the function in which they loop.
fn places<'s, 'a>(
    scene: &Scene<'_>,
    runners: &[&'s Thread<'a>],
) -> BTreeMap<Option<String>, Vec<&'s Thread<'a>>> {
    let mut places: BTreeMap<Option<String>, Vec<&Thread<'_>>> = BTreeMap::new();
    for runner in runners {
        places.entry(loop_of(scene, runner)).or_default().push(runner);
    }
    places
}

/// The function that does not return, from all stacks of a thread.
fn loop_of(scene: &Scene<'_>, thread: &Thread<'_>) -> Option<String> {
    let frame = thread.activity(scene.is).frame.as_ref().and_then(stack::name);
    frame.or_else(|| spinning::place(scene, thread))
}

/// The only thread that loops in another function than all others.
fn alone_elsewhere<'s, 'a>(places: &BTreeMap<Option<String>, Vec<&'s Thread<'a>>>) -> Option<&'s Thread<'a>> {
    let alone: Vec<&'s Thread<'a>> =
        places.values().filter(|threads| threads.len() == 1).map(|threads| threads[0]).collect();
    match (&alone[..], places.len()) {
        ([one], 2) if proof(one) > Some(Proof::Once) => Some(one),
        _ => None,
    }
}

/// Whether the function of the allocator in which a thread naps is further out on the stack of another one,
/// and not the other way round.
fn stands_before(scene: &Scene<'_>, napper: &Thread<'_>, runner: &Thread<'_>) -> bool {
    let task = |t: &Thread<'_>| stack::task_frame(t.frames(), &[], scene.is).and_then(stack::name);
    let outer = |t: &Thread<'_>, name: &str| {
        let own = t.frames().iter().filter(|f| stack::counts(f, scene.is)).filter_map(stack::name);
        own.skip_while(|f| Some(f) == task(t).as_ref()).any(|f| f == name)
    };
    let (Some(at), Some(inner)) = (task(napper), task(runner)) else { return false };
    at != inner && outer(runner, &at) && !outer(napper, &inner)
}

/// Threads that sleep between their attempts to take what a running thread has.
fn retried(scene: &Scene<'_>, nappers: &[&Thread<'_>], holder: &Thread<'_>) -> Case {
    let mut case = Case::new(Class::OwnerSpinning, Confidence::Likely);
    let at = most_common(nappers.iter().filter_map(|t| stack::task_frame(t.frames(), &[], scene.is)));
    let (tids, place, owner) = (tids(nappers.iter().copied()), at.as_ref().map(place), holder.tid());
    case.why.push(say!(Why::Retries { tids, place: place.unwrap_or_default(), owner }));
    call_evidence(&mut case, holder);
    case.missing.push(say!(Why::NoOwner { lock: "spin-lock" }));
    case.culprit = Some(owner);
    case.for_s = scene.for_s(holder);
    case.located(Some(true))
}

fn proof(thread: &Thread<'_>) -> Option<Proof> {
    match thread.calls {
        Calls::Inside(proof) => Some(proof),
        _ => None,
    }
}
