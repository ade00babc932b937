//! Hangs on locks that record their owner: rings, and chains that end at a thread that
//! runs, is blocked, or is gone.

use std::collections::BTreeMap;

use super::case::{
    Case, any_inside, call_evidence, lock_of, lock_text, most_common, sample_count, seconds, stuck_together,
    tids, wait_text,
};
use super::{hold, idle, whose};
use crate::analysis::graph::{End, Graph};
use crate::analysis::scene::{BUSY, Motion, Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls, Proof};
use crate::analysis::wait::{Owner, Wait, WaitKind};
use crate::analysis::why::Why;
use crate::analysis::words::{Blame, Cause, Class, Confidence};
use crate::session::trace::Frame;
use crate::text::message::say;

/// A cycle in the wait-for graph.
pub(super) fn ring(scene: &Scene<'_>, graph: &Graph) -> Option<Case> {
    graph.cycles().into_iter().find_map(|members| {
        let threads: Vec<&Thread<'_>> = members.iter().filter_map(|tid| scene.threads.get(tid)).collect();
        let waits: Vec<&Wait> = threads.iter().filter_map(|t| t.wait.as_ref()).collect();
        let asleep: Vec<&Thread<'_>> = threads.iter().copied().filter(|t| !t.may_wait_again()).collect();
        let stuck = match stuck_together(asleep.iter().copied()) {
            Stuck::Yes if asleep.len() < threads.len() => Stuck::Maybe,
            stuck => stuck,
        };
        if asleep.is_empty() || stuck == Stuck::No || waits.len() != members.len() {
            return None;
        }
        // A timed wait ends by itself, and opens the ring.
        let opens =
            |t: &Thread<'_>| t.wait.as_ref().is_some_and(|w| w.timed) && t.comes_back != Some(Proof::Bytes);
        let timed = threads.iter().any(|t| opens(t));
        // A member that read its owner once may have read it before the others came to wait.
        let named = |t: &&Thread<'_>| t.same_owner || t.comes_back.is_some();
        let proven = stuck == Stuck::Yes
            && threads.iter().all(|t| t.stuck() == Stuck::Yes)
            && threads.iter().all(named)
            && !timed;
        let confidence = if proven { Confidence::Proven } else { Confidence::Likely };
        let mut case = Case::new(Class::Deadlock, confidence);
        case.why.push(match waits[..] {
            [wait] => say!(Why::SelfCycle { tid: members[0], lock: lock_text(scene, wait) }),
            _ => {
                let locks: Vec<String> = waits.iter().map(|w| lock_text(scene, w)).collect();
                say!(Why::Cycle { members: join(&members), locks: locks.join(", ") })
            }
        });
        add_sleep_evidence(&mut case, scene, stuck, |seconds| say!(Why::RingStill { seconds }), &threads);
        let behind = members.iter().flat_map(|tid| graph.behind(*tid)).filter(|t| !members.contains(t));
        let behind: std::collections::BTreeSet<u32> = behind.collect();
        if !behind.is_empty() {
            case.why.push(say!(Why::Behind { more: behind.len() }));
        }
        case.members.clone_from(&members);
        guessed(scene, &mut case, &waits);
        // Of the locks in the ring, show the one with the most waiters.
        let lock = waits
            .iter()
            .filter(|w| w.kind != WaitKind::Join)
            .max_by_key(|w| (waiters_of(scene, w).len(), std::cmp::Reverse(w.tid)));
        case.lock = lock.map(|lock| lock_of(scene, lock, &waiters_of(scene, lock)));
        // The culprit holds this lock. Show what it was doing when it began to wait for another lock.
        let holder = lock.and_then(|lock| lock.owner).map(Owner::tid);
        case.culprit = holder.or(members.first().copied());
        case.culprit_at = case.culprit.and_then(|tid| {
            let outside =
                scene.waiting().filter(|(t, _)| !members.contains(&t.tid()) && t.inside == Some(true));
            let others: Vec<&[Frame]> = outside.map(|(t, _)| t.frames()).collect();
            stack::task_frame(scene.threads.get(&tid)?.frames(), &others, scene.is).cloned()
        });
        case.for_s = longest(scene, &threads);
        Some(case.located(any_inside(threads)))
    })
}

