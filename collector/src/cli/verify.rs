//! `hangscope verify`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::args::ProgramArgs;
use super::times;
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::launch::cpus::Cpus;
use crate::launch::descriptors;
use crate::text::message::say;
use crate::text::progress::JobLine;
use crate::verify::{self, Proof, Request, Times};

/// Prove from inside the process that a program runs with exactly this DSO as its malloc.
///
/// In each run the program of CMD must say hello: not `env`, `taskset` or `timeout` in front of it; for a
/// script, its interpreter. It must report this file as the provider of malloc, neither deleted nor replaced.
/// The error names what ld.so refused, or a static, setuid or foreign binary. On success the last line is
/// `[STRICT-PRELOAD] verification passed`; else the status is 30.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("command", |arg| arg.required(true)),
    mut_arg("only", |arg| arg.help(
        "Names of programs, separated by commas. One of them must say hello. For a CMD that starts other programs")),
    after_help = "Examples:\n  \
    hangscope verify --so ./libhakozuna_hz4.so --runs 3 -- ./bench 16 20000\n  \
    hangscope verify --so ./libhz4.so --cpus 0-15 --out check -- env HZ4_X=1 ./bench 16 20000\n  \
    hangscope verify --so ./libhz4.so --only bench -- ./run_matrix.sh")]
pub(crate) struct Args {
    /// The allocator's DSO.
    #[arg(long, value_name = "SO")]
    so: PathBuf,
    /// Number of runs. Each must pass.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// Folder for preload_verify/ with run_N.log and result.txt.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    program: ProgramArgs,
    /// The hello must come within this time.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = times::time)]
    hello_within: Duration,
    /// How long the command may go on after its hello was checked. Then it gets TERM.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = times::time)]
    grace: Duration,
    /// Only one line of JSON on stdout: passed, error (null if it passed), program, sha1 (of the DSO), and
    /// runs with pid, program, malloc (path of the DSO that provides it), same_file, same_bytes.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    passed: bool,
    error: Option<String>,
    program: Option<&'a Path>,
    sha1: Option<&'a str>,
    runs: &'a [Proof],
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    descriptors::raise();
    let usage = |e: &dyn std::fmt::Display| Ended::new(Status::Usage, format!("verify: {e}"));
    let program = &args.program;
    let cpus = program.cpus.as_deref().map(Cpus::parse).transpose().map_err(|e| usage(&e))?;
    let shim = program.shim.find().map_err(|e| anyhow::anyhow!("verify: {e}"))?;
    let cancel = cancel::on_signals()?;
    let request = Request {
        command: &program.command,
        so: &args.so,
        shim: &shim,
        runs: args.runs,
        cpus: cpus.as_ref(),
        env: &program.env,
        only: program.only.as_deref(),
        out: args.out.as_deref(),
        times: Times { hello: args.hello_within, grace: args.grace },
    };
    match verify::verify(&request, &cancel) {
        Ok(verified) => {
            for (number, proof) in verified.runs.iter().enumerate() {
                out::say(&say!(JobLine::Verified { run: number + 1, proof: proof.line() }));
            }
            out::line(verify::PASSED);
            if args.json {
                let (program, sha1) = (Some(verified.program.as_path()), Some(verified.sha1.as_str()));
                out::json(&Answer { passed: true, error: None, program, sha1, runs: &verified.runs })?;
            }
            Ok(Status::NoHang)
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
