//! A carrier where a command is given an allocator.

use std::path::{Path, PathBuf};

use crate::console::exit::{Ended, Status};
use crate::files::carrier::Carrier;
use crate::text::carrying::CarrierLine;
use crate::text::message::say;

/// The carrier that a user named, and the allocator in it.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) carrier: PathBuf,
    pub(super) allocator: PathBuf,
    /// Short name of the allocator; none if the carrier does not say.
    pub(super) name: Option<String>,
}

impl Carried {
    /// None if `so` is no carrier.
    ///
    /// # Errors
    /// The allocator in it is not as it was.
    pub(super) fn by(so: &Path, command: &str) -> anyhow::Result<Option<Carried>> {
        let Some(carrier) = Carrier::at(so) else { return Ok(None) };
        let allocator = carrier.allocator(so);
        let allocator = allocator.map_err(|e| Ended::new(Status::Usage, format!("{command}: {e}")))?;
        let name = Some(carrier.made_of.name).filter(|name| !name.is_empty());
        Ok(Some(Carried { carrier: so.to_owned(), allocator, name }))
    }

    pub(super) fn line(&self) -> CarrierLine {
        say!(CarrierLine::Given { carrier: self.carrier.display(), allocator: self.allocator.display() })
    }
}
