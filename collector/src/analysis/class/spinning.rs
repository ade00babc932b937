//! Locks on which threads spin, without a wait in the kernel: what their loops try or read, and who holds it.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, call_evidence, lock_of, lock_text, tids, wait_text};
use super::whose;
use crate::analysis::scene::{BUSY, Motion, Scene, Thread};
use crate::analysis::stack::{self, Calls, Proof};
use crate::analysis::wait::{MOST_STATES, MutexKind, Owner, Wait, WaitKind, WaitText};
use crate::analysis::why::Why;
use crate::analysis::words::{Class, Confidence};
use crate::session::trace::{LoopRead, ReadHow};
use crate::text::message::{Say as _, Text, say};

/// Threads that spin on one word.
pub(super) struct Spin<'s, 'a> {
    pub(super) threads: Vec<&'s Thread<'a>>,
    pub(super) word: &'a LoopRead,
}

/// Who holds a lock on which threads spin.
enum Holder<'s, 'a> {
    /// The lock's memory names the thread.
    Named(&'s Thread<'a>),
    /// The lock's memory names a thread that is not there.
    Gone(u32),
    /// The only thread inside the allocator that does something else.
    Inside(&'s Thread<'a>),
    /// Nobody inside the allocator can hold it. The thread is the only one that may have left with it.
    Left(Option<&'s Thread<'a>>),
}

/// Groups of threads that spin on one word, the largest first.
pub(super) fn spins<'s, 'a>(scene: &'s Scene<'a>) -> Vec<Spin<'s, 'a>> {
    let mut groups: BTreeMap<u64, Spin<'s, 'a>> = BTreeMap::new();
    for thread in scene.all().filter(|t| matches!(t.calls, Calls::Inside(_)) && (t.runs() || t.naps)) {
        let Some(one) = scene.traces.loops.get(&thread.tid()).filter(|one| one.ring.is_none()) else {
            continue;
        };
        let steady = one.reads.iter().filter(|read| is_steady(read));
        // The word that it tries, before those that it only reads.
        let Some(word) = steady.max_by_key(|read| (read.how, std::cmp::Reverse(read.address))) else {
            continue;
        };
        groups.entry(word.address).or_insert_with(|| Spin { threads: vec![], word }).threads.push(thread);
    }
    let mut groups: Vec<Spin<'s, 'a>> = groups.into_values().collect();
    // Not every thread is sampled, and not every loop can be followed. A thread that runs in a function in
    // which only threads of one group spin is one of them.
    let grouped: BTreeSet<u32> = groups.iter().flat_map(|g| g.threads.iter().map(|t| t.tid())).collect();
    let rest = scene.all().filter(|t| matches!(t.calls, Calls::Inside(_)) && (t.runs() || t.naps));
    let unsampled = |t: &Thread<'_>| t.samples.is_empty() || t.naps && is_unread(scene, t);
    for thread in rest.filter(|t| unsampled(t) && !grouped.contains(&t.tid())) {
        let there = |g: &&mut Spin<'_, '_>| g.threads.iter().any(|t| place(scene, t) == place(scene, thread));
        let mut there = groups.iter_mut().filter(there);
        if let (Some(group), None) = (there.next(), there.next()) {
            group.threads.push(thread);
        }
    }
    for group in &mut groups {
        let best = group.threads.iter().filter_map(|t| {
            scene.traces.loops.get(&t.tid())?.reads.iter().find(|r| r.address == group.word.address)
        });
        group.word = best.max_by_key(|read| read.how).unwrap_or(group.word);
    }
    // One thread that only reads a word may loop for any reason.
    groups.retain(|group| group.threads.len() > 1 || group.word.how != ReadHow::Load);
    groups.sort_by_key(|g| std::cmp::Reverse((g.threads.len(), g.word.how)));
    groups
}

/// The function of the allocator in which a thread is.
pub(super) fn place(scene: &Scene<'_>, thread: &Thread<'_>) -> Option<String> {
    stack::telling_frame(thread.frames(), scene.is).and_then(stack::name)
}

/// Whether the loop of a thread could not be followed.
fn is_unread(scene: &Scene<'_>, thread: &Thread<'_>) -> bool {
    let one = scene.traces.loops.get(&thread.tid());
    one.is_none_or(|one| one.reads.is_empty() && !one.only_reads)
}

/// Both readings are the same, and not of a lock that is free.
fn is_steady(read: &LoopRead) -> bool {
    let count = if read.how == ReadHow::TryLock { 5 } else { read.size.div_ceil(4).max(1) as usize };
    let [first, second] = &read.words;
    let (first, second) = (first.get(..count), second.get(..count));
    let free = read.how == ReadHow::TryLock && first.is_some_and(|words| words[0] == 0);
    first.is_some() && first == second && !free
}

