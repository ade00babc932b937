//! Strict preload verification: proof from inside the process that the right program runs with exactly this DSO as
//! the provider of malloc. `ld.so` ignores a preload that it cannot open and runs on with another malloc; only a hello
//! from inside shows what was really there.
//!
//! - [`error`]: every way in which it fails, each with a name and a remedy
//! - `program`: what can be said before anything runs
//! - `proof`: what the shim reported, held against what was asked for; pure
//! - `run`: one verification run

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::console::cancel::Cancel;
use crate::files::atomic;
use crate::files::elf::Elf;
use crate::files::facts;
use crate::files::pin;
use crate::launch::cpus::Cpus;

pub(crate) mod error;
mod program;
mod proof;
mod run;

pub(crate) use error::VerifyError;
pub(crate) use proof::Proof;

/// Last line of `result.txt` on success.
pub(crate) const PASSED: &str = "[STRICT-PRELOAD] verification passed";
/// Beginning of its last line otherwise.
pub(crate) const FAILED: &str = "[STRICT-PRELOAD] verification failed";

/// What is to be verified.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// The command, wrappers (`env`, `taskset`, `timeout` ...) in front included.
    pub(crate) command: &'a [String],
    /// The DSO that must provide malloc.
    pub(crate) so: &'a Path,
    /// The shim.
    pub(crate) shim: &'a Path,
    /// Runs; each must pass.
    pub(crate) runs: u32,
    /// Processors for the runs.
    pub(crate) cpus: Option<&'a Cpus>,
    /// Variables for the command.
    pub(crate) env: &'a [(String, String)],
    /// Names of the programs of which one must say hello (comma-separated); none: the program of the command that is
    /// no wrapper, for a script its interpreter.
    pub(crate) only: Option<&'a str>,
    /// Folder; the logs are in `preload_verify/` in it. None: no logs.
    pub(crate) out: Option<&'a Path>,
    /// How long things may take.
    pub(crate) times: Times,
}

/// How long a verification run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// The hello must come within.
    pub(crate) hello: Duration,
    /// After it was checked, the command may go on for so long and end by itself; then it gets TERM, and KILL one
    /// second later. So a short benchmark ends as it always does, and a server does not hold up anybody.
    pub(crate) grace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times { hello: Duration::from_secs(10), grace: Duration::from_secs(5) }
    }
}

/// It passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The program that said hello.
    pub(crate) program: PathBuf,
    /// SHA-1 of the DSO.
    pub(crate) sha1: String,
    /// What each run showed.
    pub(crate) runs: Vec<Proof>,
}

/// The DSO as it must be found in the process.
#[derive(Clone, Debug)]
struct Wanted {
    /// Without symbolic links.
    path: PathBuf,
    elf: Elf,
    sha1: String,
    file: crate::files::facts::FileFacts,
}

/// Verifies.
///
/// # Errors
/// [`VerifyError`]: the first thing that was not as it must be. The logs say it too.
pub(crate) fn verify(request: &Request<'_>, cancel: &Cancel) -> Result<Verified, VerifyError> {
    let mut log = match request.out {
        Some(out) => Some(Log::begin(&out.join("preload_verify"))?),
        None => None,
    };
    let outcome = all(request, log.as_mut(), cancel);
    if let Some(log) = &mut log {
        log.end(&outcome)?;
    }
    outcome
}

fn all(request: &Request<'_>, mut log: Option<&mut Log>, cancel: &Cancel) -> Result<Verified, VerifyError> {
    let wanted = wanted(request.so)?;
    let expected = program::inspect(request.command, request.only, &wanted)?;
    let mut runs = vec![];
    for number in 1..=request.runs {
        let ran = run::run(request, &wanted, &expected, cancel);
        if let Some(log) = log.as_deref_mut() {
            log.run(number, &ran)?;
        }
        let proof = ran.result.map_err(|e| e.in_run(number, request.runs))?;
        runs.push(proof);
    }
    let program = runs.first().map_or_else(PathBuf::new, |proof| proof.program.clone());
    Ok(Verified { program, sha1: wanted.sha1, runs })
}

fn wanted(so: &Path) -> Result<Wanted, VerifyError> {
    let unreadable = |source| VerifyError::Unreadable { path: so.to_owned(), source };
    let path = std::fs::canonicalize(so).map_err(unreadable)?;
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    let elf = pin::shared_object(so, &bytes)?;
    let sha1 = pin::sha1_hex(&bytes);
    let file = facts::now(&path, None).map_err(unreadable)?;
    let file = file.ok_or_else(|| unreadable(std::io::ErrorKind::NotFound.into()))?;
    Ok(Wanted { path, elf, sha1, file })
}

/// The files in `preload_verify/`.
#[derive(Debug)]
struct Log {
    dir: PathBuf,
    lines: Vec<String>,
}

impl Log {
    fn begin(dir: &Path) -> Result<Log, VerifyError> {
        atomic::make_dir(dir)?;
        // A result of an earlier verification must not be taken for this one's.
        atomic::write(&dir.join("result.txt"), b"[STRICT-PRELOAD] verification begun\n")?;
        Ok(Log { dir: dir.to_owned(), lines: vec![] })
    }

    fn run(&mut self, number: u32, ran: &run::Ran) -> Result<(), VerifyError> {
        atomic::write(&self.dir.join(format!("run_{number}.log")), &ran.log)?;
        self.lines.push(match &ran.result {
            Ok(proof) => format!("run {number}: {proof}"),
            Err(error) => format!("run {number}: {error}"),
        });
        Ok(())
    }

    fn end(&mut self, outcome: &Result<Verified, VerifyError>) -> Result<(), VerifyError> {
        self.lines.push(match outcome {
            Ok(_) => PASSED.to_owned(),
            Err(error) => format!("{FAILED}: {error}"),
        });
        let mut text = self.lines.join("\n");
        text.push('\n');
        Ok(atomic::write(&self.dir.join("result.txt"), text.as_bytes())?)
    }
}

#[cfg(test)]
mod tests;
