//! Checks before the first run. A wrong second DSO is found now, not after an hour.

use std::path::Path;

use super::arm::Treatment;
use super::config::Config;
use super::screen::Screen;
use crate::console::cancel::Cancel;
use crate::console::exit::{Ended, Status};
use crate::files::pin::{self, PinError, Pinned};
use crate::text::message::say;
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

/// Strict verification of the preload. Returns its last line; none if the user wants no verification.
///
/// # Errors
/// It failed, with the documented status.
pub(crate) fn verify_preload(
    config: &Config,
    pinned: &Pinned,
    out: &Path,
    screen: &Screen,
    cancel: &Cancel,
) -> anyhow::Result<Option<String>> {
    if config.verify_runs == 0 {
        return Ok(None);
    }
    screen.say(&say!(JobLine::Verifying { runs: config.verify_runs }));
    let request = verify::Request {
        command: &config.command,
        so: &pinned.path,
        shim: &config.shim,
        runs: config.verify_runs,
        cpus: config.cpus.as_ref(),
        env: &config.env,
        only: config.only_named.as_deref(),
        out: Some(out),
        times: verify::Times::default(),
    };
    match verify::verify(&request, cancel) {
        Ok(_) => Ok(Some(verify::PASSED.to_owned())),
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
