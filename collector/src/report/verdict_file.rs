//! `verdict.json`. The keys are a contract: new ones may come, these stay.

use std::path::Path;

use serde::Serialize;

use crate::analysis::stats::Rate;
use crate::analysis::verdict::Tally;
use crate::analysis::verdict::arms::{self, ArmResult};
use crate::analysis::{
    Class, Conclusion, Confidence, HuntFacts, Integrity, Lang, NextAction, RunFacts, RunOutcome,
    ThreadCounts, Verdict,
};

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerdictFile {
    /// `hangscope/verdict/1`.
    pub schema: &'static str,
    /// Short name of the allocator.
    pub name: String,
    /// The benchmark's command.
    pub command: Vec<String>,
    /// Deadline, seconds.
    pub hang_after_s: f64,
    /// Counts.
    pub runs: Tally,
    /// Rate of hangs.
    pub rate: Rate,
    /// The DSO.
    pub dso: DsoPart,
    /// The word.
    pub verdict: Verdict,
    /// `A`, `B` or null.
    pub letter: Option<&'static str>,
    /// One sentence.
    pub headline: String,
    /// What to do.
    pub next_action: NextAction,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// What would change it.
    pub would_change_it: Vec<String>,
    /// Share of futex waits among the workers of the hang that the headline is about; 0 without one.
    pub futex_wait_share: f64,
    /// All hangs.
    pub hangs: Vec<HangPart>,
    /// Runs that were past the deadline, and whose threads still came and went: in the same form.
    pub slow: Vec<HangPart>,
    /// The arms, the pinned one first; what is above speaks of that one, except the hangs, which are those of all.
    pub arms: Vec<ArmPart>,
}

/// `dso`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DsoPart {
    /// Path of the copy that ran.
    pub path: String,
    /// A pinned copy.
    pub pinned: bool,
    /// SHA-1 of it.
    pub sha1: String,
    /// Build-id, hex.
    pub build_id: Option<String>,
    /// Worst over the runs.
    pub integrity: Integrity,
    /// `(deleted)` was seen on it.
    pub deleted_seen: bool,
    /// Path that the user gave.
    pub original: String,
    /// What happened to the user's own file meanwhile.
    pub original_integrity: Integrity,
}

/// An item of `arms`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmPart {
    /// Its name.
    pub arm: String,
    /// What was done to the DSO in mid-run; null: nothing.
    pub change: Option<Integrity>,
    /// Another build than the pinned one.
    pub other_build: bool,
    /// Path of its DSO.
    pub path: String,
    /// SHA-1 of it.
    pub sha1: String,
    /// Counts.
    pub runs: Tally,
    /// Rate of hangs.
    pub rate: Rate,
    /// Runs whose DSO was not intact.
    pub not_intact: u32,
    /// Fisher's exact test against the pinned arm: one-sided where the DSO was changed, two-sided for another build; null
    /// where there is nothing to compare.
    pub p: Option<f64>,
}

/// An item of `hangs`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HangPart {
    /// Run.
    pub run: u32,
    /// Arm.
    pub arm: String,
    /// Process.
    pub pid: Option<u32>,
    /// Folder in OUT.
    pub snapshot: String,
    /// Class; `unknown` where nothing from inside was had.
    pub class: Class,
    /// How sure.
    pub confidence: Confidence,
    /// The lock.
    pub lock: Option<LockPart>,
    /// The culprit.
    pub hot: Option<HotPart>,
    /// Counts; null where nothing from inside was had.
    pub threads: Option<ThreadCounts>,
    /// Integrity of the allocator's DSO in this run.
    pub integrity: Integrity,
    /// Why the class.
    pub why: Vec<String>,
    /// What was missing.
    pub missing: Vec<String>,
}

/// `lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockPart {
    /// Hex.
    pub address: String,
    /// Its name.
    pub symbol: Option<String>,
    /// `pthread-mutex` and so on.
    pub kind: String,
    /// Holder.
    pub owner_tid: Option<u32>,
    /// Who waits.
    pub waiters: Vec<u32>,
    /// Function in which most of them wait.
    pub function: Option<String>,
    /// `file:line` of that.
    pub source: Option<String>,
}

/// `hot`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HotPart {
    /// Thread.
    pub tid: u32,
    /// Share of a core between the looks.
    pub cpu_share: f64,
    /// Inside the allocator.
    pub in_allocator: Option<bool>,
    /// Function.
    pub function: Option<String>,
    /// `file:line`.
    pub source: Option<String>,
    /// Samples of it.
    pub samples: u32,
    /// Distinct instructions among them.
    pub distinct_pcs: u32,
    /// For how long, seconds.
    pub for_s: Option<f64>,
}

