//! Hangs on futex words that record no owner: lost wakeups, and locks whose holder must be inferred.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, any_inside, call_evidence, lock_of, lock_text, stuck_together, tids, wait_text};
use super::owned::{add_sleep_evidence, free_word, longest};
use super::spinning;
use crate::analysis::scene::{Scene, Stuck, Thread};
use crate::analysis::stack::{self, Calls};
use crate::analysis::wait::{Wait, WaitKind};
use crate::analysis::why::Why;
use crate::analysis::words::{Class, Confidence};
use crate::text::message::say;

/// Threads that sleep on one object. A read-write lock has several futex words.
struct Group<'s, 'a> {
    waiters: Vec<&'s Thread<'a>>,
    wait: &'s Wait,
    stuck: Stuck,
}

/// Groups of waiters on words without an owner, the largest first, without groups whose waiters were woken.
fn groups<'s, 'a>(scene: &'s Scene<'a>) -> Vec<Group<'s, 'a>> {
    let mut by_object: BTreeMap<u64, Vec<&Thread<'a>>> = BTreeMap::new();
    for (thread, wait) in scene.waiting() {
        let object = wait.object.or(wait.word);
        if let (true, None, Some(object)) = (wait.futex && wait.kind != WaitKind::Join, wait.owner, object) {
            by_object.entry(object).or_default().push(thread);
        }
    }
    let mut groups: Vec<Group<'s, 'a>> = by_object
        .into_values()
        .filter_map(|waiters| {
            let stuck = stuck_together(waiters.iter().copied());
            let wait = waiters[0].wait.as_ref()?;
            (stuck != Stuck::No).then_some(Group { waiters, wait, stuck })
        })
        .collect();
    groups.sort_by_key(|g| (std::cmp::Reverse(g.waiters.len()), g.wait.word));
    groups
}

/// Threads that sleep although their word is free: the thread that changed the word did not wake them.
pub(super) fn free(scene: &Scene<'_>) -> Option<Case> {
    let groups = groups(scene);
    let free = |g: &&Group<'_, '_>| g.waiters.iter().all(|t| free_word(t));
    let group = groups.iter().filter(free).find(|g| any_inside(g.waiters.iter().copied()) != Some(false));
    let group = group.or_else(|| groups.iter().find(free))?;
    let proven = group.stuck == Stuck::Yes && !group.wait.timed;
    let mut case = Case::new(Class::LostWakeup, if proven { Confidence::Proven } else { Confidence::Likely });
    case.why.push(say!(Why::WordFree {
        waiters: group.waiters.len(),
        lock: lock_text(scene, group.wait),
        value: group.wait.value.unwrap_or_default(),
        expected: group.wait.expected.unwrap_or_default(),
    }));
    add_sleep_evidence(
        &mut case,
        scene,
        group.stuck,
        |seconds| say!(Why::StillFree { seconds }),
        &group.waiters,
    );
    finish(&mut case, scene, group);
    bystanders(&mut case, scene);
    Some(case.located(any_inside(group.waiters.iter().copied())))
}

/// Locks and events inside the allocator: infers the thread that holds the lock or has to signal the event.
pub(super) fn inferred(scene: &Scene<'_>) -> Option<Case> {
    let groups: Vec<Group<'_, '_>> =
        groups(scene).into_iter().filter(|g| any_inside(g.waiters.iter().copied()) == Some(true)).collect();
    // The word names a holder that is no thread of this process: none of its threads is one.
    let groups: Vec<Group<'_, '_>> = groups.into_iter().filter(|g| g.wait.foreign.is_none()).collect();
    let group = groups.first()?;
    let waits_here: BTreeSet<u32> = groups.iter().flat_map(|g| g.waiters.iter().map(|w| w.tid())).collect();
    // Threads that spin on the same word before they sleep do not hold it.
    let spins = spinning::spins(scene);
    let same_word = spins.iter().filter(|spin| Some(spin.word.address) == group.wait.word);
    let at_entrance: BTreeSet<u32> = same_word.flat_map(|spin| &spin.threads).map(|t| t.tid()).collect();
    let others = |t: &&Thread<'_>| !waits_here.contains(&t.tid()) && !at_entrance.contains(&t.tid());
    let inside = || scene.all().filter(|t| t.inside == Some(true)).filter(others);
    if let Some(case) = starved(scene, group, inside()) {
        return Some(case);
    }
    // The others spin for something that one of the sleepers holds.
    let spinners: BTreeSet<u32> = spins.iter().flat_map(|spin| &spin.threads).map(|t| t.tid()).collect();
    if group.wait.kind.is_event()
        && inside().next().is_some()
        && inside().all(|t| spinners.contains(&t.tid()))
    {
        return None;
    }
    let runners: Vec<&Thread<'_>> = inside().filter(|t| t.runs() && !t.naps).collect();
    let sleepers: Vec<&Thread<'_>> = inside().filter(|t| !t.runs() || t.naps).collect();
    if runners.iter().any(|t| t.calls == Calls::Returns) || inside().any(Thread::makes_progress) {
        return None;
    }
    match (&runners[..], &sleepers[..]) {
        ([runner], _) => Some(by_runner(scene, group, runner)),
        ([], [sleeper, ..]) => Some(by_sleeper(scene, group, sleeper)),
        ([], []) if group.wait.kind.is_event() => Some(never_signalled(scene, &groups)),
        ([], []) => nobody_inside(scene, &groups),
        _ => None,
    }
}

