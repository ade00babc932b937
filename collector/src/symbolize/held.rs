//! Names of the places at which threads were held (`--stir`).

use hangscope_protocol::stir::{HoldRecord, hold_at};

use super::allocator::AllocatorSet;
use super::names::Names;
use crate::session::Dump;
use crate::session::trace::{Frame, Held};

/// The address by which a place is looked up. But for the place before an instruction it is a return address, or
/// the one behind: what was executed is before it.
pub(super) fn lookup(hold: &HoldRecord) -> u64 {
    if hold.at == hold_at::BEFORE_INSTRUCTION { hold.address } else { hold.address.saturating_sub(1) }
}

/// The holds of a dump with names.
pub(super) fn named(dump: &Dump, names: &Names, set: &AllocatorSet<'_>) -> Vec<Held> {
    let frames = |hold: &HoldRecord| {
        let in_allocator = set.holds(lookup(hold));
        let frames = names.frames(hold.address, lookup(hold), set.modules()).into_iter();
        frames.map(|frame| Frame { in_allocator, ..frame }).collect()
    };
    dump.holds.iter().map(|hold| Held { hold: *hold, frames: frames(hold) }).collect()
}
