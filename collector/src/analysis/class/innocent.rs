//! Causes that need no mistake of the allocator: a list that the program may have broken, and a request for
//! memory that the program repeats although it fails each time.

use hangscope_protocol::record::hello_flags;

use super::case::{Case, tids};
use crate::analysis::scene::{Scene, Thread};
use crate::analysis::stack::{self, Calls};
use crate::analysis::why::Why;
use crate::analysis::words::{Blame, Cause, Class, Confidence};
use crate::session::MemoryLimit;
use crate::session::trace::NoMemory;
use crate::text::message::say;

/// The culprit walks a list that is a ring: it is not known who made it one.
pub(super) fn list_ring(scene: &Scene<'_>, case: &mut Case) {
    let walks =
        matches!(case.class, Class::Runaway | Class::OwnerSpinning | Class::Livelock | Class::SpinWait);
    let Some(thread) = case.culprit.filter(|_| walks).and_then(|tid| scene.threads.get(&tid)) else { return };
    let Some(ring) = scene.traces.loops.get(&thread.tid()).and_then(|one| one.ring.as_ref()) else { return };
    if case.in_allocator != Some(true) || !matches!(thread.calls, Calls::Inside(_)) {
        return;
    }
    let function = stack::telling_frame(thread.frames(), scene.is).and_then(stack::name);
    case.why.push(say!(Why::ListRing {
        tid: thread.tid(),
        function: function.unwrap_or_else(|| "?".to_owned()),
        nodes: ring.nodes,
    }));
    let forked = scene.dump.identity.fixed.flags & hello_flags::FORKED != 0;
    if forked {
        case.why.push(Why::RingForked {});
    }
    case.missing.push(Why::RingCauses {});
    case.cause = Some(if forked { Cause::ForkInherited } else { Cause::ListRing });
    case.unproven();
}

/// The program repeats a request that fails each time.
pub(super) fn no_memory(scene: &Scene<'_>) -> Option<Case> {
    let failing = |t: &&Thread<'_>| failed(scene, t).is_some();
    let threads: Vec<&Thread<'_>> = scene.all().filter(failing).collect();
    let first = threads.first()?;
    let of_program = |t: &Thread<'_>| {
        let one = scene.traces.loops.get(&t.tid());
        t.calls == Calls::Returns
            || one.is_some_and(|one| one.returns || !one.callbacks.is_empty())
            || is_new(scene, t)
    };
    if !threads.iter().all(|t| of_program(t)) {
        return None;
    }
    let handler = threads.iter().find(|t| {
        let one = scene.traces.loops.get(&t.tid());
        t.calls != Calls::Returns && one.is_none_or(|one| !one.returns)
    });
    let wanted = threads.iter().filter_map(|t| failed(scene, t)).map(|f| f.wanted).max().unwrap_or(0);
    let limit = reached(scene, wanted);
    // Some requests fail in healthy programs too.
    let mostly = |t: &&Thread<'_>| failed(scene, t).is_some_and(|f| f.samples * 4 >= f.of);
    if limit.is_none() && !threads.iter().all(mostly) {
        return None;
    }
    let class = if handler.is_some() { Class::Runaway } else { Class::OutsideAllocator };
    let mut case = Case::new(class, Confidence::Likely);
    match handler {
        Some(thread) => case.why.push(say!(Why::RetriedByHandler { function: handler_of(scene, thread) })),
        None => case.why.push(say!(Why::RetriedByProgram { tids: tids(threads.iter().copied()) })),
    }
    for thread in threads.iter().take(4) {
        if let Some(NoMemory { samples, of, .. }) = failed(scene, thread) {
            case.why.push(say!(Why::NoMemoryCalls { tid: thread.tid(), samples: samples, of }));
        }
    }
    case.why.extend(limit.map(|limit| limit_text(limit, wanted)));
    let known = threads.iter().all(|t| {
        t.calls == Calls::Returns
            || scene.traces.loops.get(&t.tid()).is_some_and(|one| one.returns || !one.callbacks.is_empty())
    });
    if limit.is_some() && known {
        case.confidence = Confidence::Proven;
    }
    case.cause = Some(Cause::EnomemRetry);
    case.blame = Some(Blame::Program);
    case.culprit = Some(first.tid());
    // One stack may be cut below the program's frames.
    let mut stacks = first.trace.into_iter().chain(first.samples);
    case.culprit_at = stacks.find_map(|stack| stack::program_frame_outside(&stack.frames, scene.is)).cloned();
    case.in_allocator = Some(handler.is_some());
    case.for_s = threads.iter().filter_map(|t| scene.for_s(t)).max_by(f64::total_cmp);
    Some(case)
}

