//! Dumps of a process that moved between the two looks: two facts that are not of one time prove nothing
//! together.

use hangscope_protocol::record::{NEAR_BEFORE, SYSCALL_RUNNING, ThreadRecord, mark_part};

use super::*;
use crate::session::trace::TraceSource;

const PROGRAM_LOCK: &[&str] =
    &["pthread_mutex_lock@libc", "report@bench:bench.c:60", "worker@bench:bench.c:50"];
const LOOK: u64 = 2_000_000_000;

/// Tid 116 is seen in the program by all its samples, and holds the lock of 15 threads that sleep in both
/// looks.
fn left() -> Make {
    let mut make = held_by(116);
    make.runs(116, 0.9, DONE, Sampled::OneCall(30));
    make
}

/// In the second look the thread waits for this mutex.
fn waits_later(make: &mut Make, tid: u32, address: u64, owner: u32) {
    make.change(tid, |r| {
        let mut near = [0; 96];
        for (offset, number) in [(0, 2), (8, owner), (12, 1)] {
            near[NEAR_BEFORE + offset..NEAR_BEFORE + offset + 4].copy_from_slice(&u32::to_le_bytes(number));
        }
        *r = ThreadRecord {
            state: b'S',
            syscall: 202,
            args: [address, 0x80, 2, 0, 0, 0],
            near,
            near_from: 0,
            near_to: 96,
            sp: 0x7fff_0000 + u64::from(tid) * 0x1000,
            pc: 0x7f22_0000,
            nvcsw: r.nvcsw + 3,
            ..*r
        };
    });
}

fn names_later(make: &mut Make, tid: u32, owner: u32) {
    make.change(tid, |r| r.near[NEAR_BEFORE + 8..NEAR_BEFORE + 12].copy_from_slice(&owner.to_le_bytes()));
}

#[test]
fn an_owner_is_seen_outside_while_the_lock_is_known_to_be_held() {
    assert_eq!(class(&left().analyse()), (Class::OwnerLeft, Confidence::Proven));
    // Before all waiters were read, and after the second look had begun, the lock may have had another
    // holder.
    for (after, wanted) in
        [(0, Confidence::Likely), (50_000_000, Confidence::Proven), (LOOK, Confidence::Likely)]
    {
        let mut make = left();
        make.dump.looks_ns[0] = make.dump.begin.trigger_ns + 50_000_000;
        make.dump.looks_ns[1] = make.dump.looks_ns[0] + LOOK;
        let found = make.times(116, after).analyse();
        assert_eq!(class(&found), (Class::OwnerLeft, wanted), "{after}: {:?}", found.why);
    }
    let mut make = left();
    let mut dump = make.times(116, 0).finish();
    dump.marks[0].took_ns = 500_000_000;
    let history = crate::analysis::History::from_tids([]);
    let found = crate::analysis::analyse(&dump, &make.traces, &history);
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
    assert!(found.said_missing.iter().any(|why| matches!(why, Why::NotAtOnce { .. })), "{:?}", found.missing);
}

#[test]
fn waiters_that_woke_do_not_prove_that_the_lock_stayed_with_its_owner() {
    // They wait again for the same lock of the same owner: the owner may have had it twice.
    let mut make = left();
    for tid in 101..116 {
        make.sampled(tid, MALLOC, Sampled::OneCall(20)).woken(tid, 9);
    }
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
}

#[test]
fn a_thread_that_may_have_been_woken_by_a_release_leaves_the_owner_unproven() {
    type How = fn(&mut Make);
    let table: [(&str, How, Confidence); 7] = [
        ("naps elsewhere", |m| _ = m.woken(120, 40), Confidence::Proven),
        ("runs all the time", |m| _ = m.runs(121, 0.9, DONE, Sampled::Never), Confidence::Proven),
        ("ends", |m| _ = m.leaves(120), Confidence::Proven),
        ("came to the lock", |m| waits_later(m, 120, LOCK, 116), Confidence::Likely),
        ("came to another", |m| waits_later(m, 120, LOCK2, 101), Confidence::Proven),
        (
            "slept and runs",
            |m| {
                m.runs(121, 0.9, DONE, Sampled::Never).change(121, |r| r.nvcsw += 1);
            },
            Confidence::Likely,
        ),
        (
            "slept, uncounted",
            |m| {
                m.runs(121, 0.9, DONE, Sampled::Never).change(121, |r| r.err_status = 3);
            },
            Confidence::Likely,
        ),
    ];
    for (what, how, wanted) in table {
        let mut make = left();
        make.call(120, 35, 0x70, &["nanosleep@libc", "worker@bench:bench.c:70"]);
        how(&mut make);
        let found = make.analyse();
        assert_eq!(class(&found), (Class::OwnerLeft, wanted), "{what}: {:?}", found.why);
    }
    // A second look without all threads.
    let mut make = left();
    let mut dump = make.finish();
    dump.marks.iter_mut().filter(|m| m.part == mark_part::SECOND_LOOK).for_each(|m| m.dropped = 1);
    let found = crate::analysis::analyse(&dump, &make.traces, &crate::analysis::History::from_tids([]));
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
}

