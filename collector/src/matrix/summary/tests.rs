use super::*;
use crate::analysis::{Class, DsoFacts, Integrity, RunFacts, RunOutcome};
use crate::console::exit;
use crate::matrix::config;
use crate::matrix::machine::Mark;
use crate::matrix::plan::Plan;
use crate::matrix::verdict;
use crate::testkit::hunt;

const TEXT: &str = "[[allocator]]\nname = 'system'\n[[allocator]]\nname = 'hz4'\nso = 'hz4.so'\n\
    [[lane]]\nname = 'main'\ncommand = ['./bench']\n[[lane]]\nname = 'guard'\ncommand = ['./bench']\n\
    [phase.ops]\nruns = 4\nwarmup = 1\n[phase.rss]\nrss_runs = 1\n";

fn matrix() -> Matrix {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("matrix.toml");
    std::fs::write(&path, TEXT).unwrap();
    config::load(&path).unwrap()
}

fn dso(name: &str) -> DsoFacts {
    DsoFacts {
        original: format!("/{name}.so"),
        path: format!("/out/{name}.so"),
        pinned: true,
        sha1: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        build_id: None,
        original_integrity: Integrity::Unknown,
    }
}

fn entry(allocator: &str, lane: &str, phase: &str, facts: RunFacts) -> Entry {
    let finding = facts.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    Entry {
        sample: Sample {
            allocator: allocator.into(),
            lane: lane.into(),
            phase: phase.into(),
            run: facts.run,
            status: Status::of(&facts, false),
            class: finding.map(|finding| finding.class.to_string()),
            seconds: facts.seconds,
            ops_s: facts.ops,
            max_rss_kib: facts.max_rss_kib,
            rc: facts.rc,
            bundle: facts.hang.as_ref().map(|hang| hang.snapshot.clone()),
        },
        warmup: false,
        marks: vec![],
        shim_kib: Some(180),
        facts,
    }
}

fn good(run: u32, ops: f64) -> RunFacts {
    RunFacts { ops: Some(ops), max_rss_kib: Some(4096), ..hunt::run(run) }
}

/// Two allocators in the lane `main`: the first is good, of the other one run hung and one crashed.
fn entries() -> Vec<Entry> {
    let hung = hunt::hung(2, Some(hunt::finding(Class::OwnerSpinning)));
    let crashed = RunFacts {
        outcome: RunOutcome::Crashed,
        signal: Some(11),
        rc: Some(139),
        ops: None,
        last_words: Some("free(): invalid pointer".into()),
        ..hunt::run(3)
    };
    let mut entries: Vec<Entry> =
        (1..=4).map(|run| entry("system", "main", "ops", good(run, 1e6 + f64::from(run)))).collect();
    entries.push(Entry { warmup: true, ..entry("hz4", "main", "ops", good(1, 9e6)) });
    entries.push(entry("hz4", "main", "ops", good(1, 2e6)));
    entries.push(entry("hz4", "main", "ops", hung));
    entries.push(entry("hz4", "main", "ops", crashed));
    entries.push(entry("hz4", "main", "rss", RunFacts { max_rss_kib: None, ..good(1, 2e6) }));
    entries[0].marks = vec![Mark::OtherLoad { percent: 12.5 }];
    entries
}

fn results(entries: &[Entry]) -> (Matrix, Results) {
    let matrix = matrix();
    let plan = Plan::new((2, 2), &matrix.phases, matrix.order, 7, false, crate::shard::Shard::WHOLE);
    let results = Results::of(&matrix, &[dso("system"), dso("hz4")], &plan, entries, false, None);
    (matrix, results)
}

