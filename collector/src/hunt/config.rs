//! What is hunted, and how: checked, ready to go.

use std::path::PathBuf;
use std::time::Duration;

use hangscope_protocol::duration::Limit;

use super::arm::Arm;
use crate::analysis::Stir;
use crate::analysis::sequential::Until;
use crate::capture::PerfOptions;
use crate::launch::cpus::Cpus;
use crate::profile::Profile;
use crate::text::message::Text;

/// Runs with a build that counts.
#[derive(Clone, Debug)]
pub(crate) struct StatsLane {
    /// The build.
    pub(crate) so: PathBuf,
    /// Runs.
    pub(crate) runs: u32,
}

/// When a hunt ends before all of its runs are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// As soon as this is decided.
    pub(crate) until: Option<Until>,
    /// So long after its first run began. A run that goes on then is not cut short: hangs take longer than other runs, and
    /// would be lost more often.
    pub(crate) max_time: Limit,
}

/// A hunt.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The allocator's DSO.
    pub(crate) so: PathBuf,
    /// Its short name: part of file names.
    pub(crate) name: String,
    /// What is particular to it.
    pub(crate) profile: Profile,
    /// The arms; not empty, one of them pinned.
    pub(crate) arms: Vec<Arm>,
    /// Of the order in which they take turns.
    pub(crate) seed: u64,
    /// What is put in the place of a DSO that is replaced or overwritten; none: the same bytes.
    pub(crate) other_so: Option<PathBuf>,
    /// Most runs that are made, per arm.
    pub(crate) runs: u32,
    /// When it ends before.
    pub(crate) limits: Limits,
    /// Deadline from the start of a process.
    pub(crate) hang_after: Limit,
    /// Without any progress for so long is a hang.
    pub(crate) stall: Limit,
    /// Processors for the runs.
    pub(crate) cpus: Option<Cpus>,
    /// Count hangs rather than stop at the first.
    pub(crate) keep_going: bool,
    /// Where everything goes.
    pub(crate) out: PathBuf,
    /// Variables for the benchmark.
    pub(crate) env: Vec<(String, String)>,
    /// Free text that the sessions carry.
    pub(crate) label: Option<String>,
    /// The counter lane.
    pub(crate) stats: Option<StatsLane>,
    /// Between two looks of the shim; none: its default.
    pub(crate) tick: Option<Duration>,
    /// How scheduling is disturbed in the runs, with the seed of the first; none: not at all.
    pub(crate) stir: Option<Stir>,
    /// perf of the hottest thread; none: not wanted.
    pub(crate) perf: Option<PerfOptions>,
    /// The shim.
    pub(crate) shim: PathBuf,
    /// Names of the programs that are watched; none: all of the run.
    pub(crate) only: Option<String>,
    /// The same, where the user named them.
    pub(crate) only_named: Option<String>,
    /// Runs of the preload verification before the hunt; 0: none.
    pub(crate) verify_runs: u32,
    /// Folder (0700) for the sockets of the runs, one each: a process that a run left behind cannot speak into
    /// another.
    pub(crate) sockets: PathBuf,
    /// The benchmark's command; not empty.
    pub(crate) command: Vec<String>,
    /// What the person should know: processors that are not here, and so on.
    pub(crate) notes: Vec<Text>,
}

impl Config {
    /// Runs that are planned, per arm: as many as are made where nothing hangs.
    pub(crate) fn planned(&self) -> u32 {
        self.limits.until.map_or(self.runs, |until| self.runs.min(until.runs))
    }

    /// Whether it stops at the first hang: an experiment with several arms needs all of their runs.
    pub(crate) fn stops_at_first(&self) -> bool {
        !self.keep_going && self.arms.len() == 1
    }
}
