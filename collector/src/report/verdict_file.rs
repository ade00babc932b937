//! `verdict.json`. The keys are a contract: new ones may come, these stay.

use std::path::Path;

use serde::Serialize;

use super::counters::CountersPart;
use crate::analysis::counters::LaneCounters;
use crate::analysis::decision::{self, Decision};
use crate::analysis::sequential::{Against, Answer};
use crate::analysis::stats::{PerHour, Rate, Spread};
use crate::analysis::verdict::Tally;
use crate::analysis::verdict::arms::{self, ArmResult};
use crate::analysis::{
    Class, Conclusion, Confidence, HuntFacts, Integrity, NextAction, RunFacts, RunOutcome, Stir, Stopped,
    ThreadCounts, Verdict,
};
use crate::text::message::Lang;

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct VerdictFile {
    /// `hangscope/verdict/1`.
    pub(crate) schema: &'static str,
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The benchmark's command.
    pub(crate) command: Vec<String>,
    /// Deadline, seconds.
    pub(crate) hang_after_s: f64,
    /// How scheduling was disturbed, with the seed of the first run; null: not at all.
    pub(crate) stir: Option<Stir>,
    /// Counts.
    pub(crate) runs: Tally,
    /// Rate of hangs.
    pub(crate) rate: Rate,
    /// Hangs per hour of benchmark time; null where no run says how long one takes.
    pub(crate) per_hour: Option<PerHour>,
    /// ops/s of the good runs; null where none printed any.
    pub(crate) ops: Option<OpsPart>,
    /// Why no more runs were made.
    pub(crate) stopped: Stopped,
    /// The time that the hunt was given, seconds, if that is why; else null.
    pub(crate) max_time_s: Option<f64>,
    /// What `--until-decided` asked and found; null without it.
    pub(crate) decision: Option<DecisionPart>,
    /// The DSO.
    pub(crate) dso: DsoPart,
    /// The word.
    pub(crate) verdict: Verdict,
    /// `A`, `B` or null.
    pub(crate) letter: Option<&'static str>,
    /// One sentence.
    pub(crate) headline: String,
    /// What to do.
    pub(crate) next_action: NextAction,
    /// What it rests on.
    pub(crate) evidence: Vec<String>,
    /// What would change it.
    pub(crate) would_change_it: Vec<String>,
    /// Share of futex waits among the workers of the hang that the headline is about; 0 without one.
    pub(crate) futex_wait_share: f64,
    /// All hangs.
    pub(crate) hangs: Vec<HangPart>,
    /// Runs that were past the deadline, and whose threads still came and went: in the same form.
    pub(crate) slow: Vec<HangPart>,
    /// The arms, the pinned one first; what is above speaks of that one, except the hangs, which are those of all.
    pub(crate) arms: Vec<ArmPart>,
    /// Counters in brief, a lane each; the key is there only where there are counters. All of them are in
    /// `counters.json`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) counters: Vec<CountersPart>,
}

/// `ops`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OpsPart {
    /// Median and spread, operations a second.
    #[serde(flatten)]
    pub(crate) spread: Spread,
    /// Runs whose figure is far outside the others.
    pub(crate) far_outside: Vec<u32>,
}

/// `decision`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DecisionPart {
    /// `does-it-hang` (one arm) or `which-arm-hangs`.
    pub(crate) question: &'static str,
    /// `none-in-n` (one arm) or `e-value for two proportions, none-in-n`.
    pub(crate) method: &'static str,
    /// Whether it is decided.
    pub(crate) decided: bool,
    /// What is; null: nothing yet.
    pub(crate) answer: Option<Answer>,
    /// `--rate`.
    pub(crate) rate: f64,
    /// `--confidence`.
    pub(crate) confidence: f64,
    /// Runs without a hang that decide, per arm.
    pub(crate) runs: u32,
    /// More of them that are missing, 0 if it is decided; null once one hung and it is not.
    pub(crate) missing: Option<u32>,
    /// Evidence that decides about an arm; null where there is only one.
    pub(crate) needed: Option<f64>,
    /// The arms.
    pub(crate) arms: Vec<DecidedPart>,
}

/// An arm of `decision`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DecidedPart {
    /// Its name.
    pub(crate) arm: String,
    /// Runs.
    pub(crate) runs: u32,
    /// Hangs among them.
    pub(crate) hung: u32,
    /// Runs that count for a rate below `--rate`.
    pub(crate) counted: u32,
    /// What is decided against the pinned arm; null: nothing yet, or that arm itself.
    pub(crate) answer: Option<Against>,
    /// Most evidence that it hangs more often than the pinned arm; null for that arm itself.
    pub(crate) more: Option<f64>,
    /// That it hangs less often; null but for another build.
    pub(crate) less: Option<f64>,
}

/// `dso`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DsoPart {
    /// Path of the copy that ran.
    pub(crate) path: String,
    /// A pinned copy.
    pub(crate) pinned: bool,
    /// SHA-1 of it.
    pub(crate) sha1: String,
    /// Build-id, hex.
    pub(crate) build_id: Option<String>,
    /// Worst over the runs.
    pub(crate) integrity: Integrity,
    /// `(deleted)` was seen on it.
    pub(crate) deleted_seen: bool,
    /// Path that the user gave.
    pub(crate) original: String,
    /// What happened to the user's own file meanwhile.
    pub(crate) original_integrity: Integrity,
}

