//! A hunt as JUnit XML, as cargo-nextest writes it (the format of Jenkins): a suite an arm, a test case a
//! run.
//!
//! | run | in the file |
//! |---|---|
//! | good | passed |
//! | hung | `failure`; its `type` is the class, its message what hangs on what |
//! | hung, but other runs of the arm came through | the same, with a `flakyFailure` (below) |
//! | died by a signal, failed otherwise, or its DSO was not intact though the arm leaves it alone | `error` |
//! | slow, and ended well by itself | passed, with the property `slow` |
//! | slow, and was stopped; left a daemon at work; or interrupted | `skipped`: it neither came through nor hung |
//!
//! `flakyFailure` is nextest's mark for a case that failed and that is known to pass as well.
//! `system-out` of a case names its files.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use crate::analysis::crash::signal_name;
use crate::analysis::facts::STATS;
use crate::analysis::verdict::{self, Tally, hang_sentence, percent};
use crate::analysis::{Conclusion, HuntFacts, RunFacts, RunOutcome};
use crate::files::atomic::{self, WriteError};
use crate::text::message::Lang;

/// Writes the XML of a hunt whose files are in `out`.
///
/// # Errors
/// [`WriteError`]; the file is written whole or not at all.
pub(crate) fn write(
    path: &Path,
    facts: &HuntFacts,
    conclusion: &Conclusion,
    out: &Path,
) -> Result<(), WriteError> {
    let text = text(facts, conclusion, out)
        .map_err(|e| WriteError { path: path.to_owned(), source: std::io::Error::other(e) })?;
    atomic::write(path, text.as_bytes())
}

/// The XML of a hunt whose files are in `out`.
///
/// # Errors
/// The serializer's.
pub(crate) fn text(facts: &HuntFacts, conclusion: &Conclusion, out: &Path) -> Result<String, SerializeError> {
    let mut report = Report::new(format!("hangscope {}", facts.name));
    let first = facts.runs.iter().filter_map(|r| r.started).min_by(f64::total_cmp);
    if let Some(at) = first.and_then(time_of) {
        report.set_timestamp(at);
    }
    report.set_time(seconds(facts.runs.iter().map(|r| r.seconds).sum()));
    // Each with its interrupted runs, too, which no count has.
    for arm in verdict::arms::arms(facts) {
        let runs: Vec<&RunFacts> = facts.runs.iter().filter(|r| r.arm == arm.name).collect();
        report.add_test_suite(suite(facts, conclusion, &arm, &runs, out));
    }
    report.to_string()
}

fn suite(
    facts: &HuntFacts,
    conclusion: &Conclusion,
    arm: &verdict::arms::ArmResult,
    runs: &[&RunFacts],
    out: &Path,
) -> TestSuite {
    let name = format!("{}.{}", facts.name, arm.name);
    let mut suite = TestSuite::new(name.as_str());
    if let Some(at) = runs.iter().filter_map(|r| r.started).min_by(f64::total_cmp).and_then(time_of) {
        suite.set_timestamp(at);
    }
    suite.set_time(seconds(runs.iter().map(|r| r.seconds).sum()));
    let (tally, rate) = (arm.tally, arm.tally.rate());
    let (path, sha1) =
        arm.facts.as_ref().map_or((&facts.dso.path, &facts.dso.sha1), |arm| (&arm.path, &arm.sha1));
    let mut properties = vec![
        ("command", facts.command.join(" ")),
        ("dso", path.clone()),
        ("dso.sha1", sha1.clone()),
        ("planned", facts.planned.to_string()),
        ("hung", format!("{} of {}", rate.hung, rate.of)),
    ];
    if rate.of > 0 {
        let (low, high) = (percent(rate.low), percent(rate.high));
        properties.push(("rate", format!("{low} % to {high} % at 95 % ({})", rate.method.as_str())));
    }
    if is_flaky(&tally) {
        properties.push(("flaky", "true".to_owned()));
    }
    if let Some(word) = arm.facts.as_ref().and_then(|arm| arm.change) {
        properties.push(("change", word.to_string()));
    }
    suite.add_properties(properties.iter().map(|(name, value)| (*name, value.as_str())));
    for run in runs {
        suite.add_test_case(case(facts, conclusion, &name, run, &tally, out));
    }
    suite
}

