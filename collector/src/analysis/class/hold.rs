//! Whether a lock stayed with its holder from the first look to the second, and what its holder did in that
//! time.
//!
//! A look reads one thread after another, so its records are of different times. In a process that still
//! moved, a holder may have been seen in the program first, and have taken the lock afterwards. That the
//! holder is where a stack shows it and that it has the lock are two facts of one time only if the lock did
//! not change hands between the readings that show the one and the other.

use crate::analysis::scene::{Motion, Scene, Thread, is_running};
use crate::analysis::stack::{self, Calls};
use hangscope_protocol::record::ThreadRecord;

/// Whether it is proven that the holder had the lock of these waiters from the first look to the second.
pub(super) fn is_kept(scene: &Scene<'_>, waiters: &[&Thread<'_>], holder: &Thread<'_>) -> bool {
    let asleep = |t: &Thread<'_>| t.motion == Motion::Asleep;
    // A thread that sleeps releases nothing.
    is_named_twice(waiters)
        && (asleep(holder) || waiters.iter().all(|t| asleep(t)) && nobody_was_woken(scene, waiters, holder))
}

/// Whether both looks found the lock of these waiters with the same owner. A waiter that ran in the first
/// look shows it only once.
pub(super) fn is_named_twice(waiters: &[&Thread<'_>]) -> bool {
    let mut waited = waiters.iter().filter(|t| !t.runs()).peekable();
    waited.peek().is_some() && waited.all(|t| t.same_owner)
}

/// Whether an owner is known to be no thread of the process. That no look has it is not enough: a list of
/// threads can miss one.
pub(super) fn has_ended(scene: &Scene<'_>, waiters: &[&Thread<'_>], owner: u32) -> bool {
    let shown = scene.threads.get(&owner).is_some_and(Thread::has_ended);
    let word = |t: &&Thread<'_>| t.wait.as_ref().and_then(|wait| wait.word);
    shown || waiters.iter().any(|t| scene.dump.owner_ended(owner, word(t)))
}

/// Whether no thread can have been woken by a release of the lock. A release wakes the thread that has waited
/// longest. That one may have come to the lock after the first look had read it, and before the first look
/// read the waiters: then no waiter wakes.
fn nobody_was_woken(scene: &Scene<'_>, waiters: &[&Thread<'_>], holder: &Thread<'_>) -> bool {
    let words: Vec<u64> = waiters.iter().filter_map(|t| t.wait.as_ref()?.word).collect();
    // A lock may have several words.
    let waits_here = |r: &ThreadRecord| words.iter().any(|word| word.abs_diff(r.args[0]) < 64);
    // After a wake-up by a release a thread has the lock, still waits for it, or is on its way. A thread that
    // has come out of it has released it, and that wakes the next one.
    let elsewhere = |r: &ThreadRecord| !is_running(r) && r.err_syscall == 0 && !waits_here(r);
    let quiet = |t: &Thread<'_>| match (t.motion, t.second) {
        (Motion::Asleep | Motion::Left, _) => true,
        (_, Some(second)) => {
            let counted = t.record.err_status == 0 && second.err_status == 0;
            counted && second.nvcsw == t.record.nvcsw && !waits_here(t.record) || elsewhere(second)
        }
        (_, None) => false,
    };
    let others = || scene.threads.values().filter(|t| t.tid() != holder.tid());
    let came = scene.dump.second.iter().filter(|r| scene.came.contains(&r.tid));
    scene.dump.second_look_is_whole() && others().all(quiet) && { came }.all(elsewhere)
}

/// How a thread used the allocator between the two looks.
pub(super) fn calls_between(scene: &Scene<'_>, thread: &Thread<'_>) -> Calls {
    if thread.motion == Motion::Asleep {
        return stack::calls(thread.trace, scene.is);
    }
    let span = scene.dump.between_looks().unwrap_or(0..0);
    stack::calls(thread.traces_in(&span), scene.is)
}
