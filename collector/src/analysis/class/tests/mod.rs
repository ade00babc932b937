//! Dumps of each class, and dumps that look like another class.

mod annotated;
mod forks;
mod held;
mod hold;
mod inferred;
mod owned;
mod ownerless;
mod ringed;
mod spinning;
mod whose;

use crate::analysis::why::Why;
use crate::analysis::{Class, Confidence, Finding};
use crate::testkit::dump::{Futex, LOCK, LOCK2, MAIN, Make, Sampled, bare, barrier, condition, join, mutex};
use crate::text::message::check_templates;

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

/// 15 threads wait for a mutex of the allocator that `owner` holds.
fn held_by(owner: u32) -> Make {
    let mut make = Make::new();
    for tid in 101..116 {
        make.futex(tid, &mutex(LOCK, owner, 0), MALLOC);
    }
    make
}

#[test]
fn a_dump_of_eight_thousand_threads_is_classified() {
    let mut make = Make::new();
    for tid in 2001..10_001 {
        make.futex(tid, &mutex(LOCK, 10_001, 0), MALLOC);
    }
    let found = make.runs(10_001, 0.9, LOOP, Sampled::OneCall(50)).analyse();
    assert_eq!(class(&found), (Class::OwnerSpinning, Confidence::Proven));
    assert_eq!(found.lock.map(|l| l.waiters.len()), Some(8000));
}

#[test]
fn an_empty_dump_is_unknown() {
    let mut make = Make::new();
    make.dump.threads.clear();
    let found = make.analyse();
    assert_eq!(found.class, Class::Unknown);
    assert!(!found.missing.is_empty());
    assert_eq!(found.threads.all, 0, "the shim's thread is not counted");
}

#[test]
fn all_sentences_exist_in_both_languages() {
    check_templates(Why::TEMPLATES);
}
