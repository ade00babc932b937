//! `hangscope verify`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::duration::Limit;
use serde::Serialize;

use super::args::{ProgramArgs, ShareArgs, VerifyArgs};
use super::carried::Carried;
use super::times;
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::launch::cpus::Cpus;
use crate::launch::{descriptors, program};
use crate::profile::{self, Profile};
use crate::text::message::say;
use crate::text::progress::JobLine;
use crate::verify::{self, Request, Times, VerifiedRun};

/// Prove from inside the process that a program runs with exactly this DSO as its malloc.
///
/// In each run the program at the end of the chain must say hello: the one that `env`, `flock`, `perf stat`
/// or a script starts, not the launcher. It must report this file as the provider of malloc, neither deleted
/// nor replaced. The error names what ld.so refused, or a static, setuid or foreign binary, or the chain of
/// programs that was seen. On success the last line is `[STRICT-PRELOAD] verification passed`; else the
/// status is 30.
///
/// A run is killed as soon as its program is proven. With --verify-args it is a small run of CMD instead, and
/// comes to its end. If it hangs, it is captured, and the status is 10.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("command", |arg| arg.required(true)),
    mut_arg("only", |arg| arg.help(
        "Names of programs, separated by commas. One of them must say hello. For a CMD that starts other programs")),
    after_help = "Examples:\n  \
    hangscope verify --so ./libhakozuna_hz4.so --runs 3 -- ./bench 16 2000000\n  \
    hangscope verify --so ./libhakozuna_hz4.so --verify-args '2 1000' -- ./bench 16 2000000\n  \
    hangscope verify --so ./libhz4.so --cpus 0-15 --out check -- env HZ4_X=1 ./bench 16 20000\n  \
    hangscope verify --so ./libhz4.so --only bench -- ./run_matrix.sh")]
pub(crate) struct Args {
    /// The allocator's DSO, or a carrier (`hangscope wrap`): its allocator must provide malloc.
    #[arg(long, value_name = "SO")]
    so: PathBuf,
    /// Number of runs. Each must pass.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// Folder for preload_verify/ with run_N.log and result.txt.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    share: ShareArgs,
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    small: VerifyArgs,
    /// Your own profile of the allocator, a TOML file. Its `verify_args` are used like --verify-args.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// A run with --verify-args that takes longer hangs.
    #[arg(long, value_name = "TIME", default_value = "15s")]
    hang_after: Limit,
    /// The hello must come within this time.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = times::time)]
    hello_within: Duration,
    /// How long a proven program must go on as the last one of the chain. In this time a launcher starts what
    /// it launches. Then the run is killed.
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = times::time)]
    grace: Duration,
    /// Only one line of JSON on stdout: passed, error (null if it passed), program, sha1 (of the DSO), and
    /// runs with pid, program, malloc (path of the DSO that provides it), same_file, same_bytes, launcher
    /// (the first program of CMD, or null), shim_kib (the shim's own share of the memory, or null), hang
    /// (null, or run, pid and snapshot).
    #[arg(long)]
    json: bool,
}

/// Where `--hang-after off` leaves a small run to itself.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

#[derive(Serialize)]
struct Answer<'a> {
    passed: bool,
    error: Option<String>,
    program: Option<&'a Path>,
    sha1: Option<&'a str>,
    runs: &'a [VerifiedRun],
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    descriptors::raise();
    args.share.begin(args.out.as_deref());
    let usage = |e: &dyn std::fmt::Display| Ended::new(Status::Usage, format!("verify: {e}"));
    let program_args = &args.program;
    let cpus = program_args.cpus.as_deref().map(Cpus::parse).transpose().map_err(|e| usage(&e))?;
    let shim = program_args.shim.find().map_err(|e| anyhow::anyhow!("verify: {e}"))?;
    let cancel = cancel::on_signals()?;
    let carried = Carried::by(&args.so, "verify")?;
    carried.iter().for_each(|carried| out::say(&carried.line()));
    let so = carried.as_ref().map_or(&args.so, |carried| &carried.allocator);
    let profile = match &args.profile {
        Some(path) => profile::load(path).map_err(|e| usage(&e))?,
        None => Profile::for_dso(so, carried.as_ref().and_then(|carried| carried.name.as_deref())),
    };
    let small = args.small.words().or_else(|| profile.verify_args.clone());
    let small = small.map(|words| {
        let command = program::with_arguments(&program_args.command, &words);
        command.ok_or_else(|| usage(&"--verify-args needs a benchmark in CMD: there are only wrappers"))
    });
    let small = small.transpose()?;
    let request = Request {
        command: small.as_ref().unwrap_or(&program_args.command),
        so,
        carrier: carried.as_ref().map(|carried| carried.carrier.as_path()),
        source: &args.so,
        system: false,
        name: &profile.name,
        profile: &profile,
        shim: &shim,
        runs: args.runs,
        cpus: cpus.as_ref(),
        env: &program_args.env,
        only: program_args.only.as_deref(),
        out: args.out.as_deref(),
        times: Times {
            hello: args.hello_within,
            grace: args.grace,
            whole: small.is_some().then(|| args.hang_after.time().unwrap_or(FOR_EVER)),
        },
    };
    match verify::verify(&request, &cancel) {
        Ok(verified) => {
            for (number, run) in verified.runs.iter().enumerate() {
                out::say(&say!(JobLine::Verified { run: number + 1, proof: run.line() }));
            }
            if let Some(hang) = verified.unfinished() {
                out::say(&hang.line());
            }
            out::line(verify::PASSED);
            if args.json {
                let (program, sha1) = (Some(verified.program.as_path()), Some(verified.sha1.as_str()));
                out::json(&Answer { passed: true, error: None, program, sha1, runs: &verified.runs })?;
            }
            Ok(if verified.unfinished().is_some_and(|run| !run.slow) { Status::Hang } else { Status::NoHang })
        }
        Err(error) => {
            // A failed verification is an answer. An error that prevented it is none.
            if args.json && error.status() == Status::NotVerified {
                let error = Some(error.to_string());
                out::json(&Answer { passed: false, error, program: None, sha1: None, runs: &[] })?;
            }
            Err(Ended::new(error.status(), format!("verify: {error}")).into())
        }
    }
}
