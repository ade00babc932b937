//! Owners that no futex word keeps, and that all waits and stacks of a process together tell.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{MutexKind, Owner, Wait, WaitKind};
use super::names::SEARCHED_FRAMES;
use super::wait_text::WaitText;
use crate::analysis::stack;
use crate::files::links::is_system;
use crate::session::trace::Frame;
use crate::text::message::Say as _;

/// Fills in the owners. `stacks` are the frames of each thread, the innermost first. `whole`: every thread has a whole stack.
pub(crate) fn resolve(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>, whole: bool) {
    parked(waits);
    once(waits, stacks, whole);
    guards(waits, stacks, whole);
}

/// A thread that glibc has parked after EDEADLK or ESRCH. Its wait is no longer one of the mutex that it wanted: only its
/// registers have that mutex.
fn parked(waits: &mut BTreeMap<u32, Wait>) {
    for wait in waits.values_mut().filter(|wait| wait.parked) {
        wait.kind = WaitKind::Mutex(MutexKind::PriorityInheriting);
        wait.owner = None;
        wait.detail = WaitText::MutexParked {}.said();
    }
}

/// A control word of `pthread_once` names no thread. The thread that runs the initialization has `pthread_once` on its stack,
/// outside the frames in which it may itself wait. If only one thread has it, that is the one.
fn once(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>, whole: bool) {
    let guarded: BTreeSet<u32> =
        stacks.iter().filter(|(_, frames)| guard(frames).is_some()).map(|(tid, _)| *tid).collect();
    let of_once = |wait: &Wait| wait.kind == WaitKind::Once && !guarded.contains(&wait.tid);
    let waits_once = |tid: &u32| waits.get(tid).is_some_and(of_once);
    let running: Vec<u32> = stacks
        .iter()
        .filter(|(tid, frames)| activations(frames) > usize::from(waits_once(tid)))
        .map(|(tid, _)| *tid)
        .collect();
    let [owner] = running[..] else { return };
    for wait in waits.values_mut().filter(|wait| of_once(wait) && wait.owner.is_none()) {
        wait.owner = Some(Owner::Alive(owner));
        wait.guessed |= !whole;
    }
}

/// The guard of a static variable of C++ names no thread. The thread that initializes the variable is in the function of that
/// variable, further inside: a thread that waits for the guard may be that thread itself. If only one thread is there, that is
/// the one.
fn guards(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>, whole: bool) {
    for wait in waits.values_mut().filter(|wait| wait.kind == WaitKind::Once && wait.owner.is_none()) {
        let Some((at, of)) = stacks.get(&wait.tid).and_then(|frames| guard(frames)) else { continue };
        let inside = |tid: u32, frames: &&[Frame]| {
            let from = match guard(frames) {
                Some((own, _)) if tid == wait.tid => own.max(at) + 1,
                Some((own, _)) => own + 1,
                None => 1,
            };
            let found = (from..frames.len())
                .find(|i| (&frames[*i].function, &frames[*i].dso) == (&of.function, &of.dso))?;
            Some((tid, frames[found - 1].dso.as_deref().is_some_and(is_system)))
        };
        let found: Vec<(u32, bool)> =
            stacks.iter().filter_map(|(tid, frames)| inside(*tid, frames)).collect();
        if let [(owner, calls_system)] = found[..] {
            wait.owner = Some(Owner::Alive(owner));
            // It may be before the variable, in a call of its own.
            wait.guessed |= !whole || calls_system;
        }
    }
}

/// The function whose static variable a thread waits for, and its position on the stack.
fn guard(frames: &[Frame]) -> Option<(usize, &Frame)> {
    let is = |frame: &Frame| frame.function.as_deref().map(stack::plain_name) == Some("cxa_guard_acquire");
    let at = frames.iter().take(SEARCHED_FRAMES).position(is)? + 1;
    let of = frames.get(at).filter(|frame| frame.function.is_some())?;
    Some((at, of))
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
