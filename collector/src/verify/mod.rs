//! Strict preload verification: proof from inside the process that the right program runs with exactly this
//! DSO as the provider of malloc. `ld.so` ignores a preload that it cannot open, and the program runs with
//! another malloc. Only a hello from inside shows which one.
//!
//! - [`request`]: what is to be verified
//! - [`error`]: every way in which it fails, each with a name and a remedy
//! - `program`: checks before anything runs
//! - `proof`: compares what the shim reported with the request; pure
//! - `run`: one verification run
//! - `log`: the files in `preload_verify/`

use std::path::PathBuf;

use crate::console::cancel::Cancel;

pub(crate) mod error;
mod log;
mod program;
mod proof;
pub(crate) mod request;
mod run;

pub(crate) use error::VerifyError;
pub(crate) use log::PASSED;
pub(crate) use proof::Proof;
pub(crate) use request::{Request, Times};

use log::Log;
use request::Wanted;

/// The result of a verification that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The program that said hello.
    pub(crate) program: PathBuf,
    pub(crate) sha1: String,
    pub(crate) runs: Vec<Proof>,
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

#[cfg(test)]
mod tests;
