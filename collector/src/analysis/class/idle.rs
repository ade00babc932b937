//! Nothing hangs: what the process waits for will end by itself, or comes from outside and may still come.
//!
//! A process ends with its main thread. So the main thread decides: the thread at the end of its chain of joins and
//! locks. Another thread that sleeps from time to time, for statistics, proves nothing about the main thread.

use std::collections::BTreeSet;

use hangscope_protocol::record::thread_flags;

use super::case::{Case, any_inside, tids, wait_text};
use crate::analysis::scene::{Motion, Scene, Stuck, Thread};
use crate::analysis::stack;
use crate::analysis::wait::{Owner, Wait, WaitKind};
use crate::analysis::why::Why;
use crate::analysis::words::{Blame, Class, Confidence};
use crate::session::trace::is_signal_frame;
use crate::text::message::say;

/// What ends the wait of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Its timeout. It slept from look to look.
    Timeout,
    /// Its timeout, but it waits again and again.
    Timeouts,
    /// A person at a terminal.
    Person,
    /// A signal from whoever.
    Signal,
    /// Another process: the other end of a pipe or a socket, a child.
    Outside,
    /// Only a thread of this process.
    Inside,
    /// It does not wait.
    Works,
    /// The wait is not known, or no wait of the others: in the kernel, stopped.
    Unknown,
}

/// Holders that sleep in the allocator are blocked owners, unless their sleep is short against the deadline.
const SHORT: f64 = 2.0;
/// The same where there is no deadline, seconds.
const SHORT_S: f64 = 60.0;

/// Whether the wait of a thread ends by itself, soon enough to call nothing a hang.
pub(super) fn ends_soon(scene: &Scene<'_>, thread: &Thread<'_>) -> bool {
    let soon = match scene.deadline_s() {
        Some(deadline) if deadline > 0.0 => SHORT * deadline,
        _ => SHORT_S,
    };
    let ends = thread.ends.filter(|_| thread.motion == Motion::Asleep && !is_lock(thread));
    ends.is_some_and(|ends| match thread.inside {
        Some(false) => true,
        _ => ends.within_s().is_some_and(|s| s <= soon),
    })
}

fn is_lock(thread: &Thread<'_>) -> bool {
    thread.wait.as_ref().is_some_and(|wait| wait.kind.is_lock())
}

fn until(scene: &Scene<'_>, thread: &Thread<'_>) -> Until {
    let still = matches!(thread.motion, Motion::Asleep | Motion::Unknown);
    let Some(wait) = thread.wait.as_ref().filter(|_| !thread.stopped()) else {
        return if thread.runs() { Until::Works } else { Until::Unknown };
    };
    if thread.ends.is_some() {
        let soon = is_lock(thread) || ends_soon(scene, thread);
        return match thread.motion {
            Motion::Asleep | Motion::Unknown if soon => Until::Timeout,
            Motion::Asleep | Motion::Unknown => Until::Unknown,
            // A call of the allocator that naps is work.
            _ if thread.inside == Some(true) => Until::Works,
            Motion::Left => Until::Works,
            _ => Until::Timeouts,
        };
    }
    if !still && thread.stuck() == Stuck::No {
        return Until::Works;
    }
    match wait.kind {
        // Without a deadline it may be a program that waits for a signal, and has a pipe to tell itself of
        // it.
        _ if wait.closed && scene.deadline_s().is_some() => Until::Inside,
        WaitKind::Call("read") if wait.detail.en().contains("(/dev/pts/") => Until::Person,
        WaitKind::Call("read") if wait.detail.en().contains("(/dev/tty") => Until::Person,
        // The others of the process send the signal that ends the wait in a handler: a collector of garbage does.
        WaitKind::Call("sigsuspend" | "pause") if thread.frames().iter().any(is_signal_frame) => {
            Until::Inside
        }
        WaitKind::Call("sigsuspend" | "pause" | "sigwait") => Until::Signal,
        WaitKind::Call(
            "read" | "write" | "recv" | "send" | "accept" | "connect" | "epoll" | "poll" | "select" | "wait4"
            | "waitid" | "io_uring_enter" | "io_getevents" | "msgrcv" | "msgsnd" | "semop" | "mq" | "flock"
            | "fcntl" | "open",
        ) => Until::Outside,
        _ if wait.futex || wait.kind == WaitKind::Call("futex-waitv") => Until::Inside,
        _ => Until::Unknown,
    }
}

/// The thread for which a thread waits in the end, through joins and locks. None: it waits in a ring, or for a thread that
/// is gone or of another process.
fn end_of<'s, 'a>(scene: &'s Scene<'a>, from: &'s Thread<'a>) -> Option<&'s Thread<'a>> {
    let mut seen = BTreeSet::new();
    let mut at = from;
    while seen.insert(at.tid()) {
        match at.wait.as_ref().and_then(|wait| wait.owner) {
            None => return Some(at),
            Some(Owner::Gone(_) | Owner::Elsewhere(_)) => return None,
            Some(Owner::Alive(owner)) => at = scene.threads.get(&owner)?,
        }
    }
    None
}

