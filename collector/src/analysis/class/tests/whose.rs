//! Whose mistake a hang is.

use super::*;
use crate::analysis::{Blame, Cause};

const HOOK: &[&str] = &[
    "pthread_mutex_lock@libc",
    "on_grow@bench:bench.c:12",
    "foo_grow@foo",
    "foo_malloc@foo",
    "worker@bench",
];

#[test]
fn a_function_of_the_program_inside_the_allocator_is_the_programs() {
    let is = |found: &Finding| (found.class, found.confidence, found.cause, found.blame);
    let callback = |class, confidence| (class, confidence, Some(Cause::Callback), Some(Blame::Program));
    // The holder loops in it.
    let spins = &["on_grow@bench:bench.c:12", "foo_grow@foo", "foo_malloc@foo", "worker@bench"];
    let found = held_by(116).runs(116, 0.9, spins, Sampled::OneCall(30)).analyse();
    assert_eq!(is(&found), callback(Class::OwnerSpinning, Confidence::Proven));
    assert_eq!(found.hot.and_then(|hot| hot.function).as_deref(), Some("on_grow"));
    // It takes its own lock again.
    let mut make = Make::new();
    assert_eq!(
        is(&make.futex(101, &mutex(LOCK2, 101, 0), HOOK).analyse()),
        callback(Class::Reentry, Confidence::Proven)
    );
    // It calls the allocator, which takes its lock again.
    let again = [&MALLOC[..3], &HOOK[1..]].concat();
    let mut make = Make::new();
    assert_eq!(
        is(&make.futex(101, &mutex(LOCK, 101, 0), &again).analyse()),
        callback(Class::Reentry, Confidence::Proven)
    );
    // A lock of each.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), HOOK);
    assert_eq!(is(&make.analyse()), callback(Class::Deadlock, Confidence::Likely));
}

#[test]
fn malloc_in_a_handler_that_interrupted_malloc_is_the_programs() {
    let signal = "<signal handler called>@libc";
    let again = [&MALLOC[..3], &["on_alarm@bench:bench.c:5", signal], &MALLOC[2..]].concat();
    let mut make = Make::new();
    let found = make.futex(101, &mutex(LOCK, 101, 0), &again).analyse();
    assert_eq!((found.class, found.confidence), (Class::Reentry, Confidence::Proven));
    assert_eq!((found.cause, found.blame), (Some(Cause::SignalReentry), Some(Blame::Program)));
    // A handler that stays, and took a wake-up with it.
    let stays = [&["sigsuspend@libc", "suspend@bench:bench.c:7", signal], MALLOC].concat();
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 0), MALLOC).call(102, 130, 0, &stays);
    let found = make.analyse();
    assert_eq!((found.class, found.cause), (Class::LostWakeup, Some(Cause::SignalReentry)));
    assert_eq!((found.confidence, found.blame), (Confidence::Likely, Some(Blame::Program)));
    // A handler that interrupted the program may call the allocator.
    let elsewhere = [&MALLOC[..3], &["on_alarm@bench", signal, "compute@bench"]].concat();
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), &elsewhere).futex(102, &mutex(LOCK2, 101, 0), MALLOC);
    assert_eq!((make.analyse().class, make.analyse().cause), (Class::Deadlock, None));
}

#[test]
fn a_lock_of_the_program_is_not_the_allocators() {
    let waits = &["pthread_mutex_lock@libc", "push@bench:bench.c:9", "worker@bench"];
    // Its holder loops in the allocator: the loop is the allocator's, the lock is not.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK2, 102, 0), waits).runs(102, 0.9, LOOP, Sampled::OneCall(30));
    let found = make.analyse();
    assert_eq!(
        (found.class, found.confidence, found.blame),
        (Class::OwnerSpinning, Confidence::Likely, None)
    );
    assert!(found.missing.iter().any(|m| m.contains("`push` (bench.c:9)")), "{:?}", found.missing);
}

#[test]
fn an_own_thread_of_the_allocator_that_waits_for_a_lock_is_part_of_a_ring() {
    let mut make = Make::new();
    let fini = &["__pthread_clockjoin_ex@libc", "foo_fini@foo:foo.c:9", "_dl_fini@libc", "exit@libc"];
    make.futex(101, &join(102), fini);
    make.futex(102, &mutex(LOCK, 101, 0), &["pthread_mutex_lock@libc", "foo_purge@foo:foo.c:30"]);
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Proven));
}

#[test]
fn a_handler_on_a_stack_of_its_own_is_no_proof_against_the_allocator() {
    let signal = "<signal handler called>@libc";
    let cut = |make: &mut Make, tid: u32| {
        make.traces.threads.entry(tid).and_modify(|trace| trace.truncated = true);
        make.analyse()
    };
    // It holds the lock and reads; what it interrupted is not known.
    let mut make = held_by(116);
    make.call(116, 0, 3, &["read@libc", "on_user@bench:bench.c:15", signal, "raise@libc"]);
    let found = cut(&mut make, 116);
    assert_eq!(class(&found), (Class::OwnerBlocked, Confidence::Likely), "{:?}", found.why);
    assert_eq!((found.cause, found.blame), (Some(Cause::SignalReentry), Some(Blame::Program)));
    // It waits for its own lock.
    let mut make = Make::new();
    let again = [&MALLOC[..3], &["on_user@bench:bench.c:15", signal, "raise@libc"]].concat();
    let found = cut(make.futex(101, &mutex(LOCK, 101, 0), &again), 101);
    assert_eq!(class(&found), (Class::Reentry, Confidence::Likely), "{:?}", found.why);
    assert_eq!(found.blame, Some(Blame::Program));
}

#[test]
fn a_function_that_a_destructor_of_the_allocator_calls_is_the_programs() {
    let ends = ["foo_thread_exit@foo", "__nptl_deallocate_tsd@libc", "start_thread@libc"];
    let hook = [&["__pthread_clockjoin_ex@libc", "on_exit@bench:bench.c:15"], &ends[..]].concat();
    let mut make = Make::new();
    make.futex(102, &mutex(LOCK, 101, 0), MALLOC).futex(101, &join(102), &hook);
    let found = make.analyse();
    assert_eq!((found.cause, found.blame), (Some(Cause::Callback), Some(Blame::Program)), "{:?}", found.why);
}
