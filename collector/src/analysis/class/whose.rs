//! Whose mistake a hang is: the allocator's only if the lock is its own, and if its own code loops or waits, without a
//! function of the program in between.

use hangscope_protocol::record::dso_flags;

use super::case::{Case, lock_name, place, wants_at};
use crate::analysis::finding::RingEdge;
use crate::analysis::role::{Role, file_name, is_malloc_family, role};
use crate::analysis::scene::{Scene, Thread};
use crate::analysis::standing::{self, Activity, Standing};
use crate::analysis::why::Why;
use crate::analysis::words::{Blame, Cause, Class};
use crate::session::trace::Frame;
use crate::text::message::say;

/// Who called the function of a lock.
#[derive(Clone, Debug, PartialEq)]
enum Caller {
    Allocator,
    Program(Frame),
    /// In a ring: some locks are the allocator's, one is taken by this frame of the program.
    Both(Frame),
    /// No stack of a waiter is whole enough.
    Unknown,
    /// The case has no lock.
    NoLock,
}

/// Sets [`Case::blame`] and [`Case::cause`] where the stacks tell, and lowers the confidence where they do not.
pub(super) fn judge(scene: &Scene<'_>, case: &mut Case) {
    let told = case.blame.is_some();
    let theirs = matches!(
        case.class,
        Class::Slow | Class::Unknown | Class::OutsideAllocator | Class::KernelWait | Class::SpinWait
    );
    if told || theirs && case.class != Class::SpinWait {
        return;
    }
    let doers = doers(scene, case);
    if doubtful(scene, case, &doers) {
        return;
    }
    let activities: Vec<(&Thread<'_>, Activity)> =
        doers.into_iter().map(|t| (t, t.activity(scene.is))).collect();
    if handler(scene, case, &activities) || callback(scene, case, &activities) {
        return;
    }
    for (thread, activity) in &activities {
        // A thread that has left the allocator is in the program anyway.
        let inside = activity.standing != Standing::Outside;
        if let Some(frame) = activity.program_inside.as_ref().filter(|_| inside) {
            case.why.push(say!(Why::CallsProgram { tid: thread.tid(), place: place(frame) }));
            case.unproven();
        }
    }
    let outside = |a: &Activity| matches!(a.standing, Standing::Outside);
    match callers(scene, case) {
        Caller::Program(_) if activities.iter().all(|(_, a)| outside(a)) => case.blame = Some(Blame::Program),
        // The allocator's code does not come out, under a lock of the program.
        Caller::Program(frame) | Caller::Both(frame) => {
            case.missing.push(say!(Why::LockOfProgram { place: place(&frame) }));
            case.unproven();
        }
        // Without any stack the place is unknown too, and the class does not depend on it.
        Caller::Unknown if case.in_allocator.is_none() => {}
        Caller::Unknown => {
            case.missing.push(Why::CallerUnknown {});
            case.unproven();
        }
        Caller::Allocator | Caller::NoLock => {}
    }
    if let Some(frame) = in_program(scene, &activities) {
        case.missing.push(say!(Why::InProgram { place: place(frame) }));
        case.unproven();
    }
    let left = matches!(case.class, Class::OwnerLeft | Class::OwnerGone) || case.members.len() == 1;
    let ends_threads = |name: &&String| matches!(name.as_str(), "pthread_cancel" | "pthread_exit");
    // A thread that waits, or works on, was not ended: it jumped. Its destructors run at its end.
    let ways: Vec<&String> = match case.class {
        Class::OwnerGone => scene.traces.ways_out.iter().collect(),
        _ if case.members.first().is_some_and(|tid| is_ending(scene, *tid)) => {
            scene.traces.ways_out.iter().collect()
        }
        _ => scene.traces.ways_out.iter().filter(|name| !ends_threads(name)).collect(),
    };
    if left && case.in_allocator == Some(true) && !ways.is_empty() {
        let functions = ways.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        case.missing.push(say!(Why::WaysOut { functions }));
        // What is seen is proven; whose mistake it is remains open.
        case.blame = Some(Blame::Either);
    }
}

/// The function of the allocator in which a thread of the case stays, where the allocator is a part of the
/// program and the function is not one of malloc's own names.
fn in_program<'a>(scene: &Scene<'_>, activities: &'a [(&Thread<'_>, Activity)]) -> Option<&'a Frame> {
    let within = scene.dump.allocator().is_some_and(|dso| dso.is(dso_flags::EXECUTABLE));
    let own = |frame: &&Frame| role(frame, scene.is) == Role::Allocator;
    let unnamed = |frame: &&Frame| !frame.function.as_deref().is_some_and(is_malloc_family);
    let frames = activities.iter().filter_map(|(_, activity)| activity.frame.as_ref());
    frames.filter(own).find(unnamed).filter(|_| within)
}

