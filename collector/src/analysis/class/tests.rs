//! One dump a class, and the ones that look like another.

use super::why::Why;
use crate::analysis::message::check_templates;
use crate::analysis::testkit::{
    Futex, LOCK, LOCK2, MAIN, Make, Sampled, bare, barrier, condition, join, mutex,
};
use crate::analysis::{Class, Confidence, Finding};

const MALLOC: &[&str] = &[
    "__lll_lock_wait@libc",
    "pthread_mutex_lock@libc",
    "foo_malloc@foo:foo.c:85",
    "worker@bench:bench.c:40",
];
const BARE: &[&str] = &["foo_lock@foo:foo.c:20", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
const LOOP: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
const DONE: &[&str] = &["worker_spins@bench:bench.c:90"];
const COND: &[&str] = &["__pthread_cond_wait@libc", "foo_free@foo:foo.c:99", "worker@bench:bench.c:44"];

fn class(finding: &Finding) -> (Class, Confidence) {
    (finding.class, finding.confidence)
}

/// 15 threads wait for a mutex of the allocator that another one holds.
fn held_by(owner: u32) -> Make {
    let mut make = Make::new();
    for tid in 101..116 {
        make.futex(tid, &mutex(LOCK, owner, 0), MALLOC);
    }
    make
}

#[test]
fn the_incident_owner_spinning() {
    let found = held_by(116).runs(116, 0.95, LOOP, Sampled::OneCall(597)).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven));
    let lock = found.lock.as_ref().expect("there is a lock");
    assert_eq!((lock.symbol.as_deref(), lock.owner_tid), (Some("g_foo_locks+160"), Some(116)));
    assert_eq!((lock.kind.as_str(), lock.waiters.len()), ("pthread-mutex", 15));
    let at = lock.at.as_ref().expect("they wait somewhere");
    assert_eq!((at.function.as_deref(), at.line), (Some("foo_malloc"), Some(85)));
    let hot = found.hot.as_ref().expect("somebody runs");
    assert_eq!((hot.tid, hot.in_allocator, hot.samples, hot.distinct_pcs), (116, Some(true), 597, 2));
    assert_eq!((hot.function.as_deref(), hot.source.as_deref()), (Some("foo_refill"), Some("foo.c:87")));
    assert_eq!((found.threads.all, found.threads.futex_wait, found.threads.running), (17, 16, 1));
    assert!((hot.cpu_share - 0.95).abs() < 1e-9);
    insta::assert_snapshot!(found.why.join("\n"), @r#"
    tid 116 holds pthread-mutex `g_foo_locks+160`; waiting for it: 15 (threads.json)
    tid 116 runs in both looks and used 95 % of a core in between (threads.json)
    no waiter (15 of them) woke in the 2.0 s between the two looks, so the lock was not released in between (threads.json)
    in all 597 samples tid 116 is in one and the same call of the allocator: its caller's frames and stack bytes did not change (stacks.txt)
    "#);
}

#[test]
fn owner_spinning_is_seen_without_any_stack() {
    let found = held_by(116).runs(116, 0.95, LOOP, Sampled::Never).no_stacks().analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven), "{:?}", found.why);
    assert_eq!(found.in_allocator, None);
    assert!(found.said_missing.contains(&Why::PlaceUnknown {}));
}

#[test]
fn one_look_proves_nothing_but_bytes_do() {
    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::OnePlace(30)).one_look().analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely));
    assert!(found.said_missing.contains(&Why::NoSecondLook {}));
    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::OneCall(30)).one_look().analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven));
}

#[test]
fn waiters_that_wake_mean_slow() {
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::ManyCalls(100)).woken(103, 40).moves(104);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Slow, Confidence::Proven), "{:?}", found.why);
}

#[test]
fn a_holder_that_calls_again_and_again_without_stacks_of_proof_is_slow() {
    // One look: nobody knows whether waiters wake; the holder's samples say that it goes on.
    let found = held_by(116).runs(116, 0.0, LOOP, Sampled::ManyCalls(50)).one_look().analyse();
    assert_eq!(found.class, Class::Slow, "{:?}", found.why);
}

#[test]
fn our_own_signal_is_no_wake() {
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::OneCall(9)).woken(101, 1);
    let probe = crate::session::Probe {
        record: hangscope_protocol::record::ProbeRecord {
            tid: 101,
            outcome: hangscope_protocol::record::probe_outcome::ANSWERED,
            ..crate::analysis::testkit::zero()
        },
        stack: vec![],
    };
    make.dump.probes.push(probe);
    assert_eq!(make.analyse().class, Class::OwnerSpinning);
}

#[test]
fn a_lock_that_was_never_let_go_by_one_who_went_on() {
    let found = held_by(116).runs(116, 0.9, DONE, Sampled::OneCall(30)).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely), "the holder is outside");
    assert!(found.why.iter().any(|w| w.contains("left without a release")), "{:?}", found.why);
}

