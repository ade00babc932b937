//! A lane: the runs of one DSO. What each of them gets: its environment, its socket, its files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::config::Config;
use crate::analysis::integrity::FileFacts;
use crate::exit::{Ended, Status};
use crate::file_facts;
use crate::pin::Pinned;
use crate::preload::{self, Settings};

/// The runs of one DSO.
#[derive(Debug)]
pub struct Lane {
    /// Its name: `pinned`, `stats`.
    pub arm: String,
    /// The DSO, as it is mapped.
    pub dso: PathBuf,
    sha1: String,
    file: Option<FileFacts>,
    out: PathBuf,
    preload: OsString,
    run_prefix: &'static str,
    hang_prefix: &'static str,
    slow_prefix: &'static str,
}

impl Lane {
    /// A lane of a hunt.
    ///
    /// # Errors
    /// A path that LD_PRELOAD cannot hold, and for which no link could be made.
    pub fn new(
        config: &Config,
        pinned: &Pinned,
        arm: &str,
        run_prefix: &'static str,
        hang_prefix: &'static str,
        slow_prefix: &'static str,
    ) -> anyhow::Result<Lane> {
        let dso = preloadable(&pinned.path, &config.sockets)?;
        let shim = preloadable(&config.shim, &config.sockets)?;
        let preload = preload::value([shim.as_path(), dso.as_path()])
            .map_err(|e| Ended::new(Status::Usage, format!("hunt: {e}")))?;
        Ok(Lane {
            arm: arm.to_owned(),
            dso: pinned.path.clone(),
            sha1: pinned.sha1.clone(),
            file: file_facts::now(&pinned.path, None),
            out: config.out.clone(),
            preload,
            run_prefix,
            hang_prefix,
            slow_prefix,
        })
    }

    /// Whether the DSO's file, which is now like `now`, still has the bytes that were pinned; none if it cannot be read,
    /// or where nothing moved.
    pub fn same_bytes(&self, now: &FileFacts) -> Option<bool> {
        if self.file.as_ref() == Some(now) { None } else { self.bytes().map(|bytes| bytes.is_some()).ok() }
    }

    /// The DSO's bytes, if its file still has those that were pinned.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn bytes(&self) -> std::io::Result<Option<Vec<u8>>> {
        let bytes = std::fs::read(&self.dso)?;
        Ok((crate::pin::sha1_hex(&bytes) == self.sha1).then_some(bytes))
    }

    /// Where a run's output goes: `run_8.out`, `run_8.err`.
    pub fn outputs(&self, run: u32) -> [PathBuf; 2] {
        ["out", "err"].map(|end| self.out.join(format!("{}{run}.{end}", self.run_prefix)))
    }

    /// Folder of a hang's evidence, in OUT: `hang_run_8`.
    pub fn snapshot(&self, run: u32) -> String {
        format!("{}{run}", self.hang_prefix)
    }

    /// The same for a run that was slow.
    pub fn slow_snapshot(&self, run: u32) -> String {
        format!("{}{run}", self.slow_prefix)
    }

    /// A run's command with its environment. What the caller's own environment preloads is not passed on: it would
    /// come after the pinned DSO, or be it, unpinned.
    pub fn command(&self, config: &Config, run: u32, socket: &Path) -> Command {
        let mut command = Command::new(&config.command[0]);
        command.args(&config.command[1..]);
        command.envs(config.env.iter().map(|(name, value)| (name, value)));
        let settings = Settings {
            socket: Some(socket.to_owned()),
            hang_after: Some(config.hang_after.unwrap_or(Duration::ZERO)),
            stall: config.stall,
            tick: config.tick,
            label: Some(
                config.label.clone().unwrap_or_else(|| format!("{}_{}{run}", config.name, self.run_prefix)),
            ),
            only: config.only.clone(),
            target: None,
        };
        for name in ["HANGSCOPE_STALL", "HANGSCOPE_TICK", "HANGSCOPE_ONLY", "HANGSCOPE_TARGET"] {
            if !config.env.iter().any(|(n, _)| n == name) {
                command.env_remove(name);
            }
        }
        command.envs(settings.variables()).env("LD_PRELOAD", &self.preload);
        command
    }
}

/// The path, or a link to it from the sockets' folder where LD_PRELOAD cannot hold the path: the loader maps the file
/// that the link leads to, so maps shows the path itself.
fn preloadable(path: &Path, links: &Path) -> anyhow::Result<PathBuf> {
    if preload::value([path]).is_ok() {
        return Ok(path.to_owned());
    }
    let digest = crate::pin::sha1_hex(path.as_os_str().as_encoded_bytes());
    let link = links.join(format!("{}.so", &digest[..16]));
    match std::os::unix::fs::symlink(path, &link) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(e).with_context(|| format!("hunt: cannot make {}", link.display()))
        }
        _ => Ok(link),
    }
}