/// The lock that most of the spinning threads want.
pub(super) fn lock(scene: &Scene<'_>) -> Option<Case> {
    let groups = spins(scene);
    // A holder of one lock may spin on another: the lock at the end of the chain decides.
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let mut at = groups.first()?;
    loop {
        if !seen.insert(at.word.address) {
            return Some(crossed(scene, &groups, at));
        }
        let holder = holder(scene, at)?;
        let tid = match holder {
            Holder::Named(thread) | Holder::Inside(thread) => Some(thread.tid()),
            _ => None,
        };
        let next = groups.iter().find(|g| g.threads.iter().any(|t| Some(t.tid()) == tid));
        match next {
            Some(next) => at = next,
            None if matches!(holder, Holder::Left(_)) && groups.len() > 1 => {
                return Some(crossed(scene, &groups, at));
            }
            None => return held(scene, at, &holder),
        }
    }
}

/// None: several threads may hold it.
fn holder<'s, 'a>(scene: &'s Scene<'a>, spin: &Spin<'s, 'a>) -> Option<Holder<'s, 'a>> {
    if let Some(tid) = named(scene, spin) {
        match scene.threads.get(&tid) {
            Some(thread) => return Some(Holder::Named(thread)),
            None if spin.word.how == ReadHow::TryLock && scene.whole => return Some(Holder::Gone(tid)),
            None => {}
        }
    }
    let spins: BTreeSet<_> = spin.threads.iter().map(|t| place(scene, t)).collect();
    let is_spinner = |t: &Thread<'_>| spin.threads.iter().any(|s| s.tid() == t.tid());
    let others = || scene.all().filter(|t| !is_spinner(t) && !t.background);
    // A thread at the entrance to the same lock, whose loop could not be read, spins too.
    let at_entrance = |t: &Thread<'_>| spins.contains(&place(scene, t)) && is_unread(scene, t);
    let inside: Vec<&Thread<'a>> = others().filter(|t| t.inside == Some(true) && !at_entrance(t)).collect();
    if let [one] = inside[..] {
        return Some(Holder::Inside(one));
    }
    if !inside.is_empty() || !scene.whole || others().any(|t| t.inside.is_none()) {
        return None;
    }
    // A load may be one of a flag that is set later. A loop that only reads does nothing but wait for the
    // word.
    if value(spin.word) == 0 || spin.word.how == ReadHow::Load && !only_reads(scene, &spin.threads) {
        return None;
    }
    let outside: Vec<&Thread<'a>> = others()
        .filter(|t| t.inside == Some(false) && t.wait.as_ref().is_none_or(|w| w.kind != WaitKind::Join))
        .collect();
    Some(Holder::Left(match outside[..] {
        [one] if scene.gone.is_empty() => Some(one),
        _ => None,
    }))
}

/// Whether the loops of the threads, as far as they could be followed, do nothing but read.
pub(super) fn only_reads(scene: &Scene<'_>, threads: &[&Thread<'_>]) -> bool {
    let mut loops = threads.iter().filter_map(|t| scene.traces.loops.get(&t.tid())).peekable();
    loops.peek().is_some() && loops.all(|one| one.only_reads)
}

/// The tid that the lock's memory names.
fn named(scene: &Scene<'_>, spin: &Spin<'_, '_>) -> Option<u32> {
    let word = spin.word;
    if word.how == ReadHow::TryLock {
        let [lock, _, owner, users, kind, ..] = word.words[0][..] else { return None };
        let is_held = matches!(lock, 1 | 2) && users >= 1 && kind & !0x1ff == 0 && owner != 0;
        return is_held.then_some(owner);
    }
    let is_thread = |tid: &u32| scene.threads.contains_key(tid) && *tid > MOST_STATES;
    // Some locks keep flags in the highest bits.
    let value = value(word);
    let low = word.words[0].first().copied().filter(|_| word.size >= 4);
    let tid = low.into_iter().flat_map(|low| [low, low & 0x3fff_ffff]).find(is_thread);
    let points = word.points_to.filter(|tid| scene.threads.contains_key(tid) && value > u64::from(u32::MAX));
    let spins = |tid: &u32| spin.threads.iter().any(|t| t.tid() == *tid);
    tid.or(points).filter(|tid| !spins(tid))
}

