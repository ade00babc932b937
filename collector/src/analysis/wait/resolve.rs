//! Owners that no futex word keeps, and that all waits and stacks of a process together tell.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{MutexKind, Owner, Wait, WaitKind};
use super::wait_text::WaitText;
use crate::analysis::stack;
use crate::session::trace::Frame;
use crate::text::message::Say as _;

/// Fills in the owners. `stacks` are the frames of each thread, the innermost first. `whole`: every thread has a whole stack.
/// `stands`: the threads that do not go on.
pub(crate) fn resolve(
    waits: &mut BTreeMap<u32, Wait>,
    stacks: &BTreeMap<u32, &[Frame]>,
    whole: bool,
    stands: &BTreeSet<u32>,
) {
    parked(waits);
    once(waits, stacks, whole);
    initializers(waits, stacks);
    interpreter(waits, stacks, stands);
}

/// A thread that glibc has parked after EDEADLK or ESRCH. Its wait is no longer one of the mutex that it
/// wanted: only its registers have that mutex.
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
    let is_once = |tid: &u32| stacks.get(tid).is_some_and(|frames| activations(frames) > 0);
    let waits_once =
        |tid: &u32| waits.get(tid).is_some_and(|wait| wait.kind == WaitKind::Once) && is_once(tid);
    let running: Vec<u32> = stacks
        .iter()
        .filter(|(tid, frames)| activations(frames) > usize::from(waits_once(tid)))
        .map(|(tid, _)| *tid)
        .collect();
    let [owner] = running[..] else { return };
    let waits_once: Vec<u32> = waits.keys().copied().filter(waits_once).collect();
    for wait in waits.values_mut().filter(|w| waits_once.contains(&w.tid) && w.owner.is_none()) {
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

/// Functions that wait until another thread has initialized something, and wrappers of them.
const INITIALIZES: [&str; 5] =
    ["pthread_once", "pthread_once_slow", "call_once", "gthread_once", "cxa_guard_acquire"];

/// The frame that called such a function, from `from` on, and its position.
fn initializer<'a>(frames: &[&'a Frame], from: usize) -> Option<(usize, &'a Frame)> {
    let is = |frame: &&Frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        function.starts_with("std::call_once") || INITIALIZES.contains(&stack::plain_name(function))
    };
    let first = frames.iter().skip(from).position(is)? + from;
    let caller = first + frames.get(first..)?.iter().position(|frame| !is(frame))?;
    Some((caller, frames[caller]))
}

/// Several initializations at a time: the thread that has the calling function of a waiter on its stack, and
/// does not wait in that call, runs the initialization. A guard of C++ is waited for by the function that has
/// the variable.
fn initializers(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>) {
    let plain = |tid: &u32| -> Vec<&Frame> {
        stacks.get(tid).into_iter().flat_map(|frames| frames.iter()).filter(|f| !f.inlined).collect()
    };
    let is_open = |wait: &&Wait| wait.kind == WaitKind::Once && wait.owner.is_none();
    let open: Vec<u32> = waits.values().filter(is_open).map(|wait| wait.tid).collect();
    let stacks: BTreeMap<u32, Vec<&Frame>> = stacks.keys().map(|tid| (*tid, plain(tid))).collect();
    // Where each thread waits for an initialization.
    let waits_at = |tid: &u32| open.contains(tid).then(|| initializer(&stacks[tid], 0)).flatten();
    let owners: Vec<(u32, u32)> = open
        .iter()
        .filter_map(|tid| {
            let (at, caller) = waits_at(tid)?;
            let guard = stacks[tid][..at].iter().any(|f| is_named(f, "cxa_guard_acquire"));
            let same = |frame: &&Frame| match guard {
                true => {
                    caller.function.is_some()
                        && (&frame.function, &frame.dso) == (&caller.function, &caller.dso)
                }
                false => frame.pc == caller.pc,
            };
            let has = |(tid, frames): &(&u32, &Vec<&Frame>)| {
                let from = waits_at(tid).map_or(0, |(at, _)| at + 1);
                frames.iter().skip(from).any(same)
            };
            let runs: Vec<u32> = stacks.iter().filter(has).map(|(tid, _)| *tid).collect();
            match runs[..] {
                [owner] => Some((*tid, owner)),
                _ => None,
            }
        })
        .collect();
    for (tid, owner) in owners {
        if let Some(wait) = waits.get_mut(&tid) {
            wait.owner = Some(Owner::Alive(owner));
            wait.inferred = true;
        }
    }
}

fn is_named(frame: &Frame, name: &str) -> bool {
    frame.function.as_deref().is_some_and(|function| stack::plain_name(function) == name)
}

/// Functions of Python that take its interpreter lock, and that give it back before they wait.
const TAKES_GIL: [&str; 3] = ["take_gil", "PyEval_RestoreThread", "PyEval_AcquireThread"];
const GIVES_GIL: [&str; 6] =
    ["PyThread_acquire_lock_timed", "acquire_timed", "pysleep", "select_select_impl", "Py_read", "drop_gil"];

/// The interpreter lock of Python names its holder only in memory of its own. A thread that waits for it all
/// the time waits for the only other thread of Python that has not given it back.
fn interpreter(waits: &mut BTreeMap<u32, Wait>, stacks: &BTreeMap<u32, &[Frame]>, stands: &BTreeSet<u32>) {
    let calls = |tid: &u32, names: &[&str]| {
        let frames = stacks.get(tid).copied().unwrap_or_default();
        frames.iter().any(|frame| names.iter().any(|name| is_named(frame, name)))
    };
    let wants = |wait: &&mut Wait| {
        wait.kind == WaitKind::Condition && stands.contains(&wait.tid) && calls(&wait.tid, &TAKES_GIL)
    };
    let in_python = |frames: &[Frame]| {
        let is = |f: &str| stack::plain_name(f).starts_with("PyEval_Eval") || f.contains("PyGILState_Ensure");
        frames.iter().any(|frame| frame.function.as_deref().is_some_and(is))
    };
    let may_hold: Vec<u32> = stacks
        .iter()
        .filter(|(tid, frames)| in_python(frames) && !calls(tid, &TAKES_GIL) && !calls(tid, &GIVES_GIL))
        .map(|(tid, _)| *tid)
        .collect();
    let [holder] = may_hold[..] else { return };
    for wait in waits.values_mut().filter(wants) {
        wait.kind = WaitKind::Gil;
        wait.owner = Some(Owner::Alive(holder));
        wait.inferred = true;
        wait.detail = WaitText::Gil {}.said();
    }
}