fn by_runner(scene: &Scene<'_>, group: &Group<'_, '_>, runner: &Thread<'_>) -> Case {
    let mut case = ownerless(scene, group, Class::OwnerSpinning);
    case.why.push(say!(Why::OnlyRunner { tid: runner.tid() }));
    call_evidence(&mut case, runner);
    case.culprit = Some(runner.tid());
    case.located(Some(true))
}

fn by_sleeper(scene: &Scene<'_>, group: &Group<'_, '_>, sleeper: &Thread<'_>) -> Case {
    let class = if sleeper.in_kernel() { Class::KernelWait } else { Class::OwnerBlocked };
    let mut case = ownerless(scene, group, class);
    case.why.push(say!(Why::OnlySleeper { tid: sleeper.tid(), wait: wait_text(scene, sleeper) }));
    case.culprit = Some(sleeper.tid());
    case.located(Some(true))
}

/// Threads that come and go inside the allocator while one waits all the time for a read-write lock without a
/// writer: readers that overlap keep a writer out for ever. None if one of the threads inside may hold the
/// lock and stand still.
fn starved<'s, 'a>(
    scene: &'s Scene<'a>,
    group: &Group<'_, '_>,
    inside: impl Iterator<Item = &'s Thread<'a>>,
) -> Option<Case> {
    let inside: Vec<&Thread<'_>> = inside.collect();
    let goes_on = |t: &&Thread<'_>| t.naps || t.calls == Calls::Returns || t.makes_progress();
    let read = group.wait.kind == WaitKind::RwLock && group.stuck == Stuck::Yes && !group.wait.timed;
    if !read || inside.len() < 2 || !inside.iter().all(goes_on) {
        return None;
    }
    let mut case = ownerless(scene, group, Class::OwnerBlocked);
    let (tids, lock) = (tids(inside.iter().copied()), lock_text(scene, group.wait));
    case.why.push(say!(Why::ReadersOverlap { tids, lock }));
    case.culprit = inside.first().map(|t| t.tid());
    Some(case.located(Some(true)))
}

/// A condition, semaphore or barrier inside the allocator, and no other thread inside the allocator.
fn never_signalled(scene: &Scene<'_>, groups: &[Group<'_, '_>]) -> Case {
    let group = &groups[0];
    let mut case = Case::new(Class::LostWakeup, Confidence::Proven);
    case.why.push(say!(Why::Event { waiters: group.waiters.len(), lock: lock_text(scene, group.wait) }));
    case.why.push(Why::NobodySignals {});
    add_sleep_evidence(
        &mut case,
        scene,
        group.stuck,
        |seconds| say!(Why::StillFree { seconds }),
        &group.waiters,
    );
    if group.stuck != Stuck::Yes || group.wait.timed {
        case.unproven();
    }
    let semaphores = || groups.iter().filter(|g| g.wait.kind == WaitKind::Semaphore);
    if semaphores().count() > 1 {
        let locks: Vec<String> = semaphores().map(|g| lock_text(scene, g.wait)).collect();
        case.missing.push(say!(Why::SemaphoresMayLock { locks: locks.join(", ") }));
        case.unproven();
    }
    finish(&mut case, scene, group);
    if bystanders(&mut case, scene) {
        case.unproven();
    }
    case.located(Some(true))
}

/// The lock is held, and all threads inside the allocator wait.
fn nobody_inside(scene: &Scene<'_>, groups: &[Group<'_, '_>]) -> Option<Case> {
    let group = groups.first().filter(|g| g.wait.kind.is_lock() || g.wait.kind == WaitKind::Futex)?;
    if groups.len() > 1 && groups.iter().all(|g| g.wait.kind.is_lock() || g.wait.kind == WaitKind::Futex) {
        let mut case = ownerless(scene, group, Class::Deadlock);
        let locks: Vec<String> = groups.iter().map(|g| lock_text(scene, g.wait)).collect();
        case.why.push(say!(Why::CrossedLocks { locks: locks.join(", ") }));
        return Some(case.located(Some(true)));
    }
    if scene.gone.is_empty() && group.wait.kind == WaitKind::RwLock {
        return Some(readers_left(scene, group));
    }
    if scene.gone.is_empty() {
        return not_released(scene, group);
    }
    let mut case = ownerless(scene, group, Class::OwnerGone);
    let gone: Vec<String> = scene.gone.iter().take(6).map(u32::to_string).collect();
    let lock = lock_text(scene, group.wait);
    case.why.push(say!(Why::HolderLeft { lock, gone: gone.join(", ") }));
    Some(case.located(Some(true)))
}