/// The threads that have to go on for the process to end: the one that the main thread waits for. If the main thread has
/// left, all threads.
fn needed<'s, 'a>(scene: &'s Scene<'a>) -> Vec<&'s Thread<'a>> {
    let main = scene.threads.values().find(|t| t.record.flags & thread_flags::MAIN != 0 && !t.has_ended());
    match main {
        Some(main) => end_of(scene, main).into_iter().collect(),
        None => scene.all().filter_map(|t| end_of(scene, t)).collect(),
    }
}

/// Nothing hangs.
pub(super) fn idle(scene: &Scene<'_>) -> Option<Case> {
    let needed = needed(scene);
    let untils: Vec<Until> = needed.iter().map(|t| until(scene, t)).collect();
    let deadline = scene.deadline_s().is_some();
    let ends = |until: &Until| match until {
        Until::Timeout | Until::Person => true,
        Until::Timeouts | Until::Signal | Until::Outside => !deadline,
        Until::Inside | Until::Works | Until::Unknown => false,
    };
    let mut found: Vec<&Thread<'_>> =
        needed.iter().zip(&untils).filter(|(_, until)| ends(until)).map(|(t, _)| *t).collect();
    if found.is_empty() && !deadline && untils.iter().all(|u| *u == Until::Inside) {
        // A thread that waits for the outside may wake the main thread: there is no deadline by which it had to.
        found = scene.all().filter(|t| ends(&until(scene, t))).collect();
    }
    if found.is_empty() {
        return None;
    }
    // A thread inside the allocator that waits for another thread may be stuck, whatever the main thread does.
    let stuck = |t: &Thread<'_>| {
        t.inside == Some(true) && end_of(scene, t).is_none_or(|end| !ends(&until(scene, end)))
    };
    if scene.all().any(|t| t.wait.is_some() && t.stuck() != Stuck::No && stuck(t)) {
        return None;
    }
    let inside = any_inside(found.iter().copied()) == Some(true);
    let looked_twice = scene.between_s.is_some();
    let proven = looked_twice && found.iter().all(|t| t.ends.is_some() || !deadline);
    let class = if inside { Class::Slow } else { Class::OutsideAllocator };
    let mut case = Case::new(class, if proven { Confidence::Proven } else { Confidence::Likely });
    case.blame = Some(Blame::Nobody);
    case.in_allocator = Some(inside);
    for thread in found.iter().take(4) {
        let (tid, wait) = (thread.tid(), wait_text(scene, thread));
        case.why.push(match thread.ends {
            Some(_) => say!(Why::EndsItself { tid, wait }),
            None => say!(Why::WaitsForOutside { tid, wait }),
        });
    }
    let first = found.first()?;
    case.culprit = Some(first.tid());
    case.culprit_at = stack::program_frame(first.frames()).cloned();
    case.for_s = scene.for_s(first);
    if !looked_twice {
        case.missing.push(Why::NoSecondLook {});
    }
    Some(case)
}

/// Whether threads go on whose work may end the hang. A thread that sleeps again and again does not count, if the main
/// thread does not wait for it.
pub(super) fn goes_on(scene: &Scene<'_>) -> bool {
    let needed = needed(scene);
    let waits = |t: &&Thread<'_>| {
        let until = until(scene, t);
        t.stuck() != Stuck::No && matches!(until, Until::Inside | Until::Outside | Until::Signal)
    };
    // Short threads and a sleeper come from somebody. Only a main thread that stands still by itself proves a hang.
    let stands = !needed.is_empty() && needed.iter().all(waits);
    if stands && scene.deadline_s().is_some() {
        let moves = |t: &&Thread<'_>| t.makes_progress();
        return !scene.came.is_empty()
            || scene.all().filter(moves).any(|t| until(scene, t) != Until::Timeouts);
    }
    !scene.came.is_empty() || scene.all().any(Thread::makes_progress)
}