/// A lock that the allocator takes, and whose holder has left the allocator with it and waits for something
/// else: another lock, the end of a thread. The release that is missing comes before what the holder waits
/// for.
pub(super) fn left(scene: &Scene<'_>, graph: &Graph) -> Option<Case> {
    let waits_on = |t: &&Thread<'_>| {
        let further = t.wait.as_ref().is_some_and(|w| w.kind.is_lock() || w.kind == WaitKind::Join);
        // A thread that has gone on since may have taken the lock since.
        further && t.calls == Calls::Outside && t.stuck() != Stuck::No
    };
    let all_stuck = |t: &&Thread<'_>| {
        let locks = direct_waiters(scene, t.tid());
        locks.first().is_some_and(|waiters| stuck_together(waiters.iter().copied()) == Stuck::Yes)
    };
    let holders = scene.all().filter(waits_on).filter(all_stuck);
    holders.filter_map(|t| held_by(scene, graph, t.tid())).find(|case| case.class == Class::OwnerLeft)
}

/// Chains that end at a holder outside any ring: the chain with the most threads.
pub(super) fn root(scene: &Scene<'_>, graph: &Graph) -> Option<Case> {
    let mut ends: BTreeMap<(bool, u32), usize> = BTreeMap::new();
    for (thread, wait) in scene.waiting().filter(|(_, w)| w.kind.is_lock() && w.owner.is_some()) {
        debug_assert_eq!(thread.tid(), wait.tid);
        match graph.end_of(thread.tid()) {
            End::Root(tid) => *ends.entry((false, tid)).or_default() += 1,
            End::Gone(tid) => *ends.entry((true, tid)).or_default() += 1,
            End::Cycle(_) => {}
        }
    }
    let mut ends: Vec<((bool, u32), usize)> = ends.into_iter().collect();
    ends.sort_by_key(|(end, count)| (std::cmp::Reverse(*count), *end));
    let cases = ends.into_iter().filter_map(|((gone, tid), _)| match gone {
        true => owner_gone(scene, graph, tid),
        false => held_by(scene, graph, tid),
    });
    // A proven case comes before a case with more waiters.
    let mut cases: Vec<Case> = cases.collect();
    cases.sort_by_key(|c| (c.confidence, c.in_allocator != Some(true)));
    cases.into_iter().next()
}

/// The threads that wait directly for a lock of this holder, grouped by lock; the largest group first.
pub(super) fn direct_waiters<'a, 's>(scene: &'s Scene<'a>, holder: u32) -> Vec<Vec<&'s Thread<'a>>> {
    let mut locks: BTreeMap<Option<u64>, Vec<&Thread<'a>>> = BTreeMap::new();
    for (thread, wait) in scene.waiting() {
        if wait.kind.is_lock() && wait.owner.map(Owner::tid) == Some(holder) && thread.tid() != holder {
            locks.entry(wait.object).or_default().push(thread);
        }
    }
    let mut locks: Vec<_> = locks.into_values().collect();
    locks.sort_by_key(|waiters| std::cmp::Reverse(waiters.len()));
    locks
}

