//! Hunts with a known cause, and the verdicts that they must get.

use super::lines::Line;
use super::*;
use crate::analysis::facts::SideBySide;
use crate::analysis::{Class, Confidence, Finding};
use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, arm, finding, hung, run};
use crate::text::message::check_templates;

fn en(facts: &HuntFacts) -> String {
    conclude(facts).headline(Lang::En)
}

/// The incident, as the first hang of 13 runs.
fn incident() -> Finding {
    let stack = &["pthread_mutex_lock@libc", "hz4_mid_malloc@foo:hz4_mid.c:85", "worker@bench:bench.c:40"];
    let spin =
        &["hz4_mid_sc_lock_acquire@foo:hz4_mid.c:87", "hz4_mid_malloc@foo:hz4_mid.c:80", "worker@bench"];
    let mut make = Make::new();
    for tid in 101..116 {
        make.futex(tid, &mutex(LOCK, 116, 0), stack);
    }
    make.traces.addresses.insert(LOCK, "g_hz4_mid_sc_locks+160".to_owned());
    make.runs(116, 0.95, spin, Sampled::OneCall(597));
    make.analyse()
}

#[test]
fn the_sentence_of_the_incident() {
    let mut finding = incident();
    finding.hot.as_mut().expect("somebody runs").for_s = Some(15.0);
    let facts = Hunt::new(12).push(hung(13, Some(finding))).facts();
    let conclusion = conclude(&facts);
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"B, allocator bug, reproduced 1/13 with the pinned DSO intact: 15 of 16 workers wait for mutex `g_hz4_mid_sc_locks+160` (hz4_mid_malloc, hz4_mid.c:85), held by tid 116, which has been looping in `hz4_mid_sc_lock_acquire` (hz4_mid.c:87) for 15.0 s, 100 % of 597 samples in 2 instructions.");
    insta::assert_snapshot!(conclusion.headline(Lang::Ja), @"B: アロケータの不具合。13 回中 1 回再現、固定コピーの DSO は改変なし。16 ワーカー中 15 が mutex `g_hz4_mid_sc_locks+160` (hz4_mid_malloc, hz4_mid.c:85) 待ち。保持スレッド tid 116 は `hz4_mid_sc_lock_acquire` (hz4_mid.c:87) を 15.0 秒間ループし続けている。全 597 サンプルが 2 命令に集中。");
    assert_eq!((conclusion.verdict.letter(), conclusion.next_action), (Some("B"), NextAction::FixCode));
    assert_eq!(conclusion.futex_wait_share, Some((15, 16)), "the joining main thread is no worker");
    assert_eq!(exit_code(&facts), 10);
}

#[test]
fn names_and_samples_that_are_missing_are_left_out() {
    let mut finding = incident();
    {
        let (lock, hot) = (finding.lock.as_mut().expect("a lock"), finding.hot.as_mut().expect("a thread"));
        (lock.symbol, lock.at) = (None, None);
        (hot.function, hot.source, hot.samples, hot.distinct_pcs, hot.for_s) = (None, None, 0, 0, None);
    }
    let facts = Hunt::new(0).push(hung(1, Some(finding))).facts();
    insta::assert_snapshot!(en(&facts), @"B, allocator bug, reproduced 1/1 with the pinned DSO intact: 15 of 16 workers wait for mutex `0x7f00000000a0`, held by tid 116, which has been running in code that has no name.");
    insta::assert_snapshot!(conclude(&facts).headline(Lang::Ja), @"B: アロケータの不具合。1 回中 1 回再現、固定コピーの DSO は改変なし。16 ワーカー中 15 が mutex `0x7f00000000a0` 待ち。保持スレッド tid 116 は名前のないコードを実行し続けている。");
}

