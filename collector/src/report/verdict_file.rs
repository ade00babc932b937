//! `verdict.json`. Other programs read its keys: new ones may be added, these stay as they are (names,
//! order, null or not).

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::counters;
use crate::analysis::class::held;
use crate::analysis::counters::LaneCounters;
use crate::analysis::crash::signal_name;
use crate::analysis::decision::{self, Decision};
use crate::analysis::facts::{STATS, SideBySide};
use crate::analysis::finding::{HoldPlace, Hot, Lock};
use crate::analysis::signature::Signature;
use crate::analysis::stats::{PerHour, Rate};
use crate::analysis::stirred::{StrategyRates, by_strategy};
use crate::analysis::verdict::arms::{self, ArmResult};
use crate::analysis::verdict::lines::Line;
use crate::analysis::verdict::nodes::{self, Node};
use crate::analysis::{Class, Conclusion, Confidence, HuntFacts, Judged, RunFacts, RunOutcome, class};
use crate::text::message::Lang;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct VerdictFile(Map<String, Value>);

impl VerdictFile {
    /// From the facts of a hunt and what was concluded from them.
    ///
    /// What is above `arms` is about the pinned arm. The hangs are those of all arms.
    pub(crate) fn of(facts: &HuntFacts, conclusion: &Conclusion) -> Self {
        let ops = conclusion
            .ops
            .as_ref()
            .map(|(spread, far_outside)| with(json!(spread), "far_outside", far_outside));
        let file = VerdictFile(object(json!({
            "schema": "hangscope/verdict/1",
            "name": facts.name,
            "command": facts.command,
            "hang_after_s": facts.hang_after_s,
            // With the seed of the first run; null: nothing was disturbed.
            "stir": facts.stir,
            "runs": conclusion.runs,
            "rate": rounded_rate(conclusion.rate),
            // Null where no run tells how long one takes.
            "per_hour": conclusion.per_hour.map(rounded_per_hour),
            // Of the good runs; null where none printed a figure.
            "ops": ops,
            "stopped": facts.stopped(),
            // Seconds; null unless the time limit ended the hunt.
            "max_time_s": facts.time_over_s,
            // Null without --until-decided.
            "decision": decision::of(facts).map(|decision| decided(facts, &decision)),
            "dso": {
                "path": facts.dso.path,
                "pinned": facts.dso.pinned && conclusion.proven,
                // The program whose hello proves the DSO: of the reported hang, else of a good run. Null
                // without one.
                "proven_in": conclusion.proven_in.as_ref().map(|(exe, pid)| json!({ "exe": exe, "pid": pid })),
                "sha1": facts.dso.sha1,
                "build_id": facts.dso.build_id,
                "integrity": conclusion.integrity,
                "deleted_seen": conclusion.deleted_seen,
                "original": facts.dso.original,
                "original_integrity": facts.dso.original_integrity,
            },
            "verdict": conclusion.verdict,
            "letter": conclusion.verdict.letter(),
            "headline": conclusion.headline(Lang::En),
            "next_action": conclusion.next_action,
            "evidence": conclusion.evidence(Lang::En),
            "would_change_it": conclusion.would_change_it(Lang::En),
            // Of the hang that the headline is about; 0 without one.
            "futex_wait_share": rounded(conclusion.futex_share()),
            "hangs": snapshots(facts, RunOutcome::Hung),
            "slow": snapshots(facts, RunOutcome::Slow),
            // Runs that died and left a crash record.
            "crashes": facts.runs.iter().filter_map(crash).collect::<Vec<_>>(),
            "arms": arms::arms(facts).iter().map(|result| arm(facts, result)).collect::<Vec<_>>(),
        })));
        // Only of `--stir auto`: what each strategy did, most hangs per hour first.
        let strategies: Vec<Value> = by_strategy(facts).iter().map(strategy).collect();
        let file = match strategies.is_empty() {
            true => file,
            false => file.with("stir_strategies", json!(strategies)),
        };
        // Only of shards that were joined.
        let file = match &facts.shards {
            None => file,
            Some(joined) => {
                let one = nodes::one_node(facts).map(|one| json!({ "node": one.name, "p": digits(one.p) }));
                let all: Vec<Value> = nodes::nodes(facts).iter().map(node).collect();
                // `one_node`: all hangs come from it, and chance does not explain that. Else null.
                file.with("shards", json!(joined)).with("nodes", json!(all)).with("one_node", json!(one))
            }
        };
        match &facts.side_by_side {
            // `ops` and `ops_s` are null then.
            Some(SideBySide { cpus }) => {
                let value = json!({ "jobs": cpus.len(), "cpus": cpus, "ops_are_figures": false });
                file.with("side_by_side", value)
            }
            None => file,
        }
    }

