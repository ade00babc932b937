use crate::analysis::crash::CrashFacts;
use crate::analysis::facts::STATS;
use crate::analysis::sequential::Until;
use crate::analysis::verdict::tests::experiment;
use crate::analysis::verdict::{conclude, exit_code};
use crate::analysis::{Class, HuntFacts, Integrity, NextAction, RunFacts, RunOutcome, Verdict};
use crate::testkit::hunt::{Hunt, finding, hung, run};
use crate::text::message::Lang;

const OVERWRITTEN: Option<Integrity> = Some(Integrity::Overwritten);

fn died(number: u32, signal: i32) -> RunFacts {
    RunFacts {
        outcome: RunOutcome::Crashed,
        signal: Some(signal),
        rc: Some(128 + signal),
        ops: None,
        ..run(number)
    }
}

fn failed(number: u32, rc: i32) -> RunFacts {
    RunFacts { outcome: RunOutcome::Failed, rc: Some(rc), ops: None, ..run(number) }
}

fn crashed_in(number: u32, function: &str, in_allocator: bool) -> RunFacts {
    let crash = CrashFacts {
        file: format!("run_{number}.crash.txt"),
        pid: 8000,
        tid: 8001,
        signal: 11,
        code: 1,
        address: Some("0x10".to_owned()),
        function: Some(function.to_owned()),
        source: Some("hz4_mid.c:85".to_owned()),
        in_allocator: Some(in_allocator),
        whole: true,
    };
    RunFacts { crash: Some(crash), ..died(number, 11) }
}

fn said(facts: &HuntFacts) -> String {
    let conclusion = conclude(facts);
    Lang::ALL.map(|lang| conclusion.headline(lang)).join("\n")
}

fn hunt(runs: Vec<RunFacts>) -> HuntFacts {
    runs.into_iter().fold(Hunt::new(0), Hunt::push).facts()
}

