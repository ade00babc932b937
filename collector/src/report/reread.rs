//! The facts of a hunt that is over, from what it left: `verdict.json`, `runs.jsonl`, and the findings in
//! its snapshots.

use std::path::Path;

use serde::Deserialize;

use super::hang::Hang;
use super::night::model::Damaged;
use super::show::{ShowError, read};
use crate::analysis::decision::Stopped;
use crate::analysis::facts::{STATS, SideBySide};
use crate::analysis::sequential::Until;
use crate::analysis::shards::Joined;
use crate::analysis::verdict::Tally;
use crate::analysis::{ArmFacts, DsoFacts, HuntFacts, Integrity, RunFacts, RunOutcome, StirPlan};
use crate::evidence::threads_file::ThreadsFile;
use crate::files::{bounded, lines};

/// File with the runs.
const RUNS: &str = "runs.jsonl";
pub(crate) const VERDICT: &str = "verdict.json";

/// What is in `verdict.json` and not in the runs.
#[derive(Deserialize)]
struct Verdict {
    name: String,
    command: Vec<String>,
    hang_after_s: f64,
    runs: Tally,
    stopped: Stopped,
    max_time_s: Option<f64>,
    decision: Option<Question>,
    #[serde(default)]
    stir: Option<StirPlan>,
    #[serde(default)]
    side_by_side: Option<SideBySide>,
    dso: Dso,
    #[serde(default)]
    arms: Vec<Arm>,
    #[serde(default)]
    shards: Option<Joined>,
}

/// What `--until-decided` asked.
#[derive(Deserialize)]
struct Question {
    rate: f64,
    confidence: f64,
}

#[derive(Deserialize)]
struct Dso {
    original: String,
    path: String,
    pinned: bool,
    sha1: String,
    build_id: Option<String>,
    original_integrity: Integrity,
}

#[derive(Deserialize)]
struct Arm {
    arm: String,
    change: Option<Integrity>,
    other_build: bool,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    sha1: Option<String>,
}

/// The facts of the hunt whose OUT this is.
///
/// # Errors
/// [`ShowError`]: a file is not there, or is not what a hunt writes. A snapshot that is gone is a hang
/// without a finding.
pub(crate) fn facts(out: &Path) -> Result<HuntFacts, ShowError> {
    let verdict: Verdict = read(&out.join(VERDICT))?;
    let path = out.join(RUNS);
    let text = bounded::read_text(&path).map_err(|source| ShowError::Read { path: path.clone(), source })?;
    let parse =
        |text: &str| whole(text).lines().map(serde_json::from_str).collect::<Result<Vec<RunFacts>, _>>();
    let mut runs = parse(&text).map_err(|source| ShowError::Parse { path, source })?;
    // The runs of the counter lane are among the others if one of them hung. Most hunts have none.
    let path = out.join("stats_runs.jsonl");
    if let Ok(text) = bounded::read_text(&path) {
        let stats = parse(&text).map_err(|source| ShowError::Parse { path, source })?;
        if stats.iter().any(|run| run.outcome == RunOutcome::Hung) {
            runs.extend(stats);
        }
    }
    runs.iter_mut().for_each(|run| find(out, run));
    let Dso { original, path, pinned, sha1, build_id, original_integrity } = verdict.dso;
    // Where nobody asked for arms there is only the pinned one.
    let asked = verdict.arms.iter().filter(|arm| arm.arm != STATS).count() > 1;
    let arm = |Arm { arm, change, other_build, path, sha1 }| ArmFacts {
        name: arm,
        change,
        other_build,
        path: path.unwrap_or_default(),
        sha1: sha1.unwrap_or_default(),
    };
    let dso = DsoFacts { original, path, pinned, sha1, build_id, original_integrity };
    Ok(HuntFacts {
        hang_after_s: verdict.hang_after_s,
        planned: verdict.runs.planned,
        interrupted: verdict.stopped == Stopped::Interrupted,
        // Of one arm a hang decides, too.
        stop_at_first: verdict.stopped == Stopped::FirstHang || verdict.stopped == Stopped::Decided && !asked,
        arms: verdict.arms.into_iter().filter(|arm| asked && arm.arm != STATS).map(arm).collect(),
        until: verdict.decision.and_then(|asked| Until::new(asked.rate, asked.confidence)),
        time_over_s: verdict.max_time_s,
        stir: verdict.stir,
        side_by_side: verdict.side_by_side,
        shards: verdict.shards,
        runs,
        ..HuntFacts::new(&verdict.name, &verdict.command, dso)
    })
}

/// The text without a torn last line: its writer was killed, or is writing it now.
fn whole(text: &str) -> &str {
    let from = text.rfind('\n').map_or(0, |end| end + 1);
    let torn = serde_json::from_str::<serde::de::IgnoredAny>(&text[from..]).is_err();
    if torn { &text[..from] } else { text }
}

/// The runs of the hunt in OUT, whose verdict may not be there yet, without their findings ([`find`]). Lines
/// that cannot be read are named.
pub(crate) fn runs(out: &Path) -> (Vec<RunFacts>, Vec<Damaged>) {
    let (mut runs, mut damaged) = (vec![], vec![]);
    let read =
        lines::each(&out.join(RUNS), None, |line| match serde_json::from_slice::<RunFacts>(line.bytes) {
            Ok(run) => runs.push(run),
            Err(error) => damaged.push(Damaged {
                file: RUNS.to_owned(),
                line: Some(line.number),
                error: line.whole.then(|| error.to_string()),
            }),
        });
    if let Err(error) = read {
        damaged.push(Damaged { file: RUNS.to_owned(), line: None, error: Some(error.to_string()) });
    }
    (runs, damaged)
}