/// An item of `arms`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ArmPart {
    /// Its name.
    pub(crate) arm: String,
    /// What was done to the DSO in mid-run; null: nothing.
    pub(crate) change: Option<Integrity>,
    /// Another build than the pinned one.
    pub(crate) other_build: bool,
    /// Path of its DSO.
    pub(crate) path: String,
    /// SHA-1 of it.
    pub(crate) sha1: String,
    /// Counts.
    pub(crate) runs: Tally,
    /// Rate of hangs.
    pub(crate) rate: Rate,
    /// Runs whose DSO was not intact.
    pub(crate) not_intact: u32,
    /// Fisher's exact test against the pinned arm: one-sided where the DSO was changed, two-sided for another build; null
    /// where there is nothing to compare.
    pub(crate) p: Option<f64>,
}

/// An item of `hangs`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HangPart {
    /// Run.
    pub(crate) run: u32,
    /// Arm.
    pub(crate) arm: String,
    /// Process.
    pub(crate) pid: Option<u32>,
    /// Folder in OUT.
    pub(crate) snapshot: String,
    /// Class; `unknown` where nothing from inside was had.
    pub(crate) class: Class,
    /// How sure.
    pub(crate) confidence: Confidence,
    /// The lock.
    pub(crate) lock: Option<LockPart>,
    /// The culprit.
    pub(crate) hot: Option<HotPart>,
    /// Counts; null where nothing from inside was had.
    pub(crate) threads: Option<ThreadCounts>,
    /// How scheduling was disturbed in this run; null: not at all.
    pub(crate) stir: Option<Stir>,
    /// Integrity of the allocator's DSO in this run.
    pub(crate) integrity: Integrity,
    /// Why the class.
    pub(crate) why: Vec<String>,
    /// What was missing.
    pub(crate) missing: Vec<String>,
}

/// `lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LockPart {
    /// Hex.
    pub(crate) address: String,
    /// Its name.
    pub(crate) symbol: Option<String>,
    /// `pthread-mutex` and so on.
    pub(crate) kind: String,
    /// Holder.
    pub(crate) owner_tid: Option<u32>,
    /// Who waits.
    pub(crate) waiters: Vec<u32>,
    /// Function in which most of them wait.
    pub(crate) function: Option<String>,
    /// `file:line` of that.
    pub(crate) source: Option<String>,
}

/// `hot`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HotPart {
    /// Thread.
    pub(crate) tid: u32,
    /// Share of a core between the looks.
    pub(crate) cpu_share: f64,
    /// Inside the allocator.
    pub(crate) in_allocator: Option<bool>,
    /// Function.
    pub(crate) function: Option<String>,
    /// `file:line`.
    pub(crate) source: Option<String>,
    /// Samples of it.
    pub(crate) samples: u32,
    /// Distinct instructions among them.
    pub(crate) distinct_pcs: u32,
    /// For how long, seconds.
    pub(crate) for_s: Option<f64>,
}

/// A verdict with the folder that its file, and the evidence, are in: what `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct InFolder {
    /// As in the file.
    #[serde(flatten)]
    pub(crate) verdict: VerdictFile,
    /// The folder.
    pub(crate) out: String,
}

impl VerdictFile {
    /// With the counters of the hunt.
    pub(crate) fn with_counters(self, lanes: &[LaneCounters]) -> Self {
        VerdictFile { counters: super::counters::parts(lanes), ..self }
    }

    /// With its folder.
    pub(crate) fn in_folder(self, out: &Path) -> InFolder {
        InFolder { verdict: self, out: out.display().to_string() }
    }

    /// From what was seen and concluded.
    pub(crate) fn of(facts: &HuntFacts, conclusion: &Conclusion) -> Self {
        let rate = conclusion.rate;
        VerdictFile {
            schema: "hangscope/verdict/1",
            name: facts.name.clone(),
            command: facts.command.clone(),
            hang_after_s: facts.hang_after_s,
            stir: facts.stir,
            runs: conclusion.runs,
            rate: Rate { low: rounded(rate.low), high: rounded(rate.high), ..rate },
            per_hour: conclusion.per_hour.map(|per_hour| PerHour {
                hours: digits(per_hour.hours),
                rate: digits(per_hour.rate),
                low: digits(per_hour.low),
                high: digits(per_hour.high),
                ..per_hour
            }),
            ops: conclusion.ops.clone().map(|(spread, far_outside)| OpsPart { spread, far_outside }),
            stopped: facts.stopped(),
            max_time_s: facts.time_over_s,
            decision: decision::of(facts).map(|decision| decided(facts, decision)),
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
            counters: vec![],
        }
    }
}

fn decided(facts: &HuntFacts, decision: Decision) -> DecisionPart {
    let one = facts.arms.is_empty();
    let arms = decision.arms.into_iter().map(|arm| DecidedPart {
        answer: arm.against.and_then(|versus| versus.answer),
        more: arm.against.map(|versus| digits(versus.more)),
        less: arm.against.and_then(|versus| versus.less).map(digits),
        arm: arm.name,
        runs: arm.runs,
        hung: arm.hung,
        counted: arm.counted,
    });
    DecisionPart {
        question: if one { "does-it-hang" } else { "which-arm-hangs" },
        method: if one { "none-in-n" } else { "e-value for two proportions, none-in-n" },
        decided: decision.answer.is_some(),
        answer: decision.answer,
        rate: decision.until.rate,
        confidence: decision.until.confidence,
        runs: decision.until.runs,
        missing: decision.missing,
        needed: (!one).then(|| digits(decision.needed)),
        arms: arms.collect(),
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
        p: result.test.map(|test| digits(test.p)),
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
        stir: run.stir,
        integrity: run.integrity(),
        why: finding.map_or_else(Vec::new, |f| f.why.clone()),
        missing: match finding {
            Some(f) => f.missing.clone(),
            None => vec!["nothing was heard from inside the process".to_owned()],
        },
    })
}

/// Three digits: for what may be small or large.
fn digits(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

/// Four decimals: more would be false precision.
fn rounded(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}
