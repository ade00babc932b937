//! `hangscope top`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::errno::Errno;

use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::live::answers::JobAnswer;
use crate::live::client::Client;
use crate::live::model::Status as Told;
use crate::live::place::{self, Pointer};
use crate::top::look::Look;
use crate::top::terminal;

/// How long a job may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Look at a collector, a hunt or a matrix while it works: its processes, their threads, memory and hangs.
///
/// The view has keys (? shows them): Enter opens a process with its threads, waits and stacks, d takes a dump
/// now, m writes a remark to OUT/marks.jsonl. The job goes on whatever happens here.
///
/// OUT is the folder of the job (--out). Without it the only job of this user is taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope top                   # the only job that runs\n  \
    hangscope top night             # the one that writes to night/\n  \
    hangscope top night --once      # one screen as text\n  \
    hangscope top night --json | jq '.processes[] | select(.hung)'")]
pub(crate) struct Args {
    /// Folder of the job.
    #[arg(value_name = "OUT")]
    out: Option<PathBuf>,
    /// Print one screen as text, with all processes, and end.
    #[arg(long, conflicts_with = "json")]
    once: bool,
    /// Only one line of JSON on stdout: job, counts, and processes with pid, label, allocator, integrity,
    /// age_s, threads, cpu, rss_kib, hung, class, bundle, ended (schema hangscope/status/1).
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if args.json {
        out::only_json();
    }
    let socket = find(args.out.as_deref())?;
    if !args.json && !args.once {
        return watch(&socket);
    }
    let mut client = Client::connect(&socket).with_context(|| format!("top: {}", socket.display()))?;
    let status: Told = client.ask("status", ANSWERS_WITHIN).context("top")?;
    match args.json {
        true => out::json(&status)?,
        false => out::text(terminal::plain(status, Look::of_environment(out::style()), out::style().width)),
    }
    Ok(Status::NoHang)
}

fn watch(socket: &Path) -> anyhow::Result<Status> {
    if !io::stdout().is_terminal() {
        bail!(usage("stdout is no terminal; give --once for a screen as text, or --json"));
    }
    terminal::show(socket, Look::of_environment(out::style()))?;
    Ok(Status::NoHang)
}

/// The socket of the job that is meant.
fn find(out: Option<&Path>) -> anyhow::Result<PathBuf> {
    match out {
        Some(out) => of_folder(out),
        None => the_only_one(),
    }
}

fn of_folder(out: &Path) -> anyhow::Result<PathBuf> {
    let shown = out.display();
    if !out.is_dir() {
        bail!(usage(format!("{shown} is no folder; give the --out of a job that runs")));
    }
    let pointer = Pointer::read(out).with_context(|| format!("top: {}", out.join(place::FILE).display()))?;
    let Some(pointer) = pointer else {
        bail!("top: no job works in {shown} now; read what it left with `hangscope show {shown}`");
    };
    match Client::connect(&pointer.socket) {
        Ok(_) => Ok(pointer.socket),
        Err(error) if is_gone(&error) => bail!(
            "top: the job of {shown} (process {}) was killed; read what it left with `hangscope show {shown}`",
            pointer.pid
        ),
        Err(error) => Err(error).with_context(|| format!("top: {}", pointer.socket.display())),
    }
}

/// Nobody listens at a socket.
fn is_gone(error: &io::Error) -> bool {
    [Errno::ENOENT, Errno::ECONNREFUSED].iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

fn the_only_one() -> anyhow::Result<PathBuf> {
    let mut jobs = vec![];
    for socket in place::sockets() {
        match Client::connect(&socket) {
            Ok(mut client) => {
                if let Ok(answer) = client.ask::<JobAnswer>("job", ANSWERS_WITHIN) {
                    jobs.push((socket, answer.job.out));
                }
            }
            // A killed job has left it.
            Err(error) if is_gone(&error) => drop(std::fs::remove_file(&socket)),
            Err(_) => {}
        }
    }
    match &jobs[..] {
        [(socket, _)] => Ok(socket.clone()),
        [] => bail!(
            "top: no job of yours runs now; begin one, as `hangscope collect --out DIR`, or give its OUT"
        ),
        several => {
            let outs: Vec<&str> = several.iter().map(|(_, out)| &**out).collect();
            bail!(usage(format!("{} jobs run; give the OUT of one: {}", outs.len(), outs.join(", "))))
        }
    }
}

fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("top: {what}")).into()
}
