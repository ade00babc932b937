//! The shim's settings as options, for commands that start no program themselves.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use hangscope_protocol::duration::Limit;

use super::stir::PlainStirArgs;
use super::{socket, times};
use crate::launch::settings::Settings;

#[derive(Debug, clap::Args)]
pub(super) struct SettingsArgs {
    /// Socket of `hangscope collect` [default: HANGSCOPE_SOCKET, else the default of collect].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Deadline from the start of the process. `off`: dumps only on request [default: 15s, from the shim].
    #[arg(long, value_name = "TIME")]
    hang_after: Option<Limit>,
    /// A process in which nothing moves for this time makes a dump, too [default: off, from the shim].
    #[arg(long, value_name = "TIME")]
    stall: Option<Limit>,
    /// Time between two looks of the shim [default: 1s, from the shim].
    #[arg(long, value_name = "TIME", value_parser = times::tick)]
    tick: Option<Duration>,
    /// Free text in the session.
    #[arg(long)]
    label: Option<String>,
    /// Watch only programs with these names, separated by commas, and not `env`, `taskset` or `timeout` in
    /// front of them.
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// Name of the allocator's DSO, if it is not the one that provides malloc.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    #[command(flatten)]
    stir: PlainStirArgs,
}

impl SettingsArgs {
    /// The settings, with the absolute path of a socket whose folder nobody else can write to. `command` is
    /// the subcommand, for errors.
    ///
    /// # Errors
    /// There can be no such socket.
    pub(super) fn settings(self, command: &'static str) -> anyhow::Result<Settings> {
        let path = self.socket.map_or_else(socket::default_socket, Ok).context(command)?;
        socket::check(&path).with_context(|| format!("{command}: the folder of {}", path.display()))?;
        let path = std::path::absolute(&path).with_context(|| format!("{command}: {}", path.display()))?;
        Ok(Settings {
            socket: Some(path),
            hang_after: self.hang_after,
            stall: self.stall,
            tick: self.tick,
            label: self.label,
            only: self.only,
            target: self.target,
            stir: self.stir.stir(),
            ..Settings::default()
        })
    }
}
