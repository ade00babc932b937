//! `--stir`, which disturbs scheduling from inside the process. The natural race hangs under it, and sound
//! allocators do not. It does not cure a lost wakeup, and it stops before a dump.
//!
//! `HANGSCOPE_TEST_STIRRED` is the number of runs of each
//! sound allocator; 5 by default, 200 in `scripts/soak.sh`.

use std::collections::BTreeSet;
use std::process::Command;

use hangscope_collector::analysis::stats::Rate;
use hangscope_protocol::record::dump_reason;
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{Running, TestCollector, bench, built, debian, hangscope, output_parts, run};
use serde_json::Value;

/// Number of runs of each sound allocator.
fn runs() -> u32 {
    std::env::var("HANGSCOPE_TEST_STIRRED").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

/// Hunts the row `name` of the table.
fn hunt(name: &str, options: &[&str]) -> Hunt {
    let fault = Fault::named(name);
    let command = bench_with(fault.workload_args);
    let options = [&["--name", name, "--no-perf", "--verify-runs", "0"], options].concat();
    Hunt::new(&built(&format!("examples/{}", fault.so)), &options, fault.env, &command)
}

/// About one run in eight hangs, as measured on two busy cores. The hunt stops at the first hang. If at
/// least one run in 20 hangs, the probability that all 300 runs end well is below 1e-6.
#[test]
fn the_natural_race_hangs_and_everything_says_that_it_was_stirred() {
    let hunt =
        hunt("natural_race", &["--stir", "3", "--stir-seed", "7", "--runs", "300", "--hang-after", "4s"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let verdict = hunt.verdict();
    assert_eq!(
        (&verdict["verdict"], &verdict["hangs"][0]["class"]),
        (&"allocator-bug".into(), &"lost-wakeup".into())
    );
    assert_eq!(verdict["stir"], serde_json::json!({"strategy": "3", "level": 3, "seed": 7}));
    let number = verdict["hangs"][0]["run"].as_u64().expect("a number");
    assert_eq!(
        verdict["hangs"][0]["stir"],
        serde_json::json!({"strategy": "3", "level": 3, "seed": 6 + number})
    );
    let rows = hunt.text("runs.jsonl");
    for (seed, row) in (7..).zip(rows.lines()) {
        let row: Value = serde_json::from_str(row).expect("JSON");
        assert_eq!(
            row["stir"],
            serde_json::json!({"strategy": "3", "level": 3, "seed": seed}),
            "the shim itself reported these values"
        );
    }
    assert!(hunt.stdout().contains("--stir 3 --stir-seed 7"), "{}", hunt.outputs());
    assert!(verdict["headline"].as_str().expect("a headline").contains("(under --stir 3)"));
    assert!(hunt.text("report.md").contains("not fit to publish"));
    assert!(hunt.text("report.ja.md").contains("攪乱"));
    assert!(hunt.text("progress.log").contains("[STIR] "));
    println!("hung in run {number}");
}

/// No sleeping thread gets a signal from `--stir`, so a lost wakeup stays lost in every run.
#[test]
fn a_lost_wakeup_is_not_cured() {
    let hunt = hunt("lost_wakeup", &["--stir", "3", "--runs", "3", "--keep-going", "--hang-after", "4s"]);
    let verdict = hunt.verdict();
    assert_eq!(verdict["runs"]["hung"], 3, "{}", hunt.outputs());
    for hang in verdict["hangs"].as_array().expect("hangs") {
        assert_eq!(hang["class"], "lost-wakeup", "{hang}");
        let why = hang["why"].to_string();
        assert!(why.contains("--stir 3") && !why.contains("the signal may have ended the hang"), "{why}");
    }
}

/// How each run was disturbed, as its shim reported it: strategy and seed.
fn stirred(hunt: &Hunt) -> Vec<(String, u64)> {
    let rows = hunt.text("runs.jsonl");
    let rows = rows.lines().map(|row| serde_json::from_str::<Value>(row).expect("JSON"));
    rows.map(|row| {
        let stir = &row["stir"];
        (stir["strategy"].as_str().unwrap_or_default().to_owned(), stir["seed"].as_u64().unwrap_or_default())
    })
    .collect()
}

/// The strategies that `--stir auto` tries first, with the seeds from this one.
fn first(count: usize, seed: u64) -> Vec<(String, u64)> {
    let order = ["both:2", "calls:2", "sites:2", "calls:3", "sites:3", "both:3"];
    order[..count].iter().map(|strategy| (*strategy).to_owned()).zip(seed..).collect()
}

#[test]
fn auto_tries_the_strategies_and_a_run_can_be_made_again() {
    // The first runs of each strategy, whatever they do.
    let auto = hunt(
        "natural_race",
        &["--stir", "--stir-seed", "7", "--runs", "4", "--keep-going", "--hang-after", "2s"],
    );
    let verdict = auto.verdict();
    assert_eq!(verdict["stir"], serde_json::json!({"strategy": "auto", "seed": 7}), "{}", auto.outputs());
    assert_eq!(stirred(&auto), first(4, 7));
    let rates = verdict["stir_strategies"].as_array().expect("rates of the strategies");
    assert!(rates.len() == 4 && rates.iter().all(|rate| rate["runs"]["made"] == 1), "{rates:?}");
    let rows = auto.text("runs.jsonl");
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    let held = |run: usize, at: &str| rows[run]["holds"][at].as_u64().expect("a count") > 0;
    assert!(
        held(0, "at_calls") && held(0, "at_sites") && held(1, "at_calls") && held(2, "at_sites"),
        "{rows:?}"
    );
    assert_eq!(rows[1]["holds"]["at_sites"], 0);
    let progress = auto.text("progress.log");
    assert!(
        progress.contains("[STIR] ") && progress.contains("[RUN] 2 --stir calls:2 --stir-seed 8\n"),
        "{progress}"
    );
    assert!(auto.stdout().contains("--stir auto --stir-seed 7"), "{}", auto.outputs());
    assert!(
        auto.text("report.md").contains("\n| calls:2 | 1 | ")
            && auto.text("report.ja.md").contains("攪乱の方式")
    );

    let run = format!("{}:2", auto.out().display());
    let again = hunt("healthy", &["--stir-replay", &run, "--runs", "2", "--hang-after", "20s"]);
    assert_eq!(
        stirred(&again),
        [("calls:2".to_owned(), 8), ("calls:2".to_owned(), 8)],
        "{}",
        again.outputs()
    );
    assert_eq!(
        again.verdict()["stir"],
        serde_json::json!({"strategy": "calls:2", "seed": 8, "replay": true})
    );
    let run = format!("{}:9", auto.out().display());
    let none = hunt("healthy", &["--stir-replay", &run]);
    assert_eq!(none.code(), 2, "{}", none.outputs());
    assert!(none.outputs().contains("has no run 9: it has 1 to 4"), "{}", none.outputs());
}

/// Runs with the same number have the same strategy and seed, so the arms can be compared.
#[test]
fn arms_and_runs_side_by_side_have_their_strategies() {
    let arms = ["--arm", "pinned", "--arm", "overwritten", "--runs", "2", "--hang-after", "20s"];
    let arms = hunt("healthy", &[&["--stir", "auto", "--stir-seed", "1"], &arms[..]].concat());
    let twice: Vec<_> = first(2, 1).into_iter().flat_map(|stir| [stir.clone(), stir]).collect();
    assert_eq!(stirred(&arms), twice, "{}", arms.outputs());
    let jobs = ["--stir", "--stir-seed", "1", "--jobs", "2", "--runs", "6", "--hang-after", "20s"];
    let jobs = hunt("healthy", &jobs);
    assert_eq!(stirred(&jobs), first(6, 1), "{}", jobs.outputs());
}

/// The question of `--until-decided` is one about a rate, so what the runs did changes nothing.
#[test]
fn until_decided_the_strategies_take_turns() {
    let options = ["--stir", "--stir-seed", "3", "--until-decided", "--rate", "20%", "--hang-after", "20s"];
    let [one, other] = [hunt("healthy", &options), hunt("healthy", &options)];
    assert_eq!(one.verdict()["decision"]["decided"], true, "{}", one.outputs());
    let turns = stirred(&one);
    assert_eq!(turns, stirred(&other));
    let different: BTreeSet<_> = turns.iter().map(|(strategy, _)| strategy).collect();
    assert_eq!((turns.len(), different.len()), (14, 14));
    assert!(one.text("report.md").contains("took turns"));
}

/// `env` starts no runs, so there is nobody who makes a plan.
#[test]
fn env_takes_only_what_needs_no_plan() {
    let dir = tempfile::tempdir().expect("a folder");
    let env = |stir: &[&str]| {
        let output = run(hangscope().arg("env").arg("--socket").arg(dir.path().join("s")).args(stir));
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, text) = env(&["--stir", "strict:3", "--stir-seed", "5"]);
    assert!(
        code == Some(0) && text.contains("HANGSCOPE_STIR=67") && text.contains("HANGSCOPE_STIR_SEED=5"),
        "{text}"
    );
    for words in [&["--stir"][..], &["--stir", "auto"], &["--stir", "calls:2"], &["--stir", "4"]] {
        let (code, text) = env(words);
        assert!(code == Some(2) && text.contains("give 1, 2, 3 or strict[:N] here"), "{text}");
    }
}

/// Splits `runs` runs into hunts of at most [`RUNS_PER_HUNT`] runs.
fn split_into_hunts(runs: u32) -> impl Iterator<Item = u32> {
    (0..runs).step_by(RUNS_PER_HUNT as usize).map(move |made| RUNS_PER_HUNT.min(runs - made))
}

/// Most runs of one hunt. The hunt then ends within the time limit of a test even if many runs hang.
const RUNS_PER_HUNT: u32 = 20;

/// Checks that no run under a sound allocator hangs.
fn check_no_hang(file: &str) {
    let command = bench_with(&["4", "50000", "200", "16", "8192", "70", "1024"]);
    for strategy in ["3", "auto"] {
        for runs in split_into_hunts(runs()) {
            let number = runs.to_string();
            let options = ["--stir", strategy, "--runs", &number, "--hang-after", "60s", "--no-perf"];
            let options = [&options[..], &["--verify-runs", "0"]].concat();
            let hunt = Hunt::new(&debian(file), &options, &[], &command);
            assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
            let verdict = hunt.verdict();
            assert_eq!(verdict["runs"]["ok"], runs, "{}", hunt.outputs());
            let headline = verdict["headline"].as_str().expect("a headline");
            assert!(headline.ends_with(&format!("(under --stir {strategy}).")), "{headline}");
        }
        println!("{file}: 0 of {} runs hung under --stir {strategy}", runs());
    }
}

#[test]
fn jemalloc() {
    check_no_hang("libjemalloc.so.2");
}

#[test]
fn mimalloc() {
    check_no_hang("libmimalloc.so.2.0");
}

#[test]
fn tcmalloc() {
    check_no_hang("libtcmalloc_minimal.so.4");
}

/// The C library's own allocator.
#[test]
fn glibc() {
    let runs = runs();
    let collector = TestCollector::new();
    for _ in 0..runs {
        let mut command = Command::new(bench());
        command.args(["4", "50000", "200", "16", "8192", "70", "1024"]);
        collector.preload(&mut command, None).env("HANGSCOPE_STIR", "3").env("HANGSCOPE_HANG_AFTER", "off");
        let (status, stdout, stderr) = output_parts(&run(&mut command));
        assert!(status.contains(": 0") && stdout.contains("ops/s="), "{status}: {stderr}");
        let identity = collector.hello();
        assert_eq!(identity.fixed.stir_level, 3);
    }
    println!("glibc: 0 of {runs} stirred runs hung");
}

/// The affinity, nice value (field 19 of stat) and policy (field 41) of a thread.
fn scheduled(pid: u32, tid: u32) -> (String, String, String) {
    let read =
        |file| std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/{file}")).expect("the thread exists");
    let status = read("status");
    let cpus = status.lines().find(|l| l.starts_with("Cpus_allowed:")).expect("its processors").to_owned();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("after the name").split_whitespace().collect();
    (cpus, fields[16].to_owned(), fields[38].to_owned())
}

/// Threads loop for ever in the benchmark, and `--stir` disturbs them until the deadline. After the
/// deadline, their scheduling is as before.
#[test]
fn after_the_deadline_nothing_is_disturbed() {
    let collector = TestCollector::new();
    let mut command = Command::new(bench());
    command.args([
        "4",
        "20000",
        "100",
        "16",
        "4096",
        "50",
        "1024",
        "--spin-wait-at-end",
        "--stuck-loop-outside",
    ]);
    collector.preload(&mut command, Some(&built("examples/libfault_tripwire.so"))).env("HANGSCOPE_STIR", "3");
    let running = Running::start(command.env("HANGSCOPE_HANG_AFTER", "1s"));
    let recorded = collector.dump();
    let dump = &recorded.dump;
    assert_eq!((dump.begin.reason, dump.identity.fixed.stir_level), (dump_reason::DEADLINE, 3));
    let pid = running.pid();
    let mine = scheduled(std::process::id(), std::process::id());
    let all: BTreeSet<_> = dump.second.iter().map(|t| scheduled(pid, t.tid)).collect();
    assert_eq!(all, BTreeSet::from([mine]), "every thread has the scheduling of an undisturbed process");
    assert!(dump.second.len() >= 4, "{} threads", dump.second.len());
    let timers = std::fs::read_to_string(format!("/proc/{pid}/timers")).unwrap_or_default();
    assert_eq!(timers, "", "no timer is left");
}

/// Measures how much more often the natural race hangs under `--stir`.
/// The first test of this file is the short form of this one.
#[test]
#[ignore = "measuring a rate below 1 % takes many runs: scripts/soak.sh stir"]
fn the_natural_race_hangs_ten_times_as_often() {
    let n = runs();
    let count = |options: &[&str], runs: u32| {
        let (mut hung, mut of) = (0, 0);
        for runs in split_into_hunts(runs) {
            let number = runs.to_string();
            let counted = ["--keep-going", "--hang-after", "4s", "--runs", &number];
            let rate = hunt("natural_race", &[&counted[..], options].concat()).verdict()["rate"].take();
            hung += rate["hung"].as_u64().expect("a count") as u32;
            of += rate["of"].as_u64().expect("a count") as u32;
        }
        Rate::exact(hung, of, 0.95)
    };
    let print_rate = |what: &str, rate: &Rate| {
        println!(
            "{what}: {}/{} hung, {:.2} % to {:.2} %",
            rate.hung,
            rate.of,
            rate.low * 100.0,
            rate.high * 100.0
        );
    };
    let plain = count(&[], 3 * n);
    print_rate("natural race", &plain);
    for level in ["1", "2", "3"] {
        let stirred = count(&["--stir", level], n);
        print_rate(&format!("natural race, --stir {level}"), &stirred);
        // If no undisturbed run hung, the comparison assumes one hang.
        let (a, b) = (
            f64::from(stirred.hung) / f64::from(stirred.of),
            f64::from(plain.hung.max(1)) / f64::from(plain.of),
        );
        println!("  {:.1} times as often as undisturbed", a / b);
        assert!(level != "3" || a >= 10.0 * b, "less than ten times as often");
    }
}