fn owner_gone(scene: &Scene<'_>, graph: &Graph, owner: u32) -> Option<Case> {
    let locks = direct_waiters(scene, owner);
    let waiters = locks.first()?;
    let stuck = stuck_together(waiters.iter().copied());
    if stuck == Stuck::No {
        return None;
    }
    let wait = waiters[0].wait.as_ref()?;
    let mut case = Case::new(Class::OwnerGone, Confidence::Likely);
    let lock = lock_text(scene, wait);
    case.why.push(say!(Why::OwnerGone { owner, lock, waiters: waiters.len() }));
    let died = died(scene, owner, &mut case);
    let ended = died || hold::has_ended(scene, waiters, owner);
    if ended && stuck == Stuck::Yes && hold::is_named_twice(waiters) {
        case.confidence = Confidence::Proven;
    }
    if !ended {
        case.missing.push(say!(Why::OwnerNotAsked { owner }));
    }
    let inherited = !died && is_inherited(scene, owner);
    if inherited {
        case.why.push(Why::Forked {});
        case.cause = Some(Cause::ForkInherited);
    }
    let n = waiters.len();
    add_sleep_evidence(
        &mut case,
        scene,
        stuck,
        |s| say!(Why::NeverReleased { waiters: n, seconds: s }),
        waiters,
    );
    guessed(scene, &mut case, &[wait]);
    case.lock = Some(lock_of(scene, wait, waiters));
    case.for_s = longest(scene, waiters);
    behind(&mut case, graph, owner, n);
    let inside = any_inside(waiters.iter().copied());
    if died && inside == Some(true) {
        // The lock does not outlive its holder, or the holder was killed: the allocator's mistake, or whose
        // who killed it.
        case.blame = Some(Blame::Either);
    }
    if inherited && inside == Some(false) {
        // A lock of the program. The class says more than that it is outside the allocator.
        case.in_allocator = inside;
        return Some(case);
    }
    Some(case.located(inside))
}

/// Whether the owner of a lock in shared memory is a thread of no process any more. Says so.
fn died(scene: &Scene<'_>, owner: u32, case: &mut Case) -> bool {
    let died = scene.dump.holder(owner).is_some_and(|holder| holder.pid == 0);
    if died {
        case.cause = Some(Cause::ProcessShared);
        case.why.push(say!(Why::DiedElsewhere { owner }));
    }
    died
}

/// Whether the owner was a thread of the parent when it forked this process. Threads that this process started
/// have higher tids than the process.
fn is_inherited(scene: &Scene<'_>, owner: u32) -> bool {
    scene.is_forked() && !scene.gone.contains(&owner) && owner < scene.dump.identity.fixed.pid
}