/// Some runs hang, others come through.
fn is_flaky(tally: &Tally) -> bool {
    tally.hung > 0 && tally.ok > 0
}

fn case(
    facts: &HuntFacts,
    conclusion: &Conclusion,
    classname: &str,
    run: &RunFacts,
    tally: &Tally,
    out: &Path,
) -> TestCase {
    let number = run.name();
    let (started, time) = (run.started.and_then(time_of), seconds(run.seconds));
    let mut case = TestCase::new(format!("run {}", run.run), status(facts, conclusion, run));
    if let (true, RunOutcome::Hung) = (is_flaky(tally), run.outcome) {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        rerun.set_type(class(run)).set_message(message(conclusion, run)).set_time(time);
        if let Some(at) = started {
            rerun.set_timestamp(at);
        }
        case.status.set_rerun_kind(FlakyOrRerun::Flaky).add_rerun(rerun);
    }
    case.set_classname(classname).set_time(time);
    if let Some(at) = started {
        case.set_timestamp(at);
    }
    if run.outcome == RunOutcome::Slow {
        case.add_property(("slow", "true"));
    }
    if let Some(ops) = run.ops.filter(|_| facts.side_by_side.is_none()) {
        case.add_property(("ops", ops.to_string().as_str()));
    }
    let (folder, prefix) = match number.rsplit_once('/') {
        Some((STATS, _)) => (out.to_owned(), "stats_run_"),
        Some((arm, _)) => (out.join("arms").join(arm), "run_"),
        None => (out.to_owned(), "run_"),
    };
    let mut files: Vec<String> = ["out", "err"]
        .iter()
        .map(|ext| folder.join(format!("{prefix}{}.{ext}", run.run)).display().to_string())
        .collect();
    files.extend(run.hang.as_ref().map(|hang| out.join(&hang.snapshot).display().to_string()));
    files.extend(run.note.as_ref().map(|note| note.en().to_owned()));
    case.set_system_out(files.join("\n"));
    case
}

fn status(facts: &HuntFacts, conclusion: &Conclusion, run: &RunFacts) -> TestCaseStatus {
    let non_success = |kind, ty: &str, message: String| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(ty).set_message(message);
        status
    };
    let note = || run.note.as_ref().map_or_else(String::new, |note| format!(": {}", note.en()));
    match run.outcome {
        RunOutcome::Hung => {
            let mut status = non_success(NonSuccessKind::Failure, class(run), message(conclusion, run));
            status.set_description(why(run));
            status
        }
        RunOutcome::Crashed => {
            let signal = run.signal.map_or_else(|| "?".to_owned(), signal_name);
            non_success(NonSuccessKind::Error, "signal", format!("died by {signal}{}", note()))
        }
        RunOutcome::Failed => {
            let rc = run.rc.map_or_else(String::new, |rc| format!(", exit status {rc}"));
            non_success(NonSuccessKind::Error, "failed", format!("failed{rc}{}", note()))
        }
        RunOutcome::Interrupted => skipped("interrupted"),
        RunOutcome::Slow if run.left_behind > 0 => skipped("left a daemon at work, which was stopped"),
        RunOutcome::Slow if run.rc != Some(0) => {
            skipped("past the deadline, but its threads still came and went")
        }
        RunOutcome::Ok | RunOutcome::Slow => match facts.unwanted_change(run) {
            Some(word) => {
                non_success(NonSuccessKind::Error, "dso", format!("its DSO was {word} under it{}", note()))
            }
            None => TestCaseStatus::success(),
        },
    }
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn class(run: &RunFacts) -> &'static str {
    run.hang
        .as_ref()
        .and_then(|hang| hang.finding.as_ref())
        .map_or("unknown", |finding| finding.class.as_str())
}

/// The headline, of the hang that it is about; of the others what they hang on.
fn message(conclusion: &Conclusion, run: &RunFacts) -> String {
    match conclusion.is_about(run) {
        true => conclusion.headline(Lang::En),
        false => hang_sentence(run, Lang::En),
    }
}

