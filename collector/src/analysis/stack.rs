//! Queries on a stack: where the allocator is on it, which call of the allocator it is in, and
//! whether that call returned.

use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) use super::role::file_name;
use super::role::without_start;
pub(super) use super::role::{AllocatorIs, counts, is_libc, is_stand_in, is_start, plain_name};
use crate::session::trace::{Frame, ThreadTrace};

/// The frames up to the outermost one of the allocator: `0..end`. Functions that the allocator called (locks
/// of the C library) are among them. None if no frame belongs to the allocator.
pub(super) fn in_allocator(frames: &[Frame], is: AllocatorIs) -> Option<Range<usize>> {
    without_start(frames, is).iter().rposition(|f| counts(f, is)).map(|outermost| 0..outermost + 1)
}

/// The innermost frame of the allocator.
pub(super) fn allocator_frame(frames: &[Frame], is: AllocatorIs) -> Option<&Frame> {
    frames.iter().find(|f| counts(f, is))
}

/// The frame that best shows where in the allocator a thread is: the innermost frame of the allocator that is
/// neither of a standard library (an inlined `spin_loop`, an atomic) nor a wrapper of a system call
/// (`futex_wait`), if there is one.
pub(super) fn telling_frame(frames: &[Frame], is: AllocatorIs) -> Option<&Frame> {
    let own = || frames.iter().filter(|f| counts(f, is) && !is_standard_library(f));
    let call = |f: &&Frame| !f.function.as_deref().is_some_and(|name| has_word(name, &["futex", "syscall"]));
    own().find(call).or_else(|| own().next()).or_else(|| allocator_frame(frames, is))
}

/// Code of the standard library of Rust or C++. It is compiled into the DSO that uses it.
pub(super) fn is_standard_library(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    let function = function.trim_start_matches(['<', '&']);
    let names = ["core::", "std::", "alloc::", "__gnu_cxx::"];
    let file = frame.file.as_deref().unwrap_or_default();
    names.iter().any(|n| function.starts_with(n))
        || file.starts_with("/rustc/")
        || file.contains("/library/core/")
}

/// The frame that shows what a thread was doing when it began to wait: the innermost frame of the
/// allocator that is no wrapper of a lock or a sleep. `others` are stacks of threads that only wait:
/// they share the wrappers, so a function that none of them has is no wrapper. Without others the name
/// of the function decides.
pub(super) fn task_frame<'a>(frames: &'a [Frame], others: &[&[Frame]], is: AllocatorIs) -> Option<&'a Frame> {
    let own = || frames.iter().filter(|f| counts(f, is) && !is_standard_library(f) && f.function.is_some());
    let shared = |f: &Frame| others.iter().any(|o| o.iter().any(|of| of.function == f.function));
    let alone = own().find(|f| !others.is_empty() && !shared(f));
    alone
        .or_else(|| own().find(|f| !f.function.as_deref().is_some_and(is_wrapper)))
        .or_else(|| telling_frame(frames, is))
}

/// Whether the name is that of a wrapper of a lock or a sleep: `mid_lock_acquire`, `malloc_mutex_lock_slow`,
/// `SpinLock::Lock`, `os_sleep`; but not `deadlock_move` or `block_new`.
pub(super) fn is_wrapper(function: &str) -> bool {
    const WORDS: &[&str] = &[
        "lock",
        "trylock",
        "acquire",
        "mutex",
        "spinlock",
        "sleep",
        "usleep",
        "nanosleep",
        "yield",
        "pause",
        "futex",
        "syscall",
    ];
    has_word(function, WORDS)
}

/// Whether a name contains one of these words as a whole word: `raw::futex_wait` contains `futex`.
fn has_word(name: &str, words: &[&str]) -> bool {
    let parts = name.split(|c: char| !c.is_ascii_alphabetic());
    parts.map(str::to_ascii_lowercase).any(|part| words.contains(&part.as_str()))
}

/// The innermost frame that is neither of the C library nor of a standard library.
pub(super) fn program_frame(frames: &[Frame]) -> Option<&Frame> {
    let own = || frames.iter().filter(|f| f.dso.is_some() && !is_stand_in(f) && !is_standard_library(f));
    own().find(|f| f.function.is_some()).or_else(|| own().next())
}

/// The innermost frame of the program that called the allocator.
pub(super) fn program_frame_outside(frames: &[Frame], is: AllocatorIs) -> Option<&Frame> {
    let end = in_allocator(frames, is).map_or(0, |range| range.end);
    program_frame(frames.get(end..)?)
}

/// The function of a frame, else its offset in the DSO.
pub(super) fn name(frame: &Frame) -> Option<String> {
    let offset = || Some(format!("{}+{:#x}", file_name(frame.dso.as_deref()?), frame.dso_offset?));
    frame.function.clone().or_else(offset)
}

/// Whether the allocator itself started the thread: outside the allocator's frames there are only functions
/// that start a thread. Such a background thread waits while it has nothing to do.
pub(super) fn is_allocators_own(trace: &ThreadTrace, is: AllocatorIs) -> bool {
    let Some(range) = in_allocator(&trace.frames, is) else { return false };
    let outward = &trace.frames[range.end..];
    !trace.truncated && !outward.is_empty() && outward.iter().all(is_start)
}

