//! A lane: the runs of one DSO, of an arm or of the counter lane. It gives each run its environment, its
//! socket and its files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hangscope_protocol::record::RangeRecord;
use hangscope_protocol::variable;

use super::arm::{Change, Treatment};
use super::config::Config;
use super::holds::{Holds, RunPlan};
use super::memory::Layout;
use crate::analysis::{Integrity, Stir};
use crate::console::exit::{Ended, Status};
use crate::files::atomic::WriteError;
use crate::files::bounded;
use crate::files::facts::{self, FileFacts};
use crate::files::pin::{self, Pinned};
use crate::launch::follow::Preloads;
use crate::launch::settings::Settings;
use crate::session::Dso;
use crate::text::message::Text;
use crate::verify::Wanted;

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// Name of the arm, such as `pinned`, or `stats`.
    pub(crate) arm: String,
    /// Path of the DSO, as in /proc/PID/maps.
    pub(crate) dso: PathBuf,
    /// The pinned file. It is `dso`, unless a run has its own copy.
    pinned: PathBuf,
    /// The same, open: its bytes are needed also when somebody has removed it.
    held: Arc<File>,
    sha1: String,
    file: Option<FileFacts>,
    /// What the hello of a program must say.
    pub(crate) wanted: Arc<Wanted>,
    /// Where the DSO's counters are in memory, if the profile has any.
    pub(crate) counters: Option<Arc<Layout>>,
    out: PathBuf,
    preloads: Preloads,
    /// Folder in OUT, with a slash at its end; empty for OUT itself.
    folder: String,
    sockets: String,
    /// None: no run holds threads.
    holds: Option<Arc<Holds>>,
    names: RunNames,
}

/// What the names of a lane's files begin with. The number of the run follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunNames {
    /// Of the output.
    pub(crate) run: String,
    /// Of the bundle of a hang.
    pub(crate) hang: String,
    /// Of a bundle that is none of a hang; it has `slow` in it.
    pub(crate) slow: String,
}

impl RunNames {
    fn new(run: &str, hang: &str, slow: &str) -> RunNames {
        RunNames { run: run.to_owned(), hang: hang.to_owned(), slow: slow.to_owned() }
    }

    /// Of the counter lane.
    pub(crate) fn stats() -> RunNames {
        RunNames::new("stats_run_", "hang_stats_run_", "slow_stats_run_")
    }
}

impl Lane {
    /// # Errors
    /// A path that LD_PRELOAD cannot hold, and for which no link could be made.
    pub(crate) fn new(config: &Config, pinned: &Pinned, arm: &str, names: RunNames) -> anyhow::Result<Lane> {
        let preloads = preloads(config, &pinned.path)?;
        let cannot_read = || format!("hunt: cannot read {}", pinned.path.display());
        let held = File::open(&pinned.path).with_context(cannot_read)?;
        let bytes = whole(&held).with_context(cannot_read)?;
        let wanted = Wanted::of(&pinned.path).map_err(|e| anyhow::anyhow!("hunt: {e}"))?;
        let counters = Layout::of(&config.profile, &pinned.source, &bytes);
        Ok(Lane {
            arm: arm.to_owned(),
            dso: pinned.path.clone(),
            pinned: pinned.path.clone(),
            held: Arc::new(held),
            sha1: pinned.sha1.clone(),
            file: facts::now(&pinned.path, None).ok().flatten(),
            wanted: Arc::new(wanted),
            counters: counters.map(Arc::new),
            out: config.out.clone(),
            preloads,
            folder: String::new(),
            sockets: arm[..1].to_owned(),
            holds: None,
            names,
        })
    }

    /// The lane of the arm with this index. Its files are in `arms/NAME/`; those of the pinned arm are in
    /// OUT.
    pub(crate) fn arm(config: &Config, pinned: &Pinned, index: usize) -> anyhow::Result<Lane> {
        let arm = &config.arms[index];
        let lane = Lane::new(config, pinned, &arm.name, RunNames::new("run_", "hang_run_", "slow_run_"))?;
        let lane = Lane { holds: Holds::of(config, &pinned.path)?.map(Arc::new), ..lane };
        if arm.treatment == Treatment::Pinned {
            return Ok(lane);
        }
        let folder = format!("arms/{}/", arm.name);
        crate::files::atomic::make_dir(&config.out.join(&folder))?;
        Ok(Lane { folder, sockets: format!("a{index}_"), ..lane })
    }

