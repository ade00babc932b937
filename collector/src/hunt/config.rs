//! What is hunted, and how. The arguments are checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::duration::Limit;

use super::arm::Arm;
use super::on_hang::OnHang;
use crate::analysis::StirPlan;
use crate::analysis::facts::SideBySide;
use crate::analysis::sequential::Until;
use crate::capture::PerfOptions;
use crate::history::Remember;
use crate::history::model::Workload;
use crate::launch::cpus::{self, Cpus};
use crate::launch::shim_path::Shim;
use crate::profile::Profile;
use crate::shard::{Own, Shard};
use crate::symbolize::KeptNames;
use crate::text::message::Text;

/// The counter lane: runs of a build that counts.
#[derive(Clone, Debug)]
pub(crate) struct StatsLane {
    pub(crate) so: PathBuf,
    pub(crate) runs: u32,
}

/// What ends a hunt before all of its runs are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// The hunt ends when this is decided.
    pub(crate) until: Option<Until>,
    /// Time after the start of the first run. The last run is brought to its end: hangs take longer than
    /// other runs, and would be lost more often.
    pub(crate) max_time: Limit,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) so: PathBuf,
    /// The runs have the system's malloc. `so` is libc, and the shim alone is preloaded.
    pub(crate) system: bool,
    /// The carrier of `so`, if the user named that.
    pub(crate) carrier: Option<PathBuf>,
    /// Short name of the allocator, part of file names.
    pub(crate) name: String,
    pub(crate) profile: Profile,
    /// Not empty; one of them is pinned.
    pub(crate) arms: Vec<Arm>,
    /// Seed of the order in which the arms take turns.
    pub(crate) seed: u64,
    /// Bytes that replace or overwrite the DSO. None: the same bytes.
    pub(crate) other_so: Option<PathBuf>,
    /// Most runs of an arm; of all shards together.
    pub(crate) runs: u32,
    /// The part of the job that is made. None: the whole.
    pub(crate) part: Option<Own>,
    pub(crate) limits: Limits,
    /// Deadline from the start of a process.
    pub(crate) hang_after: Limit,
    /// A run in which nothing moves for this time hangs, too.
    pub(crate) stall: Limit,
    pub(crate) cpus: Option<Cpus>,
    /// Disjoint sets of CPUs: one run at a time on each. Empty: the runs are made one by one.
    pub(crate) side_by_side: Vec<Cpus>,
    /// What follows a hang, with one arm. With several, all runs are made.
    pub(crate) on_hang: OnHang,
    /// Most bytes of the core of a process that hangs, as a file. None: no core.
    pub(crate) core: Option<u64>,
    pub(crate) out: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    /// Free text in the sessions.
    pub(crate) label: Option<String>,
    pub(crate) stats: Option<StatsLane>,
    /// Time between two looks of the shim. None: the shim's default.
    pub(crate) tick: Option<Duration>,
    /// How scheduling is disturbed, with the seed of the first run.
    pub(crate) stir: Option<StirPlan>,
    /// Of a replayed run; else empty at the beginning.
    pub(crate) preferred_sites: BTreeSet<u32>,
    /// perf of the hottest thread. None: do not run it.
    pub(crate) perf: Option<PerfOptions>,
    /// Whether a `dump.bin` keeps everything, however large.
    pub(crate) full: bool,
    /// Names of code, for all hangs.
    pub(crate) kept: KeptNames,
    pub(crate) shim: Shim,
    /// Names of the programs to watch. None: all programs of the run.
    pub(crate) only: Option<String>,
    /// Runs that verify the preload before the hunt. 0: none.
    pub(crate) verify_runs: u32,
    /// Arguments of a small run for the verification. None: the command itself, killed once it is proven.
    pub(crate) verify_args: Option<Vec<String>>,
    /// Folder (mode 0700) for the sockets. Each run has its own socket, so a process that one run left behind
    /// cannot send to the next.
    pub(crate) sockets: PathBuf,
    /// The benchmark's command, not empty.
    pub(crate) command: Vec<String>,
    /// Takes the runs for the history.
    pub(crate) remember: Remember,
    /// Notes for the person before the first run, such as missing CPUs.
    pub(crate) notes: Vec<Text>,
}

/// The shortest and the longest of the times that [`Config::with_tick`] chooses.
const TICKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

impl Config {
    /// The shim looks four times until the deadline or the stall, unless the user has said how often.
    pub(crate) fn with_tick(self) -> Config {
        let soonest = [self.hang_after, self.stall].into_iter().filter_map(Limit::time).min();
        let quarter = soonest.map(|time| (time / 4).clamp(TICKS.0, TICKS.1));
        Config { tick: self.tick.or(quarter), ..self }
    }

    /// Runs of one pinned arm, none of which is disturbed or side by side with others; no limits, and nothing
    /// beside the evidence is kept. `sockets`: a folder with mode 0700.
    pub(crate) fn plain(
        so: PathBuf,
        profile: Profile,
        command: Vec<String>,
        out: PathBuf,
        shim: Shim,
        sockets: PathBuf,
    ) -> Config {
        Config {
            so,
            system: false,
            carrier: None,
            name: profile.name.clone(),
            verify_args: profile.verify_args.clone(),
            profile,
            arms: vec![Arm::pinned()],
            seed: 0,
            other_so: None,
            runs: 0,
            part: None,
            limits: Limits { until: None, max_time: Limit::Off },
            hang_after: Limit::Off,
            stall: Limit::Off,
            cpus: None,
            side_by_side: vec![],
            on_hang: OnHang::Next,
            core: None,
            out,
            env: vec![],
            label: None,
            stats: None,
            tick: None,
            stir: None,
            preferred_sites: BTreeSet::new(),
            perf: None,
            full: false,
            kept: KeptNames::default(),
            shim,
            only: None,
            verify_runs: 0,
            sockets,
            command,
            remember: Remember::default(),
            notes: vec![],
        }
    }

    /// Runs of an arm that this hunt makes if nothing hangs.
    pub(crate) fn planned(&self) -> u32 {
        let whole = self.limits.until.map_or(self.runs, |until| self.runs.min(until.runs));
        self.shard().count(whole)
    }

    pub(crate) fn shard(&self) -> Shard {
        self.part.as_ref().map_or(Shard::WHOLE, |part| part.shard)
    }

    /// The file that the user named. A program that preloads it gets the pinned DSO.
    pub(crate) fn named(&self) -> &Path {
        self.carrier.as_ref().unwrap_or(&self.so)
    }

    /// What runs, for the history.
    pub(crate) fn workload(&self) -> Workload {
        Workload::of(&self.command, self.label.as_deref())
    }

    /// The sets of CPUs, if runs are made side by side.
    pub(crate) fn side_by_side(&self) -> Option<SideBySide> {
        let cpus: Vec<String> = self.side_by_side.iter().map(|set| cpus::show(&set.used)).collect();
        (!cpus.is_empty()).then_some(SideBySide { cpus })
    }

    /// Whether the hunt stops at the first hang. An experiment with several arms needs all runs.
    pub(crate) fn stops_at_first(&self) -> bool {
        self.on_hang.stops() && self.arms.len() == 1
    }
}