fn why(run: &RunFacts) -> String {
    let finding = run.hang.as_ref().and_then(|hang| hang.finding.as_ref());
    let Some(finding) = finding else { return String::new() };
    let missing = finding.missing.iter().map(|line| format!("missing: {line}"));
    finding.why.iter().cloned().chain(missing).collect::<Vec<_>>().join("\n")
}

fn time_of(seconds: f64) -> Option<DateTime<FixedOffset>> {
    let at = Duration::try_from_secs_f64(seconds).ok()?;
    Some(DateTime::from_timestamp(at.as_secs().try_into().ok()?, at.subsec_nanos())?.fixed_offset())
}

fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Class, Integrity, conclude};
    use crate::testkit::hunt::{Hunt, arm, finding, hung, run};
    use crate::text::message::Say as _;

    fn xml(facts: &HuntFacts) -> (String, Report) {
        let text = text(facts, &conclude(facts), Path::new("/out")).unwrap();
        let report = Report::deserialize_from_str(&text).unwrap();
        (text, report)
    }

    #[test]
    fn a_run_is_a_case_and_a_hang_among_good_ones_a_flaky_failure() {
        let ended = |n, outcome, rc, signal: Option<i32>| {
            let mut r = run(n);
            (r.outcome, r.rc, r.signal, r.ops) = (outcome, Some(rc), signal, None);
            r
        };
        let mut moved = run(7);
        (moved.integrity_end, moved.note) =
            (Integrity::Deleted, Some("it was \x1b[1mremoved\x1b[0m & <gone>".said()));
        let facts = Hunt::new(1)
            .push(hung(2, Some(finding(Class::OwnerSpinning))))
            .push(ended(3, RunOutcome::Crashed, 139, Some(11)))
            .push(ended(4, RunOutcome::Failed, 3, None))
            .push(ended(5, RunOutcome::Slow, 143, None))
            .push(ended(6, RunOutcome::Slow, 0, None))
            .push(moved)
            .push(hung(8, None))
            .push(ended(9, RunOutcome::Interrupted, 143, None))
            .facts();
        let (text, report) = xml(&facts);
        insta::assert_snapshot!(text);
        let suite = &report.test_suites[0];
        assert_eq!((suite.tests, suite.failures, suite.errors, suite.disabled), (9, 2, 3, 2));
    }

    #[test]
    fn arms_are_suites_and_nothing_is_flaky_that_always_ends_alike() {
        let of = |arm: &str, mut r: RunFacts| {
            r.arm = arm.to_owned();
            r
        };
        let mut hunt = Hunt::new(2);
        for n in 1..=2 {
            let mut bad = hung(n, Some(finding(Class::Runaway)));
            bad.integrity_end = Integrity::Deleted;
            hunt = hunt.push(of("deleted", bad));
        }
        // A run that ends well with its DSO changed as the arm wants it is no error.
        let mut fine = run(1);
        fine.integrity_end = Integrity::Replaced;
        let mut facts = hunt.push(of("replaced", fine)).facts();
        facts.arms = vec![
            arm("deleted", Some(Integrity::Deleted)),
            arm("pinned", None),
            arm("replaced", Some(Integrity::Replaced)),
        ];
        let (text, report) = xml(&facts);
        let suites: Vec<_> = report
            .test_suites
            .iter()
            .map(|suite| (suite.name.as_str(), suite.tests, suite.failures, suite.errors))
            .collect();
        assert_eq!(suites, [("hz4.pinned", 2, 0, 0), ("hz4.deleted", 2, 2, 0), ("hz4.replaced", 1, 0, 0)]);
        assert!(!text.contains("flaky"), "{text}");
        assert!(text.contains("/out/arms/deleted/run_1.out"), "{text}");
    }

    #[test]
    fn a_hunt_without_a_run_is_a_report() {
        let (_, report) = xml(&Hunt::new(0).facts());
        assert_eq!((report.tests, report.test_suites.len()), (0, 1));
    }
}
