//! The whole question, asked again and again of things whose truth is known: the verdict is the right one or
//! `inconclusive`, and never a wrong one. Prints the confusion table.
//!
//! `HANGSCOPE_TEST_HUNTS=20` makes so many hunts of each (`scripts/soak.sh`); one by default.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::built;
use hangscope_test_e2e::hunt::{Hunt, bench_with};

/// Something whose truth is known.
struct Truth {
    /// What it is.
    name: &'static str,
    /// Row of the table of faults.
    fault: &'static str,
    /// The right verdict.
    verdict: &'static str,
    /// How it is hunted.
    options: &'static [&'static str],
    /// The benchmark's arguments; none: the row's.
    work: Option<&'static [&'static str]>,
    /// Environment beside the row's.
    env: &'static [(&'static str, &'static str)],
}

/// Some tenths of a second under a sound allocator.
const SOME_WORK: Option<&[&str]> = Some(&["4", "400000", "100", "16", "4096", "50", "1024"]);
/// Every second process hangs. Twelve runs that all miss it are one hunt of 4096.
const EVERY_SECOND: &[(&str, &str)] = &[("FAULT_ONE_IN", "2")];

const TRUTHS: &[Truth] = &[
    Truth {
        name: "A: hangs only when its file changes",
        fault: "overwritten_only",
        verdict: "dso-mixup",
        options: &["--arm", "pinned", "--arm", "overwritten", "--runs", "6"],
        work: SOME_WORK,
        env: &[],
    },
    Truth {
        name: "B: hangs in every second run",
        fault: "demo",
        verdict: "allocator-bug",
        options: &["--runs", "12"],
        work: None,
        env: EVERY_SECOND,
    },
    Truth {
        name: "B, beside a (deleted) that does no harm",
        fault: "demo",
        verdict: "allocator-bug",
        options: &["--arm", "pinned", "--arm", "deleted", "--runs", "12"],
        work: None,
        env: EVERY_SECOND,
    },
    Truth {
        name: "neither: a sound allocator, removed",
        fault: "healthy",
        verdict: "not-reproduced",
        options: &["--arm", "pinned", "--arm", "deleted", "--runs", "6"],
        work: SOME_WORK,
        env: &[],
    },
    Truth {
        name: "the benchmark's own barrier",
        fault: "barrier_short",
        verdict: "harness-bug",
        options: &["--arm", "pinned", "--arm", "deleted", "--runs", "2"],
        work: None,
        env: &[],
    },
];

const COMMON: &[&str] = &["--hang-after", "2s", "--no-perf", "--verify-runs", "0", "--name", "x"];

/// One hunt, and its verdict.
fn hunt(truth: &Truth, seed: usize) -> (String, Hunt) {
    let fault = Fault::named(truth.fault);
    let command = bench_with(truth.work.unwrap_or(fault.workload_args));
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let seed = seed.to_string();
    let seed: &[&str] = if truth.options.contains(&"--arm") { &["--seed", &seed] } else { &[] };
    let env = [fault.env, truth.env].concat();
    let so = built(&format!("examples/{}", fault.so));
    let hunt = Hunt::new(&so, &[COMMON, truth.options, seed].concat(), &env, &command);
    (hunt.verdict()["verdict"].as_str().expect("a word").to_owned(), hunt)
}

#[test]
fn the_verdict_is_right_or_inconclusive() {
    let hunts = std::env::var("HANGSCOPE_TEST_HUNTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_usize);
    // A hunt mostly waits for its hangs: two at a time.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen = vec![];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(truth), seed) = (TRUTHS.get(at % TRUTHS.len()), at / TRUTHS.len()) else { break };
            if seed >= hunts {
                break;
            }
            let (verdict, hunt) = hunt(truth, seed);
            let wrong = ![truth.verdict, "inconclusive"].contains(&&*verdict);
            let wrong = wrong.then(|| format!("{}, hunt {seed}: {verdict}\n{}", truth.name, hunt.said()));
            seen.push((truth.name, verdict, wrong));
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
    println!("{hunts} hunts each; truth, then what the hunts said:");
    for truth in TRUTHS {
        let said = table.iter().filter(|((name, _), _)| *name == truth.name);
        let said: Vec<String> = said.map(|((_, verdict), n)| format!("{verdict} {n}")).collect();
        println!("  {:<42} {:<15} {}", truth.name, truth.verdict, said.join(", "));
    }
    assert_eq!(seen.len(), hunts * TRUTHS.len());
    let wrong: Vec<&str> = seen.iter().filter_map(|(_, _, wrong)| wrong.as_deref()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A method that is never sure would pass the above: each truth is said by most of its hunts.
    for truth in TRUTHS {
        let right = table.get(&(truth.name, truth.verdict)).copied().unwrap_or(0);
        assert!(right * 2 > hunts, "{}: {right} of {hunts}", truth.name);
    }
}
