//! Threads that spin without a wait in the kernel, and who holds what they spin on; lists that are rings; requests
//! for memory that fail.

use hangscope_protocol::record::hello_flags;

use super::*;
use crate::analysis::words::{Blame, Cause};
use crate::session::trace::{Frame, Loop, LoopRead, NoMemory, ReadHow, Ring};
use crate::session::{MemoryLimit, MemoryLimits};
use crate::text::message::say;

const ENTER: &[&str] = &["foo_enter@foo:foo.c:20", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
const RETURN: Sampled = Sampled::OneCall(40);

fn word(address: u64, how: ReadHow, words: &[u32]) -> LoopRead {
    LoopRead { address, size: 4, how, words: [words.to_vec(), words.to_vec()], points_to: None }
}

fn reads(read: LoopRead) -> Loop {
    Loop { reads: vec![read], ..Loop::default() }
}

/// A pthread mutex that a thread holds.
fn tried(owner: u32) -> LoopRead {
    word(LOCK, ReadHow::TryLock, &[1, 0, owner, 1, 0, 0])
}

/// Threads 101 to 104 spin on a word.
fn spinning(read: &LoopRead) -> Make {
    let mut make = Make::new();
    for tid in 101..105 {
        make.runs(tid, 0.2, ENTER, RETURN);
        make.traces.loops.insert(tid, reads(read.clone()));
    }
    make
}

fn lock(found: &Finding) -> (&str, Option<&str>, Option<u32>, usize) {
    let lock = found.lock.as_ref().expect("there is a lock");
    (&lock.kind, lock.symbol.as_deref(), lock.owner_tid, lock.waiters.len())
}

#[test]
fn a_mutex_that_is_tried_names_its_holder() {
    let found = spinning(&tried(105)).runs(105, 0.2, LOOP, RETURN).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven), "{:?}", found.why);
    assert_eq!(lock(&found), ("pthread-mutex", Some("g_foo_locks+160"), Some(105), 4));
    let hot = found.hot.as_ref().expect("the holder runs");
    assert_eq!((hot.tid, hot.function.as_deref()), (105, Some("foo_refill")));
    insta::assert_snapshot!(found.why.join("\n"), @"
    tid 101-104: running in the allocator, and their loops try or read pthread-mutex `g_foo_locks+160`, whose value is 0x1 in two readings (recording.json.gz)
    the memory of pthread-mutex `g_foo_locks+160` names tid 105 as its holder (recording.json.gz)
    tid 105 stays in one call of the allocator in all 40 samples: the frames and stack bytes of its caller did not change (stacks.txt)
    ");
    // The holder sleeps in the allocator, or works in the program, or has ended.
    let read = &["read@libc", "foo_hint@foo:foo.c:70", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let found = spinning(&tried(105)).call(105, 0, 3, read).analyse();
    assert_eq!(class(&found), (Class::OwnerBlocked, Confidence::Proven), "{:?}", found.why);
    let outside = &["read@libc", "worker@bench:bench.c:50"];
    let found = spinning(&tried(105)).call(105, 0, 3, outside).analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Proven), "{:?}", found.why);
    assert_eq!(found.hot.as_ref().and_then(|hot| hot.function.as_deref()), Some("worker"));
    // It comes back into the allocator, and may have taken the lock after it was seen outside.
    let found = spinning(&tried(105)).runs(105, 0.9, LOOP, Sampled::ManyCalls(9)).analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
    let found = spinning(&tried(105)).call(105, 0, 3, outside).moves(105).analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
    let found = spinning(&tried(105)).gone(105).analyse();
    assert_eq!(class(&found), (Class::OwnerGone, Confidence::Likely), "{:?}", found.why);
    let found = spinning(&tried(105)).ended(105, LOCK).analyse();
    assert_eq!(class(&found), (Class::OwnerGone, Confidence::Proven), "{:?}", found.why);
    assert_eq!(lock(&found).2, Some(105));
}