/// Whether a thread is at its end: only its destructors are on its stack.
fn is_ending(scene: &Scene<'_>, tid: u32) -> bool {
    let frames = scene.threads.get(&tid).map_or(&[][..], |thread| thread.frames());
    !frames.is_empty() && frames.iter().all(|frame| role(frame, scene.is) != Role::Program)
}

/// Whether a thread of the case is in a DSO of which it is not known if it is the allocator's: a core that the
/// allocator reaches through pointers, or a plug-in of the program.
fn doubtful(scene: &Scene<'_>, case: &mut Case, doers: &[&Thread<'_>]) -> bool {
    let waiters = case.lock.iter().flat_map(|lock| &lock.waiters).filter_map(|tid| scene.threads.get(tid));
    let frame_of = |t: &Thread<'_>| {
        let frame = scene.doubtful(t)?;
        Some((t.tid(), frame.dso.as_deref().map(file_name)?.to_owned()))
    };
    let Some((tid, dso)) = doers.iter().copied().chain(waiters).find_map(frame_of) else { return false };
    case.missing.push(say!(Why::DoubtfulDso { tid, dso }));
    case.unproven();
    if case.in_allocator == Some(true) {
        case.blame = Some(Blame::Either);
    }
    true
}

/// The threads that make the hang: a ring, or the thread that holds, loops or is blocked.
fn doers<'s, 'a>(scene: &'s Scene<'a>, case: &Case) -> Vec<&'s Thread<'a>> {
    let tids = if case.members.is_empty() { case.culprit.as_slice() } else { &case.members[..] };
    tids.iter().filter_map(|tid| scene.threads.get(tid)).collect()
}

/// A signal handler that interrupted the allocator, and does not come back.
fn handler(scene: &Scene<'_>, case: &mut Case, activities: &[(&Thread<'_>, Activity)]) -> bool {
    let of = |t: &Thread<'_>, standing: &Standing| match standing {
        Standing::HandlerAgain(frame) => Some((t.tid(), frame.clone(), true)),
        Standing::Handler(frame) => Some((t.tid(), frame.clone(), false)),
        _ => None,
    };
    let mut found = activities.iter().find_map(|(t, a)| of(t, &a.standing));
    // It waits for a lock of its own in a handler, and the stack does not show what the handler interrupted.
    if let ([(thread, activity)], None) = (activities, &found)
        && case.members.len() == 1
        && activity.standing == Standing::Allocator
    {
        found = activity.cut_handler.clone().map(|frame| (thread.tid(), frame, true));
    }
    // A sleeper that a handler keeps takes the wake-up that another thread needs.
    if case.class == Class::LostWakeup {
        let all = scene.all().filter(|t| t.wait.is_some());
        found = found.or_else(|| all.into_iter().find_map(|t| of(t, &standing::of(t.frames(), scene.is))));
    }
    let waits_itself = inferred(scene, case).into_iter().find_map(|t| {
        let activity = t.activity(scene.is);
        match (activity.standing, activity.cut_handler) {
            (Standing::HandlerAgain(frame), _) | (Standing::Allocator, Some(frame)) => {
                Some((t.tid(), frame, true))
            }
            _ => None,
        }
    });
    if found.is_none() && waits_itself.is_some() {
        found = waits_itself;
        holds_itself(case, found.as_ref().map(|(tid, ..)| *tid));
    }
    let Some((tid, frame, again)) = found else { return false };
    let cut = scene.threads.get(&tid).and_then(|t| t.trace).is_some_and(|trace| trace.truncated);
    let alone = case.members.len() == 1 || case.lock.is_none() || case.culprit == Some(tid);
    let place = place(&frame);
    if again {
        case.why.push(say!(Why::MallocInHandler { tid, place }));
        if alone {
            case.class = Class::Reentry;
        }
        // That the interrupted call holds the lock is seen only where the lock names its owner.
        if case.members.len() != 1 || cut {
            case.unproven();
        }
    } else {
        case.why.push(match cut {
            true => say!(Why::InHandlerCut { tid, place }),
            false => say!(Why::InHandler { tid, place }),
        });
        case.unproven();
    }
    case.cause = Some(Cause::SignalReentry);
    case.blame = Some(Blame::Program);
    case.culprit = Some(tid);
    case.culprit_at = Some(frame).filter(|_| !again);
    true
}

/// The threads that wait or spin, where the case names no holder that a lock or a stack proves.
fn inferred<'s, 'a>(scene: &'s Scene<'a>, case: &Case) -> Vec<&'s Thread<'a>> {
    let unnamed = case.missing.iter().any(|why| matches!(why, Why::NoOwner { .. }));
    let spins =
        case.lock.is_none() && matches!(case.class, Class::Livelock | Class::SpinWait | Class::OwnerSpinning);
    match &case.lock {
        Some(lock) if unnamed => lock.waiters.iter().filter_map(|tid| scene.threads.get(tid)).collect(),
        _ if spins => scene.all().filter(|t| t.inside == Some(true) && (t.runs() || t.naps)).collect(),
        _ => vec![],
    }
}