#[test]
fn deadlocks() {
    // Two locks, taken in either order; a third thread behind them.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC);
    make.futex(103, &mutex(LOCK, 102, 0), MALLOC);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Proven));
    assert_eq!(found.lock.as_ref().map(|l| l.waiters.clone()), Some(vec![101, 103]));
    insta::assert_snapshot!(found.why.join("\n"), @r#"
    threads 101, 102 wait for each other in a ring, over pthread-mutex `g_foo_locks+160`, pthread-mutex 0x7f00000000e0 (threads.json)
    none of them woke in the 2.0 s between the two looks (threads.json)
    waiting behind those: 1 more (threads.json)
    "#);

    // One lock, taken twice.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 101, 0), MALLOC).runs(102, 0.9, DONE, Sampled::OneCall(10));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Proven));
    insta::assert_snapshot!(found.why[0], @"tid 101 waits for pthread-mutex `g_foo_locks+160`, which it holds itself (threads.json)");

    // No stacks: the ring is still a ring.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC).no_stacks();
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Proven));

    // A lock and a join.
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), MALLOC);
    make.futex(102, &join(101), &["__pthread_clockjoin_ex@libc", "foo_fini@foo:foo.c:9", "worker@bench"]);
    assert_eq!(make.analyse().class, Class::Deadlock);

    // A priority-inheriting mutex keeps its owner in the word.
    let mut make = Make::new();
    let inheriting =
        |at, owner: u32| Futex { op: 0x86, near: vec![(0, owner | 0x8000_0000)], ..mutex(at, 0, 32) };
    make.futex(101, &inheriting(LOCK, 102), MALLOC).futex(102, &inheriting(LOCK2, 101), MALLOC);
    assert_eq!(class(&make.analyse()), (Class::Deadlock, Confidence::Proven));
}

#[test]
fn a_ring_with_a_timed_wait_in_it_opens_by_itself() {
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

    let found = held_by(77).gone(77).analyse();
    assert_eq!(class(&found), (Class::OwnerGone, Confidence::Proven));
    assert_eq!(found.lock.and_then(|l| l.owner_tid), Some(77));

    // Never seen alive, but a function says that it is a mutex: the owner is not here.
    assert_eq!(class(&held_by(76).analyse()), (Class::OwnerGone, Confidence::Proven));
    // Without the function it is only a number: no owner, and nobody inside to blame.
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
    assert!(found.why.iter().any(|w| w.starts_with("waiting behind those: 15 more")), "{:?}", found.why);
}

#[test]
fn lost_wakeups() {
    // The word says free, a finished worker is busy in the benchmark.
    let mut make = Make::new();
    for tid in 101..104 {
        make.futex(tid, &bare(LOCK, 0), BARE);
    }
    make.runs(104, 0.99, DONE, Sampled::OneCall(40));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::LostWakeup, Confidence::Proven));
    assert_eq!(found.hot.as_ref().map(|h| (h.tid, h.in_allocator)), Some((104, Some(false))));
    insta::assert_snapshot!(found.why.join("\n"), @r#"
    asleep on low-level-lock `g_foo_locks+160`: 3; its word is 0, they sleep while it is 2, and nobody woke them (threads.json)
    2.0 s later it is the same, and none of them woke (threads.json)
    tid 104 is busy, but in the benchmark: it was never seen in the allocator (stacks.txt)
    "#);

    // A condition, and nobody is left in the allocator.
    let mut make = Make::new();
    make.futex(101, &condition(LOCK, 2), COND).futex(102, &condition(LOCK, 2), COND);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::LostWakeup, Confidence::Proven));
    assert_eq!(found.lock.map(|l| (l.kind, l.address)), Some(("condition".into(), format!("{LOCK:#x}"))));

    // The same with somebody busy outside: that one might still come.
    make.runs(103, 0.99, DONE, Sampled::OneCall(40));
    assert_eq!(class(&make.analyse()), (Class::LostWakeup, Confidence::Likely));

    // The word was free for a moment only.
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 0), BARE).change(101, |r| r.near[48] = 2);
    assert_ne!(make.analyse().class, Class::LostWakeup);

    // Without stacks the word still tells.
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 0), BARE).no_stacks();
    assert_eq!(class(&make.analyse()), (Class::LostWakeup, Confidence::Proven));
}

#[test]
fn a_holder_that_keeps_a_lock_without_owner_is_inferred() {
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), BARE).futex(102, &bare(LOCK, 2), BARE);
    make.runs(103, 0.9, LOOP, Sampled::OneCall(50)).runs(104, 0.99, DONE, Sampled::OneCall(50));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely));
    assert_eq!(found.hot.map(|h| h.tid), Some(103), "not the busiest, but the one inside");

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
    assert_eq!(found.hot.map(|h| h.tid), Some(101), "the busier one is outside");

    // Sampled once, or bytes unknown: it is only likely.
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

    // Without a stack nobody knows where it runs.
    let mut make = Make::new();
    let found = make.runs(101, 0.9, &[], Sampled::Never).analyse();
    assert_eq!(found.class, Class::Unknown, "{:?}", found.why);
    assert!(found.missing.iter().any(|m| m.contains("blocks signal 62")), "{:?}", found.missing);
}