/// How a thread uses the allocator, from all of its stacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    NotSeen,
    /// No stack is inside the allocator.
    Outside,
    /// All stacks are in one call of the allocator.
    Inside(Proof),
    /// It left the allocator, or entered it again, between two samples.
    Returns,
}

/// The evidence that a call of the allocator has not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// There is only one stack.
    Once,
    /// The caller's frames stayed the same. A loop that calls again from the same place can look the same.
    Frames,
    /// The caller's stack bytes stayed the same too, and its registers as far as they are known.
    Bytes,
}

/// A call of the allocator.
struct Call {
    /// Identifies the activation: the CFA of the entry's frame, then `pc` and CFA of each outer frame.
    outward: (Option<u64>, Vec<(u64, Option<u64>)>),
    /// Program counters of the frames inside the allocator.
    inward: Vec<u64>,
    /// [`Frame::kept`] of the entry.
    kept: Option<u64>,
}

fn call_of(frames: &[Frame], is: AllocatorIs) -> Option<Call> {
    let range = in_allocator(frames, is)?;
    let entry = &frames[range.end - 1];
    let outward = frames[range.end..].iter().map(|f| (f.pc, f.cfa)).collect();
    let inward = frames[range].iter().map(|f| f.pc).collect();
    Some(Call { outward: (entry.cfa, outward), inward, kept: entry.kept })
}

/// Compares all stacks of a thread, in order of time.
pub(super) fn calls<'a>(traces: impl IntoIterator<Item = &'a ThreadTrace>, is: AllocatorIs) -> Calls {
    let all: Vec<&ThreadTrace> = traces.into_iter().filter(|t| !t.frames.is_empty()).collect();
    // A truncated stack lacks its outer frames: use truncated stacks only if most stacks are truncated.
    let whole: Vec<&ThreadTrace> = all.iter().copied().filter(|t| !t.truncated).collect();
    let truncated = whole.len() * 2 < all.len();
    let seen = if truncated { all } else { whole };
    let calls = seen.iter().map(|t| (call_of(&t.frames, is), t.truncated));
    // The missing frames may be the allocator's.
    let calls: Vec<Option<Call>> =
        calls.filter(|(call, cut)| call.is_some() || !cut).map(|(call, _)| call).collect();
    if calls.is_empty() {
        return Calls::NotSeen;
    }
    if calls.iter().all(Option::is_none) {
        return if truncated { Calls::NotSeen } else { Calls::Outside };
    }
    let Some(calls) = calls.into_iter().collect::<Option<Vec<Call>>>() else { return Calls::Returns };
    // Truncated stacks of one call end at different frames.
    let depth = calls.iter().map(|c| c.outward.1.len()).min().unwrap_or(0);
    let compared = |c: &Call| match truncated {
        true => (c.outward.0, c.outward.1[..depth].to_vec()),
        false => c.outward.clone(),
    };
    if calls.iter().any(|c| compared(c) != compared(&calls[0])) {
        return Calls::Returns;
    }
    if calls.len() == 1 {
        return Calls::Inside(Proof::Once);
    }
    // A digest depends on which registers are known, and that depends on the position in the allocator:
    // digests of different positions may differ for this reason alone. Digests of one position differ only
    // if the caller went on in between.
    // They are of all bytes up to the outermost frame.
    let mut positions: BTreeMap<(&[u64], usize), Vec<u64>> = BTreeMap::new();
    for call in &calls {
        positions.entry((&call.inward, call.outward.1.len())).or_default().extend(call.kept);
    }
    if positions.values().any(|kept| kept.iter().any(|k| *k != kept[0])) {
        return Calls::Returns;
    }
    let all_the_same = calls.iter().all(|c| c.kept.is_some() && c.kept == calls[0].kept);
    let compared: usize = positions.values().map(Vec::len).filter(|n| *n > 1).sum();
    let bytes = all_the_same || (compared > 1 && compared * 2 >= calls.len());
    Calls::Inside(if bytes { Proof::Bytes } else { Proof::Frames })
}

#[cfg(test)]
mod tests {
    use super::super::role::is_malloc_family;
    use super::*;
    use crate::session::trace::TraceSource;

    const PRELOADED: AllocatorIs = AllocatorIs { shared: false };

    fn frame(pc: u64, function: &str, dso: &str, cfa: u64) -> Frame {
        Frame {
            pc,
            function: Some(function.to_owned()),
            dso: Some(dso.to_owned()),
            in_allocator: dso == "/opt/libfoo.so",
            cfa: Some(cfa),
            ..Frame::default()
        }
    }

    /// In `spin` at `pc`, under `malloc`, called from `caller` with the caller's bytes `kept`.
    fn sample(pc: u64, caller: u64, kept: Option<u64>) -> ThreadTrace {
        let mut frames = vec![
            frame(pc, "spin", "/opt/libfoo.so", 0x100),
            frame(0x20, "malloc", "/opt/libfoo.so", 0x200),
            frame(caller, "worker", "/opt/bench", 0x300),
            frame(0x40, "start_thread", "/lib/libc.so.6", 0x400),
        ];
        frames[1].kept = kept;
        ThreadTrace { tid: 1, source: TraceSource::Signal, frames, truncated: false, problem: None }
    }