#[test]
fn a_word_with_a_tid_names_its_holder_and_a_small_number_does_not() {
    let owned = word(LOCK2, ReadHow::Atomic, &[105, 0]);
    let found = spinning(&owned).runs(105, 0.2, LOOP, RETURN).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven), "{:?}", found.why);
    assert_eq!(lock(&found), ("spin-lock", None, Some(105), 4));
    // The highest bits are flags.
    let flagged = word(LOCK2, ReadHow::Atomic, &[105 | 0x8000_0000, 0]);
    assert_eq!(lock(&spinning(&flagged).runs(105, 0.2, LOOP, RETURN).analyse()).2, Some(105));
    // A state. The thread in another function holds the lock, and nothing proves it.
    let state = word(LOCK2, ReadHow::Atomic, &[1, 0]);
    let found = spinning(&state).runs(105, 0.2, LOOP, RETURN).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely), "{:?}", found.why);
    assert_eq!((lock(&found).2, found.hot.map(|hot| hot.tid)), (None, Some(105)));
    // A pointer into a stack or the thread-locals of a thread.
    let pointer = LoopRead { size: 8, points_to: Some(105), ..word(LOCK2, ReadHow::Atomic, &[0x10, 0x7f00]) };
    let found = spinning(&pointer).runs(105, 0.2, LOOP, RETURN).analyse();
    assert_eq!((found.class, lock(&found).2), (Class::OwnerSpinning, Some(105)));
}

#[test]
fn a_ticket_lock_is_held_by_the_thread_elsewhere() {
    let ticket = word(LOCK2, ReadHow::Load, &[1234]);
    let found = spinning(&ticket).runs(105, 0.2, LOOP, RETURN).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely), "{:?}", found.why);
    assert_eq!(lock(&found), ("spin-lock", None, None, 4));
    assert_eq!(found.hot.and_then(|hot| hot.function).as_deref(), Some("foo_refill"));
}

#[test]
fn a_lock_that_nobody_inside_holds_was_not_released() {
    let state = word(LOCK2, ReadHow::Atomic, &[1, 0]);
    let found = spinning(&state).call(105, 0, 3, &["read@libc", "worker@bench:bench.c:50"]).analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
    assert_eq!((lock(&found).2, found.in_allocator), (Some(105), Some(true)));
    // Two may have left with it.
    let mut make = spinning(&state);
    make.call(105, 0, 3, &["read@libc", "worker@bench:bench.c:50"]);
    make.call(106, 0, 3, &["read@libc", "worker@bench:bench.c:50"]);
    let found = make.analyse();
    assert_eq!((found.class, lock(&found).2), (Class::OwnerLeft, None), "{:?}", found.why);
    // A thread without a stack may be inside.
    let found = spinning(&state).futex(105, &bare(LOCK, 2), &[]).analyse();
    assert_ne!(found.class, Class::OwnerLeft, "{:?}", found.why);
}

#[test]
fn a_word_that_changes_and_a_free_lock_are_no_held_lock() {
    let mut changes = word(LOCK2, ReadHow::Atomic, &[1, 0]);
    changes.words[1][0] = 2;
    let found = spinning(&changes).analyse();
    assert_eq!((found.class, found.lock), (Class::Livelock, None), "{:?}", found.why);
    let free = word(LOCK, ReadHow::TryLock, &[0, 0, 0, 0, 0, 0]);
    let found = spinning(&free).analyse();
    assert_eq!((found.class, found.lock), (Class::Livelock, None), "{:?}", found.why);
    let unread = LoopRead { words: [vec![], vec![]], ..free };
    assert_eq!(spinning(&unread).analyse().class, Class::Livelock);
}

#[test]
fn holders_that_spin_on_each_other_are_a_ring() {
    let mut make = Make::new();
    let pair = [(101, LOCK, 102), (102, LOCK2, 101), (103, LOCK, 102)];
    for (tid, address, owner) in pair {
        make.runs(tid, 0.3, ENTER, RETURN);
        let read = word(address, ReadHow::TryLock, &[1, 0, owner, 1, 0, 0]);
        make.traces.loops.insert(tid, reads(read));
    }
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Livelock, Confidence::Proven), "{:?}", found.why);
    assert!(found.said.iter().any(|why| matches!(why, Why::SpinsCrossed { .. })), "{:?}", found.why);
    assert!(lock(&found).2.is_some());
    // The holder of the first lock spins on a second one: the second one's holder is the culprit.
    let mut make = spinning(&tried(105));
    let second = word(LOCK2, ReadHow::TryLock, &[1, 0, 106, 1, 0, 0]);
    make.runs(105, 0.2, ENTER, RETURN).runs(106, 0.2, LOOP, RETURN);
    make.traces.loops.insert(105, reads(second));
    let found = make.analyse();
    assert_eq!((found.class, found.hot.map(|hot| hot.tid)), (Class::OwnerSpinning, Some(106)));
}

