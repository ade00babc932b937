//! Where a thread stands: in the allocator, in the program, or in the program inside the allocator.
//!
//! A stack is read from the innermost frame outward. Frames of the C library and of the loader belong to their callers:
//! `pthread_mutex_lock`, `usleep`, `madvise`. A frame that the kernel made for a signal handler splits a stack into
//! activations: what the handler does was not called by what it interrupted.

use super::role::{AllocatorIs, Role, role, without_start};
use crate::session::trace::{Frame, ThreadTrace};

/// Where a thread stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// The innermost code that is not the system's is the allocator's.
    Allocator,
    /// As [`Standing::Allocator`], but a function of the program, which the allocator called, has called the allocator
    /// again.
    Again(Frame),
    /// In a function of the program that the allocator called.
    Callback(Frame),
    /// In a signal handler that interrupted the allocator. The frame is the handler's.
    Handler(Frame),
    /// In the allocator, called by a signal handler that interrupted the allocator. The frame is the handler's.
    HandlerAgain(Frame),
    /// No frame of the allocator is on the stack.
    Outside,
    /// There is no stack.
    #[default]
    Unknown,
}

/// Where a thread with these frames stands.
pub(super) fn of(frames: &[Frame], is: AllocatorIs) -> Standing {
    if frames.is_empty() {
        return Standing::Unknown;
    }
    let frames = without_start(frames, is);
    let signal = frames.iter().position(|f| role(f, is) == Role::Signal);
    let (inner, outer) = match signal {
        Some(at) => (&frames[..at], &frames[at + 1..]),
        None => (frames, &[][..]),
    };
    let interrupted = in_allocator(outer, is);
    let inside = in_allocator(inner, is);
    if signal.is_some() && interrupted {
        // The outermost frame of the handler's activation.
        let handler = inner.iter().rev().find(|f| role(f, is) == Role::Program).or(inner.last());
        let handler = handler.cloned().unwrap_or_default();
        return if inside { Standing::HandlerAgain(handler) } else { Standing::Handler(handler) };
    }
    if !inside {
        return Standing::Outside;
    }
    let mut own =
        inner.iter().filter(|f| role(f, is) != Role::System).skip_while(|f| role(f, is) == Role::Allocator);
    let innermost = inner.iter().find(|f| role(f, is) != Role::System);
    // The first frame of the program behind which the allocator comes again.
    let program = own.next().filter(|_| own.any(|f| role(f, is) == Role::Allocator)).cloned();
    match (innermost.map(|f| role(f, is)), program) {
        (Some(Role::Allocator), None) => Standing::Allocator,
        (Some(Role::Allocator), Some(frame)) => Standing::Again(frame),
        (_, Some(frame)) => Standing::Callback(frame),
        (_, None) => Standing::Outside,
    }
}

fn in_allocator(frames: &[Frame], is: AllocatorIs) -> bool {
    frames.iter().any(|f| role(f, is) == Role::Allocator)
}

/// What a thread does, from all of its stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// Of the innermost function that did not return between the stacks, seen from there outward.
    pub(super) standing: Standing,
    /// That function, or the function that called it where it is the system's.
    pub(super) frame: Option<Frame>,
    /// A frame of the program that was seen inside that function in some stack.
    pub(super) program_inside: Option<Frame>,
    /// The signal handler behind which every stack is cut: what it interrupted is not known. It may run on a
    /// stack of its own.
    pub(super) cut_handler: Option<Frame>,
}

