//! Repeated hunts of cases whose truth is known. The verdict must be the right one or `inconclusive`, and
//! never a wrong one. The test prints the confusion table.
//!
//! `HANGSCOPE_TEST_HUNTS` is the number of hunts of each case; 1 by default, 20 in `scripts/soak.sh`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::built;
use hangscope_test_e2e::hunt::{Hunt, bench_with};

/// A case whose truth is known.
struct Case {
    /// The name in the printed table.
    name: &'static str,
    /// The row in the table of faults.
    fault: &'static str,
    /// The right verdict. `inconclusive` is also accepted, any other verdict is wrong.
    verdict: &'static str,
    options: &'static [&'static str],
    /// Arguments for the benchmark. None means those of the row.
    work: Option<&'static [&'static str]>,
    /// Environment in addition to that of the row.
    env: &'static [(&'static str, &'static str)],
}

/// Arguments for the benchmark. Under a sound allocator, it takes some tenths of a second.
const SOME_WORK: Option<&[&str]> = Some(&["4", "400000", "100", "16", "4096", "50", "1024"]);
/// Half of the processes hang. One hunt of 4096 has twelve runs that all end well.
const EVERY_SECOND: &[(&str, &str)] = &[("FAULT_ONE_IN", "2")];

const CASES: &[Case] = &[
    Case {
        name: "A: hangs only when its file changes",
        fault: "overwritten_only",
        verdict: "dso-mixup",
        options: &["--arm", "pinned", "--arm", "overwritten", "--runs", "6"],
        work: SOME_WORK,
        env: &[],
    },
    Case {
        name: "B: hangs in every second run",
        fault: "demo",
        verdict: "allocator-bug",
        options: &["--runs", "12"],
        work: None,
        env: EVERY_SECOND,
    },
    Case {
        name: "B, beside a (deleted) that does no harm",
        fault: "deadlock_inversion",
        verdict: "allocator-bug",
        options: &["--arm", "pinned", "--arm", "deleted", "--runs", "12"],
        work: None,
        env: EVERY_SECOND,
    },
    Case {
        name: "neither: a sound allocator, removed",
        fault: "healthy",
        verdict: "not-reproduced",
        options: &["--arm", "pinned", "--arm", "deleted", "--runs", "6"],
        work: SOME_WORK,
        env: &[],
    },
    Case {
        name: "the benchmark's own barrier",
        fault: "barrier_short",
        verdict: "harness-bug",
        options: &["--arm", "pinned", "--arm", "deleted", "--runs", "2"],
        work: None,
        env: &[],
    },
];

const COMMON: &[&str] = &["--hang-after", "2s", "--no-perf", "--verify-runs", "0", "--name", "x"];

/// Makes one hunt, and returns it with its verdict.
fn hunt(case: &Case, seed: usize) -> (String, Hunt) {
    let fault = Fault::named(case.fault);
    let command = bench_with(case.work.unwrap_or(fault.workload_args));
    let seed = seed.to_string();
    let seed: &[&str] = if case.options.contains(&"--arm") { &["--seed", &seed] } else { &[] };
    let env = [fault.env, case.env].concat();
    let so = built(&format!("examples/{}", fault.so));
    let hunt = Hunt::new(&so, &[COMMON, case.options, seed].concat(), &env, &command);
    (hunt.verdict()["verdict"].as_str().expect("a word").to_owned(), hunt)
}

#[test]
fn the_verdict_is_right_or_inconclusive() {
    let hunts = std::env::var("HANGSCOPE_TEST_HUNTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_usize);
    // A hunt mostly waits for hangs, so two hunts run at a time.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen = vec![];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(case), seed) = (CASES.get(at % CASES.len()), at / CASES.len()) else { break };
            if seed >= hunts {
                break;
            }
            let (verdict, hunt) = hunt(case, seed);
            let wrong = ![case.verdict, "inconclusive"].contains(&&*verdict);
            let wrong = wrong.then(|| format!("{}, hunt {seed}: {verdict}\n{}", case.name, hunt.outputs()));
            seen.push((case.name, verdict, wrong));
        }
        seen
    };
    let seen = std::thread::scope(|scope| {
        let both = [scope.spawn(work), scope.spawn(work)];
        both.map(|one| one.join().expect("its hunts")).concat()
    });

    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (name, verdict, _) in &seen {
        *table.entry((name, verdict)).or_default() += 1;
    }
    println!("{hunts} hunts each: the case, its right verdict, and the verdicts of the hunts:");
    for case in CASES {
        let counts = table.iter().filter(|((name, _), _)| *name == case.name);
        let counts: Vec<String> = counts.map(|((_, verdict), n)| format!("{verdict} {n}")).collect();
        println!("  {:<42} {:<15} {}", case.name, case.verdict, counts.join(", "));
    }
    assert_eq!(seen.len(), hunts * CASES.len());
    let wrong: Vec<&str> = seen.iter().filter_map(|(_, _, wrong)| wrong.as_deref()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A method that always says `inconclusive` would pass so
    // far. Most hunts of each case must give the right verdict.
    for case in CASES {
        let right = table.get(&(case.name, case.verdict)).copied().unwrap_or(0);
        assert!(right * 2 > hunts, "{}: {right} of {hunts}", case.name);
    }
}