/// Every class in one sentence, with the DSO intact.
#[test]
fn a_headline_for_every_class() {
    let mut lines = vec![];
    for class in Class::ALL {
        let facts = Hunt::new(2).push(hung(3, Some(finding(*class)))).facts();
        let conclusion = conclude(&facts);
        for lang in [Lang::En, Lang::Ja] {
            lines.push(format!("{class}: {}", conclusion.headline(lang)));
        }
        assert_eq!(exit_code(&facts), 10);
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn which_verdict_each_class_gets() {
    use Verdict::{AllocatorBug, Environment, HarnessBug, Inconclusive};
    for class in Class::ALL {
        let expected = match class {
            Class::KernelWait => Environment,
            Class::OutsideAllocator | Class::Reentry => HarnessBug,
            Class::Slow | Class::Unknown => Inconclusive,
            _ => AllocatorBug,
        };
        let facts = Hunt::new(2).push(hung(3, Some(finding(*class)))).facts();
        assert_eq!(conclude(&facts).verdict, expected, "{class}");
        // The place of the stuck threads decides, not the class.
        let mut elsewhere = finding(*class);
        (elsewhere.in_allocator, elsewhere.blame) = (None, None);
        let verdict = conclude(&Hunt::new(2).push(hung(3, Some(elsewhere))).facts()).verdict;
        assert_ne!(verdict, AllocatorBug, "{class} of unknown place");
    }
}

#[test]
fn b_needs_an_intact_dso_and_the_best_hang_is_reported() {
    let b = finding(Class::Deadlock);
    let mut bad = hung(1, Some(b.clone()));
    bad.integrity_end = Integrity::Deleted;
    bad.deleted_seen = true;
    let conclusion = conclude(&Hunt::new(0).push(bad.clone()).facts());
    assert_eq!(conclusion.verdict, Verdict::Inconclusive, "not intact, and no control");
    assert_eq!(conclusion.next_action, NextAction::FixProcedure);
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"inconclusive, 1 of 1 run hung: the DSO was deleted in the run that hung, and no run with the DSO intact serves as a control, 2 threads wait for each other, tid 101 holds `0x7f00000000e0` and waits for `g_foo_locks+160` in `foo_malloc` (foo.c:85), tid 102 holds `g_foo_locks+160` and waits for `0x7f00000000e0` in `foo_malloc` (foo.c:85), 1 more thread waits for join of tid 101.");

    let facts = Hunt::new(3).push(bad).push(hung(5, None)).push(hung(6, Some(b))).facts();
    let conclusion = conclude(&facts);
    assert_eq!(conclusion.verdict, Verdict::AllocatorBug);
    assert_eq!(conclusion.reported.as_ref().map(|t| t.0), Some(6));
    assert!(conclusion.evidence(Lang::En).iter().any(|e| e.contains("it is not the cause")));
    assert_eq!(exit_code(&facts), 20, "the DSO was not intact in a run that should have left it alone");
}

#[test]
fn a_needs_a_clean_control_that_is_large_enough() {
    let arm = |hunt: Hunt, control: u32| {
        let mut hunt = hunt;
        for n in 1..=3 {
            let mut bad = hung(100 + n, Some(finding(Class::Runaway)));
            bad.arm = "overwritten".to_owned();
            bad.integrity_end = Integrity::Overwritten;
            hunt = hunt.push(bad);
        }
        (conclude(&hunt.facts()), control)
    };
    let (conclusion, _) = arm(Hunt::new(20), 20);
    assert_eq!(conclusion.verdict, Verdict::DsoMixup);
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"A, wrong DSO: hung 3/3 with the DSO not intact, 0/20 with it intact: tid 101 has been looping in `foo_refill` (foo.c:87) for 2.0 s, 100 % of 50 samples in 2 instructions.");
    assert!(conclusion.evidence(Lang::En).iter().any(|e| e.contains("Fisher")));

    let (conclusion, _) = arm(Hunt::new(1), 1);
    assert_eq!(conclusion.verdict, Verdict::Inconclusive, "one clean run proves nothing");
    insta::assert_snapshot!(conclusion.would_change_it(Lang::En).join("\n"), @r#"
    a hang with the DSO intact would make it B
    2 more runs with the pinned DSO and no hang would make it A; one hang among them B
    "#);

    let hunt = Hunt::new(20).push(hung(21, Some(finding(Class::Runaway))));
    let (conclusion, _) = arm(hunt, 20);
    assert_eq!(conclusion.verdict, Verdict::AllocatorBug, "the pinned arm hangs as well");
}

#[test]
fn a_change_that_an_arm_makes_is_no_accident() {
    let mut bad = run(21);
    (bad.arm, bad.integrity_end) = ("replaced".to_owned(), Integrity::Replaced);
    for pinned in [20, 0] {
        // Also in a hunt that is interrupted before the first run of the pinned arm.
        let mut facts = Hunt::new(pinned).push(bad.clone()).facts();
        facts.arms.push(arm("replaced", Some(Integrity::Replaced)));
        assert_eq!(exit_code(&facts), 0, "after {pinned} pinned runs");
    }
    bad.arm = "pinned".to_owned();
    assert_eq!(exit_code(&Hunt::new(20).push(bad).facts()), 20);
}

#[test]
fn crashes_kills_and_failures_are_no_hangs() {
    let crash = |signal: i32, integrity: Integrity| {
        let mut hunt = Hunt::new(0);
        for n in 1..=4 {
            let mut r = run(n);
            (r.outcome, r.signal, r.rc) = (RunOutcome::Crashed, Some(signal), Some(128 + signal));
            (r.integrity_end, r.ops) = (integrity, None);
            hunt = hunt.push(r);
        }
        hunt.facts()
    };
    let overwritten = crash(7, Integrity::Overwritten);
    let conclusion = conclude(&overwritten);
    assert_eq!(conclusion.verdict, Verdict::Inconclusive);
    assert_eq!(conclusion.next_action, NextAction::FixProcedure);
    assert_eq!(exit_code(&overwritten), 20);
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"inconclusive: no run hung, but 4 of 4 runs died by a signal, and their DSO was overwritten.");
    let conclusion = conclude(&crash(11, Integrity::Intact));
    assert_eq!((conclusion.verdict, conclusion.next_action), (Verdict::Inconclusive, NextAction::FixCode));
    assert_eq!(
        (conclusion.rate.low, conclusion.rate.high),
        (0.0, 1.0),
        "a crash says nothing about the rate"
    );
    assert_eq!(conclude(&crash(9, Integrity::Intact)).verdict, Verdict::Environment);

    let mut stopped = finding(Class::Unknown);
    stopped.said = vec![crate::analysis::class::Why::Stopped {}];
    let conclusion = conclude(&Hunt::new(0).push(hung(1, Some(stopped))).facts());
    assert_eq!(conclusion.verdict, Verdict::Environment);
}