    /// The lane with these names of files, and names of sockets that begin so.
    pub(crate) fn named(self, names: RunNames, sockets: String) -> Lane {
        Lane { names, sockets, ..self }
    }

    /// Name of a run: `8`; with its arm, `deleted/8`, if that is not the pinned one.
    pub(crate) fn run_name(&self, run: u32) -> String {
        crate::analysis::facts::run_name(&self.arm, run)
    }

    /// For a run whose DSO is changed: the lane with the run's own copy, and the change.
    ///
    /// # Errors
    /// If the copy cannot be made.
    pub(crate) fn own_copy(
        &self,
        config: &Config,
        run: u32,
        word: Integrity,
        after: Duration,
    ) -> anyhow::Result<(Lane, Change)> {
        let made = || -> std::io::Result<(PathBuf, Vec<u8>)> {
            let bytes = std::fs::read(&self.pinned)?;
            let dir = std::fs::canonicalize(self.out.join(&self.folder))?;
            let path = dir.join(format!("{}_run_{run}.so", config.name));
            std::fs::write(&path, &bytes)?;
            pin::pin_companions(&self.pinned, &bytes, &dir).map_err(std::io::Error::other)?;
            let other = config.other_so.as_ref().map(std::fs::read).transpose()?;
            Ok((path, other.unwrap_or(bytes)))
        };
        let (dso, bytes) = made().with_context(|| format!("hunt: a copy for run {}", self.run_name(run)))?;
        let change = Change::new(word, &dso, bytes, after);
        let preloads = preloads(config, &dso)?;
        let file = facts::now(&dso, None).ok().flatten();
        let wanted = Arc::new(Wanted::of(&dso).map_err(|e| anyhow::anyhow!("hunt: {e}"))?);
        Ok((Lane { file, wanted, dso, preloads, ..self.clone() }, change))
    }

    pub(crate) fn socket(&self, config: &Config, run: u32) -> PathBuf {
        config.sockets.join(format!("{}{run}", self.sockets))
    }

