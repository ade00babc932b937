//! What is hunted, and how: checked, ready to go.

use std::path::PathBuf;
use std::time::Duration;

use super::arm::Arm;
use crate::analysis::Stir;
use crate::analysis::sequential::Until;
use crate::capture::PerfOptions;
use crate::launch::cpus::Cpus;
use crate::profile::Profile;
use crate::text::message::Text;

/// Runs with a build that counts.
#[derive(Clone, Debug)]
pub struct StatsLane {
    /// The build.
    pub so: PathBuf,
    /// Runs.
    pub runs: u32,
}

/// When a hunt ends before all of its runs are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// As soon as this is decided.
    pub until: Option<Until>,
    /// So long after its first run began. A run that goes on then is not cut short: hangs take longer than other runs, and
    /// would be lost more often.
    pub max_time: Option<Duration>,
}

/// A hunt.
#[derive(Clone, Debug)]
pub struct Config {
    /// The allocator's DSO.
    pub so: PathBuf,
    /// Its short name: part of file names.
    pub name: String,
    /// What is particular to it.
    pub profile: Profile,
    /// The arms; not empty, one of them pinned.
    pub arms: Vec<Arm>,
    /// Of the order in which they take turns.
    pub seed: u64,
    /// What is put in the place of a DSO that is replaced or overwritten; none: the same bytes.
    pub other_so: Option<PathBuf>,
    /// Most runs that are made, per arm.
    pub runs: u32,
    /// When it ends before.
    pub limits: Limits,
    /// From the start of a process; none: only a stall is a hang.
    pub hang_after: Option<Duration>,
    /// Without any progress for so long is a hang.
    pub stall: Option<Duration>,
    /// Processors for the runs.
    pub cpus: Option<Cpus>,
    /// Count hangs rather than stop at the first.
    pub keep_going: bool,
    /// Where everything goes.
    pub out: PathBuf,
    /// Variables for the benchmark.
    pub env: Vec<(String, String)>,
    /// Free text that the sessions carry.
    pub label: Option<String>,
    /// The counter lane.
    pub stats: Option<StatsLane>,
    /// Between two looks of the shim; none: its default.
    pub tick: Option<Duration>,
    /// How scheduling is disturbed in the runs, with the seed of the first; none: not at all.
    pub stir: Option<Stir>,
    /// perf of the hottest thread; none: not wanted.
    pub perf: Option<PerfOptions>,
    /// The shim.
    pub shim: PathBuf,
    /// Names of the programs that are watched; none: all of the run.
    pub only: Option<String>,
    /// The same, where the user named them.
    pub only_named: Option<String>,
    /// Runs of the preload verification before the hunt; 0: none.
    pub verify_runs: u32,
    /// Folder (0700) for the sockets of the runs, one each: a process that a run left behind cannot speak into
    /// another.
    pub sockets: PathBuf,
    /// The benchmark's command; not empty.
    pub command: Vec<String>,
    /// What the person should know: processors that are not here, and so on.
    pub notes: Vec<Text>,
}

impl Config {
    /// Runs that are planned, per arm: as many as are made where nothing hangs.
    pub fn planned(&self) -> u32 {
        self.limits.until.map_or(self.runs, |until| self.runs.min(until.runs))
    }

    /// Whether it stops at the first hang: an experiment with several arms needs all of their runs.
    pub fn stops_at_first(&self) -> bool {
        !self.keep_going && self.arms.len() == 1
    }
}
