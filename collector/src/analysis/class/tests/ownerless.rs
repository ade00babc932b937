//! Futex words without an owner, threads that run, and hangs that are not the allocator's.

use hangscope_protocol::record::{ProbeRecord, probe_outcome};

use super::*;
use crate::analysis::{History, analyse};
use crate::session::Probe;
use crate::testkit::dump::zero;

#[test]
fn lost_wakeups() {
    // The word is free, and a finished worker is busy in the benchmark.
    let mut make = Make::new();
    for tid in 101..104 {
        make.futex(tid, &bare(LOCK, 0), BARE);
    }
    make.runs(104, 0.99, DONE, Sampled::OneCall(40));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::LostWakeup, Confidence::Proven));
    assert_eq!(found.hot.as_ref().map(|h| (h.tid, h.in_allocator)), Some((104, Some(false))));
    insta::assert_snapshot!(found.why.join("\n"), @"
    3 threads are asleep on low-level-lock `g_foo_locks+160`: its word is 0, the sleep began when it was 2, and nobody woke the sleepers (threads.json)
    2.0 s later the word is the same, and none of them woke (threads.json)
    tid 104 is busy in the benchmark and was never seen in the allocator (stacks.txt)
    ");

    // A condition, and no thread is left in the allocator.
    let mut make = Make::new();
    make.futex(101, &condition(LOCK, 2), COND).futex(102, &condition(LOCK, 2), COND);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::LostWakeup, Confidence::Proven));
    assert_eq!(found.lock.map(|l| (l.kind, l.address)), Some(("condition".into(), format!("{LOCK:#x}"))));

    // The same with a thread that runs outside: it may still enter and signal.
    make.runs(103, 0.99, DONE, Sampled::OneCall(40));
    assert_eq!(class(&make.analyse()), (Class::LostWakeup, Confidence::Likely));

    // The word was free for a moment only.
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 0), BARE).change(101, |r| r.near[48] = 2);
    assert_ne!(make.analyse().class, Class::LostWakeup);

    // The word is proof without stacks.
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 0), BARE).no_stacks();
    assert_eq!(class(&make.analyse()), (Class::LostWakeup, Confidence::Proven));
}

#[test]
fn the_holder_of_a_lock_without_owner_is_inferred() {
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).futex(102, &bare(LOCK, 2), BARE);
    make.runs(103, 0.9, LOOP, Sampled::OneCall(50)).runs(104, 0.99, DONE, Sampled::OneCall(50));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely));
    assert_eq!(found.hot.map(|h| h.tid), Some(103), "the thread inside, not the busiest one");

    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).call(102, 0, 3, &["read@libc", "foo_grow@foo", "worker@bench"]);
    assert_eq!(class(&make.analyse()), (Class::OwnerBlocked, Confidence::Likely));

    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).futex(102, &bare(LOCK2, 2), BARE);
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Likely));

    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).gone(88);
    assert_eq!(class(&make.analyse()), (Class::OwnerGone, Confidence::Likely));
}