/// Whether only threads of this process can end the waits of a hang, and none of them will. Adds what speaks against it.
pub(super) fn is_closed(scene: &Scene<'_>, case: &mut Case) -> bool {
    let mut closed = scene.deadline_s().is_some();
    let of = |which: fn(Until) -> bool| -> Vec<&Thread<'_>> {
        scene.all().filter(|t| which(until(scene, t))).collect()
    };
    let sleeps = of(|u| matches!(u, Until::Timeout | Until::Timeouts));
    if !sleeps.is_empty() {
        case.missing.push(say!(Why::SleepersMayHelp { tids: tids(sleeps) }));
        closed = false;
    }
    let signals = of(|u| u == Until::Signal);
    if !signals.is_empty() {
        case.missing.push(say!(Why::SignalMayCome { tids: tids(signals) }));
        closed = false;
    }
    // A call that is not known may end for any reason.
    let unclear = |t: &&Thread<'_>| {
        let call = |w: &Wait| matches!(w.kind, WaitKind::Call(_) | WaitKind::Unknown);
        !t.stopped() && t.wait.as_ref().is_some_and(call)
    };
    let mut outside = of(|u| matches!(u, Until::Outside | Until::Person));
    outside.extend(of(|u| u == Until::Unknown).into_iter().filter(unclear));
    if !outside.is_empty() {
        case.missing.push(say!(Why::OthersMayHelp { tids: tids(outside) }));
        closed = false;
    }
    closed
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::{MemoryRecord, dump_reason};

    use super::*;
    use crate::analysis::finding::Finding;
    use crate::session::Memory;
    use crate::testkit::dump::{LOCK2, Make, condition, mutex};

    const SLEEP: &[&str] = &["clock_nanosleep@libc", "cool_down@bench:bench.c:9", "worker@bench"];
    const POOL: &[&str] = &["__pthread_cond_wait@libc", "next_job@bench:bench.c:30", "worker@bench"];
    const READ: &[&str] = &["accept@libc", "serve@bench:bench.c:50", "worker@bench"];
    const NANOSLEEP: i32 = 35;
    const ACCEPT: i32 = 43;
    const PAUSE: i32 = 34;
    const SPAN: u64 = 0x70;

    fn lasts(make: &mut Make, seconds: i64) {
        let bytes = [seconds.to_le_bytes(), [0; 8]].concat();
        make.dump.memory.push(Memory { record: MemoryRecord { address: SPAN, wanted: 16, errno: 0 }, bytes });
    }

    fn said(finding: &Finding) -> (Class, Confidence, Option<Blame>) {
        (finding.class, finding.confidence, finding.blame)
    }

    #[test]
    fn a_sleep_that_ends_is_no_hang() {
        let mut make = Make::new();
        make.call(101, NANOSLEEP, SPAN, SLEEP);
        lasts(&mut make, 8);
        let finding = make.analyse();
        assert_eq!(said(&finding), (Class::OutsideAllocator, Confidence::Proven, Some(Blame::Nobody)));
        assert_eq!(finding.waits[1].detail, "nanosleep (8 s)");
        assert!(finding.is_no_hang());
        // Others wait for a lock that the sleeper holds, or for its signal.
        let lock = &["__lll_lock_wait@libc", "pthread_mutex_lock@libc", "worker@bench"];
        make.futex(102, &mutex(LOCK2, 101, 0), lock).futex(103, &condition(LOCK2 + 0x100, 1), POOL);
        assert_eq!(make.analyse().blame, Some(Blame::Nobody));
    }

    #[test]
    fn a_condition_that_nobody_signals_is_a_hang_whoever_polls_beside_it() {
        let mut make = Make::new();
        make.futex(101, &condition(LOCK2, 1), POOL);
        assert_eq!(said(&make.analyse()), (Class::OutsideAllocator, Confidence::Proven, None));
        make.call(102, NANOSLEEP, SPAN, SLEEP).woken(102, 20);
        assert_eq!(said(&make.analyse()), (Class::OutsideAllocator, Confidence::Likely, None));
        // Nobody said by when the process had to end: this may be a pool without work.
        make.dump.begin.reason = dump_reason::ASKED;
        assert_eq!(make.analyse().blame, Some(Blame::Nobody));
    }

    #[test]
    fn a_server_is_idle_but_a_benchmark_past_its_deadline_may_be_stuck() {
        let mut make = Make::new();
        make.call(101, ACCEPT, 3, READ);
        assert_eq!(said(&make.analyse()), (Class::OutsideAllocator, Confidence::Likely, None));
        make.dump.begin.reason = dump_reason::ASKED;
        assert_eq!(said(&make.analyse()), (Class::OutsideAllocator, Confidence::Proven, Some(Blame::Nobody)));
        let mut pause = Make::new();
        pause.call(101, PAUSE, 0, &["pause@libc", "worker@bench"]);
        let finding = pause.analyse();
        assert_eq!(said(&finding), (Class::OutsideAllocator, Confidence::Likely, None));
        assert!(finding.may_end() && !finding.is_no_hang());
    }

    #[test]
    fn a_thread_that_only_polls_is_proven_to_hang_no_more_than_to_go_on() {
        let mut make = Make::new();
        make.call(101, NANOSLEEP, SPAN, SLEEP).woken(101, 20);
        assert_eq!(said(&make.analyse()), (Class::OutsideAllocator, Confidence::Likely, None));
    }
}