/// Compares the whole stacks of a thread.
pub(super) fn activity<'a>(traces: impl IntoIterator<Item = &'a ThreadTrace>, is: AllocatorIs) -> Activity {
    let all: Vec<&ThreadTrace> = traces.into_iter().filter(|t| !t.frames.is_empty()).collect();
    let whole: Vec<&[Frame]> = all.iter().filter(|t| !t.truncated).map(|t| &t.frames[..]).collect();
    let stacks = if whole.is_empty() { all.iter().map(|t| &t.frames[..]).collect() } else { whole };
    let Some(first) = stacks.first() else {
        return Activity::default();
    };
    let depth = stacks.iter().map(|stack| same_callers(first, stack)).min().unwrap_or(0);
    // The function inside the callers that all stacks share. It does not return if its activation is one, too.
    let inner =
        |stack: &'a [Frame]| stack.len().checked_sub(depth + 1).and_then(|at| Some((at, stack.get(at)?)));
    let loops = stacks.iter().all(|stack| match (inner(first), inner(stack)) {
        (Some((_, a)), Some((_, b))) => a.cfa == b.cfa && a.function == b.function,
        (None, None) => true,
        _ => false,
    });
    let begin = |stack: &[Frame]| stack.len().saturating_sub(depth + usize::from(loops));
    let outward = &first[begin(first).min(first.len())..];
    let cut = all.iter().all(|t| t.truncated);
    let mut inside = stacks.iter().flat_map(|stack| &stack[..begin(stack).min(stack.len())]);
    let program_inside = inside.find(|f| role(f, is) == Role::Program && !f.inlined).cloned();
    let frame = outward.iter().find(|f| !matches!(role(f, is), Role::System)).cloned();
    let cut_handler = in_handler(outward, is).filter(|_| cut);
    let standing = match (of(outward, is), &cut_handler) {
        (Standing::Outside, Some(handler)) => Standing::Handler(handler.clone()),
        (standing, _) => standing,
    };
    Activity { standing, frame, program_inside, cut_handler }
}

/// The program's frame of the innermost signal handler.
fn in_handler(frames: &[Frame], is: AllocatorIs) -> Option<Frame> {
    let signal = frames.iter().position(|f| role(f, is) == Role::Signal)?;
    frames[..signal].iter().rev().find(|f| role(f, is) == Role::Program).cloned()
}

/// The number of outermost frames that two stacks share: the same activation, at the same instruction.
fn same_callers(a: &[Frame], b: &[Frame]) -> usize {
    let same = |(a, b): &(&Frame, &Frame)| (a.pc, a.cfa, &a.function) == (b.pc, b.cfa, &b.function);
    a.iter().rev().zip(b.iter().rev()).take_while(same).count()
}

