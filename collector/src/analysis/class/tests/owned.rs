//! Locks that record their owner.

use super::*;
use crate::analysis::Blame;

#[test]
fn the_incident_owner_spinning() {
    let found = held_by(116).runs(116, 0.95, LOOP, Sampled::OneCall(597)).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven));
    let lock = found.lock.as_ref().expect("there is a lock");
    assert_eq!((lock.symbol.as_deref(), lock.owner_tid), (Some("g_foo_locks+160"), Some(116)));
    assert_eq!((lock.kind.as_str(), lock.waiters.len()), ("pthread-mutex", 15));
    let at = lock.at.as_ref().expect("the waiters have a frame");
    assert_eq!((at.function.as_deref(), at.line), (Some("foo_malloc"), Some(85)));
    let hot = found.hot.as_ref().expect("a thread runs");
    assert_eq!((hot.tid, hot.in_allocator, hot.samples, hot.distinct_pcs), (116, Some(true), 597, 2));
    assert_eq!((hot.function.as_deref(), hot.source.as_deref()), (Some("foo_refill"), Some("foo.c:87")));
    assert_eq!((found.threads.all, found.threads.futex_wait, found.threads.running), (17, 16, 1));
    assert!((hot.cpu_share - 0.95).abs() < 1e-9);
    insta::assert_snapshot!(found.why.join("\n"), @"
    tid 116 holds pthread-mutex `g_foo_locks+160`; 15 threads wait for it (threads.json)
    tid 116 runs in both looks and used 95 % of a core in between (threads.json)
    15 waiters did not wake in the 2.0 s between the two looks: the lock was not released in that time (threads.json)
    tid 116 stays in one call of the allocator in all 597 samples: the frames and stack bytes of its caller did not change (stacks.txt)
    ");
}

#[test]
fn owner_spinning_is_found_without_stacks() {
    let found = held_by(116).runs(116, 0.95, LOOP, Sampled::Never).no_stacks().analyse();
    // No function names the lock: the owner is a guess.
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely), "{:?}", found.why);
    assert!(found.said_missing.contains(&Why::OwnerGuessed {}));
    assert_eq!(found.in_allocator, None);
    assert!(found.said_missing.contains(&Why::PlaceUnknown {}));
}

#[test]
fn one_look_is_no_proof_whatever_the_stack_bytes_show() {
    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::OnePlace(30)).one_look().analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely));
    assert!(found.said_missing.contains(&Why::NoSecondLook {}));
    // The call that loops is proven. That its thread has still the lock is read once, before.
    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::OneCall(30)).one_look().analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely));
}

#[test]
fn waiters_that_wake_mean_slow() {
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::ManyCalls(100)).woken(103, 40).moves(104);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Slow, Confidence::Proven), "{:?}", found.why);
}

#[test]
fn a_holder_that_returns_from_its_calls_is_slow() {
    // With one look it is unknown whether waiters wake. The samples show that the holder makes progress.
    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::ManyCalls(50)).one_look().analyse();
    assert_eq!(found.class, Class::Slow, "{:?}", found.why);
}

#[test]
fn a_signal_of_the_shim_is_no_wakeup() {
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::OneCall(9)).woken(101, 1);
    let probe = crate::session::Probe {
        record: hangscope_protocol::record::ProbeRecord {
            tid: 101,
            outcome: hangscope_protocol::record::probe_outcome::ANSWERED,
            ..crate::testkit::dump::zero()
        },
        stack: vec![],
    };
    make.dump.probes.push(probe);
    assert_eq!(make.analyse().class, Class::OwnerSpinning);
}

#[test]
fn a_holder_outside_the_allocator_did_not_release() {
    let found = held_by(116).runs(116, 0.9, DONE, Sampled::OneCall(30)).analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Proven));
    assert!(found.why.iter().any(|w| w.contains("left without a release")), "{:?}", found.why);
    assert!(
        found.missing[0].ends_with("functions that take this lock: `foo_malloc` (foo.c:85)"),
        "{:?}",
        found.missing
    );
    // It calls the allocator again and again.
    let found = held_by(116).runs(116, 0.9, LOOP, Sampled::ManyCalls(30)).analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Proven));
    // In fork an allocator may hold its locks.
    let fork = &["wait4@libc", "__run_prefork_handlers@libc", "__libc_fork@libc", "worker@bench"];
    assert_eq!(held_by(116).call(116, 61, 0, fork).analyse().class, Class::OwnerBlocked);
    // Nobody knows how a program that jumps came out.
    let mut jumps = held_by(116);
    jumps.runs(116, 0.9, DONE, Sampled::OneCall(30)).traces.ways_out = vec!["siglongjmp".to_owned()];
    let found = jumps.analyse();
    assert_eq!((class(&found), found.blame), ((Class::OwnerLeft, Confidence::Proven), Some(Blame::Either)));
}

