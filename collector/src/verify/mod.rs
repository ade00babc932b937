//! Strict preload verification: proof from inside the process that the right program runs with exactly this
//! DSO as the provider of malloc. `ld.so` ignores a preload that it cannot open, and the program runs with
//! another malloc. Only a hello from inside shows which one.
//!
//! - [`request`]: what is to be verified
//! - [`error`]: every way in which it fails, each with a name and a remedy
//! - `program`: checks before anything runs
//! - [`proof`]: compares what the shim reported with the request; pure
//! - [`programs`]: the programs of a run, and the one that is judged; pure
//! - `run`: one verification run; `observed`: what its programs told
//! - `hang`: the evidence of a verification run that hangs
//! - `log`: the files in `preload_verify/`

use std::path::PathBuf;

use crate::console::cancel::Cancel;
use crate::text::message::{Say as _, Text, say};
use crate::text::progress::JobLine;

pub(crate) mod error;
mod hang;
mod log;
mod observed;
mod program;
pub(crate) mod programs;
pub(crate) mod proof;
pub(crate) mod request;
mod run;

pub(crate) use error::VerifyError;
pub(crate) use hang::VerifyHang;
pub(crate) use log::PASSED;
pub(crate) use programs::Programs;
pub(crate) use proof::{ProcessReport, Proof};
pub(crate) use request::{Request, Times, Wanted};

use log::Log;

/// The result of a verification that passed.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    /// The program that said hello.
    pub(crate) program: PathBuf,
    pub(crate) sha1: String,
    pub(crate) runs: Vec<VerifiedRun>,
}

/// A verification run that passed.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct VerifiedRun {
    #[serde(flatten)]
    pub(crate) proof: Proof,
    /// The first program of the command, where that is not the one that was proven.
    pub(crate) launcher: Option<PathBuf>,
    /// The run did not come to its end after its proof.
    pub(crate) hang: Option<VerifyHang>,
}

impl VerifiedRun {
    /// A sentence on what was proven.
    pub(crate) fn line(&self) -> Text {
        let proof = self.proof.line();
        match &self.launcher {
            Some(launcher) => say!(JobLine::Behind { proof, launcher: launcher.display() }).said(),
            None => proof.said(),
        }
    }
}

impl Verified {
    /// The run that did not come to its end.
    pub(crate) fn unfinished(&self) -> Option<&VerifyHang> {
        self.runs.iter().find_map(|run| run.hang.as_ref())
    }
}

/// # Errors
/// The first [`VerifyError`]. It is in the logs, too.
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
    let wanted = Wanted::of(request.so)?;
    let expected = program::inspect(request.command, &wanted)?;
    let mut runs = vec![];
    for number in 1..=request.runs {
        let ran = run::run(request, number, &wanted, &expected, cancel);
        if let Some(log) = log.as_deref_mut() {
            log.run(number, &ran)?;
        }
        let verified = ran.result.map_err(|e| e.in_run(number, request.runs))?;
        let hangs = verified.hang.is_some();
        runs.push(verified);
        // The others would take as long, and show the same.
        if hangs {
            break;
        }
    }
    let program = runs.first().map_or_else(PathBuf::new, |run| run.proof.program.clone());
    Ok(Verified { program, sha1: wanted.sha1, runs })
}

#[cfg(test)]
mod tests;
