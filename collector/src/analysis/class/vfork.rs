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
    let mut case = Case::new(Class::Deadlock, Confidence::Likely);
    let lock = lock_text(scene, wait);
    case.why.push(say!(Why::VforkWaits { tid: parent.tid(), child: child.tid(), lock }));
    case.why.extend(holder.map(|holder| {
        say!(Why::VforkHolder { owner: holder.tid(), wait: wait_text(scene, holder), tid: parent.tid() })
    }));
    case.lock = Some(lock_of(scene, wait, &waiters_of(scene, wait)));
    case.in_allocator = any_inside([child]);
    blame(scene, &mut case, parent, child);
    Some(case)
}

/// Says of a case that it goes over vfork, and whose mistake that is: of a ring of waits, of a child that does not
/// come out of the allocator, and of a thread that waits for a child that does not go on.
pub(super) fn judge(scene: &Scene<'_>, graph: &Graph, case: &mut Case) {
    let of_case = |(parent, child): &(&Thread<'_>, &Thread<'_>)| {
        let both = |ring: &Vec<u32>| ring.contains(&parent.tid()) && ring.contains(&child.tid());
        let ring = case.class == Class::Deadlock && graph.cycles().iter().any(both);
        let culprit = [parent.tid(), child.tid()].map(Some).contains(&case.culprit);
        // A child that the kernel holds, for example in execve, is not the program's mistake.
        ring || culprit && !child.in_kernel()
    };
    if case.blame.is_some() {
        return;
    }
    let Some((parent, child)) = pairs(scene).find(of_case) else { return };
    match &child.wait {
        Some(wait) if wait.kind.is_lock() => {
            let lock = lock_text(scene, wait);
            case.why.push(say!(Why::VforkWaits { tid: parent.tid(), child: child.tid(), lock }));
            case.lock = Some(lock_of(scene, wait, &waiters_of(scene, wait)));
        }
        _ => {
            let wait = wait_text(scene, child);
            case.why.push(say!(Why::VforkChild { tid: parent.tid(), child: child.tid(), wait }));
            case.unproven();
        }
    }
    blame(scene, case, parent, child);
}

fn waiters_of<'a, 's>(scene: &'s Scene<'a>, of: &Wait) -> Vec<&'s Thread<'a>> {
    let same = |w: &Wait| w.object == of.object && w.kind == of.kind;
    scene.all().filter(|t| t.wait.as_ref().is_some_and(same)).collect()
}

fn blame(scene: &Scene<'_>, case: &mut Case, parent: &Thread<'_>, child: &Thread<'_>) {
    let within = stack::in_allocator(child.frames(), scene.is).map_or(0, |range| range.end);
    case.culprit = Some(parent.tid());
    // The child overwrites the stack of the thread in vfork: its own stack shows who called vfork.
    case.culprit_at = stack::program_frame(&child.frames()[within..]).cloned();
    // An allocator may call vfork itself, and then malloc in the child.
    let by_allocator = parent.inside == Some(true);
    case.blame = Some(if by_allocator { Blame::Allocator } else { Blame::Program });
    let uses_lock = within > 0 || child.wait.as_ref().is_some_and(|w| w.kind.is_lock());
    if !by_allocator && uses_lock {
        case.why.push(Why::VforkForbids {});
    }
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
