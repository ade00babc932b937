//! `hangscope matrix`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::args::{CoreArgs, MetricsArgs, ShardArgs, ShareArgs, ShimArgs};
use super::carried::Carried;
use super::history::HistoryArgs;
use super::hunt;
use crate::capture::{CallGraph, PerfOptions};
use crate::console::cancel;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::console::usr1::Requests;
use crate::files::folder;
use crate::history::{JobRow, Remember};
use crate::hunt::OnHang;
use crate::launch::descriptors;
use crate::launch::sockets::SocketDir;
use crate::matrix::config;
use crate::matrix::{Common, Console, Task, example, summary, verdict};
use crate::shard::Shard;
use crate::symbolize::KeptNames;
use crate::text::message::{Lang, say};
use crate::text::progress::JobLine;

/// Run every allocator in every lane, a number of runs each, and go on when a run hangs.
///
/// FILE names the allocators, the lanes (commands) and the phases (ops/s, memory). hangscope copies every DSO
/// and verifies every preload before the first run. A run that hangs is captured as `hunt` does it, in
/// OUT/hangs/PHASE_ALLOCATOR_RUN; in other lanes than the first the name of the lane stands before it. Every
/// run is a row in OUT/samples.csv. OUT/summary.md has medians, ratios and hang rates.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope matrix --init matrix.toml      # a commented example\n  \
    hangscope matrix matrix.toml --out night\n  \
    hangscope matrix matrix.toml --out night --resume\n  \
    hangscope matrix matrix.toml --out night --shard 3/4   # a part; then: hangscope merge night --out whole\n\n\
    Exit status: 0 no hang, 10 a hang was captured, 20 a DSO was not intact, 30 a preload could not be verified, \
    3 no run came to a good end (all died or failed), 2 wrong usage, 1 anything else.")]
pub(crate) struct Args {
    /// The matrix, a TOML file. Relative paths in it are relative to it, and the runs are started in its
    /// folder.
    #[arg(value_name = "FILE", default_value = "matrix.toml")]
    file: PathBuf,
    /// Write a commented example to FILE, and end.
    #[arg(long)]
    init: bool,
    /// Go on with the matrix in OUT: make the runs that it lacks, with the DSOs that it began with.
    #[arg(long, conflicts_with = "init")]
    resume: bool,
    /// What follows a hang: the next run; one run more of the same kind, under a number of its own; or the
    /// end. keep ends too, and leaves the process alive for a debugger; its pid and the command are printed
    /// [default: on_hang of FILE, else next].
    #[arg(long, value_name = "WHAT")]
    on_hang: Option<OnHang>,
    /// Folder for all files [default: out of FILE, else hangscope_matrix_{time}_{pid} in this folder].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep all of every stack in dump.bin, however large it is. Otherwise a bundle has at most 2 MB.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    core: CoreArgs,
    /// Do not run perf at a hang.
    #[arg(long)]
    no_perf: bool,
    /// How long perf records, 100ms to 1h.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = hunt::perf_time)]
    perf_seconds: Duration,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    share: ShareArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    shim: ShimArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Only one line of JSON on stdout, at the end: what is in verdict.json, and out, the folder. Progress
    /// goes to stderr.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    if args.init {
        return init(&args.file);
    }
    descriptors::raise();
    let (json, lang, ending) = (args.json, out::lang(), args.shard.ending());
    let metrics = args.metrics.address();
    let history = args.history.clone();
    let (mut task, _sockets) = task(args)?;
    let cancel = cancel::on_signals().context("matrix: cannot take Ctrl-C")?;
    // Processes that a run leaves behind become children of this process, which can reap them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let requests = Requests::on_usr1().context("matrix: cannot take USR1")?;
    let folder = task.common.out.clone();
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let recorder = history
        .begin(JobRow::now("matrix", &name, &folder), task.common.part.is_some().then_some(&*folder))?;
    task.common.remember = recorder.remember();
    let brought = crate::matrix::run(&task, Console { cancel: &cancel, requests: &requests, metrics })?;
    let results = &brought.results;
    let written = recorder.end();
    let earlier = written.earlier();
    let file = verdict::file(&task.matrix, brought.seed, results);
    let verdict = file.as_ref().and_then(|file| file.value("verdict").as_str());
    let notes = written.close(verdict, Some(&summary::headline(results, Lang::En)));
    if json && let Some(file) = file {
        out::json(&file.in_folder(&folder))?;
    }
    out::line("");
    out::paragraphs(&(summary::headline(results, lang) + "\n"));
    super::history::tell(&earlier, &notes);
    out::say(&say!(JobLine::FilesIn { out: folder.display() }));
    Ok(ending.of(results.status(), results.interrupted))
}