/// The word, as far as its loop reads it.
fn value(word: &LoopRead) -> u64 {
    let bytes = word.words[0].iter().take(2).enumerate();
    let all = bytes.fold(0u64, |all, (i, half)| all | u64::from(*half) << (32 * i));
    match word.size {
        0..8 => all & ((1 << (word.size.max(1) * 8)) - 1),
        _ => all,
    }
}

/// The wait of a spinning thread, as if it slept.
fn wait_on(word: &LoopRead, tid: u32, owner: Option<Owner>) -> Wait {
    let kind = match (word.how, word.words[0].get(4)) {
        (ReadHow::TryLock, Some(kind)) => WaitKind::Mutex(MutexKind::from_glibc(*kind)),
        (ReadHow::TryLock, None) => WaitKind::Mutex(MutexKind::Unknown),
        _ => WaitKind::SpinLock,
    };
    let detail: Text = match kind {
        WaitKind::Mutex(kind) => match kind.as_str() {
            Some(kind) => say!(WaitText::Mutex { kind }).said(),
            None => WaitText::MutexUnknown {}.said(),
        },
        _ => WaitText::Spins {}.said(),
    };
    Wait {
        kind,
        object: Some(word.address),
        word: Some(word.address),
        value: word.words[0].first().copied(),
        owner,
        detail,
        ..Wait::of(tid)
    }
}

fn case_of(scene: &Scene<'_>, spin: &Spin<'_, '_>, owner: Option<Owner>, class: Class) -> Case {
    let wait = wait_on(spin.word, spin.threads[0].tid(), owner);
    let lock = lock_text(scene, &wait);
    let mut case = Case::new(class, Confidence::Likely);
    case.why.push(say!(Why::SpinsOn {
        tids: tids(spin.threads.iter().copied()),
        lock: &lock,
        value: format!("{:#x}", value(spin.word)),
    }));
    let mut reported = lock_of(scene, &wait, &spin.threads);
    // The evidence of a thread that is only inferred is no owner.
    reported.owner_tid = owner.map(Owner::tid);
    case.lock = Some(reported);
    case.in_allocator = Some(true);
    case.for_s = spin.threads.iter().filter_map(|t| scene.for_s(t)).max_by(f64::total_cmp);
    case
}

fn held(scene: &Scene<'_>, spin: &Spin<'_, '_>, holder: &Holder<'_, '_>) -> Option<Case> {
    let lock = |owner| lock_text(scene, &wait_on(spin.word, 0, owner));
    let n = spin.threads.len();
    match holder {
        Holder::Gone(tid) => {
            let owner = Some(Owner::Gone(*tid));
            let mut case = case_of(scene, spin, owner, Class::OwnerGone);
            case.why.push(say!(Why::OwnerGone { owner: tid, lock: lock(owner), waiters: n }));
            match scene.dump.owner_ended(*tid, Some(spin.word.address)) {
                true => case.confidence = Confidence::Proven,
                false => case.missing.push(say!(Why::OwnerNotAsked { owner: tid })),
            }
            Some(case)
        }
        Holder::Named(thread) => {
            let owner = Some(Owner::Alive(thread.tid()));
            let (class, proven) = class_of(scene, thread);
            let mut case = case_of(scene, spin, owner, class);
            case.why.push(say!(Why::SpinOwner { owner: thread.tid(), lock: lock(owner) }));
            case.culprit = Some(thread.tid());
            evidence(&mut case, scene, thread, class);
            if class == Class::OwnerLeft {
                case.missing.extend(release_lost(scene, &spin.threads));
            }
            // A number that is a tid may be one by chance, where its thread is not where a holder would be.
            let sure = spin.word.how == ReadHow::TryLock || class == Class::OwnerSpinning;
            if proven && sure {
                case.confidence = Confidence::Proven;
            }
            Some(case)
        }
        Holder::Inside(thread) => {
            let (class, _) = class_of(scene, thread);
            // The lock names nobody: a thread that sleeps inside is a suspect.
            let class = if class == Class::OwnerSpinning { class } else { Class::SpinWait };
            if class == Class::SpinWait && (thread.calls == Calls::Returns || thread.makes_progress()) {
                return None;
            }
            let mut case = case_of(scene, spin, None, class);
            if class == Class::OwnerSpinning {
                case.why.push(say!(Why::OnlyRunner { tid: thread.tid() }));
                call_evidence(&mut case, thread);
            } else {
                let wait = wait_text(scene, thread);
                case.why.push(say!(Why::Suspect { tid: thread.tid(), wait }));
                case.culprit_at = stack::task_frame(thread.frames(), &[], scene.is).cloned();
            }
            case.missing.push(say!(Why::NoOwner { lock: lock(None) }));
            case.culprit = Some(thread.tid());
            Some(case)
        }
        Holder::Left(thread) => {
            let owner = thread.map(|t| Owner::Alive(t.tid()));
            let mut case = case_of(scene, spin, owner, Class::OwnerLeft);
            case.why.push(Why::NobodyInside {});
            case.missing.push(say!(Why::NoOwner { lock: lock(None) }));
            case.missing.extend(release_lost(scene, &spin.threads));
            if let Some(thread) = thread {
                let wait = wait_text(scene, thread);
                case.why.push(say!(Why::OnlyOneOutside { tid: thread.tid(), wait }));
                case.culprit = Some(thread.tid());
                case.culprit_at = stack::program_frame(thread.frames()).cloned();
            }
            Some(case)
        }
    }
}