#[test]
fn one_thread_that_only_reads_a_word_is_a_runaway() {
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, RETURN);
    make.traces.loops.insert(101, reads(word(LOCK2, ReadHow::Load, &[0, 0])));
    assert_eq!(make.analyse().class, Class::Runaway);
}

#[test]
fn a_ring_in_a_list_may_be_the_programs_mistake() {
    let ring = Loop {
        ring: Some(Ring { nodes: 2, addresses: vec![0x1000, 0x2000], ..Ring::default() }),
        ..Loop::default()
    };
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, RETURN);
    make.traces.loops.insert(116, ring);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely));
    assert_eq!((found.cause, found.blame), (Some(Cause::ListRing), None));
    assert!(found.said_missing.contains(&Why::RingCauses {}));
    make.dump.identity.fixed.flags |= hello_flags::FORKED;
    let found = make.analyse();
    assert_eq!(found.cause, Some(Cause::ForkInherited));
    // The thread leaves the walk: it is no cause of the hang.
    let mut make = held_by(116);
    make.runs(116, 0.9, LOOP, RETURN).runs(117, 0.9, LOOP, Sampled::ManyCalls(9));
    make.traces.loops.insert(117, Loop::default());
    assert_eq!(make.analyse().cause, None);
}

/// A thread whose requests for memory fail in 30 of 60 samples.
fn fails(make: &mut Make, returns: bool, callbacks: Vec<Frame>) {
    let no_memory = Some(NoMemory { samples: 30, of: 60, wanted: 100 << 20, followed: true });
    make.traces.loops.insert(101, Loop { no_memory, returns, callbacks, ..Loop::default() });
    let limit = MemoryLimit { name: "RLIMIT_AS".to_owned(), limit: 3 << 30, used: (3 << 30) - (50 << 20) };
    make.dump.limits = Some(MemoryLimits(vec![limit]));
}

#[test]
fn a_request_that_the_program_repeats_is_its_own_mistake() {
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, RETURN);
    fails(&mut make, true, vec![]);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OutsideAllocator, Confidence::Proven), "{:?}", found.why);
    assert_eq!((found.cause, found.blame), (Some(Cause::EnomemRetry), Some(Blame::Program)));
    insta::assert_snapshot!(found.why.join("\n"), @"
    tid 101 calls the allocator again and again, and each call returns (stacks.txt)
    in 30 samples of 60, a system call of tid 101 has just failed with ENOMEM (dump.bin)
    RLIMIT_AS 3 GiB is reached: 2.95 GiB in use, and 100 MiB more are asked for (recording.json.gz)
    ");
    // operator new asks the program's handler.
    let handler = Frame { function: Some("no_memory".to_owned()), ..Frame::default() };
    fails(&mut make, false, vec![handler]);
    let found = make.analyse();
    assert_eq!((found.class, found.blame), (Class::Runaway, Some(Blame::Program)), "{:?}", found.why);
    // The allocator itself tries again: its own mistake.
    fails(&mut make, false, vec![]);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Runaway, Confidence::Proven), "{:?}", found.why);
    assert_eq!((found.cause, found.blame), (Some(Cause::EnomemRetry), None));
    assert!(found.why.iter().any(|why| why.contains("RLIMIT_AS 3 GiB is reached")), "{:?}", found.why);
    // It is not known who tries again: a caller that does leaves the same bytes on its stack each time.
    let one = make.traces.loops.get_mut(&101).and_then(|one| one.no_memory.as_mut());
    one.expect("what fails").followed = false;
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Runaway, Confidence::Likely), "{:?}", found.why);
    assert!(found.said_missing.contains(&say!(Why::WhoAsksAgain { tid: 101 })), "{:?}", found.missing);
}

/// It jumps to what asks the handler, and has no frame of its own.
#[test]
fn an_operator_new_without_a_frame_is_likely_to_ask_the_handler() {
    for (name, blame) in [
        ("tcmalloc::allocate_full_cpp_throw_oom", Some(Blame::Program)),
        ("tcmalloc::allocate_full_cpp_nothrow_oom", None),
        ("mi_new_n", Some(Blame::Program)),
        ("mi_new_nothrow", None),
    ] {
        let mut make = Make::new();
        let frames = ["foo_map@foo", &format!("{name}@foo"), "main@bench"];
        make.runs(101, 0.9, &frames, RETURN);
        fails(&mut make, false, vec![]);
        let found = make.analyse();
        let confidence = if blame.is_some() { Confidence::Likely } else { Confidence::Proven };
        assert_eq!(
            (class(&found), found.blame),
            ((Class::Runaway, confidence), blame),
            "{name}: {:?}",
            found.why
        );
    }
}