#[test]
fn a_run_that_was_stopped_at_work_counts_for_no_rate() {
    let slow = |number, cut_off| {
        let mut slow = run(number);
        (slow.outcome, slow.cut_off, slow.rc) =
            (RunOutcome::Slow, cut_off, Some(if cut_off { 143 } else { 0 }));
        slow
    };
    // 12 runs ended, one of them late. Three were stopped and might have hung later.
    let mut hunt = Hunt::new(11).push(slow(12, false));
    for number in 13..16 {
        hunt = hunt.push(slow(number, true));
    }
    let facts = hunt.facts();
    let conclusion = conclude(&facts);
    assert_eq!((conclusion.verdict, exit_code(&facts)), (Verdict::NotReproduced, 0));
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"not reproduced in 12 runs: the rate of hangs is below 22.1 % at 95 %.");
    let told: Vec<String> = conclusion.evidence(Lang::En);
    let told: Vec<&String> = told.iter().filter(|l| l.contains("stopped") || l.contains("%")).collect();
    insta::assert_snapshot!(format!("{told:#?}"), @r#"
    [
        "0 of 12 runs hung: between 0.0 % and 22.1 % at 95 % (clopper-pearson, one-sided) (runs.tsv)",
        "detection power of 12 runs: a hang rate of 22.1 % shows itself at least once with 95 % probability, one of 2 % with 21.5 % (1 - (1 - rate)^N) (runs.tsv)",
        "hangs per hour of benchmark time: 0 (0 in 15.00 s), between 0 and 719 at 95 % (garwood, one-sided) (runs.jsonl)",
        "3 runs were stopped while still at work. Whether they would have hung is not known, so they do not count for the rate (runs.jsonl)",
    ]
    "#);

    let mut hunt = Hunt::new(0);
    for number in 1..6 {
        hunt = hunt.push(slow(number, true));
    }
    let facts = hunt.facts();
    let conclusion = conclude(&facts);
    assert_eq!(
        (conclusion.verdict, conclusion.next_action),
        (Verdict::Inconclusive, NextAction::FixProcedure)
    );
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"inconclusive: 5 of 5 runs stopped at the deadline while still at work, and no other run counts for the rate of hangs.");
    insta::assert_snapshot!(conclusion.would_change_it(Lang::En).join("\n"), @"a longer --hang-after would show whether slow runs end by themselves");
}

#[test]
fn no_run_and_interrupted_runs_count_for_nothing() {
    let mut hunt = Hunt::new(0).facts();
    let conclusion = conclude(&hunt);
    assert_eq!((conclusion.verdict, conclusion.runs.made), (Verdict::Inconclusive, 0));
    let mut interrupted = run(1);
    interrupted.outcome = RunOutcome::Interrupted;
    hunt.runs.push(interrupted);
    assert_eq!(conclude(&hunt), conclusion);
    assert_eq!(exit_code(&hunt), 0);
}