fn held_by(scene: &Scene<'_>, graph: &Graph, owner: u32) -> Option<Case> {
    // A holder that waits for another process is not where the chain ends.
    let root = scene
        .threads
        .get(&owner)
        .filter(|t| t.wait.as_ref().is_none_or(|wait| wait.owner_elsewhere().is_none()))?;
    let locks = direct_waiters(scene, owner);
    let waiters = locks.first()?;
    let wait = waiters[0].wait.as_ref()?;
    let n = waiters.len();
    let stuck = stuck_together(waiters.iter().copied());
    if stuck == Stuck::No {
        return None;
    }
    // The holder sleeps, and its sleep ends.
    if idle::ends_soon(scene, root) {
        return None;
    }
    let returns = root.calls == Calls::Returns;
    // It is not proven that the lock stays held, and the holder makes progress: no hang.
    if stuck == Stuck::Maybe && (returns || root.makes_progress()) {
        return None;
    }
    let waits_of_allocator = whose::takers(scene, waiters);
    // The lock of a fork is held from before the fork until after it.
    let left = (returns || root.calls == Calls::Outside) && !waits_of_allocator.is_empty() && !forks(root);
    // The kernel refused its lock: that of a ring through these waiters, or of an owner that has ended.
    let refused = root.wait.as_ref().is_some_and(|wait| wait.parked);
    let class = match holder_class(root) {
        _ if refused => Class::Deadlock,
        _ if left && root.motion != Motion::Left => Class::OwnerLeft,
        class => class,
    };
    let one_call = root.calls == Calls::Inside(Proof::Bytes);
    let kept = hold::is_kept(scene, waiters, root);
    let stays = match stuck {
        Stuck::Yes if kept => true,
        _ => one_call || (!root.runs() && root.stuck() == Stuck::Yes),
    } && hold::is_named_twice(waiters);
    // It runs in one look and waits in the other: the class is that of one of them.
    let between = root.motion == Motion::Moved && !root.dozes;
    let seen_at = match class {
        Class::OwnerLeft => {
            kept && matches!(hold::calls_between(scene, root), Calls::Outside | Calls::Returns)
        }
        Class::OwnerGone => hold::has_ended(scene, waiters, owner),
        _ => !between,
    };
    let proven = stays && seen_at;
    let mut case = Case::new(class, if proven { Confidence::Proven } else { Confidence::Likely });
    if !proven && (stays || stuck == Stuck::Yes) {
        case.missing.push(say!(Why::NotAtOnce { owner }));
    }
    case.why.push(say!(Why::Held { waiters: n, lock: lock_text(scene, wait), owner }));
    behind(&mut case, graph, owner, n);
    holder(&mut case, scene, root);
    add_sleep_evidence(
        &mut case,
        scene,
        stuck,
        |s| say!(Why::NeverReleased { waiters: n, seconds: s }),
        waiters,
    );
    if class == Class::OwnerSpinning {
        call_evidence(&mut case, root);
    }
    let inside = any_inside(waiters.iter().copied().chain([root]));
    if class == Class::OwnerLeft {
        case.why.push(if returns {
            say!(Why::HolderReturns { owner })
        } else {
            say!(Why::HolderOutside { owner })
        });
        case.missing.push(say!(Why::ReleaseLost { functions: waits_of_allocator.join(", ") }));
        case.culprit_at = outside_frame(scene, root);
        if stuck != Stuck::Yes || root.trace.is_none_or(|t| t.truncated) {
            case.unproven();
        }
    } else if inside == Some(true) && (root.inside == Some(false) || returns) {
        case.unproven();
    }
    if refused {
        case.missing.push(say!(Why::RefusedWhich { tid: owner }));
        case.unproven();
    }
    guessed(scene, &mut case, &[wait]);
    case.lock = Some(lock_of(scene, wait, waiters));
    case.culprit = Some(owner);
    case.for_s = longest(scene, waiters);
    Some(case.located(inside))
}

/// A thread whose lock the kernel refused, and of which no other thread waits for a lock.
pub(super) fn refused(scene: &Scene<'_>) -> Option<Case> {
    let parked = |t: &&Thread<'_>| t.wait.as_ref().is_some_and(|wait| wait.parked) && t.stuck() != Stuck::No;
    let thread = scene.all().find(parked)?;
    let mut case = Case::new(Class::Deadlock, Confidence::Likely);
    case.why.push(say!(Why::OwnerBlocked { owner: thread.tid(), wait: wait_text(scene, thread) }));
    case.culprit = Some(thread.tid());
    case.for_s = longest(scene, &[thread]);
    Some(case.located(any_inside([thread])))
}

/// An owner that only the layout of memory names, or only the stacks, proves nothing.
pub(super) fn guessed(scene: &Scene<'_>, case: &mut Case, waits: &[&Wait]) {
    if waits.iter().any(|wait| wait.guessed) {
        case.missing.push(Why::OwnerGuessed {});
        case.unproven();
    }
    for wait in waits.iter().filter(|wait| wait.inferred) {
        case.missing.push(say!(Why::NoOwner { lock: lock_text(scene, wait) }));
        case.unproven();
    }
}

/// Whether the thread is in fork: an allocator may hold its locks there.
fn forks(thread: &Thread<'_>) -> bool {
    let names = ["fork", "libc_fork", "Fork", "vfork", "run_fork_handlers", "run_prefork_handlers"];
    let is = |frame: &Frame| frame.function.as_deref().is_some_and(|f| names.contains(&stack::plain_name(f)));
    thread.frames().iter().any(is)
}

