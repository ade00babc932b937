//! Locks in memory that processes share, and whose holder is a thread of another process.

use std::collections::BTreeSet;

use super::case::{Case, any_inside, lock_of, lock_text, stuck_together};
use super::owned::{add_sleep_evidence, behind, direct_waiters, guessed, longest};
use crate::analysis::graph::Graph;
use crate::analysis::scene::{Scene, Stuck};
use crate::analysis::why::{Why, state};
use crate::analysis::words::{Blame, Cause, Class, Confidence};
use crate::text::message::say;

/// Threads that wait for a thread of another process. What that thread does was not looked at.
pub(super) fn elsewhere(scene: &Scene<'_>, graph: &Graph) -> Option<Case> {
    let owners: BTreeSet<u32> = scene.waiting().filter_map(|(_, wait)| wait.owner_elsewhere()).collect();
    let cases = owners.into_iter().filter_map(|owner| held(scene, graph, owner));
    cases.max_by_key(|case| (case.in_allocator == Some(true), case.lock.as_ref().map(|l| l.waiters.len())))
}

fn held(scene: &Scene<'_>, graph: &Graph, owner: u32) -> Option<Case> {
    let holder = scene.dump.holder(owner)?;
    let locks = direct_waiters(scene, owner);
    let waiters = locks.first()?;
    let wait = waiters[0].wait.as_ref()?;
    let stuck = stuck_together(waiters.iter().copied());
    if stuck == Stuck::No {
        return None;
    }
    let (n, pid) = (waiters.len(), holder.pid);
    let mut case = Case::new(Class::OwnerBlocked, Confidence::Likely);
    case.cause = Some(Cause::ProcessShared);
    let (lock, comm) = (lock_text(scene, wait), holder.comm);
    case.why.push(say!(Why::HeldElsewhere {
        owner,
        pid,
        comm,
        lock,
        waiters: n,
        state: state(holder.state)
    }));
    behind(&mut case, graph, owner, n);
    let released = |s: String| say!(Why::NeverReleased { waiters: n, seconds: s });
    add_sleep_evidence(&mut case, scene, stuck, released, waiters);
    guessed(scene, &mut case, &[wait]);
    case.missing.push(say!(Why::OtherProcess { pid }));
    case.lock = Some(lock_of(scene, wait, waiters));
    case.for_s = longest(scene, waiters);
    let inside = any_inside(waiters.iter().copied());
    if inside == Some(true) {
        let stopped = matches!(holder.state, b'T' | b't');
        case.blame = Some(if stopped { Blame::Environment } else { Blame::Either });
    }
    Some(case.located(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Finding;
    use crate::session::Note;
    use crate::testkit::dump::{Futex, LOCK, LOCK2, Make, bare, mutex};
    use hangscope_protocol::record::{NoteRecord, note_code};

    const OTHER: u32 = 4711;
    const WAITS: &[&str] = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:9"];

    /// A dump whose locks lie in memory with these rights. `told`: the process of [`OTHER`], and its state.
    fn made(rights: &str, told: Option<(u64, u8)>, futex: &Futex) -> Make {
        let mut make = Make::new();
        make.futex(101, futex, WAITS);
        make.dump.maps = format!("7f0000000000-7f0000001000 rw-{rights} 00000000 00:01 77 /x\n").into_bytes();
        make.dump.notes.extend(told.map(|(value, state)| {
            let code = note_code::OTHER_PROCESS;
            let record = NoteRecord { code, tid: OTHER, value, reserved: state.into() };
            Note { record, text: "keeper".to_owned() }
        }));
        make
    }

    fn said(finding: &Finding) -> (&str, &str, Option<Cause>, Option<u32>) {
        let owner = finding.lock.as_ref().and_then(|lock| lock.owner_tid);
        (finding.class.as_str(), finding.confidence.as_str(), finding.cause, owner)
    }

    /// Mutexes that keep their owner: a normal one, one in shared memory without the type for it, a robust
    /// one, and an inheriting one.
    fn mutexes() -> [Futex; 4] {
        let tid = OTHER | 0x8000_0000;
        let near = vec![(0, tid), (8, OTHER), (16, 0x80 | 16)];
        let robust = Futex { expected: tid, near, op: 0, ..bare(LOCK, 0) };
        let inheriting = Futex { op: 6, near: vec![(0, tid)], ..bare(LOCK, 0) };
        [mutex(LOCK, OTHER, 0x80), mutex(LOCK, OTHER, 0), robust, inheriting]
    }

    #[test]
    fn the_owner_lives_in_another_process() {
        let shared = Some(Cause::ProcessShared);
        for (at, futex) in mutexes().iter().enumerate() {
            let finding = made("s", Some((4700, b'S')), futex).analyse();
            assert_eq!(said(&finding), ("owner-blocked", "likely", shared, Some(OTHER)), "{at}");
            assert_eq!(finding.blame, Some(Blame::Either));
            assert!(finding.why[0].contains("(keeper) of another process, pid 4700"), "{:?}", finding.why);
        }
        let finding = made("s", Some((4700, b'T')), &mutexes()[0]).analyse();
        assert_eq!(finding.blame, Some(Blame::Environment));
    }

    #[test]
    fn the_owner_died_with_the_lock() {
        let shared = Some(Cause::ProcessShared);
        for (at, futex) in mutexes().iter().enumerate() {
            let finding = made("s", Some((0, 0)), futex).analyse();
            assert_eq!(said(&finding), ("owner-gone", "proven", shared, Some(OTHER)), "{at}");
            assert_eq!(finding.blame, Some(Blame::Either));
        }
    }

    #[test]
    fn an_owner_of_whom_nothing_is_told_is_neither_alive_nor_gone() {
        for (at, futex) in mutexes().iter().enumerate() {
            let finding = made("s", None, futex).analyse();
            assert_eq!(said(&finding), ("unknown", "likely", None, None), "{at}");
            let wait = finding.waits.iter().find(|wait| wait.tid == 101).expect("it waits");
            assert!(wait.detail.contains("its owner, tid 4711, is no thread of this process"), "{wait:?}");
        }
        // Memory of this process alone: no other process has the lock.
        let finding = made("p", None, &mutex(LOCK, OTHER, 0)).ended(OTHER, LOCK).analyse();
        assert_eq!(said(&finding), ("owner-gone", "proven", None, Some(OTHER)));
    }

    #[test]
    fn a_chain_of_locks_ends_in_the_other_process() {
        let mut make = made("s", Some((4700, b'S')), &mutexes()[0]);
        for tid in [102, 103] {
            make.futex(tid, &mutex(LOCK2, 101, 0), WAITS);
        }
        let finding = make.analyse();
        assert_eq!(said(&finding).3, Some(OTHER));
        assert_eq!(finding.lock.as_ref().map(|lock| &lock.waiters[..]), Some(&[101][..]));
        assert!(finding.why.iter().any(|why| why.starts_with("2 more threads wait behind")), "{finding:#?}");
    }
}
