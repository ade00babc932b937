//! What a matrix is made of.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hangscope_protocol::duration::Limit;
use serde::Deserialize;

use crate::hunt::OnHang;

/// In which order the runs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Rounds: every allocator of every lane once, in the order of the file.
    Interleaved,
    /// Rounds, each in a new order.
    Shuffled,
    /// All runs of an allocator in a lane one after the other.
    Blocks,
}

impl Order {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Order::Interleaved => "interleaved",
            Order::Shuffled => "shuffled",
            Order::Blocks => "blocks",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PhaseName {
    Ops,
    Rss,
}

impl PhaseName {
    pub(crate) const ALL: [PhaseName; 2] = [PhaseName::Ops, PhaseName::Rss];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            PhaseName::Ops => "ops",
            PhaseName::Rss => "rss",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocator {
    pub(crate) name: String,
    /// None: the system's malloc.
    pub(crate) so: Option<PathBuf>,
    pub(crate) profile: Option<PathBuf>,
    pub(crate) env: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Not empty.
    pub(crate) command: Vec<String>,
    pub(crate) hang_after: Limit,
    pub(crate) cpus: Option<String>,
    pub(crate) env: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) name: PhaseName,
    pub(crate) runs: u32,
    /// Runs before the first one that counts.
    pub(crate) warmup: u32,
    /// Time between two looks at the program's memory. None: no time series.
    pub(crate) sample: Option<Duration>,
}

/// A matrix, checked. There is at least one of each.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// The file as it was read.
    pub(crate) text: String,
    /// The folder of the file, absolute. The runs are started in it.
    pub(crate) dir: PathBuf,
    pub(crate) out: Option<PathBuf>,
    pub(crate) allocators: Vec<Allocator>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) order: Order,
    /// None: a new one.
    pub(crate) seed: Option<u64>,
    pub(crate) on_hang: OnHang,
    pub(crate) stall: Limit,
    /// Names of the programs to watch. None: all programs of a run.
    pub(crate) only: Option<String>,
    /// Runs that verify the preload, for each allocator and program.
    pub(crate) verify_runs: u32,
}

/// What the names of a lane's bundles begin with: nothing in the first lane.
pub(crate) fn lane_prefix(lanes: &[Lane], index: usize) -> &str {
    if index == 0 { "" } else { &lanes[index].name }
}

/// The name of a bundle in `hangs/`, without the number of the run: `rss_hz4_`, in other lanes than the first
/// `guard_rss_hz4_`.
pub(crate) fn bundle_prefix(lane: &str, phase: PhaseName, allocator: &str) -> String {
    let lane = if lane.is_empty() { String::new() } else { format!("{lane}_") };
    format!("{lane}{phase}_{allocator}_")
}
