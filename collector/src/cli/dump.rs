//! `hangscope dump`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hangscope_protocol::variable;
use nix::errno::Errno;
use serde::Serialize;

use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::listen::request::{Answer, Problem, Request, socket_of};
use crate::proc::sockets;
use crate::report;
use crate::text::message::say;
use crate::text::note::Note;
use crate::text::progress::JobLine;

/// How long the longest dump takes: three seconds for the shim, and the analysis of thousands of threads.
const MOST: Duration = Duration::from_secs(60);

/// Capture now what a program does that a hunt or a collector watches. The program goes on.
///
/// PID is the program, or the `hangscope hunt` or `hangscope collect` that watches it. The capture is written
/// beside the others of that hunt or collector: OUT/dump_run_8_1, or dump_N in the folder of the session. A
/// USR1 to the hunt or the collector asks for the same. For a program without the shim use `hangscope snap`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope dump $(pgrep -n bench)\n  \
    hangscope dump $(pgrep -n hangscope)       # all programs that it watches\n  \
    kill -USR1 $(pgrep -n hangscope)           # the same, without an answer here")]
pub(crate) struct Args {
    /// Process id of the program, or of its hunt or collector.
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: u32,
    /// Only one line of JSON on stdout: dumps, a list of pid, folder (of the capture; null if there is none),
    /// class, confidence and problem (no-shim, ended, not-taken, not-written, or null).
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Dumps {
    dumps: Vec<Answer>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    let pid = args.pid;
    if args.json {
        out::only_json();
    }
    if !Path::new(&format!("/proc/{pid}")).exists() {
        bail!(usage(format!("there is no process {pid}")));
    }
    let requests = connect(pid)?;
    let mut dumps: Vec<Answer> = vec![];
    for request in &requests {
        loop {
            match request.answer() {
                Ok(Some(answer)) => {
                    let is_last = answer.left == 0;
                    if !args.json {
                        show(&answer);
                    }
                    dumps.push(answer);
                    if is_last {
                        break;
                    }
                }
                Ok(None) => break,
                Err(Errno::EAGAIN) => bail!("dump: no answer within {} s", MOST.as_secs()),
                Err(error) => return Err(error).context("dump: the answer cannot be read"),
            }
        }
    }
    if dumps.is_empty() {
        bail!("dump: the collector of process {pid} ended the connection: the run is over")
    }
    // One of several runs may only just have begun.
    if dumps.iter().any(|answer| answer.problem != Some(Problem::NoShim)) {
        dumps.retain(|answer| answer.problem != Some(Problem::NoShim));
    }
    if dumps.iter().all(|answer| answer.problem == Some(Problem::NoShim)) && !args.json {
        bail!("dump: no shim of process {pid} has said hello; use `hangscope snap {pid}`");
    }
    let done = dumps.iter().any(|answer| answer.folder.is_some());
    if args.json {
        out::json(&Dumps { dumps })?;
    }
    Ok(if done { Status::NoHang } else { Status::Failed })
}

/// Asks the collector of a process. Runs side by side have a socket each: all of them are asked.
fn connect(pid: u32) -> anyhow::Result<Vec<Request>> {
    let listens = sockets::listening(pid);
    if is_hangscope(pid) && listens.is_empty() {
        bail!("dump: hangscope (process {pid}) has no run now that could be captured; try again");
    }
    let of_program = if is_hangscope(pid) {
        None
    } else {
        socket_of(pid).with_context(|| {
            format!("dump: the environment of process {pid} cannot be read: be its user, or root")
        })?
    };
    let paths: Vec<PathBuf> = if is_hangscope(pid) { listens } else { of_program.into_iter().collect() };
    let mut requests = vec![];
    for path in &paths {
        match Request::send(path, pid, Duration::ZERO, MOST) {
            Ok(request) => requests.push(request),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("dump: cannot ask at {}", path.display()));
            }
        }
    }
    match paths.first() {
        _ if !requests.is_empty() => Ok(requests),
        Some(path) => bail!(
            "dump: the collector of process {pid} is gone (nobody listens at {}); use `hangscope snap {pid}`",
            path.display()
        ),
        None => bail!(
            "dump: process {pid} has no collector (no {} in its environment); use `hangscope snap {pid}`",
            variable::SOCKET
        ),
    }
}

/// Whether a process is a hangscope, by the name of its program.
fn is_hangscope(pid: u32) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let own = std::env::current_exe().unwrap_or_default();
    exe.file_name().is_some_and(|name| {
        let name = name.as_bytes();
        let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
        name == b"hangscope" || Some(name) == own.file_name().map(OsStrExt::as_bytes)
    })
}

/// What was captured, as `hangscope show` prints it.
fn show(answer: &Answer) {
    let pid = answer.pid;
    match (&answer.folder, answer.problem) {
        (Some(folder), _) => {
            match report::show(Path::new(folder), out::style(), report::Stacks::Telling) {
                Ok(text) => out::text(text),
                Err(error) => out::error_line(error),
            }
            out::say(&say!(JobLine::EvidenceIn { out: folder }));
        }
        (None, Some(Problem::Ended)) => out::say(&say!(Note::EndedBeforeDump { pid })),
        (None, Some(Problem::NotWritten)) => out::say(&say!(Note::DumpNotWritten { pid })),
        (None, Some(Problem::NotTaken) | None) => out::say(&say!(Note::NoAnswer { pid })),
        // The error of the command says it.
        (None, Some(Problem::NoShim)) => {}
    }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("dump: {what}")).into()
}
