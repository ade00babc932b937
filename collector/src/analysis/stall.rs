//! Whether a process that does not move is stuck or idle. A server that waits for work does not move either.
//!
//! The shim makes a dump when no thread has left its wait for some time (HANGSCOPE_STALL). It does not know
//! why. A process is stuck if its state cannot end by itself. A thread pool that waits on its own condition
//! variable, a parked runtime and a program that computes may all go on: they are idle.

use super::finding::Finding;
use super::why::Why;
use super::words::{Class, Confidence};

/// Whether the state that a dump shows cannot end by itself.
pub(crate) fn is_stuck(finding: &Finding) -> bool {
    let proven = finding.confidence == Confidence::Proven;
    match finding.class {
        Class::Deadlock
        | Class::OwnerSpinning
        | Class::OwnerBlocked
        | Class::OwnerLeft
        | Class::OwnerGone
        | Class::Reentry => true,
        Class::LostWakeup => proven || finding.in_allocator == Some(true),
        // There is no deadline: only a call that provably did not return tells a loop from work.
        Class::SpinWait | Class::Livelock | Class::Runaway => has_evidence(finding, is_call_proven),
        Class::KernelWait => proven,
        // A ring is no idling, even outside the allocator.
        Class::OutsideAllocator => proven && has_evidence(finding, is_ring),
        Class::Slow | Class::Unknown => false,
    }
}

fn has_evidence(finding: &Finding, which: fn(&Why) -> bool) -> bool {
    finding.said.iter().any(which)
}

fn is_call_proven(why: &Why) -> bool {
    matches!(why, Why::CallProven { .. })
}

fn is_ring(why: &Why) -> bool {
    matches!(why, Why::Cycle { .. } | Why::SelfCycle { .. } | Why::OwnerGone { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::{LOCK, LOCK2, Make, Sampled, bare, barrier, condition, mutex};

    const MALLOC: &[&str] =
        &["__lll_lock_wait@libc", "pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench"];
    const LOOP: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench"];
    const POOL: &[&str] = &["__pthread_cond_wait@libc", "next_job@bench", "worker@bench"];
    const LOCKS: &[&str] = &["__lll_lock_wait@libc", "pthread_mutex_lock@libc", "worker@bench"];

    /// The class, and whether the process is stuck.
    fn found(make: &mut Make) -> (Class, bool) {
        let finding = make.analyse();
        (finding.class, is_stuck(&finding))
    }

    #[test]
    fn a_pool_that_waits_for_work_is_idle() {
        let mut pool = Make::new();
        for tid in 101..109 {
            pool.futex(tid, &condition(LOCK2, 8), POOL);
        }
        assert_eq!(found(&mut pool), (Class::OutsideAllocator, false));
        // A parked runtime: a futex word without an owner.
        let mut parked = Make::new();
        let park = &["futex_wait@bench", "park@bench", "worker@bench"];
        for tid in 101..109 {
            parked.futex(tid, &bare(LOCK2 + u64::from(tid) * 64, 2), park);
        }
        assert_eq!(found(&mut parked), (Class::OutsideAllocator, false));
        let mut barriers = Make::new();
        for tid in 101..104 {
            barriers.futex(tid, &barrier(LOCK2, 3, 4), POOL);
        }
        assert!(!is_stuck(&barriers.analyse()), "the fourth thread may still arrive");
    }

    #[test]
    fn work_is_no_stall_and_neither_is_an_unclear_state() {
        let mut busy = Make::new();
        busy.runs(101, 1.0, LOOP, Sampled::ManyCalls(100)).runs(102, 1.0, LOOP, Sampled::ManyCalls(100));
        assert_eq!(found(&mut busy), (Class::Slow, false));
        let mut unsure = Make::new();
        unsure.runs(101, 1.0, LOOP, Sampled::OnePlace(30));
        assert_eq!(
            found(&mut unsure),
            (Class::Runaway, false),
            "repeated calls from one place look the same"
        );
        let mut computes = Make::new();
        computes.runs(101, 1.0, &["matrix@bench", "worker@bench"], Sampled::OneCall(100));
        assert_eq!(found(&mut computes), (Class::OutsideAllocator, false));
        assert!(!is_stuck(&Make::new().no_stacks().analyse()));
    }

    #[test]
    fn a_state_that_cannot_end_by_itself_is_stuck() {
        let mut held = Make::new();
        for tid in 101..116 {
            held.futex(tid, &mutex(LOCK, 116, 0), MALLOC);
        }
        assert_eq!(found(held.runs(116, 1.0, LOOP, Sampled::OneCall(99))), (Class::OwnerSpinning, true));
        let mut ring = Make::new();
        ring.futex(101, &mutex(LOCK, 102, 0), MALLOC).futex(102, &mutex(LOCK2, 101, 0), MALLOC);
        assert_eq!(found(&mut ring), (Class::Deadlock, true));
        let mut outside = Make::new();
        outside.futex(101, &mutex(LOCK, 102, 0), LOCKS).futex(102, &mutex(LOCK2, 101, 0), LOCKS);
        assert_eq!(found(&mut outside), (Class::OutsideAllocator, true));
        let mut runs = Make::new();
        assert_eq!(found(runs.runs(101, 1.0, LOOP, Sampled::OneCall(99))), (Class::Runaway, true));
        let mut lost = Make::new();
        for tid in 101..104 {
            lost.futex(tid, &bare(LOCK, 0), MALLOC);
        }
        assert_eq!(found(&mut lost), (Class::LostWakeup, true));
    }
}