#[test]
fn a_summary_says_what_hung_what_died_and_what_was_not_made() {
    let (matrix, results) = results(&entries());
    assert_eq!(results.status(), exit::Status::Hang);
    let text = summary("night", &matrix, 7, &results, Lang::En);
    let beginning = text.split("## ops/s, lane guard").next().unwrap();
    insta::assert_snapshot!(beginning, @r#"
    # Matrix: night

    **1 of 8 runs hung: hz4 in main (ops) 1/3. 12 planned runs were not made.**

    ## ops/s, lane main

    | allocator | OK / made / planned | median | quartiles | least to most | to the first allocator (interval) | hangs | hang rate, 95 % | other ends | marked runs |
    |---|---|---|---|---|---|---|---|---|---|
    | system | 4 / 4 / 4 | 1000002 | 1000002 - 1000003 | 1000001 - 1000004 | first | 0/4 | 0.0 - 52.7 % | - | 1 |
    | hz4 | 1 / 3 / 4 | 2000000 | 2000000 - 2000000 | 2000000 - 2000000 | 2.000 (2.000 to 2.000 at 60 %) | 1/2 | 1.3 - 98.7 % | CRASH 1 | - |
    "#);
    let rest = text.split("## Hangs").nth(1).unwrap();
    insta::assert_snapshot!(rest.split("## Method").next().unwrap().trim(), @r#"
    | run | class | what was found | evidence |
    |---|---|---|---|
    | main ops hz4 2 | owner-spinning | 1 of 2 workers waits for mutex `g_foo_locks+160` (foo_malloc, foo.c:85), held by tid 102, which has been looping in `foo_refill` (foo.c:87) for 2.0 s, 100 % of 50 samples in 2 instructions. | hang_run_2 |

    ## Other ends

    - main ops hz4 3: CRASH, rc 139: free(): invalid pointer

    ## Not made

    - main ops hz4: runs 4
    - guard ops system: runs 1-4
    - guard ops hz4: runs 1-4
    - main rss system: runs 1
    - guard rss system: runs 1
    - guard rss hz4: runs 1

    ## Marked runs

    Something else was at work on the machine during these runs. Their figures are in the tables.

    - main ops system 1: other processes used 12.5 % of the processors
    "#);
    // A figure that is not known is no 0.
    assert!(text.contains("| hz4 | 1 / 1 / 1 | unknown | unknown |"), "{text}");
    let japanese = summary("night", &matrix, 7, &results, Lang::Ja);
    for heading in ["# マトリクス: night", "## ハング一覧", "## 未実施", "## 印の付いた実行", "## 方法"]
    {
        assert!(japanese.lines().any(|line| line == heading), "{heading}: {japanese}");
    }
}

#[test]
fn a_hang_of_a_run_that_does_not_count_is_not_lost() {
    let hung = hunt::hung(1, Some(hunt::finding(Class::Runaway)));
    let warmup = Entry { warmup: true, ..entry("hz4", "guard", "ops", hung) };
    let (matrix, results) = results(&[warmup, entry("hz4", "guard", "ops", good(1, 1e6))]);
    assert_eq!(results.status(), exit::Status::Hang);
    assert_eq!(
        headline(&results, Lang::En),
        "No hang in 1 run. Hung before the runs that count: guard ops hz4 1 (warm-up). 19 planned runs were not made."
    );
    let file = serde_json::to_value(verdict::file(&matrix, 7, &results).unwrap()).unwrap();
    assert_eq!(file["hangs"][0]["warmup"], true);
    assert_eq!((&file["hangs"][0]["lane"], &file["hangs"][0]["class"]), (&"guard".into(), &"runaway".into()));
}

#[test]
fn the_status_is_the_worst_of_all_groups() {
    let status = |entries: &[Entry]| results(entries).1.status();
    assert_eq!(status(&[]), exit::Status::NoHang);
    let all = entries();
    assert_eq!(status(&all[..4]), exit::Status::NoHang);
    let overwritten = RunFacts { integrity_end: Integrity::Overwritten, ..good(1, 1e6) };
    let changed = entry("hz4", "guard", "ops", overwritten);
    assert_eq!(status(&[&all[..], &[changed]].concat()), exit::Status::DsoNotIntact);
    let failed = |lane: &str| {
        let facts = RunFacts { outcome: RunOutcome::Failed, rc: Some(2), ops: None, ..hunt::run(1) };
        entry("hz4", lane, "ops", facts)
    };
    assert_eq!(status(&[failed("main"), failed("guard")]), exit::Status::NoGoodEnd);
    assert_eq!(status(&[failed("main"), all[0].clone()]), exit::Status::NoHang);
}

#[test]
fn a_long_list_is_cut() {
    let marked = |run| Entry {
        marks: vec![Mark::Swapped { pages: 1 }],
        ..entry("hz4", "main", "ops", good(run, 1e6))
    };
    let entries: Vec<Entry> = (1..=MOST_LISTED as u32 + 2).map(marked).collect();
    let (matrix, results) = results(&entries);
    let text = summary("night", &matrix, 7, &results, Lang::En);
    assert!(text.contains("- main ops hz4 40: ") && !text.contains("- main ops hz4 41: "), "{text}");
    assert!(text.contains("- 2 runs more: see runs.jsonl\n"), "{text}");
}
