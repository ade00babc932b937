//! Owners that only the stacks of all threads tell, rings without a lock, and waits with a timeout that is
//! renewed for ever.

use hangscope_protocol::record::ThreadRecord;

use super::*;

/// A wait for a guard of C++, or for a control word of pthread_once, that names no owner.
fn control(address: u64) -> Futex {
    Futex { expected: 1, ..bare(address, 1) }
}

fn ring_of(found: &Finding) -> Vec<(u32, Option<u32>)> {
    found.ring.iter().map(|edge| (edge.tid, edge.owner)).collect()
}

/// Wakes often between the looks, and uses little CPU time.
fn dozes(r: &mut ThreadRecord) {
    r.nvcsw += 400;
}

#[test]
fn two_initializations_that_need_each_other_are_a_ring() {
    for wait in ["__cxa_guard_acquire@libc", "__pthread_once_slow@libc"] {
        let first = [wait, "second@foo", "make_first@foo", "first@foo", "foo_malloc@foo", "worker@bench"];
        let second = [wait, "first@foo", "make_second@foo", "second@foo", "foo_free@foo", "worker@bench"];
        let first: Vec<&str> = match wait {
            "__cxa_guard_acquire@libc" => first.to_vec(),
            // The initialization is called by pthread_once.
            _ => [&first[..3], &["__pthread_once_slow@libc"], &first[3..]].concat(),
        };
        let second: Vec<&str> = match wait {
            "__cxa_guard_acquire@libc" => second.to_vec(),
            _ => [&second[..3], &["__pthread_once_slow@libc"], &second[3..]].concat(),
        };
        let mut make = Make::new();
        make.futex(101, &control(LOCK2), &first).futex(102, &control(LOCK), &second);
        let found = make.analyse();
        assert_eq!(class(&found), (Class::Deadlock, Confidence::Likely), "{wait}: {:?}", found.missing);
        assert_eq!(ring_of(&found), [(101, Some(102)), (102, Some(101))], "{wait}");
        // A third thread waits in the same function, and runs nothing.
        let third = [wait, "first@foo", "foo_malloc@foo", "worker@bench"];
        make.futex(103, &control(LOCK), &third);
        assert_eq!(ring_of(&make.analyse()), [(101, Some(102)), (102, Some(101))], "{wait}");
    }
}

#[test]
fn joins_in_a_ring_are_a_deadlock_of_the_program() {
    let joins = &["__pthread_clockjoin_ex@libc", "worker@bench:bench.c:9"];
    let mut make = Make::new();
    for (tid, other) in [(101, 102), (102, 103), (103, 101)] {
        make.futex(tid, &join(other), joins);
    }
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Proven));
    assert_eq!(ring_of(&found), [(101, Some(102)), (102, Some(103)), (103, Some(101))]);
    assert_eq!(found.lock, None);
}

/// Thread 101 wants Python's lock back and holds a mutex that 102 waits for.
fn python(holder: &[&str]) -> Make {
    let wants = [
        "pthread_cond_timedwait@libc",
        "take_gil@bench:ceval_gil.h:231",
        "PyEval_RestoreThread@bench",
        "time_sleep@bench",
        "_PyEval_EvalFrameDefault@bench",
    ];
    let waits = ["sem_wait@libc", "PyThread_acquire_lock_timed@bench", "_PyEval_EvalFrameDefault@bench"];
    let mut make = Make::new();
    let timed = Futex { timed: true, ..condition(LOCK, 1) };
    make.futex(101, &timed, &wants).change(101, dozes).sampled(101, &wants, Sampled::OneCall(20));
    make.futex(102, &mutex(LOCK2, 101, 0), holder);
    make.futex(103, &Futex { op: 0x189, expected: 0, ..bare(LOCK2 + 64, 0) }, &waits);
    make
}