/// The functions that may have lost the release, where the stacks of the waiters name them.
pub(super) fn release_lost(scene: &Scene<'_>, waiters: &[&Thread<'_>]) -> Option<Why> {
    let functions = whose::takers(scene, waiters);
    (!functions.is_empty()).then(|| say!(Why::ReleaseLost { functions: functions.join(", ") }))
}

/// The class for a lock with this owner, and whether it is seen that the owner keeps the lock.
fn class_of(scene: &Scene<'_>, owner: &Thread<'_>) -> (Class, bool) {
    match owner.calls {
        _ if owner.motion == Motion::Left => (Class::OwnerGone, false),
        Calls::Outside | Calls::Returns => {
            // The word is read after both looks. A thread that comes back into the allocator may have taken
            // the lock since it was seen outside.
            let stays =
                owner.calls == Calls::Outside && matches!(owner.motion, Motion::Asleep | Motion::Runs);
            let known = owner.trace.is_some_and(|trace| !trace.truncated);
            (Class::OwnerLeft, known && stays && scene.whole)
        }
        _ if owner.in_kernel() => (Class::KernelWait, true),
        Calls::Inside(proof) if runs(owner) => (Class::OwnerSpinning, proof == Proof::Bytes),
        _ => (Class::OwnerBlocked, owner.motion == Motion::Asleep),
    }
}

/// A thread that sleeps for most of the time does not spin.
fn runs(owner: &Thread<'_>) -> bool {
    match owner.naps {
        true => owner.cpu_share >= BUSY,
        false => owner.runs() || owner.motion == Motion::Runs,
    }
}

fn evidence(case: &mut Case, scene: &Scene<'_>, owner: &Thread<'_>, class: Class) {
    let tid = owner.tid();
    match class {
        Class::OwnerSpinning => call_evidence(case, owner),
        Class::OwnerLeft => {
            case.why.push(match owner.calls {
                Calls::Returns => say!(Why::HolderReturns { owner: tid }),
                _ => say!(Why::HolderOutside { owner: tid }),
            });
            case.culprit_at = stack::program_frame(owner.frames()).cloned();
        }
        _ => case.why.push(say!(Why::OwnerBlocked { owner: tid, wait: wait_text(scene, owner) })),
    }
}

/// Threads that hold one lock and spin on another: nobody else can release them.
fn crossed(scene: &Scene<'_>, groups: &[Spin<'_, '_>], at: &Spin<'_, '_>) -> Case {
    let owner = named(scene, at).filter(|tid| scene.threads.contains_key(tid)).map(Owner::Alive);
    let mut case = case_of(scene, at, owner, Class::Livelock);
    let owners: Vec<(u32, String)> = groups
        .iter()
        .filter_map(|group| Some((named(scene, group)?, lock_text(scene, &wait_on(group.word, 0, None)))))
        .collect();
    for (owner, lock) in &owners {
        case.why.push(say!(Why::SpinOwner { owner, lock }));
    }
    let locks: Vec<String> = groups.iter().map(|g| lock_text(scene, &wait_on(g.word, 0, None))).collect();
    case.why.push(say!(Why::SpinsCrossed { locks: locks.join(", ") }));
    let all = groups.iter().flat_map(|g| &g.threads);
    case.spinning = all.clone().count() as u32;
    for thread in all.clone().take(4) {
        call_evidence(&mut case, thread);
    }
    let bytes = all.clone().all(|t| t.calls == Calls::Inside(Proof::Bytes));
    if bytes && owners.len() == groups.len() {
        case.confidence = Confidence::Proven;
    }
    case.culprit = owner.map(Owner::tid).or_else(|| at.threads.first().map(|t| t.tid()));
    case
}
