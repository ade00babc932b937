//! The shards of a hunt or a matrix that were joined: which are there, what became of them, on which machines.

use serde::{Deserialize, Serialize};

/// A machine, as far as it matters for a hang. What is not known is `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Its name.
    pub(crate) node: String,
    /// Release of the kernel.
    pub(crate) kernel: String,
    /// Version of the C library.
    pub(crate) glibc: String,
    /// Model of the processor.
    pub(crate) cpu: String,
}

/// What became of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PartEnd {
    /// All of its runs were made.
    AllMade,
    /// It stopped at a hang of its own, before its last run.
    FirstHang,
    MaxTime,
    Interrupted,
    /// It was killed, or goes on.
    Unfinished,
    /// Lines of runs that it has made are gone or damaged.
    RunsLost,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// From 1.
    pub(crate) shard: u32,
    pub(crate) end: PartEnd,
    /// Runs of the shard if nothing hangs.
    pub(crate) planned: u32,
    /// Runs that were made.
    pub(crate) made: u32,
    pub(crate) hung: u32,
    /// Lines of its `runs.jsonl` that could not be read. They count nowhere.
    pub(crate) damaged_lines: u32,
    /// The machines of its starts, each once.
    pub(crate) machines: Vec<Machine>,
}

/// Shards that were joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Joined {
    /// How many shards the job was cut into.
    pub(crate) of: u32,
    /// Those that are there, by number.
    pub(crate) parts: Vec<Part>,
    /// Numbers of the others.
    pub(crate) missing: Vec<u32>,
}

impl Joined {
    /// `parts` may be in any order.
    pub(crate) fn new(of: u32, mut parts: Vec<Part>) -> Joined {
        parts.sort_by_key(|part| part.shard);
        let is_there = |shard: &u32| parts.binary_search_by_key(shard, |part| part.shard).is_ok();
        let missing = (1..=of).filter(|shard| !is_there(shard)).collect();
        Joined { of, parts, missing }
    }

    /// Numbers of the shards with this end.
    pub(crate) fn with(&self, end: PartEnd) -> Vec<u32> {
        self.parts.iter().filter(|part| part.end == end).map(|part| part.shard).collect()
    }

    /// Numbers of the shards whose runs are not all known, though they are there.
    pub(crate) fn lossy(&self) -> Vec<u32> {
        let lossy = self.parts.iter().filter(|part| part.damaged_lines > 0 || part.end == PartEnd::RunsLost);
        lossy.map(|part| part.shard).collect()
    }

    /// Every shard is there, and none of them was broken off.
    pub(crate) fn is_whole(&self) -> bool {
        let whole =
            |part: &Part| matches!(part.end, PartEnd::AllMade | PartEnd::FirstHang | PartEnd::MaxTime);
        self.missing.is_empty() && self.parts.iter().all(|part| whole(part) && part.damaged_lines == 0)
    }
}