/// Refuses more shards than a phase has runs of a cell.
fn check_shard(shard: Shard, phases: &[config::Phase]) -> Result<(), String> {
    let most = phases.iter().map(|phase| phase.runs).max().unwrap_or_default();
    match shard.of > most {
        true => Err(format!(
            "{} shards of {most} runs of a cell leave some without a run: give at most {most} shards",
            shard.of
        )),
        false => Ok(()),
    }
}

/// Writes the example. A file that is there is left alone.
fn init(path: &Path) -> anyhow::Result<Status> {
    let created = folder::open(path, std::fs::File::options().write(true).create_new(true));
    let mut file =
        created.map_err(|e| usage(format!("cannot write {}: {e}; give another FILE", path.display())))?;
    std::io::Write::write_all(&mut file, example::TEXT.as_bytes())
        .with_context(|| format!("matrix: cannot write {}", path.display()))?;
    out::line(path.display());
    Ok(Status::NoHang)
}

/// Checks the arguments. The folder of the sockets is removed on drop.
fn task(args: Args) -> anyhow::Result<(Task, SocketDir)> {
    let mut matrix = config::load(&args.file).map_err(usage)?;
    for so in matrix.allocators.iter_mut().filter_map(|allocator| allocator.so.as_mut()) {
        if let Some(carried) = Carried::by(so, "matrix")? {
            *so = carried.allocator;
        }
    }
    let own = args.shard.own("matrix")?;
    if let Some(own) = &own {
        check_shard(own.shard, &matrix.phases).map_err(usage)?;
    }
    let out = match (&args.out, &matrix.out) {
        (Some(out), _) | (None, Some(out)) => out.clone(),
        (None, None) if own.is_some() => {
            return Err(usage(
                "a shard needs --out DIR, or out in the file, the same for all shards; or give --shard off",
            ));
        }
        (None, None) if args.resume => return Err(usage("--resume needs --out, or out in the file")),
        (None, None) => PathBuf::from(hunt::default_out("matrix")),
    };
    let out = std::path::absolute(&out).with_context(|| format!("matrix: {}", out.display()))?;
    let out: PathBuf = out.components().collect();
    let out = own.as_ref().map_or(out.clone(), |own| own.shard.folder(&out));
    // A task that was requeued goes on by itself.
    let resume = args.resume || own.is_some() && out.join(crate::matrix::STATE).exists();
    let shim = args.shim.find().context("matrix")?;
    let sockets = SocketDir::temporary().context("matrix: cannot make a folder for the sockets")?;
    args.share.begin(Some(&out));
    std::env::set_current_dir(&matrix.dir)
        .with_context(|| format!("matrix: cannot work in {}", matrix.dir.display()))?;
    let common = Common {
        out,
        shim,
        sockets: sockets.path().to_owned(),
        perf: (!args.no_perf).then(|| PerfOptions {
            time: args.perf_seconds,
            call_graph: CallGraph::default(),
            ..PerfOptions::default()
        }),
        full: args.full,
        core: args.core.limit(),
        kept: KeptNames::default(),
        remember: Remember::default(),
        part: own,
    };
    let on_hang = args.on_hang.unwrap_or(matrix.on_hang);
    Ok((Task { matrix, common, on_hang, resume }, sockets))
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("matrix: {what}")).into()
}
