//! Every way in which verification fails.

use std::io;
use std::path::PathBuf;

use crate::console::exit::Status;
use crate::files::atomic::WriteError;
use crate::files::elf::Target;
use crate::files::pin::PinError;
use crate::launch::preload::NotPreloadable;
use crate::launch::program::BadCommand;
use crate::listen::ListenError;

/// Why it is not verified: one line each, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// There is no command that could be started.
    #[error(transparent)]
    Command(#[from] BadCommand),
    /// The command is wrappers only.
    #[error("no program in the command {0:?}: only wrappers; put the benchmark behind them")]
    NoProgram(String),
    /// The DSO cannot be read.
    #[error("cannot read {}: {source}; give the path of the allocator's .so", path.display())]
    Unreadable {
        /// The DSO, or the program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The DSO is none.
    #[error(transparent)]
    NotADso(#[from] PinError),
    /// LD_PRELOAD cannot hold it.
    #[error(transparent)]
    NotPreloadable(#[from] NotPreloadable),
    /// The program is no ELF file.
    #[error("cannot be started: {}: {why}", path.display())]
    NotAProgram {
        /// The program.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// Nothing can be preloaded into a static program.
    #[error("static binary: {}: it has no loader, so nothing can be preloaded; link it dynamically", .0.display())]
    Static(PathBuf),
    /// The loader ignores LD_PRELOAD for it.
    #[error(
        "{what}: {}: the loader ignores LD_PRELOAD for it (AT_SECURE); run a copy without that",
        path.display()
    )]
    Secure {
        /// The program.
        path: PathBuf,
        /// Which: setuid, setgid, file capabilities.
        what: &'static str,
    },
    /// Program and DSO are for different machines.
    #[error(
        "wrong architecture: {} is {program_is}, but {} is {so_is}; use a build for the program's architecture",
        program.display(), so.display()
    )]
    WrongArch {
        /// The program.
        program: PathBuf,
        /// What it is.
        program_is: Target,
        /// The DSO.
        so: PathBuf,
        /// What that is.
        so_is: Target,
    },
    /// `ld.so` said so.
    #[error("cannot be preloaded: {object}: ld.so says: {reason}")]
    CannotPreload {
        /// The object, as ld.so names it.
        object: String,
        /// Its reason.
        reason: String,
    },
    /// It could not be started, or not be waited for.
    #[error("cannot run {program}: {source}")]
    NotRun {
        /// The command's first word.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody said hello.
    #[error("no hello from {program}: {seen}")]
    NoHello {
        /// The program that was expected.
        program: String,
        /// What was seen instead.
        seen: String,
    },
    /// Another malloc comes first.
    #[error("malloc comes from {provider}, not from {}, in {}{hint}", so.display(), program.display())]
    OtherMalloc {
        /// The program.
        program: PathBuf,
        /// What provides malloc.
        provider: String,
        /// The DSO that should.
        so: PathBuf,
        /// Why that may be.
        hint: &'static str,
    },
    /// The DSO that provides malloc is not the file that was given.
    #[error("{} does not run the bytes of {}: {what}; something changes that file: pin it", program.display(), so.display())]
    OtherFile {
        /// The program.
        program: PathBuf,
        /// The DSO.
        so: PathBuf,
        /// What is different.
        what: String,
    },
    /// It was deleted, replaced or overwritten.
    #[error("the DSO is not intact in {}: {}: {what}; pin it", program.display(), so.display())]
    NotIntact {
        /// The program.
        program: PathBuf,
        /// The DSO.
        so: PathBuf,
        /// What was seen.
        what: String,
    },
    /// What its shim said could not be read.
    #[error("the shim of {program} was not understood: {reason}")]
    Rejected {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// One of several runs.
    #[error("run {run} of {of}: {source}")]
    InRun {
        /// Which, from 1.
        run: u32,
        /// Of how many.
        of: u32,
        /// What was wrong in it.
        source: Box<VerifyError>,
    },
    /// The socket could not be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl VerifyError {
    pub(super) fn in_run(self, run: u32, of: u32) -> VerifyError {
        VerifyError::InRun { run, of, source: Box::new(self) }
    }

    /// The documented status: what failed for reasons that have nothing to do with the preload is not "not verified".
    pub(crate) fn status(&self) -> Status {
        match self {
            VerifyError::InRun { source, .. } => source.status(),
            VerifyError::Listen(_) | VerifyError::Write(_) | VerifyError::Interrupted => Status::Failed,
            _ => Status::NotVerified,
        }
    }
}