    fn outside() -> ThreadTrace {
        let frames = sample(1, 2, None).frames.split_off(2);
        ThreadTrace { frames, ..sample(1, 2, None) }
    }

    #[test]
    fn a_call_is_the_same_while_its_caller_stays_the_same() {
        let calls = |all: &[ThreadTrace]| calls(all, PRELOADED);
        let in_loop = [sample(0x10, 0x30, Some(7)), sample(0x11, 0x30, Some(7))];
        assert_eq!(calls(&in_loop), Calls::Inside(Proof::Bytes));
        let no_bytes = [sample(0x10, 0x30, None), sample(0x11, 0x30, Some(7))];
        assert_eq!(calls(&no_bytes), Calls::Inside(Proof::Frames));
        assert_eq!(calls(&no_bytes[..1]), Calls::Inside(Proof::Once));
        // Called again from the same place: only a changed byte of the caller's stack shows it.
        let again = [sample(0x10, 0x30, Some(7)), sample(0x10, 0x30, Some(8))];
        assert_eq!(calls(&again), Calls::Returns);
        // At another position other registers are known: a different digest there is no return.
        let place = |pc, kept| sample(pc, 0x30, Some(kept));
        let two_places = [place(0x10, 7), place(0x11, 8), place(0x10, 7), place(0x11, 8)];
        assert_eq!(calls(&two_places), Calls::Inside(Proof::Bytes));
        let many_places = [place(0x10, 7), place(0x11, 8), place(0x12, 9), place(0x13, 1)];
        assert_eq!(calls(&many_places), Calls::Inside(Proof::Frames), "nothing could be compared");
        let elsewhere = [sample(0x10, 0x30, Some(7)), sample(0x10, 0x31, Some(7))];
        assert_eq!(calls(&elsewhere), Calls::Returns);
        assert_eq!(calls(&[sample(0x10, 0x30, Some(7)), outside()]), Calls::Returns);
        assert_eq!(calls(&[outside(), sample(0x10, 0x30, Some(7))]), Calls::Returns);
        assert_eq!(calls(&[outside(), outside()]), Calls::Outside);
        assert_eq!(calls(&[]), Calls::NotSeen);
    }

    #[test]
    fn a_truncated_stack_says_nothing_about_the_missing_frames() {
        let truncated = ThreadTrace { truncated: true, ..outside() };
        assert_eq!(calls(&[truncated.clone(), truncated.clone()], PRELOADED), Calls::NotSeen);
        // One truncated sample among several whole ones is no return.
        let good = sample(0x10, 0x30, Some(7));
        let all = [good.clone(), ThreadTrace { truncated: true, ..outside() }, good.clone()];
        assert_eq!(calls(&all, PRELOADED), Calls::Inside(Proof::Bytes));
        // Stacks of one call that were cut at different frames.
        let cut = |kept| {
            let mut cut = ThreadTrace { truncated: true, ..sample(0x10, 0x30, Some(kept)) };
            cut.frames.pop();
            cut
        };
        assert_eq!(calls(&[good.clone(), cut(8), cut(8)], PRELOADED), Calls::Inside(Proof::Bytes));
        assert_eq!(calls(&[good, cut(8), cut(9)], PRELOADED), Calls::Returns);
    }

    #[test]
    fn in_libc_only_the_malloc_family_is_the_allocator() {
        let is = AllocatorIs { shared: true };
        let mut waits = vec![
            frame(1, "__lll_lock_wait_private", "/lib/libc.so.6", 1),
            frame(2, "pthread_mutex_lock", "/lib/libc.so.6", 2),
            frame(3, "worker", "/opt/bench", 3),
            frame(4, "start_thread", "/lib/libc.so.6", 4),
        ];
        waits.iter_mut().for_each(|f| f.in_allocator = f.dso.as_deref() == Some("/lib/libc.so.6"));
        assert_eq!(in_allocator(&waits, is), None);
        assert_eq!(in_allocator(&waits, PRELOADED), Some(0..4));
        waits[1].function = Some("__libc_malloc".to_owned());
        assert_eq!(in_allocator(&waits, is), Some(0..2));
        for name in ["_int_malloc", "__libc_free", "malloc@@GLIBC_2.2.5", "__GI___libc_malloc", "sysmalloc"] {
            assert!(is_malloc_family(name), "{name}");
        }
        assert!(!is_malloc_family("clone3") && !is_malloc_family("main"));
    }

    #[test]
    fn a_background_thread_of_the_allocator_has_no_caller() {
        let mut own = sample(1, 2, None);
        own.frames.remove(2);
        assert!(is_allocators_own(&own, PRELOADED));
        assert!(!is_allocators_own(&sample(1, 2, None), PRELOADED));
        own.truncated = true;
        assert!(!is_allocators_own(&own, PRELOADED), "its caller may be missing");
    }
}