#[test]
fn deadlocks() {
    // Two locks, taken in different orders; a third thread waits behind them.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC);
    make.futex(103, &mutex(LOCK, 102, 0), MALLOC);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Proven));
    assert_eq!(found.lock.as_ref().map(|l| l.waiters.clone()), Some(vec![101, 103]));
    insta::assert_snapshot!(found.why.join("\n"), @"
    threads 101, 102 wait for each other in a ring, over pthread-mutex `g_foo_locks+160`, pthread-mutex 0x7f00000000e0 (threads.json)
    none of them woke in the 2.0 s between the two looks (threads.json)
    1 more thread waits behind those (threads.json)
    ");

    // One lock, taken twice.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 101, 0), MALLOC).runs(102, 0.9, DONE, Sampled::OneCall(10));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Proven));
    insta::assert_snapshot!(found.why[0], @"tid 101 waits for pthread-mutex `g_foo_locks+160`, which it holds itself (threads.json)");

    // No stacks: the ring is a ring of guesses.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC).no_stacks();
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Likely));

    // A lock and a join.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC);
    make.futex(102, &join(101), &["__pthread_clockjoin_ex@libc", "foo_fini@foo:foo.c:9", "worker@bench"]);
    assert_eq!(make.analyse().class, Class::Deadlock);

    // The word of a priority-inheriting mutex holds its owner.
    let mut make = Make::new();
    let inheriting =
        |at, owner: u32| Futex { op: 0x86, near: vec![(0, owner | 0x8000_0000)], ..mutex(at, 0, 32) };
    make.futex(101, &inheriting(LOCK, 102), MALLOC).futex(102, &inheriting(LOCK2, 101), MALLOC);
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Proven));
}

#[test]
fn a_ring_with_a_timed_wait_is_not_proven() {
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC);
    make.futex(102, &Futex { op: 0x189, timed: true, ..mutex(LOCK2, 101, 0) }, MALLOC);
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Likely));
}

#[test]
fn a_ring_in_the_benchmark_is_the_benchmarks() {
    let stack = &["pthread_mutex_lock@libc", "worker@bench:bench.c:7"];
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), stack).futex(102, &mutex(LOCK2, 101, 0), stack);
    assert_eq!(class(&make.analyse()), (Class::OutsideAllocator, Confidence::Proven));
}

#[test]
fn owners_that_are_blocked_gone_or_stopped() {
    let in_read = &["read@libc", "foo_grow@foo:foo.c:12", "foo_malloc@foo:foo.c:60", "worker@bench"];
    let found = held_by(116).call(116, 0, 3, in_read).analyse();
    assert_eq!(class(&found), (Class::OwnerBlocked, Confidence::Proven));
    assert!(found.why.iter().any(|w| w.contains("read of fd 3")), "{:?}", found.why);
    let hot = found.hot.expect("the holder");
    assert_eq!(
        (hot.tid, hot.function.as_deref(), hot.source.as_deref()),
        (116, Some("foo_grow"), Some("foo.c:12"))
    );

    let found = held_by(77).gone(77).ended(77, LOCK).analyse();
    assert_eq!(class(&found), (Class::OwnerGone, Confidence::Proven));
    assert_eq!(found.lock.and_then(|l| l.owner_tid), Some(77));

    // The owner was never seen alive, but a function names the mutex: the owner is gone.
    assert_eq!(class(&held_by(76).ended(76, LOCK).analyse()), (Class::OwnerGone, Confidence::Proven));
    // Without the function the value is only a number: no owner, and no thread inside the allocator.
    assert_eq!(held_by(76).no_stacks().analyse().class, Class::Unknown);

    let mut make = held_by(76);
    make.dump.identity.fixed.flags |= hangscope_protocol::record::hello_flags::FORKED;
    let found = make.no_stacks().analyse();
    assert_eq!(found.class, Class::OwnerGone, "a forked child: {:?}", found.why);
    assert!(found.said.contains(&Why::Forked {}));

    let found = held_by(116).call(116, 0, 3, in_read).state(116, b'D').analyse();
    assert_eq!(found.class, Class::KernelWait);

    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::Never).state(116, b'T').analyse();
    assert_eq!(found.class, Class::OwnerBlocked, "{:?}", found.why);
}

