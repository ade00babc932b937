//! Options that several commands have.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::duration::Limit;
use hangscope_protocol::variable;

use super::size;
use super::stir::StirArgs;
use super::times;
use crate::console::exit::{Ended, Status};
use crate::files::{folder, private};
use crate::launch::shim_path::{self, NoShim, Shim};
use crate::shard::choose::{Wanted, choose};
use crate::shard::{Chosen, Own, machine};

/// How a benchmark is run until it hangs: of hunt and shrink.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The allocator's DSO. For a demonstration without one, run ./scripts/hunt.sh without arguments.
    #[arg(long, value_name = "SO")]
    pub(super) so: Option<PathBuf>,
    /// Short name of the allocator, part of file names [default: from the profile, else from the file's
    /// name].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Your own profile of the allocator, a TOML file. `hangscope hunt --help` shows its keys.
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Option<PathBuf>,
    /// A run that takes longer hangs. `off`: only --stall counts.
    #[arg(long, value_name = "TIME", default_value = "15s")]
    pub(super) hang_after: Limit,
    /// A run in which nothing moves for this time hangs, too. `off`: only --hang-after counts.
    #[arg(long, value_name = "TIME", default_value = "off")]
    pub(super) stall: Limit,
    /// Begin no run after this time. A run that goes on then is brought to its end.
    #[arg(long, value_name = "TIME", default_value = "off")]
    pub(super) max_time: Limit,
    /// Time between two looks of the shim [default: 1s, from the shim].
    #[arg(long, value_name = "TIME", value_parser = times::tick)]
    pub(super) tick: Option<Duration>,
    #[command(flatten)]
    pub(super) stir: StirArgs,
    /// Runs that verify the preload, before the first run that counts. 0: none.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) verify_runs: u32,
    #[command(flatten)]
    pub(super) small: VerifyArgs,
    /// Folder for all files [default: hangscope_{name}_{time}_{pid} in this folder].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) share: ShareArgs,
    #[command(flatten)]
    pub(super) program: ProgramArgs,
}

/// Who may read what is written.
#[derive(Debug, clap::Args)]
pub(super) struct ShareArgs {
    /// Let the group read the files: 0640, folders 0750. Otherwise only you can: a dump holds pieces of the
    /// program's memory.
    #[arg(long)]
    group_readable: bool,
}

impl ShareArgs {
    /// Call it before the first file is made, in `out`.
    pub(super) fn begin(&self, out: Option<&Path>) {
        private::keep(self.group_readable);
        out.into_iter().for_each(folder::claim);
    }
}

/// The part of a job that this process makes, and how an engine is told of a hang.
#[derive(Debug, clap::Args)]
pub(super) struct ShardArgs {
    /// Make one part of the whole: run i, i+n, i+2n and so on, with the numbers and seeds that they have in the
    /// whole. Its files are in OUT/shard_i_of_n. The same shard started again with the same --out goes on.
    /// `hangscope merge` joins the parts. off: make the whole [default: the task of a Slurm array, else off].
    #[arg(long, value_name = "I/N", value_parser = Wanted::parse, conflicts_with = "shards")]
    shard: Option<Wanted>,
    /// Number of parts; which one this is follows from JOB_COMPLETION_INDEX (a pod of an indexed Kubernetes job,
    /// from 0), HQ_TASK_ID (HyperQueue, from 1) or SLURM_ARRAY_TASK_ID (from 1; needed only for a task that is
    /// alone in its array).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    shards: Option<u32>,
    /// Status 0 in place of 10: for an engine that starts a job again when it fails. A hang is a result. 20, 30
    /// and 3 stay, and a job that was interrupted ends with 1, so that it is started again.
    #[arg(long)]
    exit_zero_on_hang: bool,
}

impl ShardArgs {
    /// The part of this process; none: the whole. `command` is the subcommand, for errors.
    ///
    /// # Errors
    /// The environment does not tell which part it is.
    pub(super) fn own(&self, command: &str) -> anyhow::Result<Option<Own>> {
        let chosen = choose(self.shard, self.shards, |name| std::env::var(name).ok());
        let chosen = chosen.map_err(|e| Ended::new(Status::Usage, format!("{command}: {e}")))?;
        Ok(chosen.map(|Chosen { shard, origin }| Own { shard, origin, node: machine::here().node }))
    }

    /// Whether a hang ends the command with status 0.
    pub(super) fn ending(&self) -> Ending {
        Ending { exit_zero_on_hang: self.exit_zero_on_hang }
    }
}

/// How a hang ends the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    exit_zero_on_hang: bool,
}

impl Ending {
    /// The status of a job that ended with `status`.
    pub(super) fn of(self, status: Status, interrupted: bool) -> Status {
        match status {
            Status::Hang if self.exit_zero_on_hang && interrupted => Status::Failed,
            Status::Hang if self.exit_zero_on_hang => Status::NoHang,
            status => status,
        }
    }
}

/// Whether a core of a process that hangs is written.
#[derive(Debug, clap::Args)]
pub(super) struct CoreArgs {
    /// Write a core of each process that hangs, before it is stopped: core.zst beside the other files of the
    /// hang, for `hangscope snap --core` and gdb. A core has the whole memory of the process, with every
    /// secret in it.
    #[arg(long)]
    core: bool,
    /// Most bytes of the file core.zst: 512M, 2G. A larger core is left out.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size::parse, requires = "core")]
    core_limit: u64,
}

impl CoreArgs {
    /// Most bytes of the file; none: no core.
    pub(super) fn limit(&self) -> Option<u64> {
        self.core.then_some(self.core_limit)
    }
}

