//! Owners that no futex word keeps, and that all waits and stacks of a process together tell.

use std::collections::BTreeMap;

use super::model::{MutexKind, Owner, Wait, WaitKind};
use super::wait_text::WaitText;
use crate::analysis::stack;
use crate::session::trace::Frame;
use crate::text::message::Say as _;

/// Fills in the owners. `stacks` are the frames of each thread, the innermost first. `whole`: every thread has a whole stack.
pub(crate) fn resolve(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>, whole: bool) {
    parked(waits);
    once(waits, stacks, whole);
}

/// A thread that glibc has parked after EDEADLK owns the mutex that the others wait for. Where no other thread waits for a
/// mutex of it, the mutex is not known: the kernel also says ESRCH, for a mutex whose owner has ended.
fn parked(waits: &mut BTreeMap<u32, Wait>) {
    let inheriting = WaitKind::Mutex(MutexKind::PriorityInheriting);
    let held: BTreeMap<u32, (Option<u64>, crate::text::message::Text)> = waits
        .values()
        .filter(|wait| wait.kind == inheriting && !wait.parked)
        .filter_map(|wait| Some((wait.owner?.tid(), (wait.object, wait.detail.clone()))))
        .collect();
    for wait in waits.values_mut().filter(|wait| wait.parked) {
        match held.get(&wait.tid) {
            Some((object, detail)) => {
                wait.kind = inheriting;
                wait.object = *object;
                wait.owner = Some(Owner::Alive(wait.tid));
                wait.detail = detail.clone();
            }
            None => wait.detail = WaitText::MutexParked {}.said(),
        }
    }
}

/// A control word of `pthread_once` names no thread. The thread that runs the initialization has `pthread_once` on its stack,
/// outside the frames in which it may itself wait. If only one thread has it, that is the one.
fn once(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>, whole: bool) {
    let waits_once = |tid: &u32| waits.get(tid).is_some_and(|wait| wait.kind == WaitKind::Once);
    let running: Vec<u32> = stacks
        .iter()
        .filter(|(tid, frames)| activations(frames) > usize::from(waits_once(tid)))
        .map(|(tid, _)| *tid)
        .collect();
    let [owner] = running[..] else { return };
    for wait in waits.values_mut().filter(|wait| wait.kind == WaitKind::Once && wait.owner.is_none()) {
        wait.owner = Some(Owner::Alive(owner));
        wait.guessed |= !whole;
    }
}

/// How many calls of `pthread_once` are on a stack. `std::call_once` of libstdc++ and `call_once` of C use it.
fn activations(frames: &[Frame]) -> usize {
    let is = |frame: &&Frame| {
        let function = frame.function.as_deref().map(stack::plain_name);
        !frame.inlined && function.is_some_and(|f| matches!(f, "pthread_once" | "pthread_once_slow"))
    };
    let mut last = None;
    // `__pthread_once_slow` is called by `pthread_once`: the two are one call.
    let calls = frames.iter().filter(is).filter(|frame| {
        let plain = frame.function.as_deref().map(stack::plain_name).unwrap_or_default().to_owned();
        let inner_part = plain == "pthread_once" && last.as_deref() == Some("pthread_once_slow");
        last = Some(plain);
        !inner_part
    });
    calls.count()
}