/// A verdict with the folder that its file, and the evidence, are in: what `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InFolder {
    /// As in the file.
    #[serde(flatten)]
    pub verdict: VerdictFile,
    /// The folder.
    pub out: String,
}

impl VerdictFile {
    /// With its folder.
    pub fn in_folder(self, out: &Path) -> InFolder {
        InFolder { verdict: self, out: out.display().to_string() }
    }

    /// From what was seen and concluded.
    pub fn of(facts: &HuntFacts, conclusion: &Conclusion) -> Self {
        let rate = conclusion.rate;
        VerdictFile {
            schema: "hangscope/verdict/1",
            name: facts.name.clone(),
            command: facts.command.clone(),
            hang_after_s: facts.hang_after_s,
            runs: conclusion.runs,
            rate: Rate { low: rounded(rate.low), high: rounded(rate.high), ..rate },
            dso: DsoPart {
                path: facts.dso.path.clone(),
                pinned: facts.dso.pinned,
                sha1: facts.dso.sha1.clone(),
                build_id: facts.dso.build_id.clone(),
                integrity: conclusion.integrity,
                deleted_seen: conclusion.deleted_seen,
                original: facts.dso.original.clone(),
                original_integrity: facts.dso.original_integrity,
            },
            verdict: conclusion.verdict,
            letter: conclusion.verdict.letter(),
            headline: conclusion.headline(Lang::En),
            next_action: conclusion.next_action,
            evidence: conclusion.evidence(Lang::En),
            would_change_it: conclusion.would_change_it(Lang::En),
            futex_wait_share: rounded(conclusion.futex_share()),
            hangs: snapshots(facts, RunOutcome::Hung),
            slow: snapshots(facts, RunOutcome::Slow),
            arms: arms::arms(facts).into_iter().map(|result| arm(facts, result)).collect(),
        }
    }
}

fn arm(facts: &HuntFacts, result: ArmResult) -> ArmPart {
    let (rate, known) = (result.tally.rate(), result.facts.as_ref());
    ArmPart {
        change: known.and_then(|arm| arm.change),
        other_build: known.is_some_and(|arm| arm.other_build),
        path: known.map_or(&facts.dso.path, |arm| &arm.path).clone(),
        sha1: known.map_or(&facts.dso.sha1, |arm| &arm.sha1).clone(),
        runs: result.tally,
        rate: Rate { low: rounded(rate.low), high: rounded(rate.high), ..rate },
        not_intact: result.changed_runs,
        // Small ones are what it is about: three digits, not four places.
        p: result.test.map(|test| format!("{:.2e}", test.p).parse().unwrap_or(test.p)),
        arm: result.name,
    }
}

fn snapshots(facts: &HuntFacts, outcome: RunOutcome) -> Vec<HangPart> {
    facts.runs.iter().filter(|r| r.outcome == outcome).filter_map(hang).collect()
}

fn hang(run: &RunFacts) -> Option<HangPart> {
    let hang = run.hang.as_ref()?;
    let finding = hang.finding.as_ref();
    let lock = finding.and_then(|f| f.lock.as_ref()).map(|lock| LockPart {
        address: lock.address.clone(),
        symbol: lock.symbol.clone(),
        kind: lock.kind.clone(),
        owner_tid: lock.owner_tid,
        waiters: lock.waiters.clone(),
        function: lock.at.as_ref().and_then(|at| at.function.clone()),
        source: lock.at.as_ref().and_then(crate::analysis::class::source),
    });
    let hot = finding.and_then(|f| f.hot.as_ref()).map(|hot| HotPart {
        tid: hot.tid,
        cpu_share: rounded(hot.cpu_share),
        in_allocator: hot.in_allocator,
        function: hot.function.clone(),
        source: hot.source.clone(),
        samples: hot.samples,
        distinct_pcs: hot.distinct_pcs,
        for_s: hot.for_s.map(|s| (s * 10.0).round() / 10.0),
    });
    Some(HangPart {
        run: run.run,
        arm: run.arm.clone(),
        pid: run.pid,
        snapshot: hang.snapshot.clone(),
        class: finding.map_or(Class::Unknown, |f| f.class),
        confidence: finding.map_or(Confidence::Likely, |f| f.confidence),
        lock,
        hot,
        threads: finding.map(|f| f.threads),
        integrity: crate::analysis::verdict::tally::integrity(run),
        why: finding.map_or_else(Vec::new, |f| f.why.clone()),
        missing: match finding {
            Some(f) => f.missing.clone(),
            None => vec!["nothing was heard from inside the process".to_owned()],
        },
    })
}

/// Four decimals: more would be false precision.
fn rounded(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}
