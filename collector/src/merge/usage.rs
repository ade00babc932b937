//! Refusals.

use crate::console::exit::{Ended, Status};

/// An error with the status of wrong usage.
pub(super) fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("merge: {what}")).into()
}