#[test]
fn the_chain_is_followed_to_its_root() {
    let mut make = held_by(116);
    make.futex(116, &mutex(LOCK2, 117, 0), MALLOC).runs(117, 0.9, LOOP, Sampled::OneCall(20));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven));
    let lock = found.lock.expect("the root's lock");
    assert_eq!((lock.owner_tid, lock.waiters), (Some(117), vec![116]));
    assert!(found.why.iter().any(|w| w.starts_with("15 more threads wait behind those")), "{:?}", found.why);
}

#[test]
fn a_ring_shows_what_its_members_were_doing() {
    let lock = "foo_mutex_lock@foo:lock.c:9";
    let way = &["pthread_mutex_lock@libc", lock, "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let deep = &[
        "pthread_mutex_lock@libc",
        lock,
        "foo_refill@foo:foo.c:70",
        "foo_malloc@foo:foo.c:86",
        "worker@bench",
    ];
    let hot = |make: &mut Make| {
        let hot = make.analyse().hot.expect("a member");
        (hot.tid, hot.function, hot.source)
    };
    let refill = |tid| (tid, Some("foo_refill".to_owned()), Some("foo.c:70".to_owned()));
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 101, 0), deep);
    assert_eq!(hot(&mut make), refill(101), "alone: the name tells which function is a wrapper of the lock");
    make.futex(102, &mutex(LOCK, 101, 0), way);
    assert_eq!(hot(&mut make), refill(101), "a function that waiters have too is a wrapper");
}

#[test]
fn the_first_thread_that_has_ended_is_gone_although_proc_shows_it() {
    let mut make = held_by(MAIN);
    let found = make.state(MAIN, b'Z').analyse();
    assert_eq!(class(&found), (Class::OwnerGone, Confidence::Proven));
    assert_eq!(found.lock.and_then(|lock| lock.owner_tid), Some(MAIN));
    // It cannot hold what threads wait for inside the allocator.
    let mut make = Make::new();
    let pair = [(101, LOCK), (102, LOCK2)];
    for (tid, address) in pair {
        make.futex(tid, &bare(address, 2), BARE);
    }
    assert_eq!(class(&make.state(MAIN, b'Z').analyse()), (Class::Deadlock, Confidence::Likely));
}

#[test]
fn an_owner_that_left_with_the_lock_is_named_before_what_it_waits_for() {
    let outside = &["pthread_mutex_lock@libc", "report@bench:bench.c:60", "worker@bench:bench.c:50"];
    // A chain: it waits for a lock of the program, whose holder reads.
    let mut make = held_by(116);
    make.futex(116, &mutex(LOCK2, 117, 0), outside);
    make.call(117, 0, 3, &["read@libc", "worker@bench:bench.c:70"]);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Proven), "{:?}", found.why);
    assert_eq!(found.hot.and_then(|hot| hot.function).as_deref(), Some("report"));
    assert_eq!(found.lock.and_then(|lock| lock.owner_tid), Some(116));
    // A ring: that holder joins one of the waiters.
    let mut make = held_by(116);
    make.futex(116, &mutex(LOCK2, 117, 0), outside);
    make.futex(117, &join(101), &["__pthread_clockjoin_ex@libc", "worker@bench:bench.c:70"]);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Proven), "{:?}", found.why);
    assert!(found.ring.is_empty());
    // Two locks of the program, taken in opposite orders: nobody left the allocator.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), outside).futex(102, &mutex(LOCK2, 101, 0), outside);
    assert_eq!(make.analyse().class, Class::OutsideAllocator);
}

#[test]
fn an_owner_that_left_is_seen_in_the_program_between_its_calls() {
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::ManyCalls(9));
    let samples = make.traces.samples.get_mut(&116).expect("it has samples");
    let stub = samples[3].frames[2].clone();
    samples[3].frames.drain(..2);
    samples[3]
        .frames
        .insert(0, crate::session::trace::Frame { function: Some("malloc@plt".to_owned()), ..stub });
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Proven), "{:?}", found.why);
    assert!(!found.said.iter().any(|why| matches!(why, Why::CallsProgram { .. })), "{:?}", found.why);
}
