//! `hangscope snap`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::args::ShareArgs;
use super::{size, times};
use crate::analysis::verdict::exit_code;
use crate::capture::{CallGraph, PerfOptions};
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::files::pin;
use crate::profile;
use crate::report::{self, Stacks, VerdictFile, terminal};
use crate::snap::core::From;
use crate::snap::{self, Options};
use crate::text::escape;
use crate::text::message::say;
use crate::text::progress::JobLine;

/// Look from outside at a process that already hangs and has no shim.
///
/// Blocked threads are not stopped. Running threads are stopped by ptrace, each for well under a millisecond:
/// once for their registers, and --sample-hz times a second until the second look. The evidence has the same
/// files as a hang of hangscope hunt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope snap 4711\n  \
    hangscope snap --pid $(pgrep -n bench)\n  \
    hangscope snap 4711 --target libhakozuna_hz4.so --out evidence && hangscope show evidence\n  \
    hangscope snap --core out/hang_run_8/core.zst     # a core instead of a process\n  \
    hangscope snap --core core.4711 --exe ./bench\n\n\
    You must be allowed to trace the process: be its user or root, with kernel.yama.ptrace_scope 0 if the system has it.")]
pub(crate) struct Args {
    /// Process id.
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..),
        required_unless_present_any = ["pid_option", "core"])]
    pid: Option<u32>,
    /// The same, as an option.
    #[arg(id = "pid_option", long = "pid", short, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "pid")]
    pid_option: Option<u32>,
    /// Look at a core instead of a process: a core of hangscope (core.zst), of gdb, or of the kernel. It shows
    /// one moment, so a finding is at most likely.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pid", "pid_option"])]
    core: Option<PathBuf>,
    /// The program of the core, where it is not at its path any more. It must have the same build-id.
    #[arg(long, value_name = "PROGRAM", requires = "core")]
    exe: Option<PathBuf>,
    /// Write a core of the process, too: core.zst beside the other files. It has the whole memory of the
    /// process, with every secret in it.
    #[arg(long, conflicts_with = "core")]
    write_core: bool,
    /// Most bytes of the file core.zst: 512M, 2G. A larger core is left out.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size::parse, requires = "write_core")]
    core_limit: u64,
    /// The allocator's DSO, by file name or short name, if it does not provide malloc.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Short name of the allocator, part of file names [default: from the profile, else from the file's
    /// name].
    #[arg(long)]
    name: Option<String>,
    /// Your own profile of the allocator, a TOML file. `hangscope hunt --help` shows its keys.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Folder for all files [default: hangscope_snap_{pid}_{time} in this folder].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    share: ShareArgs,
    /// Time between the two looks.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = times::time)]
    second_look: Duration,
    /// Samples of a running thread in a second. 0: only one sample.
    #[arg(long, value_name = "HZ", default_value_t = 49, value_parser = clap::value_parser!(u32).range(..=499))]
    sample_hz: u32,
    /// Stop blocked threads once, too: for complete stacks in code with frame pointers. This restarts their
    /// system calls, which may wake a thread that missed its wake-up.
    #[arg(long)]
    stop_blocked: bool,
    /// Keep all of every stack in dump.bin, however large it is. Otherwise a bundle has at most 2 MB.
    #[arg(long)]
    full: bool,
    /// Do not run perf on the hottest thread.
    #[arg(long)]
    no_perf: bool,
    /// How perf unwinds the stacks.
    #[arg(long, value_enum, value_name = "HOW", default_value = "fp", conflicts_with = "no_perf")]
    perf_call_graph: CallGraph,
    /// Only one line of JSON on stdout: what is in verdict.json, and out, the folder.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    let pid = args.pid.or(args.pid_option);
    let cancel = cancel::on_signals().context("snap: cannot catch Ctrl-C")?;
    let usage = |e: profile::BadProfile| Ended::new(Status::Usage, e);
    let profile = args.profile.as_deref().map(profile::load).transpose().map_err(usage).context("snap")?;
    args.name.as_deref().map(pin::check_name).transpose().map_err(|e| Ended::new(Status::Usage, e))?;
    let out = args.out.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let of = pid.map_or("core".to_owned(), |pid| pid.to_string());
        PathBuf::from(format!("hangscope_snap_{of}_{}", now.map_or(0, |t| t.as_secs())))
    });
    args.share.begin(Some(&out));
    let options = Options {
        target: args.target.clone(),
        second_look_after: args.second_look,
        sample_hz: args.sample_hz,
        stop_blocked: args.stop_blocked,
    };
    let perf = PerfOptions { call_graph: args.perf_call_graph, ..PerfOptions::default() };
    let perf = (!args.no_perf).then_some(&perf);
    let name = args.name.as_deref();
    let of = match (&args.core, pid) {
        (Some(core), _) => {
            snap::Of::Core(From { core, exe: args.exe.as_deref(), target: args.target.as_deref() })
        }
        (None, pid) => {
            let (pid, core) = (pid.context("snap: no PID")?, args.write_core.then_some(args.core_limit));
            snap::Of::Process { pid, options: &options, perf, core }
        }
    };
    let request = snap::Request { of, out: &out, name, profile, full: args.full };
    let snapped = snap::snap(request, &cancel).context("snap")?;
    if args.json {
        out::json(&VerdictFile::of(&snapped.facts, &snapped.conclusion).in_folder(&out))?;
    }
    out::paragraphs(&terminal::summary(&snapped.facts, &snapped.conclusion, out::lang()));
    if let Some(core) = &snapped.core {
        out::say(core);
    }
    if let Some(lacks) = &snapped.lacks {
        out::error_line(format_args!("hangscope: {}", lacks.text(out::lang())));
    }
    out::line("");
    if let Some(threads) = &snapped.threads {
        out::text(report::show::snapshot(threads, out::style(), Stacks::Telling));
        // Which files a core's names could not come from.
        threads.notes.iter().filter(|_| pid.is_none()).for_each(|note| out::line(escape::line(note)));
    }
    out::line("");
    out::say(&say!(JobLine::EvidenceIn { out: out.display() }));
    let code = exit_code(&snapped.facts);
    Ok(Status::ALL.iter().copied().find(|s| s.code() == code).unwrap_or(Status::Failed))
}
