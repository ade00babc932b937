//! What is to be verified.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::VerifyError;
use crate::files::elf::Elf;
use crate::files::facts::{self, FileFacts};
use crate::files::pin;
use crate::launch::cpus::Cpus;
use crate::launch::shim_path::Shim;
use crate::profile::Profile;

#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// The command, with the wrappers (`env`, `taskset`, `timeout` ...) in front.
    pub(crate) command: &'a [String],
    /// The DSO that must provide malloc.
    pub(crate) so: &'a Path,
    /// The carrier that is preloaded in its place.
    pub(crate) carrier: Option<&'a Path>,
    /// The file that `so` is a copy of, or `so` itself.
    pub(crate) source: &'a Path,
    /// `so` is libc, and the shim alone is preloaded.
    pub(crate) system: bool,
    /// Short name of the allocator, part of file names.
    pub(crate) name: &'a str,
    pub(crate) profile: &'a Profile,
    pub(crate) shim: &'a Shim,
    /// Number of runs. Each must pass.
    pub(crate) runs: u32,
    pub(crate) cpus: Option<&'a Cpus>,
    /// Variables for the command.
    pub(crate) env: &'a [(String, String)],
    /// Names of programs, separated by commas; one of them must say hello. None: the program at the end of
    /// the chain of programs that the command starts.
    pub(crate) only: Option<&'a str>,
    /// The logs go to `preload_verify/` in this folder. None: no logs.
    pub(crate) out: Option<&'a Path>,
    pub(crate) times: Times,
}

/// How long a verification run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// The proof must come within this time.
    pub(crate) hello: Duration,
    /// How long the proven program must go on as the last one of the chain: in this time a launcher starts
    /// what it launches. Then the run is killed.
    pub(crate) grace: Duration,
    /// The command is a small run that comes to its end by itself: it hangs after this time. None: it is
    /// killed after `grace`.
    pub(crate) whole: Option<Duration>,
}

impl Default for Times {
    fn default() -> Self {
        Times { hello: Duration::from_secs(10), grace: Duration::from_millis(250), whole: None }
    }
}

/// The DSO that the process must have.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Without symbolic links.
    pub(crate) path: PathBuf,
    pub(super) elf: Elf,
    pub(crate) sha1: String,
    pub(super) file: FileFacts,
}

impl Wanted {
    /// # Errors
    /// The file cannot be read, or is no DSO.
    pub(crate) fn of(so: &Path) -> Result<Wanted, VerifyError> {
        let unreadable = |source| VerifyError::Unreadable { path: so.to_owned(), source };
        let path = std::fs::canonicalize(so).map_err(unreadable)?;
        let bytes = std::fs::read(&path).map_err(unreadable)?;
        let elf = pin::shared_object(so, &bytes)?;
        let sha1 = pin::sha1_hex(&bytes);
        let file = facts::now(&path, None).map_err(unreadable)?;
        let file = file.ok_or_else(|| unreadable(std::io::ErrorKind::NotFound.into()))?;
        Ok(Wanted { path, elf, sha1, file })
    }

    /// The build-id as hex; none if there is none.
    pub(crate) fn build_id(&self) -> Option<&str> {
        self.elf.build_id.as_deref()
    }
}
