//! `hangscope hunt --until-decided` and `--max-time`: when a hunt
//! ends, and that its decision is the truth about the allocator.

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::allocator;
use hangscope_test_e2e::hunt::{Hunt, bench_with, run_hangscope};
use serde_json::Value;

/// Arguments for the benchmark. Under a sound allocator, it takes some tenths of a second.
const WORK: [&str; 7] = ["4", "400000", "100", "16", "4096", "50", "1024"];
const QUICK: [&str; 7] = ["--hang-after", "2s", "--no-perf", "--verify-runs", "0", "--name", "x"];

fn hunt(fault: &str, options: &[&str]) -> Hunt {
    let fault = Fault::named(fault);
    let command = bench_with(&WORK);
    Hunt::new(&allocator(fault.name), &[&QUICK, options].concat(), fault.env, &command)
}

/// The line of progress.log that says why the hunt stopped. Stdout has the same line.
fn stop_line(hunt: &Hunt) -> Option<String> {
    let progress = hunt.text("progress.log");
    let lines: Vec<&str> = progress.lines().filter(|line| line.starts_with("[STOP]")).collect();
    assert!(lines.len() < 2 && lines.iter().all(|line| hunt.stdout().contains(line)), "{progress}");
    lines.first().map(|line| (*line).to_owned())
}

#[test]
fn a_change_that_hangs_is_a_after_a_few_rounds() {
    let arms = ["--arm", "pinned", "--arm", "overwritten", "--until-decided", "--seed", "11"];
    let hunt = hunt("overwritten_only", &arms);
    let verdict = hunt.verdict();
    assert_eq!((hunt.code(), &verdict["letter"]), (10, &"A".into()), "{}", hunt.outputs());
    assert_eq!((&verdict["stopped"], &verdict["runs"]["planned"]), (&"decided".into(), &149.into()));
    let decision = &verdict["decision"];
    assert_eq!(
        (&decision["answer"], &decision["decided"], &decision["missing"]),
        (&"change-hangs".into(), &true.into(), &0.into()),
        "{decision}"
    );
    let changed = &decision["arms"][1];
    assert_eq!((&changed["arm"], &changed["answer"]), (&"overwritten".into(), &"more".into()), "{decision}");
    assert!(changed["more"].as_f64() >= decision["needed"].as_f64(), "{decision}");
    // If every run of the arm hangs, three pairs of runs decide. Fewer pairs cannot decide.
    let (hung, runs) = (changed["hung"].as_u64().unwrap(), changed["runs"].as_u64().unwrap());
    assert!(hung >= 3 && runs < 149, "{decision}");
    assert_eq!(decision["arms"][0]["hung"], 0);
    let stop = stop_line(&hunt).expect("a line");
    assert!(stop.starts_with("[STOP] --until-decided: decided with run "), "{stop}");
    for (file, sentence) in [
        (
            "report.md",
            "- decided at 95 %: arm overwritten hangs more often than the pinned one (progress.log)",
        ),
        ("report.ja.md", "- 95 % 信頼で確定: アーム overwritten は pinned よりハングが多い (progress.log)"),
    ] {
        assert!(hunt.text(file).contains(sentence), "{}", hunt.text(file));
    }
    assert!(hunt.stdout().contains("(stopped when decided, of 149 planned runs)"), "{}", hunt.outputs());
}

