//! `hangscope hunt --arm ...`: what the arms do to the DSO of a
//! run, and the conclusions about allocators whose truth is known.

use std::collections::BTreeMap;
use std::path::Path;

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{Hunt, bench_with, run_hangscope};
use hangscope_test_e2e::{allocator, built};
use serde_json::Value;

/// Arguments for the benchmark. Under a sound allocator, it takes some tenths of a second.
const WORK: [&str; 7] = ["4", "400000", "100", "16", "4096", "50", "1024"];
const QUICK: [&str; 5] = ["--no-perf", "--verify-runs", "0", "--name", "x"];

fn hunt(fault: &Fault, work: &[&str], options: &[&str]) -> Hunt {
    hunt_within("2s", fault, work, options)
}

fn hunt_within(deadline: &str, fault: &Fault, work: &[&str], options: &[&str]) -> Hunt {
    let command = bench_with(work);
    let hunt = Hunt::new(
        &built(&format!("examples/{}", fault.so)),
        &[&QUICK[..], &["--hang-after", deadline], options].concat(),
        fault.env,
        &command,
    );
    let verdict = hunt.verdict();
    assert_eq!(verdict["verdict"], fault.verdict, "{}", hunt.outputs());
    assert_eq!(verdict["letter"], fault.letter.map_or(Value::Null, Value::from), "{}", hunt.outputs());
    hunt
}

/// The arms of a verdict by name.
fn arms(hunt: &Hunt) -> BTreeMap<String, Value> {
    let verdict = hunt.verdict();
    let arms = verdict["arms"].as_array().expect("arms").iter();
    arms.map(|arm| (arm["arm"].as_str().expect("a name").to_owned(), arm.clone())).collect()
}

