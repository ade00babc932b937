//! What a hunt saw, as data: what the verdict is made from.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::run_counters::RunCounters;
use super::sequential::Until;
use super::stir::Stir;
use super::words::Integrity;
use crate::text::message;
use crate::text::message::Text;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunOutcome {
    /// Exit status 0.
    Ok,
    /// Hung, captured.
    Hung,
    /// Past the deadline, but alive: it ended by itself later, or was stopped ([`RunFacts::cut_off`]).
    Slow,
    /// Died by a signal that was not ours.
    Crashed,
    /// Another exit status, or did not start.
    Failed,
    /// The hunt was interrupted while it ran; not counted in any N.
    Interrupted,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    /// Number, from 1.
    pub(crate) run: u32,
    /// Arm; `pinned` where there is only one.
    pub(crate) arm: String,
    /// Process, if it started.
    pub(crate) pid: Option<u32>,
    /// How it ended.
    pub(crate) outcome: RunOutcome,
    /// Stopped though it was at work: whether it would have hung is not known, so it counts for no rate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cut_off: bool,
    /// Exit status, 128+n for a signal n.
    pub(crate) rc: Option<i32>,
    /// Signal that it died by.
    pub(crate) signal: Option<i32>,
    /// Operations a second that it printed.
    pub(crate) ops: Option<f64>,
    /// When it was started, seconds since the epoch.
    #[serde(default)]
    pub(crate) started: Option<f64>,
    /// Wall clock, seconds.
    pub(crate) seconds: f64,
    /// Peak resident set, KiB.
    pub(crate) max_rss_kib: Option<u64>,
    /// Whether the shim said hello from it.
    pub(crate) hello_seen: bool,
    /// The allocator's DSO at the start.
    pub(crate) integrity_start: Integrity,
    /// At the end, or at the hang.
    pub(crate) integrity_end: Integrity,
    /// Whether `(deleted)` was seen on the allocator's DSO in this run.
    pub(crate) deleted_seen: bool,
    /// How scheduling was disturbed in it; null: not at all.
    #[serde(default)]
    pub(crate) stir: Option<Stir>,
    /// Why it failed, or anything worth a line.
    #[serde(serialize_with = "message::english_or_none")]
    pub(crate) note: Option<Text>,
    /// What was found, if it hung (or was slow).
    pub(crate) hang: Option<HangFacts>,
    /// Its counters, where the profile knows any.
    #[serde(default)]
    pub(crate) counters: Option<RunCounters>,
}

impl RunFacts {
    /// A run that has not started: outcome `Failed`, nothing else known.
    pub(crate) fn new(run: u32, arm: &str) -> Self {
        RunFacts {
            run,
            arm: arm.to_owned(),
            pid: None,
            outcome: RunOutcome::Failed,
            cut_off: false,
            rc: None,
            signal: None,
            ops: None,
            started: None,
            seconds: 0.0,
            max_rss_kib: None,
            hello_seen: false,
            integrity_start: Integrity::Unknown,
            integrity_end: Integrity::Unknown,
            deleted_seen: false,
            stir: None,
            note: None,
            hang: None,
            counters: None,
        }
    }

    /// The name of the run ([`run_name`]).
    pub(crate) fn name(&self) -> String {
        run_name(&self.arm, self.run)
    }

    /// The worse of the two states of the DSO, at the start and at the end.
    pub(crate) fn integrity(&self) -> Integrity {
        self.integrity_start.max(self.integrity_end)
    }
}

/// A hang of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HangFacts {
    /// Folder in OUT: `hang_run_8`.
    pub(crate) snapshot: String,
    /// The finding; none where nothing from inside was had.
    pub(crate) finding: Option<Finding>,
    /// From trigger to last byte of the first look, ms.
    pub(crate) dump_ms: Option<f64>,
}

/// The DSO that was hunted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DsoFacts {
    /// Path that the user gave.
    pub(crate) original: String,
    /// Path of the pinned copy (or the same path, if it was not pinned).
    pub(crate) path: String,
    /// Whether a pinned copy was used.
    pub(crate) pinned: bool,
    /// SHA-1 of its bytes.
    pub(crate) sha1: String,
    /// Build-id, hex; none if it has none.
    pub(crate) build_id: Option<String>,
    /// What happened to the user's own file while the hunt ran.
    pub(crate) original_integrity: Integrity,
}

/// An arm of a hunt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArmFacts {
    /// Its name, as in the runs.
    pub(crate) name: String,
    /// What is done to the DSO of its runs, in the middle of them; none: it is left alone.
    pub(crate) change: Option<Integrity>,
    /// Whether it is another build than the pinned one.
    pub(crate) other_build: bool,
    /// Path of the DSO of its runs; of one that is changed, the file that each run gets a copy of.
    pub(crate) path: String,
    /// SHA-1 of its bytes.
    pub(crate) sha1: String,
}

/// The arm whose DSO is left alone.
pub(crate) const PINNED: &str = "pinned";

/// The arm of the single "run" of a snap: a process that was running already.
pub(crate) const SNAP: &str = "snap";

/// The name of a run in files and sentences: `8` in the pinned arm, `deleted/8` in another.
pub(crate) fn run_name(arm: &str, run: u32) -> String {
    if [PINNED, SNAP].contains(&arm) { run.to_string() } else { format!("{arm}/{run}") }
}

/// Everything that a hunt saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HuntFacts {
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The benchmark's command.
    pub(crate) command: Vec<String>,
    /// Deadline, seconds.
    pub(crate) hang_after_s: f64,
    /// Runs that were planned.
    pub(crate) planned: u32,
    /// Runs that were made, in order.
    pub(crate) runs: Vec<RunFacts>,
    /// The DSO.
    pub(crate) dso: DsoFacts,
    /// Ended by Ctrl-C or a signal.
    pub(crate) interrupted: bool,
    /// Whether it stops at the first hang.
    pub(crate) stop_at_first: bool,
    /// The arms, in the order in which they were given; empty where there is only the pinned one.
    #[serde(default)]
    pub(crate) arms: Vec<ArmFacts>,
    /// Seed of the order in which several arms took turns.
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    /// The question that it was to decide, and no more.
    #[serde(default)]
    pub(crate) until: Option<Until>,
    /// The time that it was given, seconds, if that was over before it was done.
    #[serde(default)]
    pub(crate) time_over_s: Option<f64>,
    /// How scheduling was disturbed, with the seed of the first run; none: not at all.
    #[serde(default)]
    pub(crate) stir: Option<Stir>,
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
        }
    }

    /// What is known of an arm; none where there is only the pinned one.
    pub(crate) fn arm(&self, name: &str) -> Option<&ArmFacts> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// Whether an arm is one of another build.
    pub(crate) fn is_other_build(&self, arm: &str) -> bool {
        self.arm(arm).is_some_and(|arm| arm.other_build)
    }

    /// What happened to the DSO of a run whose arm leaves it alone. None: the DSO is intact, its state is not known, or
    /// the arm changed it on purpose.
    pub(crate) fn unwanted_change(&self, run: &RunFacts) -> Option<Integrity> {
        let on_purpose = self.arm(&run.arm).is_some_and(|arm| arm.change.is_some());
        Some(run.integrity()).filter(|integrity| !on_purpose && integrity.is_changed())
    }

    /// Whether it is no hunt, but a process that was there already and was looked at from outside: then there is
    /// no rate, and nothing was planned.
    pub(crate) fn is_snap(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| run.arm == SNAP)
    }
}
