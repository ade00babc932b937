//! The facts of a hunt and its runs. The verdict is made from them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::crash::CrashFacts;
use super::finding::Finding;
use super::judged::Judged;
use super::run_counters::RunCounters;
use super::sequential::Until;
use super::shards::Joined;
use super::stir::{HoldCounts, Stir, StirPlan};
use super::words::{Class, Integrity};
use crate::text::message::{self, Text};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunOutcome {
    /// Exit status 0.
    Ok,
    /// Hung. The evidence was captured.
    Hung,
    /// Alive after the deadline, or a daemon after its first process. It ended by itself later, or was
    /// stopped ([`RunFacts::cut_off`]).
    Slow,
    /// Died by a signal that the hunt did not send.
    Crashed,
    /// Another exit status, or did not start.
    Failed,
    /// The hunt was interrupted during the run. The run counts nowhere.
    Interrupted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    /// Number of the run, from 1.
    pub(crate) run: u32,
    /// Name of the arm; [`PINNED`] in a hunt without arms.
    pub(crate) arm: String,
    /// Name of the machine, if the run is one of a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// None: the program did not start.
    pub(crate) pid: Option<u32>,
    pub(crate) outcome: RunOutcome,
    /// Stopped while it was working: at the deadline, or after its first process. Nobody knows whether it
    /// would have hung, so it counts for no rate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cut_off: bool,
    /// Exit status, 128+n for a signal n.
    pub(crate) rc: Option<i32>,
    /// Number of the signal that ended the run.
    pub(crate) signal: Option<i32>,
    /// Operations per second, as the benchmark printed them.
    pub(crate) ops: Option<f64>,
    /// Start time, seconds since the epoch.
    #[serde(default)]
    pub(crate) started: Option<f64>,
    /// Wall clock, seconds. Of a hung run: until it was found to hang.
    pub(crate) seconds: f64,
    /// How long the capture of a hung run took, with the end of its processes, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) captured_s: Option<f64>,
    /// Peak resident set, KiB.
    pub(crate) max_rss_kib: Option<u64>,
    /// The collector received the shim's hello.
    pub(crate) hello_seen: bool,
    /// The program that is judged, and whether its malloc is proven to be the run's DSO. None: nobody looked
    /// (a snap, or a file of an older version).
    #[serde(default)]
    pub(crate) judged: Option<Judged>,
    /// State of the allocator's DSO at the start.
    pub(crate) integrity_start: Integrity,
    /// State of the allocator's DSO at the end, or at the hang.
    pub(crate) integrity_end: Integrity,
    /// The maps showed `(deleted)` for the allocator's DSO.
    pub(crate) deleted_seen: bool,
    /// How the run was disturbed; none: not at all.
    #[serde(default)]
    pub(crate) stir: Option<Stir>,
    /// Offsets in the allocator of instructions at which threads of the run were held more often: those of
    /// [`RunFacts::hold_sites`] of earlier runs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) preferred_sites: BTreeSet<u32>,
    /// Offsets in the allocator of instructions at which threads were held last before the run hung.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) hold_sites: BTreeSet<u32>,
    /// Of a run whose threads were held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) holds: Option<HoldCounts>,
    /// The CPUs of a run beside others, as a list: `0-3,8`. None: the runs were made one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpus: Option<String>,
    /// The last line on stderr of a run that died or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_words: Option<String>,
    /// Where the run crashed, if the shim left a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crash: Option<CrashFacts>,
    /// Processes that outlived the first one and ran on detached: a daemon of the benchmark's own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) left_behind: u32,
    /// Why the run failed, or another remark.
    #[serde(serialize_with = "message::english_or_none")]
    pub(crate) note: Option<Text>,
    /// The evidence of a hung or slow run.
    pub(crate) hang: Option<HangFacts>,
    /// None where the profile names no counters.
    #[serde(default)]
    pub(crate) counters: Option<RunCounters>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl RunFacts {
    /// A run that has not started: outcome `Failed`, nothing else known.
    pub(crate) fn new(run: u32, arm: &str) -> Self {
        RunFacts {
            run,
            arm: arm.to_owned(),
            node: None,
            pid: None,
            outcome: RunOutcome::Failed,
            cut_off: false,
            rc: None,
            signal: None,
            ops: None,
            started: None,
            seconds: 0.0,
            captured_s: None,
            max_rss_kib: None,
            hello_seen: false,
            judged: None,
            integrity_start: Integrity::Unknown,
            integrity_end: Integrity::Unknown,
            deleted_seen: false,
            stir: None,
            preferred_sites: BTreeSet::new(),
            hold_sites: BTreeSet::new(),
            holds: None,
            cpus: None,
            last_words: None,
            crash: None,
            left_behind: 0,
            note: None,
            hang: None,
            counters: None,
        }
    }

    /// The class of its hang, or of what was captured of it.
    pub(crate) fn class(&self) -> Class {
        let finding = self.hang.as_ref().and_then(|hang| hang.finding.as_ref());
        finding.map_or(Class::Unknown, |finding| finding.class)
    }

    /// The name of the run ([`run_name`]).
    pub(crate) fn name(&self) -> String {
        run_name(&self.arm, self.run)
    }

    /// The hello of the program that is judged proves that its malloc is the run's DSO.
    pub(crate) fn is_proven(&self) -> bool {
        match &self.judged {
            Some(judged) => judged.proven().is_some(),
            None => self.pid.is_some(),
        }
    }

    /// The same; of a run that hung, another program may be the one that counts.
    pub(crate) fn has_dso(&self) -> bool {
        let hung = self.outcome == RunOutcome::Hung;
        self.is_proven() || hung && self.judged.as_ref().is_some_and(Judged::has_dso)
    }

    /// The run could hang, its end is known, and its malloc was the run's DSO: rates rest on such runs.
    pub(crate) fn could_hang(&self) -> bool {
        let could = matches!(self.outcome, RunOutcome::Ok | RunOutcome::Hung | RunOutcome::Slow);
        could && !self.cut_off && self.has_dso()
    }

    /// The run did not hang, but a wait was far longer than any hold explains.
    pub(crate) fn nearly_hung(&self) -> bool {
        self.outcome != RunOutcome::Hung && self.holds.is_some_and(|holds| holds.long_waits > 0)
    }

    /// The worse of the two states of the DSO, at the start and at the end.
    pub(crate) fn integrity(&self) -> Integrity {
        self.integrity_start.max(self.integrity_end)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HangFacts {
    /// Folder of the evidence in OUT: `hang_run_8`.
    pub(crate) snapshot: String,
    /// None where the shim sent nothing.
    pub(crate) finding: Option<Finding>,
    /// Milliseconds from the request of the dump to the last byte of the first look.
    pub(crate) dump_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DsoFacts {
    /// Path that the user gave.
    pub(crate) original: String,
    /// Path of the pinned copy (or the same path, if it was not pinned).
    pub(crate) path: String,
    /// The runs used a pinned copy.
    pub(crate) pinned: bool,
    /// SHA-1 of the file at `path`, hex.
    pub(crate) sha1: String,
    /// Build-id, hex; none: the file has none.
    pub(crate) build_id: Option<String>,
    /// What happened to the file at `original` during the hunt.
    pub(crate) original_integrity: Integrity,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArmFacts {
    /// As in [`RunFacts::arm`].
    pub(crate) name: String,
    /// What the hunt does to the DSO in the middle of each run; none: nothing.
    pub(crate) change: Option<Integrity>,
    /// The arm runs another build than the pinned one.
    pub(crate) other_build: bool,
    /// Path of the DSO. In an arm with a change, each run gets a copy of this file.
    pub(crate) path: String,
    /// SHA-1 of the file at `path`, hex.
    pub(crate) sha1: String,
}

/// The arm whose DSO is left alone.
pub(crate) const PINNED: &str = "pinned";

/// The arm of the single "run" of a snap: a process that was running already.
pub(crate) const SNAP: &str = "snap";

/// The counter lane: runs of a build that counts. They are among the runs of a hunt only if one of them hung.
pub(crate) const STATS: &str = "stats";

/// The name of a run in files and sentences: `8` in the pinned arm, `deleted/8` in another.
pub(crate) fn run_name(arm: &str, run: u32) -> String {
    if [PINNED, SNAP].contains(&arm) { run.to_string() } else { format!("{arm}/{run}") }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HuntFacts {
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The command of the benchmark.
    pub(crate) command: Vec<String>,
    /// Deadline of a run, seconds; 0: off.
    pub(crate) hang_after_s: f64,
    /// Number of planned runs, per arm.
    pub(crate) planned: u32,
    /// The runs in the order in which they were begun.
    #[serde(skip)]
    pub(crate) runs: Vec<RunFacts>,
    pub(crate) dso: DsoFacts,
    /// Ended by Ctrl-C or a signal.
    pub(crate) interrupted: bool,
    /// The hunt stops at its first hang.
    pub(crate) stop_at_first: bool,
    /// The arms in the order of the command line; empty where there is only the pinned one.
    #[serde(default)]
    pub(crate) arms: Vec<ArmFacts>,
    /// Seed of the order in which the arms take turns; none: one arm.
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    /// The question at whose decision the hunt stops (`--until-decided`).
    #[serde(default)]
    pub(crate) until: Option<Until>,
    /// The time limit, seconds, if the hunt reached it.
    #[serde(default)]
    pub(crate) time_over_s: Option<f64>,
    /// How the runs were disturbed, with the seed of the first run; none: not at all.
    #[serde(default)]
    pub(crate) stir: Option<StirPlan>,
    /// The runs were made side by side; none: one by one.
    #[serde(default)]
    pub(crate) side_by_side: Option<SideBySide>,
    /// The shards that were joined; none: the runs are of one hunt in one piece, or of one shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shards: Option<Joined>,
}

/// Runs side by side, each on CPUs of its own. They share caches, memory bandwidth and turbo, so their ops/s
/// are no figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SideBySide {
    /// The sets of CPUs, as lists: `0-3,8`. One run at a time has each.
    pub(crate) cpus: Vec<String>,
}

impl HuntFacts {
    /// A hunt without a deadline that has planned no run.
    pub(crate) fn new(name: &str, command: &[String], dso: DsoFacts) -> Self {
        HuntFacts {
            name: name.to_owned(),
            command: command.to_vec(),
            hang_after_s: 0.0,
            planned: 0,
            runs: vec![],
            dso,
            interrupted: false,
            stop_at_first: false,
            arms: vec![],
            seed: None,
            until: None,
            time_over_s: None,
            stir: None,
            side_by_side: None,
            shards: None,
        }
    }

    /// An arm by its name; none also where there is only the pinned one.
    pub(crate) fn arm(&self, name: &str) -> Option<&ArmFacts> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    pub(crate) fn is_other_build(&self, arm: &str) -> bool {
        arm == STATS || self.arm(arm).is_some_and(|arm| arm.other_build)
    }

    /// What happened to the DSO of a run whose arm leaves it alone. None: the DSO is intact, its state is not
    /// known, or the arm changed it on purpose.
    pub(crate) fn unwanted_change(&self, run: &RunFacts) -> Option<Integrity> {
        let on_purpose = self.arm(&run.arm).is_some_and(|arm| arm.change.is_some());
        Some(run.integrity()).filter(|integrity| !on_purpose && integrity.is_changed())
    }

    /// The facts are those of a snap: one process that was running already. It has
    /// no rate and no planned runs.
    pub(crate) fn is_snap(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| run.arm == SNAP)
    }
}