/// Whose the lock is that a thread waits for, by the frame that called the function of the lock.
pub(super) fn caller(frames: &[Frame], is: AllocatorIs) -> Option<&Frame> {
    frames.iter().find(|f| role(f, is) != Role::System)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::trace::TraceSource;

    const IS: AllocatorIs = AllocatorIs { shared: false };

    /// Frames from texts `function@dso`, the innermost first.
    fn frames(texts: &[&str]) -> Vec<Frame> {
        let n = texts.len();
        let frame = |(i, text): (usize, &&str)| {
            let (function, dso) = text.split_once('@').unwrap();
            Frame {
                pc: 0x1000 + function.bytes().map(u64::from).sum::<u64>(),
                function: Some(function.to_owned()),
                dso: Some(format!("/lib/{dso}")),
                in_allocator: dso == "libfoo.so",
                cfa: Some((n - i) as u64 * 0x100).map(|depth| 0x9000 - depth),
                ..Frame::default()
            }
        };
        texts.iter().enumerate().map(frame).collect()
    }

    fn standing(texts: &[&str]) -> (&'static str, Option<String>) {
        let standing = of(&frames(texts), IS);
        let word = match &standing {
            Standing::Allocator => "allocator",
            Standing::Again(_) => "again",
            Standing::Callback(_) => "callback",
            Standing::Handler(_) => "handler",
            Standing::HandlerAgain(_) => "handler again",
            Standing::Outside => "outside",
            Standing::Unknown => "unknown",
        };
        let between = match standing {
            Standing::Again(frame)
            | Standing::Callback(frame)
            | Standing::Handler(frame)
            | Standing::HandlerAgain(frame) => frame.function,
            Standing::Allocator | Standing::Outside | Standing::Unknown => None,
        };
        (word, between)
    }

    #[test]
    fn the_innermost_code_that_is_not_the_systems_decides() {
        let named = |name: &str| Some(name.to_owned());
        let thread = ["start_thread@libc.so.6", "clone3@libc.so.6"];
        let with = |inner: &[&'static str]| [inner, &thread[..]].concat();
        let lock = ["__lll_lock_wait@libc.so.6", "pthread_mutex_lock@libc.so.6"];
        assert_eq!(
            standing(&with(&[&lock[..], &["malloc@libfoo.so", "w@bench"]].concat())),
            ("allocator", None)
        );
        assert_eq!(standing(&with(&["read@libc.so.6", "w@bench"])), ("outside", None));
        let hook = ["read@libc.so.6", "hook@bench", "grow@libfoo.so", "malloc@libfoo.so", "w@bench"];
        assert_eq!(standing(&with(&hook)), ("callback", named("hook")));
        let madvise = ["madvise@libmon.so", "purge@libfoo.so", "malloc@libfoo.so", "insert@libmon.so"];
        assert_eq!(standing(&with(&[&lock[..], &madvise[..]].concat())), ("callback", named("madvise")));
        let again = ["malloc@libfoo.so", "hook@bench", "malloc@libfoo.so", "w@bench"];
        assert_eq!(standing(&with(&again)), ("again", named("hook")));
        // operator new of the program calls malloc, and a library of the program calls operator new.
        let layers = ["malloc@libfoo.so", "operator new@bench", "f@libbar.so", "w@bench"];
        assert_eq!(standing(&with(&layers)), ("allocator", None));
        assert_eq!(standing(&[]), ("unknown", None));
    }

    #[test]
    fn a_signal_splits_a_stack() {
        let named = |name: &str| Some(name.to_owned());
        let signal = "<signal handler called>@libc.so.6";
        let again = ["malloc@libfoo.so", "on_alarm@bench", signal, "malloc@libfoo.so", "w@bench"];
        assert_eq!(standing(&again), ("handler again", named("on_alarm")));
        let sleeps = [
            "sigsuspend@libc.so.6",
            "suspend@bench",
            signal,
            "futex@libc.so.6",
            "malloc@libfoo.so",
            "w@bench",
        ];
        assert_eq!(standing(&sleeps), ("handler", named("suspend")));
        let elsewhere = ["malloc@libfoo.so", "on_alarm@bench", signal, "compute@bench"];
        assert_eq!(standing(&elsewhere), ("allocator", None));
        assert_eq!(standing(&["on_alarm@bench", signal, "compute@bench"]), ("outside", None));
    }

    #[test]
    fn an_allocator_that_starts_threads_is_not_around_the_program() {
        let start = ["trampoline@libfoo.so", "start_thread@libc.so.6", "clone3@libc.so.6"];
        assert_eq!(standing(&[&["read@libc.so.6", "w@bench"], &start[..]].concat()), ("outside", None));
        assert_eq!(standing(&[&["malloc@libfoo.so", "w@bench"], &start[..]].concat()), ("allocator", None));
        assert_eq!(standing(&[&["cond_wait@libc.so.6"], &start[..]].concat()), ("allocator", None));
    }

    #[test]
    fn the_function_that_does_not_return_decides_and_not_what_it_calls() {
        let sample = |inner: &[&str], outer: &[&str], moved: u64| {
            let mut all = frames(&[inner, outer].concat());
            // The innermost function of the outer part stands at another instruction in each sample.
            all[inner.len()].pc += moved;
            ThreadTrace { tid: 1, source: TraceSource::Signal, frames: all, truncated: false, problem: None }
        };
        let in_loop = ["find_fit@libfoo.so", "malloc@libfoo.so", "w@bench", "start_thread@libc.so.6"];
        let at = |all: &[ThreadTrace]| activity(all, IS);
        let plain = at(&[sample(&[], &in_loop, 0), sample(&[], &in_loop, 4)]);
        assert_eq!((plain.standing, plain.program_inside), (Standing::Allocator, None));
        assert_eq!(plain.frame.unwrap().function.as_deref(), Some("find_fit"));
        // A handler that returns each time.
        let calls =
            at(&[sample(&["no_memory@bench"], &in_loop, 0), sample(&["mmap@libc.so.6"], &in_loop, 4)]);
        assert_eq!(calls.standing, Standing::Allocator);
        assert_eq!(calls.program_inside.unwrap().function.as_deref(), Some("no_memory"));
        let hook = ["hook@bench", "grow@libfoo.so", "malloc@libfoo.so", "w@bench", "start_thread@libc.so.6"];
        let inside = at(&[sample(&[], &hook, 0), sample(&["usleep@libc.so.6"], &hook, 2)]);
        assert!(matches!(inside.standing, Standing::Callback(f) if f.function.as_deref() == Some("hook")));
        assert_eq!(inside.program_inside, None);
        // Different calls of malloc by one worker: the worker does not return.
        let work = ["w@bench", "start_thread@libc.so.6"];
        let works = at(&[sample(&["malloc@libfoo.so"], &work, 0), sample(&["free@libfoo.so"], &work, 4)]);
        assert_eq!(works.standing, Standing::Outside);
    }
}