#[test]
fn a_hang_without_a_word_from_the_shim_is_inconclusive() {
    let mut silent = hung(1, None);
    (silent.hello_seen, silent.integrity_start, silent.integrity_end) =
        (false, Integrity::Unknown, Integrity::Unknown);
    let conclusion = conclude(&Hunt::new(0).push(silent).facts());
    assert_eq!(conclusion.verdict, Verdict::Inconclusive);
    assert_eq!(conclusion.futex_wait_share, None);
    insta::assert_snapshot!(conclusion.headline(Lang::En), @"inconclusive, 1 of 1 run hung: nothing was received from inside the process.");
}

#[test]
fn a_likely_class_is_marked_as_likely() {
    let mut likely = finding(Class::Runaway);
    likely.confidence = Confidence::Likely;
    assert!(en(&Hunt::new(0).push(hung(1, Some(likely))).facts()).ends_with("(likely)."));
}

#[test]
fn outliers_are_in_the_evidence() {
    let mut hunt = Hunt::new(9);
    let mut odd = run(10);
    odd.ops = Some(1.0e6);
    hunt = hunt.push(odd);
    let evidence = conclude(&hunt.facts()).evidence(Lang::En);
    assert!(
        evidence.iter().any(|e| e.contains("outlier: ops/s far from the other runs: run 10")),
        "{evidence:?}"
    );
}