const HOLDS: &[&str] = &[
    "__lll_lock_wait@libc",
    "pthread_mutex_lock@libc",
    "extension@bench:e.c:9",
    "_PyEval_EvalFrameDefault@bench",
];

#[test]
fn the_interpreter_lock_of_python_has_the_only_holder_that_is_left() {
    let found = python(HOLDS).analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Likely), "{:?}", found.why);
    assert_eq!(ring_of(&found), [(101, Some(102)), (102, Some(101))]);
    assert_eq!(found.ring[0].name, "GIL");
    // Two threads may have it: nothing is said.
    let mut two = python(HOLDS);
    two.call(104, 0, 3, &["read@libc", "extension@bench", "_PyEval_EvalFrameDefault@bench"]);
    let found = two.analyse();
    assert_eq!(found.ring, []);
    assert_eq!(found.lock.and_then(|lock| lock.owner_tid), Some(101));
}

#[test]
fn a_holder_that_wakes_at_timeouts_does_not_spin() {
    let stack = &["pthread_cond_timedwait@libc", "until_told@bench:bench.c:70", "worker@bench"];
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK2, 102, 0), &["pthread_mutex_lock@libc", "worker@bench:bench.c:40"]);
    make.runs(102, 0.01, stack, Sampled::OneCall(50)).change(102, dozes);
    let found = make.analyse();
    let spins = |why: &Why| matches!(why, Why::OwnerRuns { .. });
    assert!(!found.said.iter().any(spins), "{:?}", found.why);
    assert_eq!((found.class, found.lock.and_then(|l| l.owner_tid)), (Class::OutsideAllocator, Some(102)));
    // In the allocator the class says it.
    let stack = &["nanosleep@libc", "foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench"];
    let mut make = held_by(116);
    let found = make.runs(116, 0.01, stack, Sampled::OneCall(50)).change(116, dozes).analyse();
    assert_eq!(found.class, Class::OwnerBlocked);
    // Without sleep it only gets no processor.
    assert_eq!(
        held_by(116).runs(116, 0.01, LOOP, Sampled::OneCall(50)).analyse().class,
        Class::OwnerSpinning
    );
}

#[test]
fn a_condition_with_a_timeout_that_is_renewed_is_no_work() {
    let stack = &["pthread_cond_timedwait@libc", "until_told@bench:bench.c:70", "worker@bench"];
    let mut make = Make::new();
    let timed = Futex { timed: true, ..condition(LOCK2, 1) };
    // Its waiters take turns on two words.
    make.futex(101, &timed, stack).sampled(101, stack, Sampled::OneCall(20));
    make.change(101, |r| (r.args[0], r.nvcsw) = (r.args[0] + 4, r.nvcsw + 40));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Likely), "{:?}", found.why);
    // Each wait is in another call.
    make.sampled(101, stack, Sampled::ManyCalls(20));
    assert_eq!(make.analyse().class, Class::Slow);
}

#[test]
fn a_call_that_is_not_known_proves_no_hang() {
    let mut make = Make::new();
    for (call, unknown) in [(999, true), (72, false), (243, false)] {
        make = Make::new();
        make.call(101, call, 3, &["syscall@libc", "worker@bench:bench.c:9"]);
        let found = make.analyse();
        assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Likely), "{call}");
        assert_eq!(found.waits[1].detail.starts_with("system call"), unknown);
    }
    // A condition of the program beside it may be signalled when the call ends.
    make.futex(102, &condition(LOCK2, 1), &["__pthread_cond_wait@libc", "worker@bench"]);
    assert_eq!(make.analyse().confidence, Confidence::Likely);
}