#[test]
fn spin_wait_livelock_runaway() {
    let asleep =
        &["clock_nanosleep@libc", "foo_scavenge@foo:foo.c:5", "foo_free@foo:foo.c:70", "worker@bench"];
    let spin = &["foo_spin@foo:foo.c:31", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    make.runs(101, 0.5, spin, Sampled::OneCall(50)).runs(102, 0.5, spin, Sampled::OneCall(50));
    make.call(103, 230, 0, asleep);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::SpinWait, Confidence::Likely));
    let hot = found.hot.expect("the suspect");
    assert_eq!((hot.tid, hot.function.as_deref()), (103, Some("foo_scavenge")));

    let mut make = Make::new();
    make.runs(101, 0.5, spin, Sampled::OneCall(50)).runs(102, 0.5, spin, Sampled::OneCall(50));
    make.futex(103, &barrier(LOCK2, 1, 3), &["pthread_barrier_wait@libc", "worker@bench"]);
    assert_eq!(class(&make.analyse()), (Class::Livelock, Confidence::Proven));

    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.99, DONE, Sampled::OneCall(50));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Runaway, Confidence::Proven));
    assert_eq!(found.hot.map(|h| h.tid), Some(101), "the busier thread is outside");

    // With one stack, or without bytes, it is only likely.
    let mut make = Make::new();
    assert_eq!(
        class(&make.runs(101, 0.9, LOOP, Sampled::OnePlace(9)).analyse()),
        (Class::Runaway, Confidence::Likely)
    );
    let mut make = Make::new();
    assert_eq!(
        class(&make.runs(101, 0.9, LOOP, Sampled::Never).analyse()),
        (Class::Runaway, Confidence::Likely)
    );

    // Without a stack it is unknown where the thread runs.
    let mut make = Make::new();
    let found = make.runs(101, 0.9, &[], Sampled::Never).analyse();
    assert_eq!(found.class, Class::Unknown, "{:?}", found.why);
    assert!(found.missing.iter().any(|m| m.contains("blocks signal 62")), "{:?}", found.missing);
}

#[test]
fn naps() {
    let nap = &["clock_nanosleep@libc", "foo_sleep@foo:foo.c:2", "foo_scavenge@foo:foo.c:5", "worker@bench"];
    let spin = &["foo_spin@foo:foo.c:31", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
    // One thread naps in another function than the spinning ones: they wait for it, and its task is shown.
    let mut make = Make::new();
    make.runs(101, 0.5, spin, Sampled::OneCall(50)).runs(102, 0.5, spin, Sampled::OneCall(50));
    make.call(103, 230, 0, nap).woken(103, 20);
    let found = make.analyse();
    assert_eq!(found.class, Class::SpinWait, "{:?}", found.why);
    let hot = found.hot.expect("the suspect");
    assert_eq!(
        (hot.tid, hot.function.as_deref(), hot.source.as_deref()),
        (103, Some("foo_scavenge"), Some("foo.c:5"))
    );

    // On a busy machine both looks find it waiting for a processor. Its sleeps in between show that it does
    // not spin.
    let mut make = Make::new();
    make.runs(101, 0.1, spin, Sampled::OneCall(50)).runs(102, 0.1, spin, Sampled::OneCall(50));
    make.runs(103, 0.01, nap, Sampled::OneCall(20)).woken(103, 19);
    let found = make.analyse();
    assert_eq!(found.class, Class::SpinWait, "{:?}", found.why);
    assert_eq!(found.hot.map(|hot| hot.tid), Some(103));
    // Without them it loops as the others do, and may hold what they spin for.
    let found = make.change(103, |r| r.nvcsw -= 19).analyse();
    assert_eq!(
        (class(&found), found.hot.map(|hot| hot.tid)),
        ((Class::OwnerSpinning, Confidence::Likely), Some(103))
    );

    // All threads nap in one function, and the samples show that none leaves the allocator: they spin.
    // Without samples the same nap in both looks proves nothing: slow threads show it too.
    let mut make = Make::new();
    make.call(101, 230, 0, nap).woken(101, 20).call(102, 230, 0, nap).woken(102, 20);
    assert_eq!(make.analyse().class, Class::Unknown);
    for (sampled, class) in [(Sampled::OneCall(50), Class::Livelock), (Sampled::ManyCalls(50), Class::Slow)] {
        make.sampled(101, nap, sampled).sampled(102, nap, sampled);
        assert_eq!(make.analyse().class, class);
    }

    // A holder that naps is blocked. A holder that uses a core between its naps spins.
    let mut make = held_by(116);
    assert_eq!(make.call(116, 230, 0, nap).woken(116, 20).analyse().class, Class::OwnerBlocked);
    make.change(116, |r| r.cpu_ns += 1_500_000_000);
    assert_eq!(make.analyse().class, Class::OwnerSpinning);
    let mut make = held_by(116);
    make.runs(116, 0.01, nap, Sampled::OneCall(20)).woken(116, 19);
    assert_eq!(make.analyse().class, Class::OwnerBlocked);
    make.change(116, |r| r.cpu_ns += 1_500_000_000);
    assert_eq!(make.analyse().class, Class::OwnerSpinning);
}

#[test]
fn a_first_look_that_is_not_whole_proves_no_absence() {
    // The owner's record was dropped on the way. The owner is not gone, and in the second look it is not new.
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::OneCall(50));
    let mut dump = make.finish();
    assert_eq!(analyse(&dump, &make.traces, &History::default()).class, Class::OwnerSpinning);
    dump.threads.retain(|t| t.tid != 116);
    for second in [true, false] {
        if !second {
            dump.second.retain(|t| t.tid != 116);
        }
        let found = analyse(&dump, &make.traces, &History::from_tids([116]));
        assert!(!matches!(found.class, Class::OwnerGone | Class::Slow), "{} {:?}", found.class, found.why);
        assert_eq!(found.confidence, Confidence::Likely);
        assert!(found.said_missing.contains(&Why::ThreadsMissing {}));
    }
}