/// Whether OUT has the list of the runs of a hunt. A list without a whole line is one beside `runs.tsv`.
pub(crate) fn is_hunt(out: &Path) -> bool {
    let (mut run, mut any) = (false, false);
    let read = lines::each(&out.join(RUNS), None, |line| {
        run = run || serde_json::from_slice::<RunFacts>(line.bytes).is_ok();
        any |= line.whole;
    });
    run || read.is_ok() && !any && ["runs.tsv", VERDICT].iter().any(|file| out.join(file).exists())
}

/// Reads the finding of a run again, from its snapshot in `out`. None if the snapshot is gone.
pub(crate) fn find(out: &Path, run: &mut RunFacts) {
    let Some(hang) = &mut run.hang else { return };
    let folder = out.join(&hang.snapshot);
    let file = read::<ThreadsFile>(&folder.join("threads.json")).ok();
    // Where the file is damaged or gone, the recording and the dump beside it say the same.
    let file = file.or_else(|| Hang::read(&folder).ok().map(|hang| hang.file));
    hang.finding = file.map(|file| file.finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Choice, Class, History};
    use crate::evidence::{finding_files, recording};
    use crate::hunt::run_files;
    use crate::report::{Extra, junit, write_hunt};
    use crate::testkit::dump::{LOCK, Make, Sampled, mutex};
    use crate::testkit::hunt::{Hunt, arm, hung, run};
    use crate::text::message::Say as _;

    /// A hunt of two arms, one hang with a snapshot and one whose snapshot is gone.
    #[test]
    fn a_hunt_that_is_over_gives_the_junit_report_that_it_gave() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path();
        let mut make = Make::new();
        make.futex(
            101,
            &mutex(LOCK, 102, 0),
            &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench"],
        );
        make.runs(
            102,
            0.9,
            &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "w@bench"],
            Sampled::OneCall(9),
        );
        let finding = make.analyse();
        std::fs::create_dir(out.join("hang_run_2")).unwrap();
        let (bundle, dump) = (out.join("hang_run_2"), make.finish());
        finding_files::write(&bundle, &dump, &make.traces, &finding).unwrap();
        recording::write(&bundle, &dump, &make.traces, &History::default()).unwrap();
        let mut other = hung(1, None);
        other.arm = "deleted".to_owned();
        other.integrity_end = Integrity::Deleted;
        let mut failed = run(3);
        (failed.outcome, failed.note) = (RunOutcome::Failed, Some("it has no loader".said()));
        let hunt = Hunt::new(1).push(hung(2, Some(finding))).push(failed).push(other);
        let mut facts = hunt.facts();
        facts.arms = vec![arm("pinned", None), arm("deleted", Some(Integrity::Deleted))];
        facts.stop_at_first = false;
        facts.stir = Some(StirPlan { choice: Choice::Auto, seed: 42 });
        facts.side_by_side = Some(SideBySide { cpus: vec!["0-3".to_owned(), "4-7".to_owned()] });
        (facts.until, facts.time_over_s) = (Until::new(0.02, 0.95), Some(60.0));
        let conclusion = write_hunt(out, &facts, &Extra::default()).unwrap();
        let lines: Vec<String> = facts.runs.iter().map(|run| run_files::object(run).to_string()).collect();
        std::fs::write(out.join("runs.jsonl"), lines.join("\n") + "\n").unwrap();

        let again = super::facts(out).unwrap();
        assert_eq!(again, facts);
        let xml = |facts: &HuntFacts| junit::text(facts, &crate::analysis::conclude(facts), out).unwrap();
        assert_eq!(xml(&again), junit::text(&facts, &conclusion, out).unwrap());

        // The recording says what a damaged file does not say.
        std::fs::write(bundle.join("threads.json"), "{\"schema\":").unwrap();
        let hang = super::facts(out).unwrap().runs.into_iter().find_map(|run| run.hang).unwrap();
        assert_eq!(hang.finding.map(|finding| finding.class), Some(Class::OwnerSpinning));
    }

    #[test]
    fn a_hunt_of_one_arm_that_was_decided_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        for mut facts in [Hunt::new(149).facts(), Hunt::new(2).push(hung(3, None)).facts()] {
            (facts.until, facts.planned) = (Until::new(0.02, 0.95), 149);
            write_hunt(dir.path(), &facts, &Extra::default()).unwrap();
            let lines: Vec<String> =
                facts.runs.iter().map(|run| run_files::object(run).to_string()).collect();
            std::fs::write(dir.path().join("runs.jsonl"), lines.join("\n") + "\n").unwrap();
            assert_eq!(super::facts(dir.path()).unwrap(), facts);
        }
    }

    #[test]
    fn what_is_no_hunt_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let error = facts(dir.path()).unwrap_err().to_string();
        assert!(error.contains("verdict.json") && !error.contains('\n'), "{error}");
        write_hunt(dir.path(), &Hunt::new(1).facts(), &Extra::default()).unwrap();
        let error = facts(dir.path()).unwrap_err().to_string();
        assert!(error.contains("runs.jsonl"), "{error}");
        std::fs::write(dir.path().join("runs.jsonl"), "{\"run\":1\n").unwrap();
        assert!(facts(dir.path()).unwrap_err().to_string().contains("runs.jsonl: "));
    }
}