/// A word that is 1 or 2 as long as somebody has the lock, and no thread inside the allocator that can have
/// it: the thread that took it has left the allocator, or has ended. None if a thread without a stack may be
/// inside.
fn not_released(scene: &Scene<'_>, group: &Group<'_, '_>) -> Option<Case> {
    let frames = || group.waiters.iter().flat_map(|t| t.frames()).filter(|f| stack::counts(f, scene.is));
    // A word of 1 may also be an event. Then only names tell.
    let called_lock = || frames().any(|f| f.function.as_deref().is_some_and(stack::is_wrapper));
    let held = match group.wait.expected {
        Some(2) => true,
        Some(1) => group.wait.kind.is_lock() || called_lock(),
        _ => false,
    } && group.wait.value.is_some_and(|value| value != 0);
    // A mutex that names nobody, although it is held, was written over.
    let held = held && !matches!(group.wait.kind, WaitKind::Mutex(_));
    let waits = |t: &Thread<'_>| group.waiters.iter().any(|w| w.tid() == t.tid());
    let others = || scene.all().filter(|t| !waits(t));
    if !held || !scene.whole || others().any(|t| t.inside != Some(false) || scene.doubtful(t).is_some()) {
        return None;
    }
    let mut case = ownerless(scene, group, Class::OwnerLeft);
    case.why.push(Why::NobodyInside {});
    case.missing.extend(spinning::release_lost(scene, &group.waiters));
    let mut workers = others().filter(|t| t.wait.as_ref().is_none_or(|w| !matches!(w.kind, WaitKind::Join)));
    if let (Some(one), None) = (workers.next(), workers.next()) {
        case.why.push(say!(Why::OnlyOneOutside { tid: one.tid(), wait: wait_text(scene, one) }));
        case.culprit = Some(one.tid());
        case.culprit_at = stack::program_frame(one.frames()).cloned();
        case.lock.iter_mut().for_each(|lock| lock.owner_tid = Some(one.tid()));
    }
    Some(case.located(Some(true)))
}

/// A read-write lock counts its readers and does not name them. None of the threads inside the allocator
/// runs.
fn readers_left(scene: &Scene<'_>, group: &Group<'_, '_>) -> Case {
    let mut case = ownerless(scene, group, Class::OwnerGone);
    case.why.push(say!(Why::ReadersLeft { lock: lock_text(scene, group.wait) }));
    case.located(Some(true))
}

fn ownerless(scene: &Scene<'_>, group: &Group<'_, '_>, class: Class) -> Case {
    let mut case = Case::new(class, Confidence::Likely);
    let lock = lock_text(scene, group.wait);
    case.why.push(say!(Why::Ownerless { waiters: group.waiters.len(), lock: &lock }));
    case.missing.push(say!(Why::NoOwner { lock }));
    let n = group.waiters.len();
    add_sleep_evidence(
        &mut case,
        scene,
        group.stuck,
        |s| say!(Why::NeverReleased { waiters: n, seconds: s }),
        &group.waiters,
    );
    finish(&mut case, scene, group);
    case
}

fn finish(case: &mut Case, scene: &Scene<'_>, group: &Group<'_, '_>) {
    case.lock = Some(lock_of(scene, group.wait, &group.waiters));
    case.for_s = longest(scene, &group.waiters).or(scene.between_s);
}

/// Adds the threads that run outside the allocator: busy, but not the cause. True if there are any.
fn bystanders(case: &mut Case, scene: &Scene<'_>) -> bool {
    let busy: Vec<&Thread<'_>> = scene.all().filter(|t| t.runs() && t.inside != Some(true)).collect();
    let outside: Vec<&Thread<'_>> = busy.iter().copied().filter(|t| t.inside == Some(false)).collect();
    if !outside.is_empty() {
        case.why.push(say!(Why::RunsOutside { tids: tids(outside.iter().copied()) }));
    }
    if !busy.is_empty() && case.class == Class::LostWakeup {
        case.missing.push(say!(Why::MayStillCome { tids: tids(busy.iter().copied()) }));
    }
    !busy.is_empty()
}