#[test]
fn running_threads_without_a_stack_count() {
    let nap = &["clock_nanosleep@libc", "foo_scavenge@foo:foo.c:5", "foo_free@foo:foo.c:9", "worker@bench"];
    // A running thread without an answer may spin on a lock of the napping thread: no runaway.
    let mut make = Make::new();
    make.call(101, 230, 0, nap).woken(101, 20).runs(102, 0.9, &[], Sampled::Never);
    let found = make.analyse();
    assert_eq!(found.class, Class::Unknown, "{:?}", found.why);
    // A thread that provably loops is a runaway; the thread without a stack is named.
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.9, &[], Sampled::Never);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Runaway, Confidence::Likely));
    assert!(found.missing.iter().any(|m| m.contains("no stack of tid 102")), "{:?}", found.missing);
}

#[test]
fn others_that_only_pass_by_do_not_make_a_loop_a_livelock() {
    let passes = &["foo_small@foo:foo.c:3", "foo_malloc@foo:foo.c:50", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.3, passes, Sampled::Never);
    assert_eq!(class(&make.analyse()), (Class::Runaway, Confidence::Proven));
    // A thread in the same function as the proven one retries with it.
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.3, LOOP, Sampled::Never);
    assert_eq!(class(&make.analyse()), (Class::Livelock, Confidence::Likely));
    // Threads that enter and leave the allocator are named.
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.3, passes, Sampled::ManyCalls(50));
    let found = make.analyse();
    assert_eq!(found.class, Class::Runaway);
    assert!(found.why[0].contains("still leave the allocator and enter it again"), "{:?}", found.why);
}

#[test]
fn a_wait_for_a_child_that_shares_memory_is_named() {
    let stack = &["clone@libc", "foo_start_helper@foo:foo.c:3", "foo_malloc@foo", "worker@bench"];
    let mut make = Make::new();
    let found = make.call(101, 56, 0, stack).state(101, b'D').analyse();
    assert_eq!(found.class, Class::KernelWait);
    assert!(found.said.iter().any(|w| matches!(w, Why::WaitsForChild { .. })), "{:?}", found.why);
}

#[test]
fn functions_without_names_are_shown_by_offset() {
    let mut make = Make::new();
    make.runs(101, 0.9, &["?@foo", "?@foo", "?@bench"], Sampled::OneCall(20));
    let mut all: Vec<_> = make.traces.threads.get_mut(&101).into_iter().collect();
    all.extend(make.traces.samples.get_mut(&101).into_iter().flatten());
    all.into_iter().for_each(|t| t.frames[0].dso_offset = Some(0x1234));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Runaway, Confidence::Proven));
    assert_eq!(found.hot.and_then(|h| h.function).as_deref(), Some("libfoo.so+0x1234"));
}

