//! Every way in which a verification fails.

use std::io;
use std::path::PathBuf;

use crate::console::exit::Status;
use crate::files::atomic::WriteError;
use crate::files::elf::Target;
use crate::files::pin::PinError;
use crate::launch::preload::NotPreloadable;
use crate::launch::program::BadCommand;
use crate::listen::ListenError;

/// Why the preload is not verified: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The command cannot be started.
    #[error(transparent)]
    Command(#[from] BadCommand),
    #[error("no program in the command {0:?}: only wrappers; put the benchmark behind them")]
    NoProgram(String),
    #[error("cannot read {}: {source}; give the path of the allocator's .so", path.display())]
    Unreadable {
        /// Of the DSO or the program.
        path: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    NotADso(#[from] PinError),
    /// LD_PRELOAD cannot hold the path.
    #[error(transparent)]
    NotPreloadable(#[from] NotPreloadable),
    /// The program cannot be started.
    #[error("cannot be started: {}: {why}", path.display())]
    NotAProgram { path: PathBuf, why: String },
    /// Nothing can be preloaded into a static program.
    #[error("static binary: {}: it has no loader, so nothing can be preloaded; link it dynamically", .0.display())]
    Static(PathBuf),
    #[error(
        "{what}: {}: the loader ignores LD_PRELOAD for it (AT_SECURE); run a copy without that",
        path.display()
    )]
    Secure {
        path: PathBuf,
        /// Which: setuid, setgid, file capabilities.
        what: &'static str,
    },
    /// Program and DSO are for different machines.
    #[error(
        "wrong architecture: {} is {program_is}, but {} is {so_is}; use a build for the program's architecture",
        program.display(), so.display()
    )]
    WrongArch { program: PathBuf, program_is: Target, so: PathBuf, so_is: Target },
    /// `ld.so` refused a file.
    #[error("cannot be preloaded: {object}: ld.so says: {reason}")]
    CannotPreload { object: String, reason: String },
    /// The command could not be started, or not be waited for.
    #[error("cannot run {program}: {source}")]
    NotRun { program: String, source: io::Error },
    #[error("no hello from {program}: {seen}")]
    NoHello { program: String, seen: String },
    #[error("malloc comes from {provider}, not from {}, in {}{hint}", so.display(), program.display())]
    OtherMalloc { program: PathBuf, provider: String, so: PathBuf, hint: &'static str },
    /// The DSO that provides malloc is not the file that was given.
    #[error("{} does not run the bytes of {}: {what}; something changes that file: pin it", program.display(), so.display())]
    OtherFile { program: PathBuf, so: PathBuf, what: String },
    /// The DSO was deleted, replaced or overwritten.
    #[error("the DSO is not intact in {}: {}: {what}; pin it", program.display(), so.display())]
    NotIntact { program: PathBuf, so: PathBuf, what: String },
    /// The shim's messages could not be read.
    #[error("the shim of {program} was not understood: {reason}")]
    Rejected { program: String, reason: String },
    #[error("run {run} of {of}: {source}")]
    InRun {
        /// Which, from 1.
        run: u32,
        of: u32,
        source: Box<VerifyError>,
    },
    /// The socket could not be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("interrupted")]
    Interrupted,
}

impl VerifyError {
    pub(super) fn in_run(self, run: u32, of: u32) -> VerifyError {
        VerifyError::InRun { run, of, source: Box::new(self) }
    }

    /// The documented status. An error that says nothing about the preload does not mean "not verified".
    pub(crate) fn status(&self) -> Status {
        match self {
            VerifyError::InRun { source, .. } => source.status(),
            VerifyError::Listen(_) | VerifyError::Write(_) | VerifyError::Interrupted => Status::Failed,
            _ => Status::NotVerified,
        }
    }
}
