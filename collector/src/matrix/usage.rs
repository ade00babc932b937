//! Wrong usage of a matrix.

use crate::console::exit::{Ended, Status};

pub(super) fn usage(what: impl std::fmt::Display) -> anyhow::Error {
    Ended::new(Status::Usage, format!("matrix: {what}")).into()
}