/// The rows of runs.jsonl.
fn runs(hunt: &Hunt) -> Vec<Value> {
    hunt.text("runs.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The lines of the evidence as one text.
fn evidence(hunt: &Hunt) -> String {
    hunt.verdict()["evidence"].as_array().expect("lines").iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_allocator_that_hangs_only_when_its_file_changes_is_a() {
    let fault = Fault::named("overwritten_only");
    let options =
        ["--arm", "pinned", "--arm", "deleted", "--arm", "overwritten", "--runs", "5", "--seed", "11"];
    // The deadline of 4 s lets a run of the pinned arm end well on a busy machine.
    let hunt = hunt_within("4s", fault, &WORK, &options);
    assert_eq!(hunt.code(), 10, "the arms asked for the change of the DSO: {}", hunt.outputs());

    let arms = arms(&hunt);
    assert_eq!((&arms["pinned"]["runs"]["ok"], &arms["pinned"]["not_intact"]), (&5.into(), &0.into()));
    let runs = runs(&hunt);
    assert_eq!(runs.len(), 15);
    for round in runs.chunks(3) {
        let names: std::collections::BTreeSet<&str> =
            round.iter().map(|r| r["arm"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 3, "every arm once a round");
    }
    let mut hung = 0;
    for arm in ["deleted", "overwritten"] {
        assert_eq!(arms[arm]["change"], arm);
        assert!(hunt.text(&format!("arms/{arm}/runs.tsv")).lines().count() == 1 + 5);
        for run in runs.iter().filter(|r| r["arm"] == arm) {
            let file = format!("arms/{arm}/x_run_{}.so", run["run"]);
            // A run that ended before the change is intact and ends well. A run whose DSO changed at its
            // very end may also end well, because no thread allocates any more.
            let made = run["note"].as_str().is_some_and(|note| note.contains("as the arm demands"));
            let hangs = run["outcome"] == "hung";
            assert!(made || !hangs, "{run}");
            assert_eq!(run["integrity_end"], if made { arm } else { "intact" }, "{run}");
            if hangs || !made {
                assert_eq!(run["deleted_seen"], hangs && arm == "deleted", "{run}");
            }
            let kept = run["outcome"] == "hung" && arm == "overwritten";
            assert_eq!(hunt.out().join(&file).exists(), kept, "{file}: {run}");
            if run["outcome"] == "hung" {
                hung += 1;
                let snapshot = format!("arms/{arm}/hang_run_{}", run["run"]);
                assert_eq!(run["hang"]["snapshot"], snapshot);
                assert!(hunt.text(&format!("{snapshot}/threads.json")).contains("\"threads\""));
            }
        }
    }
    // Runs whose DSO changed during their work hang. Runs whose DSO changed at their end may end well.
    let made =
        runs.iter().filter(|r| r["note"].as_str().is_some_and(|n| n.contains("as the arm demands"))).count();
    assert!(hung >= 3 && 2 * hung > made, "{hung} of {made}: {}", hunt.outputs());
    // The files of the pinned arm have the same names as those of a hunt without arms.
    assert_eq!(hunt.text("runs.tsv").lines().count(), 1 + 5);
    assert!(hunt.out().join("run_5.out").exists());
    assert!(hunt.stdout().contains("(--seed 11)"));
    assert!(evidence(&hunt).contains("Fisher's exact test"), "{}", evidence(&hunt));
    assert!(hunt.text("report.md").contains("| overwritten | overwritten during the run | "));
    assert!(hunt.text("report.ja.md").contains("| overwritten | 実行中に変更 (書き換え) | "));
    // The user's own file is unchanged.
    assert_eq!(hunt.verdict()["dso"]["original_integrity"], "intact");
}

#[test]
fn a_lock_that_never_comes_back_is_b_with_and_without_its_file() {
    let fault = Fault::named("deadlock_self");
    let hunt = hunt(fault, fault.workload_args, &["--arm", "pinned", "--arm", "deleted", "--runs", "2"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let arms = arms(&hunt);
    assert_eq!((&arms["pinned"]["runs"]["hung"], &arms["deleted"]["runs"]["hung"]), (&2.into(), &2.into()));
    assert_eq!(hunt.verdict()["runs"], arms["pinned"]["runs"], "the hunt does not stop at the first hang");
    assert_eq!(arms["deleted"]["not_intact"], 2);
    assert!(evidence(&hunt).contains("but the pinned arm hangs at the same rate"), "{}", evidence(&hunt));
    let classes: Vec<Value> = runs(&hunt).iter().map(|run| run["class"].clone()).collect();
    assert!(classes.iter().all(|class| class == fault.class.unwrap()), "{classes:?}");
}

#[test]
fn a_sound_allocator_does_not_hang_whatever_is_done_short_of_a_copy_in_place() {
    let fault = Fault::named("healthy");
    let so = allocator("healthy");
    let build = format!("so=again:{}", so.display());
    let options =
        ["--arm", "pinned", "--arm", "deleted", "--arm", "replaced", "--arm", "overwritten", "--arm", &build];
    let hunt = hunt_within("15s", fault, &WORK, &[&options, &["--runs", "2"][..]].concat());
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    let arms = arms(&hunt);
    for arm in ["pinned", "deleted", "replaced", "again"] {
        assert_eq!(arms[arm]["runs"]["ok"], 2, "{arm}: {}", hunt.outputs());
    }
    assert_eq!(arms["again"]["other_build"], true);
    // A copy in place removes the pages of the running code. A run survives
    // it only if the work is over and the last threads are ending.
    let in_mid_run = |run: &&Value| {
        let note = run["note"].as_str().unwrap_or_default();
        let made = note.split_once("overwritten after ").and_then(|(_, rest)| rest.split(' ').next());
        let made: f64 = made.and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("{run}"));
        // The benchmark prints how long its work took. Its start and its end take additional time.
        let stdout = hunt.text(&format!("arms/overwritten/run_{}.out", run["run"]));
        let work =
            stdout.split_whitespace().find_map(|word| word.strip_prefix("seconds=")?.parse::<f64>().ok());
        run["outcome"] != "ok" || made < 0.8 * work.unwrap_or_else(|| panic!("{stdout}"))
    };
    let changed = |run: &&Value| run["arm"] == "overwritten" && run["integrity_end"] != "intact";
    for run in runs(&hunt).iter().filter(changed).filter(in_mid_run) {
        assert_eq!(
            (&run["outcome"], &run["integrity_end"]),
            (&"crashed".into(), &"overwritten".into()),
            "{run}"
        );
    }
    let pinned = arms["again"]["path"].as_str().unwrap();
    assert!(Path::new(pinned).starts_with(hunt.out().canonicalize().unwrap().join("arms/again")), "{pinned}");
    let left: Vec<_> = ["deleted", "replaced", "overwritten"]
        .iter()
        .flat_map(|arm| std::fs::read_dir(hunt.out().join("arms").join(arm)).unwrap().flatten())
        .filter(|entry| entry.path().to_string_lossy().contains(".so"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn arms_that_make_no_sense_are_wrong_usage() {
    let so = allocator("healthy");
    let so = so.to_str().unwrap();
    let same = format!("so={so}");
    for (options, wanted) in [
        (&["--arm", "deleted"][..], "give --arm pinned"),
        (&["--arm", "pinned", "--arm", "pinned"], "twice"),
        (&["--arm", "pinned", "--arm", "removed"], "give pinned, deleted"),
        (&["--arm", "pinned", "--arm", &same, "--arm", &same], "twice"),
        (&["--arm", "pinned", "--other-so", so], "--other-so"),
        (&["--arm", "pinned", "--arm", "so=/nonexistent/x.so"], "/nonexistent/x.so"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let front = ["hunt", "--so", so, "--out", out.to_str().unwrap()];
        let output = run_hangscope(&[&front[..], options, &["--", "true"]].concat());
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {err}");
        assert!(err.lines().count() == 1 && err.contains(wanted), "{options:?}: {err}");
        assert!(!out.exists(), "{options:?}");
    }
}

#[test]
fn plan_says_what_is_needed_and_what_could_be_seen() {
    let line = |args: &[&str]| {
        let output = run_hangscope(&[&["plan"], args].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, needed) = line(&["--rate", "0.02", "--confidence", "0.95"]);
    assert!(status == Some(0) && needed.starts_with("149 runs: "), "{needed}");
    let (_, seen) = line(&["--runs", "50"]);
    assert!(seen.contains("below 5.8 % with 95 % confidence"), "{seen}");
    let (_, json) = line(&["--rate", "0.02", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["runs"], 149);
    for same in ["2%", "2 %", "1/50"] {
        assert_eq!(line(&["--rate", same]), line(&["--rate", "0.02"]), "{same}");
    }
    for wrong in [&["--rate", "0"][..], &["--rate", "1"], &["--rate", "x"], &["--runs", "0"], &[]] {
        assert_eq!(line(wrong), (Some(2), String::new()), "{wrong:?}");
    }
}