#[test]
fn a_lock_of_the_allocator_that_nobody_inside_can_hold_was_not_released() {
    let stack = &["foo_lock@foo:foo.c:20", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    for timed in [false, true] {
        let word = Futex { timed, expected: 1, ..bare(LOCK, 1) };
        let mut make = Make::new();
        for tid in [101, 102] {
            make.futex(tid, &word, stack).sampled(tid, stack, Sampled::OneCall(20));
            make.change(tid, |r| {
                if timed {
                    dozes(r)
                }
            });
        }
        let found = make.analyse();
        assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{timed}: {:?}", found.why);
        assert_eq!(found.lock.as_ref().map(|l| (l.owner_tid, l.waiters.len())), Some((None, 2)));
        // A thread that works outside may have it.
        make.call(103, 0, 3, &["read@libc", "worker@bench:bench.c:50"]);
        assert_eq!(make.analyse().hot.map(|hot| hot.tid), Some(103));
        // One without a stack may be inside.
        make.call(104, 0, 3, &[]);
        assert_ne!(make.analyse().class, Class::OwnerLeft, "{timed}");
    }
    // A word of 1 without the name of a lock may be an event.
    let event = &["foo_until_ready@foo:foo.c:20", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    make.futex(101, &Futex { expected: 1, ..bare(LOCK, 1) }, event);
    assert_ne!(make.analyse().class, Class::OwnerLeft);
}

#[test]
fn threads_that_nap_before_a_running_one_wait_for_it() {
    let retry = &["nanosleep@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(50));
    for tid in [102, 103] {
        make.call(tid, 35, 0x70, retry).sampled(tid, retry, Sampled::OneCall(50)).woken(tid, 300);
    }
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely), "{:?}", found.why);
    assert_eq!(found.hot.map(|hot| hot.tid), Some(101));
    assert!(found.said.iter().any(|why| matches!(why, Why::Retries { .. })));
}

#[test]
fn a_wait_that_only_the_process_itself_can_end_is_a_hang() {
    use crate::session::Note;
    use hangscope_protocol::record::{NoteRecord, dump_reason, note_code, other_end};

    let made = |call: i32, ends: &[(u64, u16)]| {
        let mut make = Make::new();
        make.call(101, call, 3, &["read@libc", "worker@bench:bench.c:9"]);
        make.dump.notes.extend(ends.iter().map(|(value, flags)| {
            let record = NoteRecord { code: note_code::OTHER_END, reserved: *flags, tid: 101, value: *value };
            Note { record, text: "bench".to_owned() }
        }));
        make
    };
    let said = |make: &mut Make| {
        let found = make.analyse();
        assert_eq!(found.class, Class::OutsideAllocator);
        (found.confidence, found.waits[1].detail.clone())
    };
    let own = (100, other_end::OWN);
    let proven = |detail: &str| (Confidence::Proven, detail.to_owned());
    let likely = |detail: &str| (Confidence::Likely, detail.to_owned());
    assert_eq!(said(&mut made(0, &[own])), proven("read of fd 3, whose other end only this process has"));
    let open = (100, other_end::OWN | other_end::OPEN);
    assert_eq!(said(&mut made(0, &[open])), likely("read of fd 3, whose other end this process has itself"));
    let parent = (88, other_end::WAITS);
    assert_eq!(
        said(&mut made(0, &[own, parent])),
        proven(
            "read of fd 3, whose other end this process and bench (pid 88) have, which waits for this process itself"
        )
    );
    assert_eq!(
        said(&mut made(0, &[own, (88, 0)])),
        likely("read of fd 3, whose other end this process and bench (pid 88) have")
    );
    assert_eq!(said(&mut made(72, &[(88, 0)])), likely("fcntl of fd 3, which bench (pid 88) holds"));
    assert_eq!(said(&mut made(73, &[own])), proven("flock of fd 3, which this process holds itself"));
    assert_eq!(said(&mut made(0, &[])), likely("read of fd 3"));
    // Nobody said by when it had to end: a program may tell itself of signals through a pipe.
    let mut idle = made(0, &[own]);
    idle.dump.begin.reason = dump_reason::ASKED;
    assert_eq!(idle.analyse().blame, Some(crate::analysis::Blame::Nobody));
}