#[test]
fn the_kernel() {
    let mut make = Make::new();
    make.call(101, 11, 0, &["munmap@libc", "foo_trim@foo:foo.c:3", "worker@bench"]).state(101, b'D');
    let found = make.analyse();
    assert_eq!(class(&found), (Class::KernelWait, Confidence::Proven));
    assert_eq!(found.in_allocator, Some(true));
    // In one look only: the thread may be about to wake.
    let mut make = Make::new();
    make.call(101, 11, 0, &["munmap@libc", "foo_trim@foo:foo.c:3", "worker@bench"]).state(101, b'D');
    make.change(101, |r| r.state = b'S');
    assert_ne!(make.analyse().class, Class::KernelWait);
}

#[test]
fn the_benchmark() {
    let at = &["pthread_barrier_wait@libc", "worker@bench:bench.c:77"];
    let mut make = Make::new();
    for tid in 101..104 {
        make.futex(tid, &barrier(LOCK2, 3, 4), at);
    }
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Proven));
    insta::assert_snapshot!(found.why.join("\n"), @"
    4 threads have no frame of the allocator on their stacks (stacks.txt)
    3 threads stand still outside the allocator: barrier (stacks.txt)
    ");

    // One thread loops in the benchmark while the others wait for it.
    make.runs(104, 0.9, DONE, Sampled::OneCall(30));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Likely));
    assert_eq!(found.hot.map(|h| (h.tid, h.in_allocator)), Some((104, Some(false))));
}

#[test]
fn a_background_thread_of_the_allocator_is_no_hang() {
    // A background thread of the allocator waits on a condition; the benchmark waits at its barrier.
    let mut make = Make::new();
    make.futex(101, &barrier(LOCK2, 1, 2), &["pthread_barrier_wait@libc", "worker@bench"]);
    make.futex(102, &condition(LOCK, 1), &["__pthread_cond_wait@libc", "foo_background@foo:foo.c:1"]);
    assert_eq!(make.analyse().class, Class::OutsideAllocator);
}

#[test]
fn slow_and_stopped() {
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::ManyCalls(100)).futex(102, &bare(LOCK, 2), BARE).moves(102);
    assert_eq!(class(&make.analyse()), (Class::Slow, Confidence::Proven));
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC).moves(101).futex(102, &bare(LOCK2, 2), BARE).leaves(102);
    assert_eq!(class(&make.analyse()), (Class::Slow, Confidence::Proven));

    let mut make = held_by(101);
    (MAIN..116).for_each(|tid| {
        make.state(tid, b'T');
    });
    let found = make.analyse();
    assert_eq!(found.class, Class::Unknown);
    assert_eq!(found.said, vec![Why::Stopped {}]);
}

#[test]
fn threads_that_resume_after_the_shims_signal_are_named() {
    let waits = |asked: bool, moves: bool, woken: u64| {
        let mut make = Make::new();
        for tid in 101..105 {
            make.futex(tid, &bare(LOCK, 0), BARE);
        }
        if asked {
            let record = ProbeRecord { tid: 104, outcome: probe_outcome::ANSWERED, was_blocked: 1, ..zero() };
            make.dump.probes.push(Probe { record, stack: vec![] });
        }
        if moves {
            make.moves(104);
        }
        make.woken(104, woken).analyse()
    };
    let resumed = |finding: &Finding| finding.said.iter().any(|w| matches!(w, Why::Resumed { .. }));
    let still = waits(true, false, 0);
    assert_eq!((still.class, resumed(&still)), (Class::LostWakeup, false));
    assert!(!resumed(&waits(false, true, 0)), "it got no signal");
    // The answer may have waited for a page. That is one more switch, and no progress.
    for woken in [1, 2] {
        let found = waits(true, false, woken);
        assert_eq!((found.class, resumed(&found)), (Class::LostWakeup, false), "{woken}");
    }
    assert!(resumed(&waits(true, false, 3)));
    let cured = waits(true, true, 0);
    assert!(resumed(&cured));
    insta::assert_snapshot!(cured.why.last().expect("a line"), @"tid 104 stood still, got a signal from the shim, and then went on: the signal may have ended the hang (threads.json)");
}