#[test]
fn figures_of_runs_side_by_side_are_none_and_what_was_ended_counts_nowhere() {
    let mut ended = run(11);
    ended.outcome = RunOutcome::Interrupted;
    let mut odd = run(10);
    odd.ops = Some(1.0e6);
    let hang = hung(12, Some(finding(Class::OwnerSpinning)));
    let mut facts = Hunt::new(9).push(odd).push(ended).push(hang).facts();
    let one_by_one = conclude(&facts);
    facts.side_by_side = Some(SideBySide { cpus: vec!["0-3".to_owned(), "4-7".to_owned()] });
    let conclusion = conclude(&facts);
    assert_eq!((conclusion.rate, conclusion.runs), (one_by_one.rate, one_by_one.runs));
    assert!(one_by_one.ops.is_some() && conclusion.ops.is_none());
    assert_eq!(super::arms::arms(&facts)[0].ops_s, None);
    assert_eq!(super::unlike_the_others(&facts), Vec::<u32>::new());
    let told = conclusion.evidence(Lang::En);
    let told: Vec<&String> =
        told.iter().filter(|line| line.contains("ops/s") || line.contains("beside")).collect();
    insta::assert_snapshot!(format!("{told:#?}"), @r#"
    [
        "2 runs at a time, each on CPUs of its own (0-3 / 4-7; --jobs): they share caches, memory bandwidth and turbo, so their ops/s are no figures (runs.jsonl)",
        "1 run beside the hang was ended early, and counted neither as good nor as hung (runs.jsonl)",
    ]
    "#);
}

#[test]
fn lines_are_there_in_both_languages() {
    check_templates(Line::TEMPLATES);
}

/// A hunt with arms: of each `(name, change, runs, hung among them)`.
pub(super) fn experiment(arms: &[(&str, Option<Integrity>, u32, u32)]) -> HuntFacts {
    let mut facts = Hunt::new(0).facts();
    facts.seed = Some(7);
    facts.stop_at_first = false;
    for (name, change, runs, hangs) in arms {
        let other_build = change.is_none() && *name != "pinned";
        facts.arms.push(crate::analysis::ArmFacts { other_build, ..arm(name, *change) });
        for n in 1..=*runs {
            let mut made = if n <= *hangs { hung(n, Some(finding(Class::OwnerSpinning))) } else { run(n) };
            made.arm = (*name).to_owned();
            made.integrity_end = change.unwrap_or(Integrity::Intact);
            made.deleted_seen = *change == Some(Integrity::Deleted);
            facts.runs.push(made);
        }
    }
    facts
}

const DELETED: Option<Integrity> = Some(Integrity::Deleted);
const OVERWRITTEN: Option<Integrity> = Some(Integrity::Overwritten);

#[test]
fn arms_are_compared_with_the_pinned_one() {
    let facts =
        experiment(&[("pinned", None, 8, 0), ("deleted", DELETED, 8, 0), ("overwritten", OVERWRITTEN, 8, 8)]);
    let conclusion = conclude(&facts);
    assert_eq!((conclusion.verdict, conclusion.runs.made), (Verdict::DsoMixup, 8));
    assert_eq!(exit_code(&facts), 10, "the arms asked for the change");
    insta::assert_snapshot!(conclusion.evidence(Lang::En).join("\n"));
    insta::assert_snapshot!(conclusion.evidence(Lang::Ja).join("\n"));
    let p: Vec<Option<f64>> = arms::arms(&facts).iter().map(|a| a.test.map(|t| t.p)).collect();
    assert!(p[0].is_none() && p[1] == Some(1.0) && p[2].is_some_and(|p| p < 1e-4), "{p:?}");

    // A change without effect does not hide one with an effect. It only costs a second test.
    let few = |runs| {
        experiment(&[
            ("pinned", None, runs, 0),
            ("deleted", DELETED, 9, 0),
            ("overwritten", OVERWRITTEN, 2, 2),
        ])
    };
    assert_eq!(conclude(&few(5)).verdict, Verdict::Inconclusive, "2 * 1/21 is not below 0.05");
    assert_eq!(conclude(&few(8)).verdict, Verdict::DsoMixup, "2 * 1/45 is");
}

/// An allocator hangs now and then by itself. A copy in place kills each run, unless the run hung before. The
/// hangs are all that remains of the arm, but they say nothing about the copy.
#[test]
fn an_arm_that_only_kills_is_not_the_cause_of_a_hang_before() {
    let mut facts = experiment(&[("pinned", None, 20, 0), ("overwritten", OVERWRITTEN, 20, 1)]);
    let killed = |run: &&mut RunFacts| run.arm == "overwritten" && run.outcome == RunOutcome::Ok;
    for run in facts.runs.iter_mut().filter(killed) {
        (run.outcome, run.signal, run.rc, run.ops) = (RunOutcome::Crashed, Some(7), Some(135), None);
    }
    let conclusion = conclude(&facts);
    assert_eq!(conclusion.verdict, Verdict::Inconclusive, "1 of 1 against 0 of 20 would be p = 0.048");
    let evidence = conclusion.evidence(Lang::En).join("\n");
    assert!(
        evidence
            .contains("1 of 20 hung, of the pinned arm 0 of 20: Fisher's exact test, one-sided, p = 0.500")
    );
    facts.runs.retain(|run| run.outcome != RunOutcome::Hung);
    let evidence = conclude(&facts).evidence(Lang::En).join("\n");
    assert!(
        evidence.contains("in arm overwritten: 19 of 19 runs died by a signal, and none hung"),
        "{evidence}"
    );
}

#[test]
fn a_pinned_arm_that_hangs_as_well_is_b_and_excludes_the_change_as_the_cause() {
    let said = |arms: &[(&str, Option<Integrity>, u32, u32)]| {
        let conclusion = conclude(&experiment(arms));
        assert_eq!(conclusion.verdict, Verdict::AllocatorBug);
        assert_eq!(conclusion.reported.as_ref().map(|run| run.1.as_str()), Some("pinned"));
        conclusion.evidence(Lang::En).join("\n")
    };
    let alike = said(&[("pinned", None, 8, 4), ("deleted", DELETED, 8, 5)]);
    assert!(alike.contains(
        "the pinned arm hangs at the same rate as far as these runs show (5/8 and 4/8): not the cause"
    ));
    assert!(alike.contains("run deleted/1-5"), "{alike}");
    let more = said(&[("pinned", None, 20, 1), ("overwritten", OVERWRITTEN, 20, 20)]);
    assert!(more.contains("the change makes an existing bug more frequent"), "{more}");
}

#[test]
fn a_hang_of_another_build_names_that_build() {
    let facts = experiment(&[("pinned", None, 8, 0), ("old", None, 8, 6)]);
    let conclusion = conclude(&facts);
    assert_eq!((conclusion.verdict, conclusion.runs.hung), (Verdict::AllocatorBug, 0));
    assert!(
        conclusion.headline(Lang::En).starts_with(
            "B, allocator bug of the build of arm old, reproduced 6/8 with it intact (the pinned DSO hung 0/8): "
        ),
        "{}",
        conclusion.headline(Lang::En)
    );
    assert!(
        conclusion.evidence(Lang::En).iter().any(|e| e.contains("two-sided, p = 0.007")),
        "{conclusion:?}"
    );
    let with = experiment(&[("pinned", None, 8, 0), ("old", None, 8, 6), ("overwritten", OVERWRITTEN, 8, 8)]);
    assert_eq!(
        conclude(&with).verdict,
        Verdict::DsoMixup,
        "the verdict is about the pinned build if it hangs at all"
    );
    // The file of that build changed, and no arm asked for it.
    let mut touched = experiment(&[("pinned", None, 2, 0), ("old", None, 2, 0)]);
    assert_eq!(exit_code(&touched), 0);
    touched.runs[3].integrity_end = Integrity::Overwritten;
    assert_eq!(exit_code(&touched), 20);
}