#[test]
fn naps() {
    let nap = &["clock_nanosleep@libc", "foo_sleep@foo:foo.c:2", "foo_scavenge@foo:foo.c:5", "worker@bench"];
    let spin = &["foo_spin@foo:foo.c:31", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
    // One naps elsewhere than where the others spin: that is whom they wait for, and what it is about counts.
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

    // All nap in one place: that is how they spin.
    let mut make = Make::new();
    make.call(101, 230, 0, nap).woken(101, 20).call(102, 230, 0, nap).woken(102, 20);
    assert_eq!(make.analyse().class, Class::Livelock);

    // A holder that naps is blocked; one that burns a core between its naps spins.
    let mut make = held_by(116);
    assert_eq!(make.call(116, 230, 0, nap).woken(116, 20).analyse().class, Class::OwnerBlocked);
    make.change(116, |r| r.cpu_ns += 1_500_000_000);
    assert_eq!(make.analyse().class, Class::OwnerSpinning);
}

#[test]
fn who_runs_unseen_is_not_left_out() {
    let nap = &["clock_nanosleep@libc", "foo_scavenge@foo:foo.c:5", "foo_free@foo:foo.c:9", "worker@bench"];
    // Runners that answer no signal may spin for the one that naps: it is no runaway.
    let mut make = Make::new();
    make.call(101, 230, 0, nap).woken(101, 20).runs(102, 0.9, &[], Sampled::Never);
    let found = make.analyse();
    assert_eq!(found.class, Class::Unknown, "{:?}", found.why);
    // One that is seen to loop is one; but the unseen are named.
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
    // Who stands where the proven one stands retries with it.
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.3, LOOP, Sampled::Never);
    assert_eq!(class(&make.analyse()), (Class::Livelock, Confidence::Likely));
    // Others that go in and out are said to.
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50)).runs(102, 0.3, passes, Sampled::ManyCalls(50));
    let found = make.analyse();
    assert_eq!(found.class, Class::Runaway);
    assert!(found.why[0].contains("still come out"), "{:?}", found.why);
}

#[test]
fn a_ring_is_told_by_what_its_members_were_about() {
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
    assert_eq!(hot(&mut make), refill(101), "alone: the name tells the lock from the errand");
    make.futex(102, &mutex(LOCK, 101, 0), way);
    assert_eq!(hot(&mut make), refill(101), "what waiters do as well is not it");
}

#[test]
fn a_child_that_shares_memory_is_waited_for() {
    let stack = &["clone@libc", "foo_start_helper@foo:foo.c:3", "foo_malloc@foo", "worker@bench"];
    let mut make = Make::new();
    let found = make.call(101, 56, 0, stack).state(101, b'D').analyse();
    assert_eq!(found.class, Class::KernelWait);
    assert!(found.said.iter().any(|w| matches!(w, Why::WaitsForChild { .. })), "{:?}", found.why);
}

#[test]
fn without_names_there_are_places() {
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
fn eight_thousand_threads_are_no_burden() {
    let mut make = Make::new();
    for tid in 2001..10_001 {
        make.futex(tid, &mutex(LOCK, 10_001, 0), MALLOC);
    }
    let found = make.runs(10_001, 0.9, LOOP, Sampled::OneCall(50)).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven));
    assert_eq!(found.lock.map(|l| l.waiters.len()), Some(8000));
}

#[test]
fn the_kernel() {
    let mut make = Make::new();
    make.call(101, 11, 0, &["munmap@libc", "foo_trim@foo:foo.c:3", "worker@bench"]).state(101, b'D');
    let found = make.analyse();
    assert_eq!(class(&found), (Class::KernelWait, Confidence::Proven));
    assert_eq!(found.in_allocator, Some(true));
    // In one look only: it may be on its way.
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
    insta::assert_snapshot!(found.why.join("\n"), @r#"
    no thread (4 of them) has a frame of the allocator on its stack (stacks.txt)
    standing still outside the allocator: 3 in barrier (stacks.txt)
    "#);

    // One loops in the benchmark while the others wait for it.
    make.runs(104, 0.9, DONE, Sampled::OneCall(30));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Likely));
    assert_eq!(found.hot.map(|h| (h.tid, h.in_allocator)), Some((104, Some(false))));
}

#[test]
fn a_thread_of_the_allocators_own_is_no_hang() {
    // A background thread of the allocator idles in a condition; the benchmark stands at its barrier.
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
fn nothing_is_made_of_nothing() {
    let mut make = Make::new();
    make.dump.threads.clear();
    let found = make.analyse();
    assert_eq!(found.class, Class::Unknown);
    assert!(!found.missing.is_empty());
    assert_eq!(found.threads.all, 0, "the shim's thread is not counted");
}

#[test]
fn sentences_are_there_in_both_languages() {
    check_templates(Why::TEMPLATES);
}
