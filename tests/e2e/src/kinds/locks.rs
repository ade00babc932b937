//! Locks, their owners, and rings of them.

use super::{BUG, Kind};

pub(super) const ROWS: &[Kind] =
    &[Kind { kind: 0, name: "abba", source: "abba.c", class: Some("deadlock"), says: &["page_lock"], ..BUG }];
