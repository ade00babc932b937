//! Checks before the first run. A wrong second DSO is found now, not after an hour.

use std::path::Path;
use std::time::Duration;

use super::arm::Treatment;
use super::config::Config;
use super::screen::Screen;
use crate::console::cancel::Cancel;
use crate::console::exit::{Ended, Status};
use crate::files::pin::{self, PinError, Pinned};
use crate::launch::program;
use crate::text::message::{Say as _, Text, say};
use crate::text::progress::JobLine;
use crate::verify;

/// Checks that every DSO of the hunt can be read and is one.
///
/// # Errors
/// The first that is not.
pub(super) fn check_dsos(config: &Config) -> anyhow::Result<()> {
    let builds = config.arms.iter().filter_map(|arm| match &arm.treatment {
        Treatment::Build(so) => Some(so),
        Treatment::Pinned | Treatment::Change(_) => None,
    });
    let others = [config.other_so.as_ref(), config.stats.as_ref().map(|stats| &stats.so)];
    for so in std::iter::once(&config.so).chain(builds).chain(others.into_iter().flatten()) {
        let bytes = std::fs::read(so).map_err(|source| PinError::Unreadable { path: so.clone(), source });
        bytes.and_then(|bytes| pin::shared_object(so, &bytes)).map_err(pin_error)?;
    }
    Ok(())
}

/// A small run of the verification hangs after this time if the hunt has no deadline.
const SMALL_RUN: Duration = Duration::from_secs(15);

/// A verification that passed.
#[derive(Clone, Debug)]
pub(crate) struct Preload {
    /// Its last line.
    pub(crate) line: String,
    /// A run of it hung.
    pub(crate) hang: Option<Text>,
}

/// Strict verification of the preload; none if the user wants no verification.
///
/// # Errors
/// It failed, with the documented status.
pub(crate) fn verify_preload(
    config: &Config,
    pinned: &Pinned,
    out: &Path,
    screen: &Screen,
    cancel: &Cancel,
) -> anyhow::Result<Option<Preload>> {
    if config.verify_runs == 0 {
        return Ok(None);
    }
    screen.say(&say!(JobLine::Verifying { runs: config.verify_runs }));
    let small = config.verify_args.as_ref();
    let small = small.and_then(|words| program::with_arguments(&config.command, words));
    let limit = config.hang_after.time().unwrap_or(SMALL_RUN);
    let request = verify::Request {
        command: small.as_ref().unwrap_or(&config.command),
        so: &pinned.path,
        carrier: None,
        source: config.named(),
        name: &config.name,
        profile: &config.profile,
        shim: &config.shim,
        runs: config.verify_runs,
        cpus: config.cpus.as_ref(),
        env: &config.env,
        only: config.only.as_deref(),
        out: Some(out),
        times: verify::Times { whole: small.is_some().then_some(limit), ..verify::Times::default() },
    };
    match verify::verify(&request, cancel) {
        Ok(verified) => {
            if let Some(run) = verified.runs.first() {
                screen.say(&say!(JobLine::VerifiedProgram { proof: run.line() }));
            }
            let unfinished = verified.unfinished();
            if let Some(run) = unfinished {
                screen.say(&run.line());
            }
            let hang = unfinished.filter(|run| !run.slow).map(|hang| hang.line().said());
            Ok(Some(Preload { line: verify::PASSED.to_owned(), hang }))
        }
        Err(error) => Err(Ended::new(error.status(), format!("hunt: {error}")).into()),
    }
}

pub(super) fn pin_error(error: PinError) -> anyhow::Error {
    match error {
        PinError::Unreadable { .. }
        | PinError::NotADso { .. }
        | PinError::Name(_)
        | PinError::Elsewhere { .. }
        | PinError::OtherCompanion { .. } => usage(error),
        PinError::Changing { .. } | PinError::Write(_) => anyhow::Error::new(error).context("hunt"),
    }
}

pub(super) fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("hunt: {what}")).into()
}