#[test]
fn a_few_failures_without_a_limit_are_no_cause() {
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::ManyCalls(60));
    fails(&mut make, true, vec![]);
    make.dump.limits = Some(MemoryLimits(vec![]));
    if let Some(one) = make.traces.loops.get_mut(&101) {
        one.no_memory = Some(NoMemory { samples: 5, of: 60, ..NoMemory::default() });
    }
    let found = make.analyse();
    assert_eq!((found.class, found.cause), (Class::Slow, None), "{:?}", found.why);
}

#[test]
fn a_word_that_loops_only_read_was_not_set_back() {
    let sequence = word(LOCK2, ReadHow::Load, &[7]);
    let works = &["compute@bench:bench.c:30", "worker@bench:bench.c:50"];
    let mut make = spinning(&sequence);
    make.runs(105, 0.9, works, Sampled::OneCall(40));
    // It may be a flag that is set later, as long as the loops do other things too.
    assert_eq!(make.analyse().class, Class::Livelock);
    make.traces.loops.values_mut().for_each(|one| one.only_reads = true);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerLeft, Confidence::Likely), "{:?}", found.why);
    assert_eq!((lock(&found).2, found.hot.map(|hot| hot.tid)), (Some(105), Some(105)));
    // Nobody who may have left is there any more.
    let mut make = spinning(&sequence);
    make.traces.loops.values_mut().for_each(|one| one.only_reads = true);
    let found = make.gone(105).analyse();
    assert_eq!((found.class, lock(&found).2), (Class::OwnerLeft, None), "{:?}", found.why);
    // One thread alone may loop for another reason, and it is not proven for which.
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, RETURN);
    make.traces.loops.insert(101, Loop { only_reads: true, ..reads(sequence) });
    assert_eq!(class(&make.analyse()), (Class::Runaway, Confidence::Likely));
}

#[test]
fn threads_in_different_functions_are_not_one_livelock() {
    let mut make = Make::new();
    for tid in 101..105 {
        make.runs(tid, 0.2, ENTER, RETURN);
    }
    let found = make.analyse();
    assert_eq!((class(&found), found.spinning), ((Class::Livelock, Confidence::Proven), 4));
    // Loops that change nothing do not keep each other busy.
    for tid in 101..105 {
        make.traces.loops.insert(tid, Loop { only_reads: true, ..Loop::default() });
    }
    assert_eq!(class(&make.analyse()), (Class::Livelock, Confidence::Likely));
    make.runs(105, 0.2, LOOP, RETURN);
    let found = make.analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Likely), "{:?}", found.why);
    assert_eq!((found.hot.map(|hot| hot.tid), found.spinning), (Some(105), 4));
    make.runs(106, 0.2, LOOP, RETURN);
    assert_eq!(class(&make.analyse()), (Class::Livelock, Confidence::Likely), "two may hold it");
}

#[test]
fn the_holder_may_loop_in_the_function_in_which_the_others_spin() {
    let state = word(LOCK2, ReadHow::Atomic, &[1, 0]);
    let mut make = spinning(&state);
    make.runs(105, 0.2, ENTER, RETURN);
    make.traces.loops.insert(105, Loop { only_reads: true, ..Loop::default() });
    let found = make.analyse();
    assert_eq!(
        (found.class, found.hot.map(|hot| hot.tid)),
        (Class::OwnerSpinning, Some(105)),
        "{:?}",
        found.why
    );
}

#[test]
fn a_handler_that_spins_on_the_lock_that_it_interrupted_is_the_programs() {
    let again: Vec<&str> =
        [&ENTER[..2], &["on_alarm@bench:bench.c:5", "<signal handler called>@libc"], &ENTER[1..]].concat();
    let state = word(LOCK2, ReadHow::Atomic, &[1, 0]);
    let mut make = spinning(&state);
    make.runs(105, 0.2, &again, RETURN);
    make.traces.loops.insert(105, reads(state));
    let found = make.analyse();
    assert_eq!(class(&found), (Class::Reentry, Confidence::Likely), "{:?}", found.why);
    assert_eq!((found.cause, found.blame), (Some(Cause::SignalReentry), Some(Blame::Program)));
    assert_eq!((lock(&found).2, found.hot.map(|hot| hot.tid)), (Some(105), Some(105)));
    assert!(!found.said.contains(&Why::NobodyInside {}), "{:?}", found.why);
}