/// One of the waiters holds the lock itself: takes back what was said of other holders.
fn holds_itself(case: &mut Case, tid: Option<u32>) {
    case.class = Class::Reentry;
    case.culprit = tid;
    case.culprit_at = None;
    case.unproven();
    case.why.retain(|why| {
        !matches!(
            why,
            Why::NobodyInside {}
                | Why::OnlyOneOutside { .. }
                | Why::OnlyRunner { .. }
                | Why::OnlySleeper { .. }
                | Why::HolderLeft { .. }
                | Why::LoopsElsewhere { .. }
                | Why::Suspect { .. }
        )
    });
    case.missing.retain(|why| !matches!(why, Why::ReleaseLost { .. }));
    case.lock.iter_mut().for_each(|lock| lock.owner_tid = tid);
}

/// A function of the program that the allocator called, and that does not come back.
fn callback(scene: &Scene<'_>, case: &mut Case, activities: &[(&Thread<'_>, Activity)]) -> bool {
    let alone = case.members.len() == 1;
    let found = activities.iter().find_map(|(t, a)| match &a.standing {
        Standing::Callback(frame) => Some((*t, frame.clone())),
        Standing::Again(frame) if alone => Some((*t, frame.clone())),
        _ => None,
    });
    // The holder waits for a lock, and its own holder is the culprit.
    let found = found.or_else(|| {
        let waiter = case.lock.as_ref().and_then(|lock| scene.threads.get(lock.waiters.first()?))?;
        match standing::of(waiter.frames(), scene.is) {
            Standing::Callback(frame) => Some((waiter, frame)),
            _ => None,
        }
    });
    let again = inferred(scene, case).into_iter().find_map(|t| match t.activity(scene.is).standing {
        Standing::Again(frame) => Some((t, frame)),
        _ => None,
    });
    let waits_itself = found.is_none() && again.is_some();
    let found = found.or(again);
    if waits_itself {
        holds_itself(case, found.as_ref().map(|(t, _)| t.tid()));
    }
    let Some((thread, frame)) = found else { return false };
    case.why.push(say!(Why::CalledBack { tid: thread.tid(), place: place(&frame) }));
    case.cause = Some(Cause::Callback);
    case.blame = Some(Blame::Program);
    if alone {
        case.class = Class::Reentry;
    } else if !case.members.is_empty() && matches!(callers(scene, case), Caller::Both(_)) {
        // The order of the locks is the allocator's and the program's together.
        case.unproven();
    }
    if case.culprit == Some(thread.tid()) {
        case.culprit_at = Some(frame);
    }
    true
}

/// Who waits for the lock of a case: the allocator if the frame that called the function of the lock is its own. In a
/// ring, for all of its locks.
fn callers(scene: &Scene<'_>, case: &Case) -> Caller {
    let waiters = match (&case.lock, &case.members[..]) {
        (None, []) => return Caller::NoLock,
        (Some(lock), []) => &lock.waiters[..],
        (_, members) => members,
    };
    let frames = waiters.iter().filter_map(|tid| scene.threads.get(tid)).map(Thread::frames);
    let callers: Vec<Option<&Frame>> = frames.map(|frames| standing::caller(frames, scene.is)).collect();
    let program = callers.iter().flatten().find(|f| role(f, scene.is) == Role::Program);
    let own = callers.iter().flatten().any(|f| role(f, scene.is) == Role::Allocator);
    match (program, own) {
        // Of a lock outside a ring one call of the allocator is enough: the lock is one.
        (Some(_), true) if case.members.is_empty() => Caller::Allocator,
        (Some(frame), true) => Caller::Both((*frame).clone()),
        (Some(frame), false) => Caller::Program((*frame).clone()),
        (None, true) => Caller::Allocator,
        (None, false) => Caller::Unknown,
    }
}

/// The functions of the allocator that take a lock, from the stacks of its waiters: the lost release is on a path of one
/// of them.
pub(super) fn takers(scene: &Scene<'_>, waiters: &[&Thread<'_>]) -> Vec<String> {
    let mut places: Vec<String> = vec![];
    for waiter in waiters {
        let frames = waiter.frames();
        let own = standing::caller(frames, scene.is).filter(|f| role(f, scene.is) == Role::Allocator);
        let name = own.map(place).filter(|name| !places.contains(name));
        places.extend(name);
    }
    places.truncate(4);
    places
}

/// Names a lock for the ring of a finding.
pub(super) fn ring(scene: &Scene<'_>, case: &Case) -> Vec<RingEdge> {
    let threads = case.members.iter().filter_map(|tid| scene.threads.get(tid));
    let edge = |thread: &Thread<'_>| {
        let wait = thread.wait.as_ref()?;
        Some(RingEdge {
            tid: thread.tid(),
            kind: wait.kind.as_str().to_owned(),
            name: lock_name(scene, wait),
            owner: wait.owner.map(|owner| owner.tid()),
            at: wants_at(scene, thread).cloned(),
        })
    };
    threads.filter_map(edge).collect()
}