#[test]
fn a_sound_allocator_is_not_reproduced_after_as_many_runs_as_were_planned() {
    let hunt = hunt("healthy", &["--until-decided", "--rate", "0.25"]);
    let verdict = hunt.verdict();
    assert_eq!((hunt.code(), &verdict["verdict"]), (0, &"not-reproduced".into()), "{}", hunt.outputs());
    // 11 is the smallest N with 0.75^N <= 0.05.
    assert_eq!((&verdict["runs"]["planned"], &verdict["runs"]["made"]), (&11.into(), &11.into()));
    assert_eq!(
        (&verdict["stopped"], &verdict["decision"]["answer"], &verdict["decision"]["missing"]),
        (&"decided".into(), &"below-rate".into(), &0.into()),
        "{verdict}"
    );
    assert_eq!(stop_line(&hunt).as_deref(), Some("[STOP] --until-decided: decided with run 11"));
    assert!(hunt.text("report.md").contains(
        "decided: no hang in 11 runs that can show one, so the rate is below 25 % at 95 % (progress.log)"
    ));
    let (low, high) = (&verdict["per_hour"]["low"], &verdict["per_hour"]["high"]);
    assert!(low == 0.0 && high.as_f64() > Some(0.0), "{verdict}");
}

#[test]
fn an_allocator_that_hangs_without_a_change_is_decided_with_its_first_hang() {
    let fault = Fault::named("owner_spinning");
    let command = bench_with(fault.workload_args);
    for (arms, answer) in
        [(&[][..], "hangs"), (&["--arm", "pinned", "--arm", "deleted", "--seed", "2"], "hangs-intact")]
    {
        let options = [&QUICK[..], &["--until-decided"], arms].concat();
        let hunt = Hunt::new(&allocator(fault.name), &options, fault.env, &command);
        let verdict = hunt.verdict();
        assert_eq!((hunt.code(), &verdict["letter"]), (10, &"B".into()), "{}", hunt.outputs());
        assert_eq!((&verdict["decision"]["answer"], &verdict["runs"]["made"]), (&answer.into(), &1.into()));
        assert!(
            stop_line(&hunt).is_some_and(|line| line.ends_with("decided with run 1")),
            "{}",
            hunt.outputs()
        );
    }
}

#[test]
fn its_time_is_over_before_anything_is_decided() {
    // The hunt makes one run, however short its time is.
    for (options, undecided) in [(&["--until-decided"][..], true), (&[], false)] {
        let hunt = hunt("healthy", &[options, &["--max-time", "1ms"]].concat());
        let verdict = hunt.verdict();
        assert_eq!((hunt.code(), &verdict["runs"]["made"]), (0, &1.into()), "{}", hunt.outputs());
        assert_eq!(verdict["stopped"], "max-time", "{verdict}");
        let left = if undecided { ", undecided" } else { "" };
        assert_eq!(stop_line(&hunt), Some(format!("[STOP] time limit reached (--max-time 1ms){left}")));
        let report = hunt.text("report.md");
        assert!(report.contains("time limit reached (--max-time 0.001 s) after 1 of "), "{report}");
        if undecided {
            assert_eq!(
                (&verdict["decision"]["decided"], &verdict["decision"]["missing"]),
                (&false.into(), &148.into())
            );
            assert!(
                report.contains("- 148 more runs without a hang, or one hang, would decide it"),
                "{report}"
            );
        } else {
            assert_eq!(verdict["decision"], Value::Null);
        }
    }
}

#[test]
fn questions_that_make_no_sense_are_wrong_usage() {
    let so = allocator("healthy");
    let front = ["hunt", "--so", so.to_str().unwrap()];
    for (options, wanted) in [
        (&["--rate", "0.1"][..], "--until-decided"),
        (&["--confidence", "0.9"], "--until-decided"),
        (&["--until-decided", "--keep-going"], "--keep-going"),
        (&["--until-decided", "--rate", "0"], "--rate"),
        (&["--until-decided", "--rate", "1e-12"], "--rate"),
        (&["--until-decided", "--confidence", "0.4"], "--confidence"),
        (&["--until-decided", "--confidence", "1"], "--confidence"),
        (&["--max-time", "0"], "--max-time"),
        (&["--max-time", "soon"], "--max-time"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let output = run_hangscope(
            &[&front[..], &["--out", out.to_str().unwrap()], options, &["--", "true"]].concat(),
        );
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {err}");
        assert!(err.contains(wanted) && !out.exists(), "{options:?}: {err}");
    }
}
