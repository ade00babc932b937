//! What the runs of each allocator in each lane are made with: a hunt's settings, and the names of its files.

use std::path::PathBuf;

use super::config::{self, Matrix, PhaseName};
use super::plan::{Cell, Group};
use crate::capture::PerfOptions;
use crate::files::pin::Pinned;
use crate::history::Remember;
use crate::history::model::Build;
use crate::hunt::Config;
use crate::hunt::lane::{Lane, RunNames};
use crate::launch::cpus::Cpus;
use crate::launch::shim_path::Shim;
use crate::profile::{self, Profile};
use crate::shard::Own;
use crate::symbolize::KeptNames;

/// What all runs have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) out: PathBuf,
    pub(crate) shim: Shim,
    /// Folder of the sockets.
    pub(crate) sockets: PathBuf,
    /// perf of the hottest thread of a hang. None: do not run it.
    pub(crate) perf: Option<PerfOptions>,
    /// Whether a `dump.bin` keeps everything.
    pub(crate) full: bool,
    /// Most bytes of the core of a process that hangs. None: no core.
    pub(crate) core: Option<u64>,
    pub(crate) kept: KeptNames,
    /// Takes the runs for the history.
    pub(crate) remember: Remember,
    /// The part of the matrix that is made. None: the whole.
    pub(crate) part: Option<Own>,
}

/// An allocator in a lane.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) config: Config,
    build: Build,
    lane: Lane,
    /// The lane in names of bundles.
    prefix: String,
    /// In the names of sockets.
    index: usize,
}

/// All pairs, by lane and allocator.
#[derive(Debug)]
pub(crate) struct Pairs {
    pairs: Vec<Pair>,
    allocators: usize,
}

impl Pairs {
    /// # Errors
    /// A profile that cannot be used, processors that are not there, or a DSO that cannot be preloaded.
    pub(crate) fn new(matrix: &Matrix, pinned: &[Pinned], common: &Common) -> anyhow::Result<Pairs> {
        let mut pairs = vec![];
        for (at, lane) in matrix.lanes.iter().enumerate() {
            for (allocator, pinned) in matrix.allocators.iter().zip(pinned) {
                let config = config(matrix, lane, allocator, pinned, common)?;
                let index = pairs.len();
                pairs.push(Pair {
                    lane: Lane::new(&config, pinned, crate::analysis::facts::PINNED, RunNames::default())?,
                    build: Build::of(&allocator.name, pinned),
                    config,
                    prefix: config::lane_prefix(&matrix.lanes, at).to_owned(),
                    index,
                });
            }
        }
        Ok(Pairs { pairs, allocators: matrix.allocators.len() })
    }

    pub(crate) fn get(&self, group: Group) -> &Pair {
        &self.pairs[group.lane * self.allocators + group.allocator]
    }

    /// The processors of all of them.
    pub(crate) fn cpus(&self) -> Cpus {
        let mut all = Cpus { used: vec![], missing: vec![] };
        for pair in &self.pairs {
            let cpus = pair.cpus();
            all.used.extend(cpus.used);
            all.missing.extend(cpus.missing);
        }
        for cpus in [&mut all.used, &mut all.missing] {
            cpus.sort_unstable();
            cpus.dedup();
        }
        all
    }
}

impl Pair {
    /// For the history.
    pub(crate) fn build(&self) -> &Build {
        &self.build
    }

    /// The processors of its runs.
    pub(crate) fn cpus(&self) -> Cpus {
        self.config.cpus.clone().unwrap_or_else(Cpus::all)
    }

    /// The lane of a hunt for this run.
    pub(crate) fn lane(&self, cell: Cell, lane_name: &str) -> Lane {
        let phase = cell.group.phase;
        self.lane.clone().named(self.names(phase, cell.warmup, lane_name), self.sockets(phase, cell.warmup))
    }

    fn names(&self, phase: PhaseName, warmup: bool, lane_name: &str) -> RunNames {
        let allocator = &self.config.name;
        let warmup = if warmup { "warmup" } else { "" };
        let bundle = config::bundle_prefix(&self.prefix, phase, allocator);
        RunNames {
            run: format!("{lane_name}/{phase}_{allocator}_{warmup}"),
            hang: format!("hangs/{bundle}{warmup}"),
            slow: format!("hangs/slow_{bundle}{warmup}"),
        }
    }

    /// Each run has its own socket.
    fn sockets(&self, phase: PhaseName, warmup: bool) -> String {
        let kind = match (phase, warmup) {
            (PhaseName::Ops, false) => 'o',
            (PhaseName::Ops, true) => 'p',
            (PhaseName::Rss, false) => 'r',
            (PhaseName::Rss, true) => 's',
        };
        format!("{kind}{}_", self.index)
    }
}

fn config(
    matrix: &Matrix,
    lane: &config::Lane,
    allocator: &config::Allocator,
    pinned: &Pinned,
    common: &Common,
) -> anyhow::Result<Config> {
    let mut profile = match &allocator.profile {
        Some(path) => profile::load(path).map_err(super::usage::usage)?,
        None if allocator.so.is_none() => Profile::plain(&allocator.name),
        None => Profile::for_dso(&pinned.source, Some(&allocator.name)),
    };
    profile.name.clone_from(&allocator.name);
    let cpus = lane.cpus.as_deref().map(Cpus::parse).transpose().map_err(super::usage::usage)?;
    let (command, folder) = (lane.command.clone(), common.sockets.clone());
    let plain = Config::plain(
        pinned.source.clone(),
        profile,
        command,
        common.out.clone(),
        common.shim.clone(),
        folder,
    );
    Ok(Config {
        system: allocator.so.is_none(),
        part: common.part.clone(),
        hang_after: lane.hang_after,
        stall: matrix.stall,
        cpus,
        core: common.core,
        env: [lane.env.as_slice(), &allocator.env].concat(),
        perf: common.perf.clone(),
        full: common.full,
        kept: common.kept.clone(),
        only: matrix.only.clone(),
        verify_runs: matrix.verify_runs,
        remember: common.remember.clone(),
        ..plain
    })
}