#[test]
fn an_owner_that_went_on_had_not_left() {
    // In the first look it waits for a lock of the program. By the second one it has gone on.
    let mut make = held_by(116);
    make.futex(116, &mutex(LOCK2, 117, 0), PROGRAM_LOCK);
    make.call(117, 0, 3, &["read@libc", "worker@bench:bench.c:70"]);
    assert_eq!(class(&make.analyse()), (Class::OwnerLeft, Confidence::Proven));
    waits_later(&mut make, 116, LOCK2 + 0x100, 117);
    assert_eq!(make.analyse().class, Class::Slow);
    // In the first look it runs in the allocator, in the second one it waits.
    let mut make = held_by(116);
    make.runs(116, 0.1, LOOP, Sampled::OneCall(9));
    waits_later(&mut make, 116, LOCK2, 117);
    make.call(117, 0, 3, &["read@libc", "foo_grow@foo:foo.c:12", "worker@bench"]);
    let found = make.analyse();
    assert_eq!(found.confidence, Confidence::Likely, "{}: {:?}", found.class, found.why);
}

#[test]
fn an_owner_that_the_second_look_does_not_confirm_is_not_proven() {
    let in_read = &["read@libc", "foo_grow@foo:foo.c:12", "foo_malloc@foo:foo.c:60", "worker@bench"];
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 116, 0), MALLOC).call(116, 0, 3, in_read);
    assert_eq!(class(&make.analyse()), (Class::OwnerBlocked, Confidence::Proven));
    names_later(&mut make, 101, 102);
    assert_eq!(make.analyse().confidence, Confidence::Likely);
    let mut ring = Make::new();
    ring.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC);
    names_later(&mut ring, 102, 103);
    assert_eq!(class(&ring.analyse()), (Class::Deadlock, Confidence::Likely));
}

#[test]
fn a_ring_that_closes_after_the_first_look_is_a_deadlock() {
    let made = |stacks: usize| {
        let mut make = Make::new();
        // One worker runs in the first look, the other waits for something else.
        make.runs(101, 0.1, DONE, Sampled::OneCall(2));
        make.futex(102, &bare(LOCK2 + 0x200, 2), &["__lll_lock_wait@libc", "worker@bench:bench.c:9"]);
        waits_later(&mut make, 101, LOCK, 102);
        waits_later(&mut make, 102, LOCK2, 101);
        for tid in [101, 102] {
            let mut waits = Make::new();
            waits.futex(tid, &bare(LOCK, 2), MALLOC).sampled(tid, MALLOC, Sampled::OneCall(stacks));
            let mut samples = waits.traces.samples.remove(&tid).expect("samples");
            for sample in &mut samples {
                sample.source = TraceSource::Blocked;
                sample.frames[0].pc = 0x7f22_0000;
            }
            make.traces.samples.entry(tid).or_default().extend(samples);
            make.times(tid, LOOK);
        }
        make
    };
    let found = made(20).analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Likely), "{:?}", found.why);
    assert_eq!(found.said_missing.last(), Some(&Why::RingClosedLate {}));
    assert!(!found.said.iter().any(|why| matches!(why, Why::RingStill { .. })), "{:?}", found.why);
    let ring: Vec<_> = found.ring.iter().map(|edge| (edge.tid, edge.owner)).collect();
    assert_eq!(ring, [(101, Some(102)), (102, Some(101))]);
    // Too few stacks show that they stand still.
    assert_eq!(made(3).analyse().class, Class::Slow);
    // A thread that came to work meanwhile may still end the wait.
    let mut make = made(20);
    make.runs(103, 0.9, DONE, Sampled::Never);
    assert_eq!(make.analyse().class, Class::Slow);
}

#[test]
fn an_owner_that_no_look_has_is_gone_only_if_it_was_asked_for() {
    let of = |how: fn(&mut Make)| {
        let mut make = held_by(77);
        how(&mut make);
        class(&make.analyse())
    };
    // A thread that began after the list was read, or that the list missed.
    assert_eq!(of(|_| ()), (Class::OwnerGone, Confidence::Likely));
    assert_eq!(of(|m| _ = m.gone(77)), (Class::OwnerGone, Confidence::Likely));
    assert_eq!(of(|m| _ = m.ended(77, LOCK)), (Class::OwnerGone, Confidence::Proven));
    // Another owner, another word, another dump.
    assert_eq!(of(|m| _ = m.ended(78, LOCK)), (Class::OwnerGone, Confidence::Likely));
    assert_eq!(of(|m| _ = m.ended(77, LOCK2)), (Class::OwnerGone, Confidence::Likely));
    let later = |m: &mut Make| {
        m.ended(77, LOCK).dump.begin.number = 2;
    };
    assert_eq!(of(later), (Class::OwnerGone, Confidence::Likely));
    // The second look names another owner, or has it.
    let renamed = |m: &mut Make| names_later(m.ended(77, LOCK), 101, 102);
    assert_eq!(of(renamed), (Class::OwnerGone, Confidence::Likely));
    // It was there in the first look.
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, Sampled::OneCall(9)).leaves(116);
    assert_eq!(class(&make.analyse()), (Class::OwnerGone, Confidence::Likely));
    assert_eq!(class(&make.ended(116, LOCK).analyse()), (Class::OwnerGone, Confidence::Proven));
}

/// A signal woke one of the two, and it had not got a processor again when the second look was made.
#[test]
fn a_member_of_a_ring_that_is_awake_once_has_not_moved_on() {
    let made = |samples: Sampled| {
        let mut make = Make::new();
        make.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC);
        make.sampled(101, MALLOC, samples);
        make.change(101, |r| (r.syscall, r.nvcsw) = (SYSCALL_RUNNING, r.nvcsw + 300));
        make.analyse()
    };
    assert_eq!(class(&made(Sampled::Never)), (Class::Deadlock, Confidence::Likely));
    assert_eq!(class(&made(Sampled::ManyCalls(5))).0, Class::Slow, "it was seen to go on");
}
