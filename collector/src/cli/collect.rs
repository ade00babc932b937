//! `hangscope collect`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::args::{MetricsArgs, ShareArgs};
use super::followed::{self, FollowArgs};
use super::history::HistoryArgs;
use super::size;
use crate::capture::{CallGraph, PerfOptions};
use crate::collect::{self, Collected, Keep, Options};
use crate::console::cancel;
use crate::console::exit::{self, Ended, Status};
use crate::console::out;
use crate::console::usr1::Requests;
use crate::history::{JobRow, Recorder};
use crate::launch::{descriptors, shim_path};
use crate::listen::Listener;
use crate::live::model::Kind;
use crate::live::{Board, Live};
use crate::text::message::{Lang, Text, say};
use crate::text::progress::JobLine;

/// Listen for processes that have the shim. Each becomes a session in DIR, with its heartbeats, dumps and
/// end.
///
/// With CMD it runs that command, and follows it into every program that it starts, also where a script sets
/// LD_PRELOAD itself or clears the environment. The end of CMD is the end of the collection, and the exit
/// status is that of CMD. Without CMD, Ctrl-C ends it. Processes that still run then go on, and their
/// sessions are written as `open`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Files:\n  \
    DIR/sessions.jsonl                      a line for each session that has ended\n  \
    DIR/sessions/{start}_{pid}/session.json heartbeats.jsonl dump_N/\n  \
    A session without a hang has its line only (--keep).\n\n\
    Only processes of the same user and of root may connect.\n\n\
    Examples:\n  \
    hangscope collect --out night -- ./run_matrix.sh --runs 10\n  \
    hangscope collect --out night &\n  \
    env $(hangscope env --so ./libhakozuna_hz4.so) ./bench 16 2000000 400 16 32768 90 65536")]
pub(crate) struct Args {
    /// Socket to listen on [default: with CMD, one of its own; else HANGSCOPE_SOCKET, else
    /// hangscope/collector.sock in XDG_RUNTIME_DIR, else /tmp/hangscope-UID/collector.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Folder for the sessions. It is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    share: ShareArgs,
    /// Keep all of every stack in dump.bin, however large it is. Otherwise a bundle has at most 2 MB.
    #[arg(long)]
    full: bool,
    /// Do not run perf on the hottest thread of a hung process.
    #[arg(long)]
    no_perf: bool,
    /// How perf unwinds the stacks.
    #[arg(long, value_enum, value_name = "HOW", default_value = "fp", conflicts_with = "no_perf")]
    perf_call_graph: CallGraph,
    /// Dumps to keep for a session. A process that hangs all night makes one a minute.
    #[arg(long, value_name = "N", default_value = "10")]
    max_dumps: u32,
    /// Memory for what processes send: 512M, 2G. A quarter is for messages that wait to be taken, half for
    /// dumps that are analysed (those that find no room wait on disk), an eighth for copies of allocators
    /// while they are read. One that is larger than its part goes alone. Beside it are at most 64M of
    /// allocators that were read, 64M of dumps that no disk has room for while they arrive, 24M of
    /// heartbeats, 16M of lines for a full disk, and what a session needs.
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = size::parse)]
    max_memory: u64,
    /// Disk space for all that is in DIR: 10G. When it is reached, healthy sessions are removed, the oldest
    /// first, also those of an earlier collector; then dumps are not kept any more, and each session has its
    /// line only [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_size: Option<u64>,
    /// Folders that stay when sessions have ended: `hangs` (with a hang, a dump, a crash, or a DSO that was
    /// not intact), `all`, or a number: the last so many of the others, too. Each session has its line in
    /// sessions.jsonl.
    #[arg(long, value_name = "WHAT", default_value = "hangs")]
    keep: Keep,
    /// Only JSON on stdout: a line for each session when it ends, as in sessions.jsonl (pid, command, label,
    /// end, rc, integrity, dumps, hung, class, folder, ...). Not with CMD, which has stdout.
    #[arg(long, conflicts_with = "command")]
    json: bool,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// End with status 10 if a session hung, or was stuck when it was stopped.
    #[arg(long)]
    fail_on_hang: bool,
    #[command(flatten)]
    follow: FollowArgs,
}

