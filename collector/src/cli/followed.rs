//! `hangscope collect -- CMD`: the command that is followed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use hangscope_protocol::duration::Limit;

use super::args::{ShimArgs, variable};
use super::times;
use crate::collect::{Collected, Followed};
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::launch::chain::{Chain, Link};
use crate::launch::follow::Preloads;
use crate::launch::program;
use crate::launch::runner::Runner;
use crate::launch::settings::Settings;
use crate::launch::sockets::SocketDir;
use crate::text::message::{Say as _, say};
use crate::text::unseen::Unseen;

/// Most programs that are named at the end.
const MOST_NAMED: usize = 5;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With CMD")]
pub(super) struct FollowArgs {
    /// Watch the programs with these names, separated by commas, whatever their malloc is [default: every
    /// program in which another malloc than libc's is preloaded].
    #[arg(long, value_name = "NAMES", requires = "command")]
    only: Option<String>,
    /// Deadline of each program, from its start. `off`: dumps only on request [default: 15s].
    #[arg(long, value_name = "TIME", requires = "command")]
    hang_after: Option<Limit>,
    /// A program in which nothing moves for this time makes a dump, too [default: off].
    #[arg(long, value_name = "TIME", requires = "command")]
    stall: Option<Limit>,
    /// Time between two looks of the shim [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = times::tick, requires = "command")]
    tick: Option<Duration>,
    /// Free text in the sessions.
    #[arg(long, requires = "command")]
    label: Option<String>,
    /// A variable for CMD. May be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable, requires = "command")]
    env: Vec<(String, String)>,
    #[command(flatten)]
    shim: ShimArgs,
    /// A command to follow, with all programs that it starts: no line of a script is edited. Its end is the
    /// end of the collection, and its exit status that of hangscope.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// A command that is to be started.
pub(super) struct Start {
    args: FollowArgs,
    preloads: Preloads,
    /// For its socket, and links to files that LD_PRELOAD cannot name.
    dir: SocketDir,
}

impl FollowArgs {
    /// Whether there is a command.
    pub(super) fn follows(&self) -> bool {
        !self.command.is_empty()
    }

    /// Checks that the command can be started and the shim be preloaded.
    ///
    /// # Errors
    /// What is missing, with the documented status.
    pub(super) fn prepare(self) -> anyhow::Result<Start> {
        let usage = |what: String| Ended::new(Status::Usage, format!("collect: {what}"));
        program::find(&self.command[0]).map_err(|e| usage(e.to_string()))?;
        let shim = self.shim.find().context("collect")?;
        let dir = SocketDir::temporary().context("collect: cannot make a folder for the socket")?;
        let before: OsString = std::env::var_os("LD_PRELOAD").unwrap_or_default();
        let preloads = Preloads::of_runner(&shim, &before, self.only.is_some(), dir.path());
        let mut preloads = preloads.map_err(|e| usage(e.to_string()))?;
        if let Ok(program) = std::env::current_exe() {
            preloads = preloads.with_timeout(&program);
        }
        Ok(Start { args: self, preloads, dir })
    }
}

impl Start {
    /// Where to listen, if nobody says otherwise: another collector may have the usual socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// Starts the command, whose programs connect to `socket`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(&self, socket: PathBuf) -> anyhow::Result<Followed> {
        let args = &self.args;
        let settings = Settings {
            socket: Some(socket),
            hang_after: args.hang_after,
            stall: args.stall,
            tick: args.tick,
            label: args.label.clone(),
            only: args.only.clone(),
            preloaded: args.only.is_none(),
            ..Settings::default()
        };
        let command = settings.command(&args.command, &args.env, &self.preloads);
        let runner =
            Runner::start(command).with_context(|| format!("collect: cannot start {}", args.command[0]))?;
        let chain = Chain::new(runner.pid(), self.preloads.ours());
        Ok(Followed { runner, chain })
    }

    /// Says what was not seen.
    pub(super) fn say_unseen(&self, collected: &Collected, chain: &Chain) {
        let broken = chain.broken().take(MOST_NAMED).map(|link| {
            let why = link.broken.as_ref().map(|why| why.said());
            say!(Unseen::NotReached { program: &link.exe, pid: link.pid, why: why.unwrap_or_default() })
        });
        let broken: Vec<Unseen> = broken.collect();
        if collected.sessions > 0 {
            broken.iter().for_each(warn);
            return;
        }
        warn(&Unseen::NoSession {});
        broken.iter().for_each(warn);
        if collected.refused > 0 {
            warn(&say!(Unseen::Refused { connections: collected.refused }));
        }
        let last: Vec<&Link> = chain.last().rev().take(MOST_NAMED).collect();
        if broken.is_empty() {
            match &self.args.only {
                Some(only) => warn(&say!(Unseen::NotTheName { only })),
                None if last.iter().any(|link| link.preload.is_some()) => warn(&Unseen::NotLibcs {}),
                None => warn(&Unseen::NothingPreloaded {}),
            }
        }
        if !last.is_empty() {
            let programs: Vec<String> = last.iter().rev().map(|link| described(link)).collect();
            warn(&say!(Unseen::Last { programs: programs.join(", ") }));
        }
    }
}

/// What a collector without a command says where it saw nothing.
pub(super) fn say_nobody(collected: &Collected) {
    if collected.sessions > 0 {
        return;
    }
    match collected.refused {
        0 => warn(&Unseen::NobodyConnected {}),
        connections => warn(&say!(Unseen::Refused { connections })),
    }
}

fn described(link: &Link) -> String {
    let preload = link.preload.as_deref().unwrap_or("-");
    format!("{} (LD_PRELOAD {preload})", link.exe)
}

fn warn(what: &Unseen) {
    out::error_line(format_args!("hangscope: {}", what.text(out::lang())));
}