#[test]
fn a_hunt_without_a_good_end_says_how_its_runs_ended() {
    let mut runs: Vec<RunFacts> = (1..=8).map(|n| crashed_in(n, "hz4_mid_malloc", true)).collect();
    let facts = hunt(runs.clone());
    assert_eq!(exit_code(&facts), 3);
    assert_eq!(conclude(&facts).next_action, NextAction::FixCode);
    insta::assert_snapshot!(said(&facts), @"
    all 8 runs died by SIGSEGV in `hz4_mid_malloc` (hz4_mid.c:85).
    8 回すべてが `hz4_mid_malloc` (hz4_mid.c:85) で SIGSEGV により異常終了。
    ");
    let evidence = conclude(&facts).evidence(Lang::En).join("\n");
    assert!(
        evidence
            .contains("run 1: tid 8001 died by SIGSEGV in `hz4_mid_malloc` (hz4_mid.c:85) (run_1.crash.txt)"),
        "{evidence}"
    );
    runs[1] = crashed_in(2, "work", false);
    runs[2] = failed(3, 1);
    runs[0].last_words = Some("[HZ4_FAIL] bad page".to_owned());
    insta::assert_snapshot!(said(&hunt(runs)), @r#"
    none of 8 runs ended well: 7 died by SIGSEGV, most often in `hz4_mid_malloc` (hz4_mid.c:85), 1 failed with exit status 1, last line on stderr: "[HZ4_FAIL] bad page".
    8 回のうち正常に終わった実行はない: 7 回は SIGSEGV で異常終了 (最も多い場所は `hz4_mid_malloc` (hz4_mid.c:85))、1 回は終了ステータス 1 で失敗。stderr の最後の行: 「[HZ4_FAIL] bad page」。
    "#);
    let outside = hunt(vec![crashed_in(1, "work", false)]);
    assert_eq!(conclude(&outside).next_action, NextAction::FixBenchmark);
    assert!(said(&outside).starts_with("the only run died by SIGSEGV in `work` (hz4_mid.c:85).\n"));
    assert!(
        said(&hunt(vec![failed(1, 1), failed(2, 1)])).starts_with("all 2 runs failed with exit status 1.\n")
    );
}

#[test]
fn deaths_beside_good_runs_are_in_the_headline() {
    let few = Hunt::new(45).push(died(46, 6)).push(failed(47, 2)).facts();
    assert_eq!((exit_code(&few), conclude(&few).verdict), (0, Verdict::NotReproduced));
    assert!(
        said(&few).contains("at 95 %; 1 died by SIGABRT, 1 failed with exit status 2.\n"),
        "{}",
        said(&few)
    );
    let most = Hunt::new(1).push(died(2, 6)).push(died(3, 6)).facts();
    assert_eq!(exit_code(&most), 0);
    assert!(
        said(&most).starts_with("inconclusive: no run hung, but of 3 runs 2 died by SIGABRT.\n"),
        "{}",
        said(&most)
    );
}

/// Six runs whose DSO was overwritten die, two end before the change; the pinned arm is well.
#[test]
fn a_change_that_kills_every_run_is_a() {
    let mut facts = experiment(&[("pinned", None, 8, 0), ("overwritten", OVERWRITTEN, 8, 0)]);
    for (n, run) in facts.runs.iter_mut().filter(|run| run.arm == "overwritten").enumerate() {
        match n {
            0..2 => run.integrity_end = Integrity::Intact,
            _ => (run.outcome, run.signal, run.rc) = (RunOutcome::Crashed, Some(11), Some(139)),
        }
    }
    let conclusion = conclude(&facts);
    assert_eq!((conclusion.verdict, conclusion.next_action), (Verdict::DsoMixup, NextAction::FixProcedure));
    assert_eq!((exit_code(&facts), conclusion.hung()), (20, false));
    insta::assert_snapshot!(said(&facts), @"
    A, wrong DSO: overwritten 6/6 died by SIGSEGV, pinned 0/8.
    A: 実行中に DSO が変わると異常終了する。overwritten は 6 回中 6 回が SIGSEGV で異常終了、pinned は 8 回中 0 回。
    ");
    let evidence = conclusion.evidence(Lang::En).join("\n");
    assert!(evidence.contains("6 of 6 died or failed, of the pinned arm 0 of 8"), "{evidence}");
    // Two deaths could be chance.
    let mut few = experiment(&[("pinned", None, 2, 0), ("overwritten", OVERWRITTEN, 2, 0)]);
    for run in few.runs.iter_mut().filter(|run| run.arm == "overwritten") {
        (run.outcome, run.signal, run.rc) = (RunOutcome::Crashed, Some(11), Some(139));
    }
    assert_eq!((conclude(&few).verdict, exit_code(&few)), (Verdict::NotReproduced, 0));
    assert!(said(&few).contains(" (overwritten 2/2 died by SIGSEGV).\n"), "{}", said(&few));
    // The pinned arm dies as well: the change is not the cause.
    for run in &mut facts.runs {
        (run.outcome, run.signal, run.rc) = (RunOutcome::Crashed, Some(11), Some(139));
        run.integrity_end = Integrity::Intact;
    }
    assert_eq!((conclude(&facts).verdict, exit_code(&facts)), (Verdict::Inconclusive, 3));
    assert!(said(&facts).starts_with("all 16 runs died by SIGSEGV.\n"), "{}", said(&facts));
}

#[test]
fn the_headline_of_a_hang_has_the_other_arms() {
    let deleted = Some(Integrity::Deleted);
    let facts = experiment(&[("pinned", None, 2, 2), ("deleted", deleted, 2, 1), ("old", None, 2, 0)]);
    let text = said(&facts);
    assert!(text.contains("with the pinned DSO intact (deleted 1/2 hung, old 0/2): "), "{text}");
}

#[test]
fn what_is_decided_needs_no_more_runs() {
    let mut facts = Hunt::new(149).facts();
    (facts.until, facts.planned) = (Until::new(0.02, 0.95), 149);
    let conclusion = conclude(&facts);
    assert_eq!((conclusion.verdict, conclusion.next_action), (Verdict::NotReproduced, NextAction::None));
    assert_eq!(conclusion.would_change_it(Lang::En), Vec::<String>::new());
    facts.runs.pop();
    assert_eq!(conclude(&facts).next_action, NextAction::MoreRuns);
}

#[test]
fn a_daemon_that_was_left_behind_is_neither_a_good_run_nor_a_hang() {
    let daemon = |n| RunFacts { outcome: RunOutcome::Slow, cut_off: true, left_behind: 1, ..run(n) };
    let only = hunt(vec![daemon(1), daemon(2)]);
    assert_eq!((exit_code(&only), conclude(&only).verdict), (0, Verdict::Inconclusive));
    insta::assert_snapshot!(said(&only), @"
    inconclusive: 2 of 2 runs ended and left a daemon at work, which hangscope stopped.
    判定できず: 2 回中 2 回はデーモンを残して終わり、hangscope が停止させた。
    ");
    let would = conclude(&only).would_change_it(Lang::En).join("\n");
    assert!(would.contains("stays in the foreground"), "{would}");
    let among = Hunt::new(9).push(daemon(10)).facts();
    assert_eq!(conclude(&among).rate.of, 9);
    assert!(said(&among).contains("; 1 left a daemon at work.\n"), "{}", said(&among));
}

#[test]
fn a_hang_of_the_counter_lane_is_a_hang_of_the_hunt() {
    let stats = |run: RunFacts| RunFacts { arm: STATS.to_owned(), ..run };
    let facts = Hunt::new(50).push(stats(run(1))).push(stats(hung(2, Some(finding(Class::Runaway))))).facts();
    let conclusion = conclude(&facts);
    assert_eq!((exit_code(&facts), conclusion.verdict), (10, Verdict::AllocatorBug));
    assert_eq!((conclusion.runs.made, conclusion.runs.hung), (50, 0), "the pinned arm's");
    let text = said(&facts);
    let lead = "B, allocator bug of the counter build, reproduced 1/2 in the counter lane (the pinned DSO hung 0/50): ";
    assert!(text.starts_with(lead), "{text}");
}
