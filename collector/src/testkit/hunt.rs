//! Hunts, made up for tests.

use crate::analysis::{
    ArmFacts, Class, DsoFacts, Finding, HangFacts, HuntFacts, Integrity, RunFacts, RunOutcome,
};
use crate::testkit::dump::{LOCK, LOCK2, Make, Sampled, bare, barrier, mutex};

/// Builds the facts of a hunt of 50 planned runs with a pinned DSO.
pub(crate) struct Hunt(HuntFacts);

impl Hunt {
    /// A hunt with this many good runs.
    pub(crate) fn new(good: u32) -> Self {
        let dso = DsoFacts {
            original: "/home/me/libhz4.so".to_owned(),
            path: "/out/libhz4.pinned.so".to_owned(),
            pinned: true,
            sha1: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            build_id: Some("aabbcc".to_owned()),
            original_integrity: Integrity::Intact,
        };
        let command = ["./bench", "16", "2000000"].map(str::to_owned);
        Hunt(HuntFacts {
            hang_after_s: 15.0,
            planned: 50,
            runs: (1..=good).map(run).collect(),
            stop_at_first: true,
            ..HuntFacts::new("hz4", &command, dso)
        })
    }

    pub(crate) fn push(mut self, run: RunFacts) -> Self {
        self.0.runs.push(run);
        self
    }

    pub(crate) fn facts(self) -> HuntFacts {
        self.0
    }
}

pub(crate) fn run(number: u32) -> RunFacts {
    RunFacts {
        pid: Some(8000 + number),
        outcome: RunOutcome::Ok,
        rc: Some(0),
        ops: Some(7.0e6 + f64::from(number) * 1e4),
        started: Some(1_771_000_000.0 + f64::from(number) * 2.0),
        seconds: 1.0,
        max_rss_kib: Some(4096),
        hello_seen: true,
        integrity_start: Integrity::Intact,
        integrity_end: Integrity::Intact,
        ..RunFacts::new(number, "pinned")
    }
}

pub(crate) fn hung(number: u32, finding: Option<Finding>) -> RunFacts {
    RunFacts {
        outcome: RunOutcome::Hung,
        rc: None,
        ops: None,
        seconds: 15.0,
        hang: Some(HangFacts { snapshot: format!("hang_run_{number}"), finding, dump_ms: Some(0.9) }),
        ..run(number)
    }
}

/// A finding of a class, from a dump that shows the class.
pub(crate) fn finding(class: Class) -> Finding {
    let waits = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let word = &["foo_lock@foo:foo.c:20", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
    let spin = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];
    let reads = &["read@libc", "foo_grow@foo:foo.c:12", "foo_malloc@foo:foo.c:60", "worker@bench"];
    let mut make = Make::new();
    let n = Sampled::OneCall(50);
    match class {
        Class::Deadlock => {
            make.futex(101, &mutex(LOCK, 102, 0), waits).futex(102, &mutex(LOCK2, 101, 0), waits);
        }
        Class::OwnerSpinning => {
            make.futex(101, &mutex(LOCK, 102, 0), waits).runs(102, 0.9, spin, n);
        }
        Class::OwnerBlocked => {
            make.futex(101, &mutex(LOCK, 102, 0), waits).call(102, 0, 3, reads);
        }
        Class::OwnerGone => {
            make.futex(101, &mutex(LOCK, 77, 0), waits).gone(77).ended(77, LOCK);
        }
        Class::OwnerLeft => {
            make.futex(101, &mutex(LOCK, 102, 0), waits).call(102, 0, 3, &["read@libc", "worker@bench"]);
        }
        Class::Reentry => {
            let hook = &[
                "pthread_mutex_lock@libc",
                "on_grow@bench:bench.c:12",
                "foo_grow@foo",
                "foo_malloc@foo",
                "w@bench",
            ];
            make.futex(101, &mutex(LOCK, 101, 0), hook);
        }
        Class::LostWakeup => {
            make.futex(101, &bare(LOCK, 0), word);
        }
        Class::SpinWait => {
            make.runs(101, 0.9, spin, n).call(
                102,
                230,
                0,
                &["clock_nanosleep@libc", "foo_free@foo:foo.c:5", "w@bench"],
            );
        }
        Class::Livelock => {
            make.runs(101, 0.9, spin, n).runs(102, 0.8, spin, n);
        }
        Class::Runaway => {
            make.runs(101, 0.9, spin, n);
        }
        Class::KernelWait => {
            make.call(101, 11, 0, &["munmap@libc", "foo_trim@foo:foo.c:3", "worker@bench"]).state(101, b'D');
        }
        Class::OutsideAllocator => {
            for tid in 101..104 {
                make.futex(tid, &barrier(LOCK2, 3, 4), &["pthread_barrier_wait@libc", "worker@bench"]);
            }
        }
        Class::Slow => {
            make.runs(101, 0.9, spin, Sampled::ManyCalls(50));
        }
        Class::Unknown => {
            make.runs(101, 0.9, &[], Sampled::Never);
        }
    }
    let finding = make.analyse();
    assert_eq!(finding.class, class, "{:?}", finding.why);
    finding
}

/// An arm of the pinned build, with a change of its DSO.
pub(crate) fn arm(name: &str, change: Option<Integrity>) -> ArmFacts {
    ArmFacts {
        name: name.to_owned(),
        change,
        other_build: false,
        path: format!("/out/{name}.so"),
        sha1: "0123456789".to_owned(),
    }
}