/// The allocator itself repeats a request that fails each time: says what fails, and the limit. Giving up
/// would be its own task.
pub(super) fn own_retry(scene: &Scene<'_>, case: &mut Case) {
    let loops = matches!(case.class, Class::Runaway | Class::OwnerSpinning | Class::Livelock);
    let own = loops && case.cause.is_none() && case.blame.is_none() && case.in_allocator == Some(true);
    let Some(thread) = case.culprit.filter(|_| own).and_then(|tid| scene.threads.get(&tid)) else { return };
    let Some(NoMemory { samples, of, wanted, followed }) = failed(scene, thread) else { return };
    let limit = reached(scene, *wanted);
    if !matches!(thread.calls, Calls::Inside(_)) || limit.is_none() && samples * 4 < *of {
        return;
    }
    case.why.push(say!(Why::NoMemoryCalls { tid: thread.tid(), samples: samples, of }));
    case.why.extend(limit.map(|limit| limit_text(limit, *wanted)));
    case.cause = Some(Cause::EnomemRetry);
    if !followed {
        // Its caller may ask again from the same place, with the same bytes on its stack.
        case.missing.push(say!(Why::WhoAsksAgain { tid: thread.tid() }));
        case.unproven();
    }
}

/// The calls of a running thread that failed for want of memory, where they are too many to be chance.
fn failed<'a>(scene: &Scene<'a>, thread: &Thread<'_>) -> Option<&'a NoMemory> {
    let failed = scene.traces.loops.get(&thread.tid())?.no_memory.as_ref()?;
    let often = failed.samples >= 3 && failed.samples * 20 >= failed.of;
    (often && thread.inside == Some(true)).then_some(failed)
}

/// How functions are named that ask the program's new_handler before they give up: `operator new`, and what
/// it jumps to in tcmalloc and mimalloc, with no frame of its own left.
const NEW: [&str; 7] = [
    "operator new",
    "_Znw",
    "_Zna",
    "tc_new",
    "tcmalloc::allocate_full_cpp_throw",
    "mi_new",
    "mi_heap_alloc_new",
];

/// The call of the allocator is `operator new`.
fn is_new(scene: &Scene<'_>, thread: &Thread<'_>) -> bool {
    let Some(range) = stack::in_allocator(thread.frames(), scene.is) else { return false };
    let name = thread.frames()[range.end - 1].function.as_deref().unwrap_or_default();
    NEW.iter().any(|new| name.starts_with(new)) && !name.contains("nothrow")
}

fn handler_of(scene: &Scene<'_>, thread: &Thread<'_>) -> String {
    let callbacks = scene.traces.loops.get(&thread.tid()).map_or(&[][..], |one| &one.callbacks);
    let name = callbacks.first().and_then(stack::name);
    name.map_or_else(|| "?".to_owned(), |name| format!("`{name}`"))
}

/// The limit that leaves no room for a request; 0: its length is not known.
fn reached<'a>(scene: &Scene<'a>, wanted: u64) -> Option<&'a MemoryLimit> {
    let limits = scene.dump.limits.as_ref()?;
    let room = |limit: &MemoryLimit| limit.limit.saturating_sub(limit.used);
    limits.0.iter().find(|limit| room(limit) < wanted.max(limit.limit / 100))
}

fn limit_text(limit: &MemoryLimit, wanted: u64) -> Why {
    let MemoryLimit { name, limit, used } = limit;
    let (limit, used) = (size(*limit), size(*used));
    match wanted {
        0 => say!(Why::MemoryLimit { name, limit, used }),
        _ => say!(Why::MemoryWanted { name, limit, used, wanted: size(wanted) }),
    }
}

/// `2.99 GiB`
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = units.into_iter().find(|(_, bits)| bytes >> bits > 0);
    let Some((unit, bits)) = fits else { return format!("{bytes} B") };
    let number = format!("{:.2}", bytes as f64 / (1u64 << bits) as f64);
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}
