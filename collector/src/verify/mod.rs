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
//! - `share`: the shim's own share of the memory
//! - [`verified`]: the result
//! - `hang`: the evidence of a verification run that hangs
//! - `log`: the files in `preload_verify/`

use std::path::PathBuf;

use crate::console::cancel::Cancel;

pub(crate) mod error;
mod hang;
mod log;
mod observed;
mod program;
pub(crate) mod programs;
pub(crate) mod proof;
pub(crate) mod request;
mod run;
mod share;
mod verified;

pub(crate) use error::VerifyError;
pub(crate) use log::PASSED;
pub(crate) use programs::Programs;
pub(crate) use proof::ProcessReport;
pub(crate) use request::{Request, Times, Wanted};
pub(crate) use verified::{Verified, VerifiedRun};

use log::Log;

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