#[test]
fn readers_that_overlap_starve_a_writer() {
    // Two readers have the lock; the writer waits for the end of the read phase.
    let near = vec![(-8, 2 << 3), (-4, 1), (0, 2), (4, 3), (8, 0), (12, 0), (16, 0), (20, 0)];
    let writer = Futex { op: 0x189, expected: 2, near, ..bare(LOCK + 8, 2) };
    let waits = &["___pthread_rwlock_wrlock@libc", "foo_malloc@foo:foo.c:9", "worker@bench"];
    let naps = &["clock_nanosleep@libc", "foo_read@foo:foo.c:20", "foo_malloc@foo:foo.c:8", "worker@bench"];
    let mut make = Make::new();
    make.futex(101, &writer, waits);
    for tid in [102, 103] {
        make.call(tid, 230, 0, naps).moves(tid);
    }
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerBlocked, Confidence::Likely));
    let overlap =
        "tid 102, 103 works on inside the allocator meanwhile: if these read under rwlock `g_foo_locks+160`";
    assert!(found.why.iter().any(|why| why.starts_with(overlap)), "{:?}", found.why);
    assert_eq!((found.lock.map(|lock| lock.waiters), found.in_allocator), (Some(vec![101]), Some(true)));

    // The writer got the lock in between: slow work.
    let mut make = Make::new();
    make.futex(101, &writer, waits).woken(101, 3);
    for tid in [102, 103] {
        make.call(tid, 230, 0, naps).moves(tid);
    }
    assert_eq!(make.analyse().class, Class::Slow);
}

#[test]
fn two_semaphores_may_be_two_locks() {
    let semaphore =
        |address| Futex { op: 0x189, expected: 0, near: vec![(0, 0), (4, 1)], ..bare(address, 0) };
    let stack = &["__new_sem_wait_slow@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    let found = make.futex(101, &semaphore(LOCK), stack).analyse();
    assert_eq!(class(&found), (Class::LostWakeup, Confidence::Proven));
    let found = make.futex(102, &semaphore(LOCK2), stack).analyse();
    assert_eq!(class(&found), (Class::LostWakeup, Confidence::Likely));
    assert!(
        found.missing[0].contains("semaphore 0x7f00000000e0 may be used as locks"),
        "{:?}",
        found.missing
    );
}

#[test]
fn a_held_lock_that_no_thread_inside_can_hold_was_left() {
    let mut make = Make::new();
    for tid in 101..104 {
        make.futex(tid, &bare(LOCK, 2), BARE);
    }
    make.runs(104, 0.9, DONE, Sampled::OneCall(40));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
    assert_eq!(found.lock.and_then(|lock| lock.owner_tid), Some(104));
    // An event: nobody holds it.
    let mut make = Make::new();
    make.futex(101, &Futex { expected: 7, ..bare(LOCK, 7) }, BARE).runs(104, 0.9, DONE, Sampled::OneCall(40));
    assert_eq!(make.analyse().class, Class::Unknown);
    // Of two threads outside, either may have left with it.
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).runs(104, 0.9, DONE, Sampled::OneCall(40));
    make.runs(105, 0.9, DONE, Sampled::OneCall(40));
    let found = make.analyse();
    assert_eq!((found.class, found.lock.and_then(|lock| lock.owner_tid)), (Class::OwnerLeft, None));
}

#[test]
fn the_holder_of_a_lock_without_owner_waits_for_it_in_a_signal_handler() {
    let again =
        [BARE[0], BARE[1], "on_alarm@bench:bench.c:5", "<signal handler called>@libc", BARE[1], BARE[2]];
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).futex(102, &bare(LOCK, 2), &again);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Reentry, Confidence::Likely), "{:?}", found.why);
    assert_eq!(found.hot.map(|hot| hot.tid), Some(102));
    assert_eq!(found.lock.and_then(|lock| lock.owner_tid), Some(102));
}
