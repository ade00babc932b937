//! Locks over fork, and children in the memory of their parent.

use hangscope_protocol::record::{hello_flags, thread_flags};

use super::*;
use crate::analysis::words::{Blame, Cause};

const PARENT: u32 = 101;
const CHILD: u32 = 200;
const VFORK: i32 = 58;
const SEMAPHORE: &[&str] = &["sem_wait@libc", "foo_refill@foo:foo.c:30", "worker@bench:bench.c:40"];

/// A thread in vfork, and its child in malloc, which waits for a lock that `owner` holds.
fn vforked(owner: u32) -> Make {
    let mut make = Make::new();
    make.call(PARENT, VFORK, 0, &["vfork@libc", "spawn@bench:bench.c:9"]).state(PARENT, b'D');
    make.futex(CHILD, &mutex(LOCK, owner, 0), MALLOC);
    for record in make.dump.threads.iter_mut().filter(|r| r.tid == CHILD) {
        record.flags |= thread_flags::VFORKED;
    }
    make
}

#[test]
fn a_ring_over_vfork_is_the_programs() {
    let found = vforked(PARENT).analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Proven), "{:?}", found.why);
    assert_eq!(found.blame, Some(Blame::Program));
    assert!(found.said.contains(&Why::VforkForbids {}));
    let lock = found.lock.expect("the lock that the child waits for");
    assert_eq!((lock.owner_tid, lock.waiters), (Some(PARENT), vec![CHILD]));
}

#[test]
fn a_holder_that_waits_for_an_event_may_wait_for_the_thread_in_vfork() {
    let found = vforked(102).futex(102, &condition(LOCK2, 1), SEMAPHORE).analyse();
    assert_eq!(class(&found), (Class::Deadlock, Confidence::Likely), "{:?}", found.why);
    assert_eq!(found.blame, Some(Blame::Program));
    // A holder that loops in the allocator does not need the thread in vfork.
    let found = vforked(102).runs(102, 1.0, LOOP, Sampled::OneCall(20)).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven), "{:?}", found.why);
    assert_ne!(found.blame, Some(Blame::Program));
}

#[test]
fn only_a_thread_that_is_older_than_the_child_can_have_held_the_lock_at_the_fork() {
    let cause = |owner: u32, forked: bool| {
        let mut make = held_by(owner);
        if forked {
            make.dump.identity.fixed.flags |= hello_flags::FORKED;
        }
        let found = make.analyse();
        assert_eq!(found.class, Class::OwnerGone, "{:?}", found.why);
        found.cause
    };
    assert_eq!(cause(76, true), Some(Cause::ForkInherited));
    assert_eq!(cause(76, false), None);
    assert_eq!(cause(MAIN + 900, true), None, "a thread that the child started itself");
}

#[test]
fn a_lock_of_the_program_that_was_inherited_is_the_programs() {
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK2, 76, 0), &["pthread_mutex_lock@libc", "worker@bench:bench.c:7"]);
    make.dump.identity.fixed.flags |= hello_flags::FORKED;
    let found = make.analyse();
    assert_eq!((found.class, found.cause), (Class::OwnerGone, Some(Cause::ForkInherited)), "{:?}", found.why);
    assert_eq!(found.in_allocator, Some(false));
}
