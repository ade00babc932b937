//! Hangs over vfork. A child that was started by vfork runs in the memory of its parent, and the thread that
//! started it sleeps until the child starts a program. If the child waits for a lock meanwhile, nobody may be left
//! to release it. POSIX forbids the child to call malloc or to take a lock, so this is the program's mistake.

use super::case::{Case, any_inside, lock_of, lock_text, wait_text};
use crate::analysis::graph::{End, Graph};
use crate::analysis::scene::{Scene, Stuck, Thread};
use crate::analysis::stack;
use crate::analysis::wait::{Owner, Wait, WaitKind};
use crate::analysis::why::Why;
use crate::analysis::words::{Blame, Class, Confidence};
use crate::text::message::say;

/// The child waits for a lock whose holder waits for something that the thread in vfork may have to do.
pub(super) fn chain(scene: &Scene<'_>, graph: &Graph) -> Option<Case> {
    let (parent, child) =
        pairs(scene).find(|(_, child)| child.wait.as_ref().is_some_and(|w| w.kind.is_lock()))?;
    let wait = child.wait.as_ref()?;
    let holder = match (wait.owner, graph.end_of(child.tid())) {
        (Some(_), End::Root(root)) => Some(scene.threads.get(&root)?),
        (Some(_), _) => return None,
        // The holder is not known. If nobody runs, nobody but the thread in vfork can go on.
        (None, _) => None,
    };
    let waits = match holder {
        Some(holder) => may_be_woken(holder),
        None => scene.all().all(|t| !t.runs() && !t.makes_progress()),
    };
    if !waits || child.stuck() == Stuck::No {
        return None;
    }
    let within = stack::in_allocator(child.frames(), scene.is).map_or(0, |range| range.end);
    let mut case = Case::new(Class::Deadlock, Confidence::Likely);
    let lock = lock_text(scene, wait);
    case.why.push(say!(Why::VforkWaits { tid: parent.tid(), child: child.tid(), lock }));
    case.why.extend(holder.map(|holder| {
        say!(Why::VforkHolder { owner: holder.tid(), wait: wait_text(scene, holder), tid: parent.tid() })
    }));
    case.lock = Some(lock_of(scene, wait, &waiters_of(scene, wait)));
    case.culprit = Some(parent.tid());
    // The child overwrites the stack of the thread in vfork: its own stack shows who called vfork.
    case.culprit_at = stack::program_frame(&child.frames()[within..]).cloned();
    case.in_allocator = any_inside([child]);
    Some(blamed(case, parent))
}

/// Says of a ring of waits that it goes over vfork, and whose mistake that is.
pub(super) fn judge(scene: &Scene<'_>, graph: &Graph, case: Case) -> Case {
    let in_ring = |(parent, child): &(&Thread<'_>, &Thread<'_>)| {
        let both = |ring: &Vec<u32>| ring.contains(&parent.tid()) && ring.contains(&child.tid());
        graph.cycles().iter().any(both)
    };
    let Some((parent, child)) = pairs(scene).find(in_ring).filter(|_| case.class == Class::Deadlock) else {
        return case;
    };
    let Some(wait) = &child.wait else { return case };
    let within = stack::in_allocator(child.frames(), scene.is).map_or(0, |range| range.end);
    let mut case = case;
    let lock = lock_text(scene, wait);
    case.why.push(say!(Why::VforkWaits { tid: parent.tid(), child: child.tid(), lock }));
    case.lock = Some(lock_of(scene, wait, &waiters_of(scene, wait)));
    case.culprit = Some(parent.tid());
    // The child overwrites the stack of the thread in vfork: its own stack shows who called vfork.
    case.culprit_at = stack::program_frame(&child.frames()[within..]).cloned();
    blamed(case, parent)
}

fn waiters_of<'a, 's>(scene: &'s Scene<'a>, of: &Wait) -> Vec<&'s Thread<'a>> {
    let same = |w: &Wait| w.object == of.object && w.kind == of.kind;
    scene.all().filter(|t| t.wait.as_ref().is_some_and(same)).collect()
}

fn blamed(mut case: Case, parent: &Thread<'_>) -> Case {
    // An allocator that calls vfork itself, and then malloc in the child.
    let by_allocator = parent.inside == Some(true);
    case.blame = Some(if by_allocator { Blame::Allocator } else { Blame::Program });
    if !by_allocator {
        case.why.push(Why::VforkForbids {});
    }
    case
}

/// Threads that wait in vfork, each with its child.
fn pairs<'a, 's>(scene: &'s Scene<'a>) -> impl Iterator<Item = (&'s Thread<'a>, &'s Thread<'a>)> {
    scene.all().filter(|t| t.waits_in_vfork()).filter_map(|parent| {
        let child = parent.wait.as_ref()?.owner.map(Owner::tid)?;
        Some((parent, scene.threads.get(&child).filter(|t| t.is_vforked())?))
    })
}

/// Whether the thread sleeps without a timeout until somebody signals it or sends it something.
fn may_be_woken(thread: &Thread<'_>) -> bool {
    let of_others = |kind: WaitKind| {
        kind.is_event()
            || matches!(kind, WaitKind::Futex)
            || matches!(
                kind,
                WaitKind::Call("read" | "recv" | "accept" | "poll" | "select" | "epoll" | "pause")
            )
    };
    thread.wait.as_ref().is_some_and(|w| !w.timed && of_others(w.kind)) && thread.stuck() == Stuck::Yes
}