    /// Files with the bytes that the runs start with.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.pinned.clone(), self.dso.clone()];
        files.dedup();
        files
    }

    /// Whether a DSO of a process is the lane's, by path.
    pub(crate) fn is_of(&self, dso: &Dso) -> bool {
        Path::new(&dso.path) == self.dso
    }

    /// The memory with the counters of a process that mapped the lane's DSO as `dso` says.
    ///
    /// # Errors
    /// Why the addresses are not known.
    pub(crate) fn counter_ranges(&self, dso: &Dso) -> Result<Vec<RangeRecord>, Text> {
        match &self.counters {
            Some(layout) if layout.is_empty() => Err(Text::joined(layout.missing()).unwrap_or_default()),
            Some(layout) => layout.ranges(dso, self.file.as_ref()),
            None => Ok(vec![]),
        }
    }

    /// Whether the DSO's file still has the bytes that were pinned. `now` are its facts. None if nothing has
    /// changed in them, or the file cannot be read.
    pub(crate) fn same_bytes(&self, now: &FileFacts) -> Option<bool> {
        if self.file.as_ref() == Some(now) {
            None
        } else {
            std::fs::read(&self.dso).ok().map(|bytes| self.are_pinned(&bytes))
        }
    }

    /// The bytes of the file at the pinned path, if they are those that were pinned.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn bytes_in_place(&self) -> std::io::Result<Option<Vec<u8>>> {
        Ok(Some(std::fs::read(&self.pinned)?).filter(|bytes| self.are_pinned(bytes)))
    }

    /// The bytes of the pinned file, wherever it is now; none if somebody has written to it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn pinned_bytes(&self) -> std::io::Result<Option<Vec<u8>>> {
        Ok(Some(whole(&self.held)?).filter(|bytes| self.are_pinned(bytes)))
    }

    fn are_pinned(&self, bytes: &[u8]) -> bool {
        pin::sha1_hex(bytes) == self.sha1
    }

    /// Files for a run's output: `run_8.out`, `run_8.err`.
    pub(crate) fn outputs(&self, run: u32) -> [PathBuf; 2] {
        ["out", "err"].map(|end| self.out.join(format!("{}{}{run}.{end}", self.folder, self.names.run)))
    }

    /// File of a run's crash, in OUT: `run_8.crash.txt`.
    pub(crate) fn crash_file(&self, run: u32) -> String {
        format!("{}{}{run}.crash.txt", self.folder, self.names.run)
    }

    /// Path of a file in OUT.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.out.join(file)
    }

    /// Folder of a hang's bundle, in OUT: `hang_run_8`.
    pub(crate) fn snapshot(&self, run: u32) -> String {
        format!("{}{}{run}", self.folder, self.names.hang)
    }

    /// The same for a slow run.
    pub(crate) fn slow_snapshot(&self, run: u32) -> String {
        format!("{}{}{run}", self.folder, self.names.slow)
    }

    /// The same for a run that Ctrl-C ended, and that is no proven hang.
    pub(crate) fn interrupted_snapshot(&self, run: u32) -> String {
        format!("{}{}{run}", self.folder, self.names.slow.replacen("slow", "interrupted", 1))
    }

    /// The same for a dump that somebody asked for; `number` counts those of the run from 1.
    pub(crate) fn wanted_snapshot(&self, run: u32, number: u32) -> String {
        format!("{}{}{run}_{number}", self.folder, self.names.slow.replacen("slow", "dump", 1))
    }

    /// All that a run leaves in OUT, whatever its end.
    pub(crate) fn left_by(&self, run: u32) -> Vec<PathBuf> {
        let folders = [self.snapshot(run), self.slow_snapshot(run), self.interrupted_snapshot(run)];
        let crash = self.crash_file(run);
        folders.into_iter().chain([crash]).map(|name| self.path(&name)).chain(self.outputs(run)).collect()
    }

    /// Removes the files of a run. It need not have any.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(crate) fn clear(&self, run: u32) -> Result<(), WriteError> {
        for path in self.left_by(run) {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match removed {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(WriteError { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What can hold threads in the runs; none: nothing does.
    pub(crate) fn holds(&self) -> Option<&Holds> {
        self.holds.as_deref()
    }

    /// Makes the plan of a run. None: no thread of the run is held.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn plan(
        &self,
        config: &Config,
        run: u32,
        (stir, preferred): (Option<Stir>, &BTreeSet<u32>),
    ) -> anyhow::Result<Option<RunPlan>> {
        let (Some(holds), Some(stir)) = (&self.holds, stir) else { return Ok(None) };
        holds.plan(stir, preferred, config.sockets.join(format!("{}{run}.plan", self.sockets)))
    }

    /// The command of a run, with its environment.
    ///
    /// # Errors
    /// LD_PRELOAD cannot hold the path of a DSO that the plan needs.
    pub(crate) fn command(
        &self,
        config: &Config,
        run: u32,
        (stir, plan): (Option<Stir>, Option<&RunPlan>),
        socket: &Path,
    ) -> anyhow::Result<Command> {
        let label = || {
            let arm = if self.folder.is_empty() { String::new() } else { format!("{}_", self.arm) };
            format!("{}_{arm}{}{run}", config.name, self.names.run)
        };
        let settings = Settings {
            socket: Some(socket.to_owned()),
            hang_after: Some(config.hang_after),
            stall: Some(config.stall).filter(|stall| !stall.is_off()),
            tick: config.tick,
            label: Some(config.label.clone().unwrap_or_else(label)),
            only: config.only.clone(),
            stir,
            stir_plan: plan.map(|plan| plan.file.clone()),
            crash: !has_crash_setting(config),
            ..Settings::default()
        };
        let preloads = match (plan, &self.holds) {
            (Some(_), Some(holds)) => &holds.preloads(&self.preloads).context("hunt: --stir")?,
            _ => &self.preloads,
        };
        Ok(settings.command(&config.command, &config.env, preloads))
    }
}

fn whole(file: &File) -> std::io::Result<Vec<u8>> {
    bounded::start_of(file, file.metadata()?.len())
}

/// Whether the user has said whether crashes leave a record.
fn has_crash_setting(config: &Config) -> bool {
    config.env.iter().any(|(name, _)| name == variable::CRASH)
}

/// # Errors
/// A path that LD_PRELOAD cannot hold, and for which no link could be made.
fn preloads(config: &Config, dso: &Path) -> anyhow::Result<Preloads> {
    let preloads = match config.system {
        true => Preloads::of_system(&config.shim, &config.sockets),
        false => Preloads::of_run(&config.shim, dso, config.named(), &config.sockets),
    };
    Ok(preloads.map_err(|e| Ended::new(Status::Usage, format!("hunt: {e}")))?)
}