/// The innermost frame of the program, from all stacks that are outside the allocator.
fn outside_frame(scene: &Scene<'_>, root: &Thread<'_>) -> Option<Frame> {
    let all = root.trace.into_iter().chain(root.samples);
    let outside = all.filter(|t| stack::in_allocator(&t.frames, scene.is).is_none());
    most_common(outside.filter_map(|t| stack::program_frame(&t.frames)))
}

fn holder_class(root: &Thread<'_>) -> Class {
    let spins = match root.dozes {
        true => root.cpu_share >= BUSY,
        false => root.runs() || root.motion == Motion::Runs,
    };
    if root.motion == Motion::Left {
        Class::OwnerGone
    } else if root.in_kernel() || root.wait.as_ref().is_some_and(|wait| wait.kind == WaitKind::Fault) {
        Class::KernelWait
    } else if spins {
        Class::OwnerSpinning
    } else if free_word(root) {
        Class::LostWakeup
    } else {
        Class::OwnerBlocked
    }
}

/// Whether the thread sleeps although its futex word no longer has the value on which it waits.
pub(super) fn free_word(thread: &Thread<'_>) -> bool {
    let Some(wait) = thread.wait.as_ref().filter(|w| w.futex && w.kind != WaitKind::Join) else {
        return false;
    };
    let (Some(value), Some(expected)) = (wait.value, wait.expected) else { return false };
    let later = thread.word_in_second_look();
    value != expected && later.is_none_or(|later| later != expected) && thread.stuck() != Stuck::No
}

fn holder(case: &mut Case, scene: &Scene<'_>, root: &Thread<'_>) {
    let owner = root.tid();
    case.why.push(if root.stopped() {
        say!(Why::OwnerStopped { owner })
    } else if root.motion == Motion::Runs && !root.dozes {
        let share = format!("{:.0}", root.cpu_share * 100.0);
        say!(Why::OwnerRuns { owner, share })
    } else if root.runs() || root.motion == Motion::Moved {
        say!(Why::OwnerBusy { owner })
    } else {
        say!(Why::OwnerBlocked { owner, wait: wait_text(scene, root) })
    });
}

pub(super) fn behind(case: &mut Case, graph: &Graph, holder: u32, direct: usize) {
    let more = graph.behind(holder).len().saturating_sub(direct);
    if more > 0 {
        case.why.push(say!(Why::Behind { more }));
    }
}

/// Adds the evidence that all waiters slept from look to look, or that there is no second look.
pub(super) fn add_sleep_evidence(
    case: &mut Case,
    scene: &Scene<'_>,
    stuck: Stuck,
    evidence: impl FnOnce(String) -> Why,
    waiters: &[&Thread<'_>],
) {
    let back: Vec<&Thread<'_>> = waiters.iter().copied().filter(|t| t.comes_back.is_some()).collect();
    if let Some(samples) = back.iter().map(|t| sample_count(t)).min() {
        case.why.push(say!(Why::ComesBack { tids: tids(back), samples }));
        return;
    }
    match (stuck, scene.between_s) {
        (Stuck::Yes, Some(s)) => case.why.push(evidence(seconds(s))),
        (_, None) => case.missing.push(Why::NoSecondLook {}),
        _ => {}
    }
}

/// The longest time, in seconds, that one of the threads has been in its state.
pub(super) fn longest(scene: &Scene<'_>, threads: &[&Thread<'_>]) -> Option<f64> {
    threads.iter().filter_map(|t| scene.for_s(t)).max_by(f64::total_cmp)
}

fn waiters_of<'a, 's>(scene: &'s Scene<'a>, of: &Wait) -> Vec<&'s Thread<'a>> {
    let same = |w: &Wait| w.object == of.object && w.kind != WaitKind::Join;
    scene.waiting().filter(|(_, w)| same(w)).map(|(t, _)| t).collect()
}

fn join(tids: &[u32]) -> String {
    tids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