/// Totals for a monitoring system.
#[derive(Debug, clap::Args)]
pub(super) struct MetricsArgs {
    /// Serve totals as OpenMetrics text at http://ADDR/metrics: sessions, hangs by allocator, label and class,
    /// bytes received, messages dropped. ADDR is an address of this machine alone, as 127.0.0.1:9464; with port
    /// 0 the system chooses one. Every user of the machine can read them.
    #[arg(long, value_name = "ADDR", value_parser = loopback)]
    metrics: Option<SocketAddr>,
}

impl MetricsArgs {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.metrics
    }
}

/// An address of the loopback interface, with a port.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr =
        text.parse().map_err(|_| "give an address and a port, as 127.0.0.1:9464".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => {
            Err("other machines could read what runs here; give 127.0.0.1:9464, and forward that".into())
        }
    }
}

impl RunArgs {
    /// Refuses limits with which no run could ever hang.
    pub(super) fn check_limits(&self) -> Result<(), &'static str> {
        match self.hang_after.is_off() && self.stall.is_off() {
            true => Err("--hang-after off needs --stall: without both, no run ever counts as a hang"),
            false => Ok(()),
        }
    }
}

/// A small run of the command, for the verification.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Arguments of a small run, as a shell splits them, in place of the benchmark's own. The verification
    /// then makes small runs and brings them to their end [default: verify_args of the profile; without it
    /// each run is killed as soon as it is proven].
    #[arg(long = "verify-args", value_name = "ARGS", allow_hyphen_values = true, value_parser = words)]
    verify_args: Option<Words>,
}

impl VerifyArgs {
    pub(super) fn words(&self) -> Option<Vec<String>> {
        self.verify_args.as_ref().map(|words| words.0.clone())
    }
}

/// Arguments in one text.
#[derive(Clone, Debug)]
struct Words(Vec<String>);

fn words(text: &str) -> Result<Words, &'static str> {
    shlex::split(text).map(Words).ok_or("a quote is not closed")
}

/// Which program is run, and with what: of all commands that start one.
#[derive(Debug, clap::Args)]
pub(super) struct ProgramArgs {
    /// CPUs for the runs, as for taskset -c: 0-15 or 0,2,4.
    #[arg(long, value_name = "LIST")]
    pub(super) cpus: Option<String>,
    /// A variable for CMD. May be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
    /// Watch only programs with these names, separated by commas [default: every program of a run].
    #[arg(long, value_name = "NAMES")]
    pub(super) only: Option<String>,
    #[command(flatten)]
    pub(super) shim: ShimArgs,
    /// The benchmark and its arguments.
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShimArgs {
    /// The shim's file [default: HANGSCOPE_SHIM, else libhangscope.so beside hangscope or in ../lib].
    #[arg(id = "shim", long = "shim", value_name = "PATH")]
    pub(super) path: Option<PathBuf>,
}

impl ShimArgs {
    /// The shim's absolute path.
    pub(super) fn file(&self) -> Result<PathBuf, NoShim> {
        shim_path::find(self.path.as_deref())
    }

    pub(super) fn find(&self) -> Result<Shim, NoShim> {
        shim_path::find_both(self.path.as_deref())
    }
}

/// Reads `NAME=VALUE`. A variable that hangscope sets itself is refused.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("not NAME=VALUE")?;
    match name {
        "LD_PRELOAD" => Err("LD_PRELOAD is set by hangscope; give the allocator with --so".into()),
        variable::SOCKET => Err(format!("{name} is set by hangscope")),
        variable::STIR | variable::STIR_SEED | variable::STIR_PLAN => {
            Err(format!("{name} is set by hangscope; see hunt --stir"))
        }
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

/// A rate or a probability, between 0 and 1, both excluded: `0.02`, `2%` or `1/50`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match (text.trim().strip_suffix('%'), text.split_once('/')) {
        (Some(percent), _) => number(percent).map(|percent| percent / 100.0),
        (None, Some((hits, of))) => {
            number(hits).zip(number(of)).filter(|(_, of)| *of > 0.0).map(|(hits, of)| hits / of)
        }
        (None, None) => number(text),
    };
    share
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or_else(|| "give a share between 0 and 1, as 0.02, 2% or 1/50".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_is_no_failure_for_an_engine_unless_the_job_was_broken_off() {
        let of = |status, interrupted| Ending { exit_zero_on_hang: true }.of(status, interrupted);
        assert_eq!(of(Status::Hang, false), Status::NoHang);
        assert_eq!(of(Status::Hang, true), Status::Failed);
        for status in Status::ALL.iter().filter(|status| **status != Status::Hang) {
            assert_eq!(of(*status, false), *status);
        }
        assert_eq!(Ending { exit_zero_on_hang: false }.of(Status::Hang, true), Status::Hang);
    }

    #[test]
    fn metrics_are_for_this_machine() {
        for good in ["127.0.0.1:9464", "127.8.0.1:0", "[::1]:9464", "localhost:0"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in
            ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "9464", "127.0.0.1", "", "x:1", "127.0.0.1:99999"]
        {
            assert!(loopback(bad).unwrap_err().contains("127.0.0.1:9464"), "{bad}");
        }
    }

    #[test]
    fn a_share_is_a_number_a_percentage_or_a_fraction() {
        for text in ["0.02", "2%", "2 %", "1/50", " 2e-2", "1 / 50"] {
            assert_eq!(share(text), Ok(0.02), "{text}");
        }
        for bad in [
            "0", "1", "100%", "2", "-0.1", "2 % %", "1/0", "0/0", "50/1", "-1/-50", "/", "%", "NaN", "inf",
            "NaN%", "",
        ] {
            let why = share(bad).unwrap_err();
            assert!(why.ends_with("0.02, 2% or 1/50"), "{bad}: {why}");
        }
    }
}