/// Heartbeats that are written at once.
const BEATS: usize = 16;

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    descriptors::raise();
    args.share.begin(Some(&args.out));
    if args.json {
        out::only_json();
    }
    let cancel = cancel::on_signals().context("collect: cannot catch Ctrl-C")?;
    let requests = Requests::on_usr1().context("collect: cannot take USR1")?;
    let start = if args.follow.follows() { Some(args.follow.prepare()?) } else { None };
    let socket = match (args.socket, &start) {
        (Some(socket), _) => socket,
        (None, Some(start)) => start.socket(),
        (None, None) => super::socket::default_socket().context("collect")?,
    };
    let listener = Listener::bind_within(&socket, args.max_memory / 4).context("collect")?;
    let board = Board::new(Kind::Collect);
    let live = Live::begin(&board, args.metrics.address()).context("collect: --metrics")?;
    let metrics = live.metrics();
    let folder = std::path::absolute(&args.out).context("collect")?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let recorder = args.history.begin(JobRow::now("collect", &name, &folder), None)?;
    let perf = PerfOptions { call_graph: args.perf_call_graph, ..PerfOptions::default() };
    let options = Options {
        board,
        live: Some(Arc::new(live)),
        out: args.out,
        full: args.full,
        perf: (!args.no_perf).then_some(perf),
        dumps: args.max_dumps,
        json: args.json,
        max_memory: args.max_memory,
        max_size: args.max_size,
        keep: args.keep,
        beats: BEATS,
        remember: recorder.remember(),
        quiet: start.is_some(),
    };
    let say = Arc::new(|text: &dyn std::fmt::Display| {
        let text = text.to_string();
        if text.starts_with("hangscope:") { out::error_line(text) } else { out::line(text) }
    });
    if let Some(address) = metrics {
        let line = say!(JobLine::Metrics { address });
        match options.quiet {
            true => out::error_line(format_args!("hangscope: {}", line.text(out::lang()))),
            false => out::say(&line),
        }
    }
    let Some(start) = start else {
        say_how_to_connect(&listener.path().display().to_string());
        let collected =
            collect::collect(listener, options, cancel, say, &requests, None).context("collect")?;
        out::say(&counts(&collected));
        let (earlier, notes) = remembered(recorder, &collected);
        super::history::tell(&earlier, &notes);
        followed::say_nobody(&collected);
        return status(&collected, args.fail_on_hang);
    };
    let prefixed = Arc::new(move |text: &dyn std::fmt::Display| {
        let text = text.to_string();
        out::error_line(format_args!("hangscope: {}", text.strip_prefix("hangscope: ").unwrap_or(&text)));
    });
    let out_dir = options.out.clone();
    let mut followed = start.start(listener.path().to_owned())?;
    let collected = collect::collect(listener, options, cancel, prefixed, &requests, Some(&mut followed));
    let collected = collected.context("collect")?;
    let ended = followed.runner.wait().context("collect: the end of the command")?;
    let of_all = counts(&collected).text(out::lang());
    out::error_line(format_args!("hangscope: {of_all} -> {}", out_dir.display()));
    // Stdout is the command's.
    let (earlier, notes) = remembered(recorder, &collected);
    super::history::tell(&[], &[earlier, notes].concat());
    start.say_unseen(&collected, &followed.chain);
    match status(&collected, args.fail_on_hang)? {
        Status::NoHang => {
            drop(start);
            exit::as_the_command(ended)
        }
        status => Ok(status),
    }
}

/// Ends the history of the collector. Returns what is known of earlier hangs, and what could not be remembered.
fn remembered(recorder: Recorder, collected: &Collected) -> (Vec<Text>, Vec<Text>) {
    let written = recorder.end();
    let earlier = written.earlier();
    (earlier, written.close(None, Some(&counts(collected).text(Lang::En))))
}

fn say_how_to_connect(path: &str) {
    out::say(&say!(JobLine::Listening { path }));
    out::say(&JobLine::PutInFront {});
    match shim_path::find(None) {
        Ok(shim) => out::line(format_args!(
            "  env LD_PRELOAD={}:/path/to/allocator.so HANGSCOPE_SOCKET={path} COMMAND",
            shim.display()
        )),
        Err(error) => out::error_line(format_args!("hangscope: {error}")),
    }
    out::say(&JobLine::Or {});
    out::line(format_args!("  env $(hangscope env --socket {path} --so ALLOCATOR.so) COMMAND"));
}

fn counts(collected: &Collected) -> JobLine {
    let Collected { sessions, hung, stuck, .. } = *collected;
    match stuck {
        0 => say!(JobLine::Sessions { sessions, hung }),
        _ => say!(JobLine::SessionsStuck { sessions, hung, stuck }),
    }
}

fn status(collected: &Collected, fail_on_hang: bool) -> anyhow::Result<Status> {
    match collected.not_written {
        0 if fail_on_hang && collected.hung + collected.stuck > 0 => Ok(Status::Hang),
        0 => Ok(Status::NoHang),
        n => {
            Err(Ended::new(Status::Failed, format!("collect: {n} files could not be written, see above"))
                .into())
        }
    }
}