    /// With the counters of the hunt in brief, where there are any. All of them are in `counters.json`.
    pub(crate) fn with_counters(mut self, lanes: &[LaneCounters]) -> Self {
        if !lanes.is_empty() {
            self.0.insert("counters".to_owned(), json!(counters::parts(lanes)));
        }
        self
    }

    /// With another key, or another value of a key.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// The value of a key; null where there is none.
    pub(crate) fn value(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    /// With the folder of the file and the evidence: what `--json` prints.
    pub(crate) fn in_folder(mut self, out: &Path) -> Self {
        self.0.insert("out".to_owned(), json!(out.display().to_string()));
        self
    }
}

/// Only of a `json!` of an object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// An object with one more key.
fn with(value: Value, key: &str, of: impl Serialize) -> Value {
    let mut map = object(value);
    map.insert(key.to_owned(), json!(of));
    Value::Object(map)
}

fn decided(facts: &HuntFacts, decision: &Decision) -> Value {
    let one = facts.arms.is_empty();
    let arm = |arm: &decision::DecidedArm| {
        json!({
            "arm": arm.name,
            "runs": arm.runs,
            "hung": arm.hung,
            // Runs that count for a rate below the one that was asked.
            "counted": arm.counted,
            // These three are null for the pinned arm, `less` for all but another build.
            "answer": arm.against.and_then(|versus| versus.answer),
            "more": arm.against.map(|versus| digits(versus.more)),
            "less": arm.against.and_then(|versus| versus.less).map(digits),
        })
    };
    json!({
        "question": if one { "does-it-hang" } else { "which-arm-hangs" },
        "method": if one { "none-in-n" } else { "e-value for two proportions, none-in-n" },
        "decided": decision.answer.is_some(),
        "answer": decision.answer,
        "rate": decision.until.rate,
        "confidence": decision.until.confidence,
        // Runs without a hang that decide, for each arm.
        "runs": decision.until.runs,
        // How many more of them it takes, 0 if it is decided; null once one hung and it is not decided.
        "missing": decision.missing,
        "needed": (!one).then(|| digits(decision.needed)),
        "arms": decision.arms.iter().map(arm).collect::<Vec<_>>(),
    })
}

fn arm(facts: &HuntFacts, result: &ArmResult) -> Value {
    let known = result.facts.as_ref();
    json!({
        "arm": result.name,
        "change": known.and_then(|arm| arm.change),
        "other_build": known.is_some_and(|arm| arm.other_build),
        // Null for the counter lane: its DSO is in `{name}_so_stats.sha1`.
        "path": (result.name != STATS).then(|| known.map_or(&facts.dso.path, |arm| &arm.path)),
        "sha1": (result.name != STATS).then(|| known.map_or(&facts.dso.sha1, |arm| &arm.sha1)),
        "runs": result.tally,
        "rate": rounded_rate(result.tally.rate()),
        "not_intact": result.changed_runs,
        // Fisher's exact test against the pinned arm: one-sided where the DSO was changed, two-sided for
        // another build.
        "p": result.test.map(|test| digits(test.p)),
        // Medians of the good runs; null without one.
        "ops_s": result.ops_s,
        "max_rss_kib": result.max_rss_kib,
    })
}

fn strategy(rates: &StrategyRates) -> Value {
    json!({
        "strategy": rates.strategy,
        "arm": rates.arm,
        "runs": rates.runs,
        "near_hangs": rates.near,
        "seconds": digits(rates.seconds),
        "rate": rounded_rate(rates.runs.rate()),
        "per_hour": rates.per_hour.map(rounded_per_hour),
    })
}

fn node(node: &Node) -> Value {
    let mut runs = object(json!(node.runs));
    // A machine has no plan.
    runs.remove("planned");
    json!({ "node": node.name, "runs": runs, "rate": rounded_rate(node.runs.rate()) })
}

fn snapshots(facts: &HuntFacts, outcome: RunOutcome) -> Vec<Value> {
    facts.runs.iter().filter(|r| r.outcome == outcome).filter_map(hang).collect()
}

fn hang(run: &RunFacts) -> Option<Value> {
    let hang = run.hang.as_ref()?;
    let finding = hang.finding.as_ref();
    let nothing = || vec![Line::NothingFromInside {}.en()];
    Some(json!({
        "run": run.run,
        "arm": run.arm,
        "pid": run.pid,
        "snapshot": hang.snapshot,
        // Null where nobody looked; `proven` is false without a hello of this program with the DSO.
        "program": run.judged.as_ref().map(program),
        "class": finding.map_or(Class::Unknown, |f| f.class),
        "cause": finding.and_then(|f| f.cause),
        // Equal in hangs of the same bug, of other builds, too. Null without a finding.
        "signature": finding.map(|f| Signature::of(f).id()),
        "confidence": finding.map_or(Confidence::Likely, |f| f.confidence),
        "lock": finding.and_then(|f| f.lock.as_ref()).map(lock),
        "hot": finding.and_then(|f| f.hot.as_ref()).map(hot),
        "threads": finding.map(|f| f.threads),
        "stir": run.stir,
        // The last first.
        "holds": finding.map_or(&[][..], |f| &f.holds).iter().map(hold).collect::<Vec<_>>(),
        "integrity": run.integrity(),
        "why": finding.map_or_else(Vec::new, |f| f.why.clone()),
        "missing": finding.map_or_else(nothing, |f| f.missing.clone()),
    }))
}

fn hold(hold: &HoldPlace) -> Value {
    json!({
        "tid": hold.tid,
        "held_ms": hold.held_ms,
        "before_s": hold.before_s,
        "at": held::at(hold.at).en(),
        "function": hold.function,
        "source": hold.source,
        "caller": hold.caller,
        "caller_source": hold.caller_source,
    })
}

fn program(judged: &Judged) -> Value {
    let program = judged.program();
    json!({
        "exe": program.map(|program| program.exe.as_str()),
        "pid": program.map(|program| program.pid),
        "proven": judged.has_dso(),
        "chain": judged.chain().en(),
    })
}

fn crash(run: &RunFacts) -> Option<Value> {
    let crash = run.crash.as_ref()?;
    Some(json!({
        "run": run.run,
        "arm": run.arm,
        "file": crash.file,
        "pid": crash.pid,
        "tid": crash.tid,
        "signal": signal_name(crash.signal),
        "code": crash.code,
        "address": crash.address,
        "function": crash.function,
        "source": crash.source,
        "in_allocator": crash.in_allocator,
    }))
}

/// The function and source are those in which most of the waiters wait.
fn lock(lock: &Lock) -> Value {
    json!({
        "address": lock.address,
        "symbol": lock.symbol,
        "kind": lock.kind,
        "owner_tid": lock.owner_tid,
        "waiters": lock.waiters,
        "function": lock.at.as_ref().and_then(|at| at.function.as_deref()),
        "source": lock.at.as_ref().and_then(class::source),
    })
}

fn hot(hot: &Hot) -> Value {
    json!({
        "tid": hot.tid,
        "cpu_share": rounded(hot.cpu_share),
        "in_allocator": hot.in_allocator,
        "function": hot.function,
        "source": hot.source,
        "samples": hot.samples,
        "distinct_pcs": hot.distinct_pcs,
        "for_s": hot.for_s.map(|s| (s * 10.0).round() / 10.0),
    })
}

fn rounded_rate(rate: Rate) -> Rate {
    Rate { low: rounded(rate.low), high: rounded(rate.high), ..rate }
}

fn rounded_per_hour(per_hour: PerHour) -> PerHour {
    PerHour {
        hours: digits(per_hour.hours),
        rate: digits(per_hour.rate),
        low: digits(per_hour.low),
        high: digits(per_hour.high),
        ..per_hour
    }
}

/// Three digits, for a figure that may be small or large.
fn digits(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

/// Four decimals, for a share: more would be false precision.
fn rounded(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}
