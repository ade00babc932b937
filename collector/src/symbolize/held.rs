//! Names of the places at which threads were held (`--stir`), with the functions that called them.

use hangscope_protocol::stir::hold_at;

use super::allocator::AllocatorSet;
use super::arch::Arch;
use super::names::Names;
use super::threads::{self, Raw};
use super::unwind::Unwinder;
use crate::session::trace::Held;
use crate::session::{Dump, Hold};

/// The address by which a place is looked up. But for the place before an instruction it is a return address,
/// or the one behind: what was executed is before it.
fn lookup(hold: &Hold) -> u64 {
    let address = hold.record.address;
    if hold.record.at == hold_at::BEFORE_INSTRUCTION { address } else { address.saturating_sub(1) }
}

/// The stacks of the holds of a dump, in its order.
pub(super) fn of_dump(dump: &Dump, unwinder: &Unwinder<'_>, arch: &Arch) -> Vec<Raw> {
    let walk = |hold: &Hold| {
        let record = &hold.record;
        threads::of_memory(record.tid, (lookup(hold), record.stack), &hold.stack, unwinder, arch)
    };
    dump.holds.iter().map(walk).collect()
}

/// The holds with names.
pub(super) fn named(
    dump: &Dump,
    raw: Vec<Raw>,
    names: &Names,
    set: &AllocatorSet<'_>,
    arch: &Arch,
) -> Vec<Held> {
    let held = |(hold, raw): (&Hold, Raw)| {
        let (address, by) = (hold.record.address, hold.record.address - lookup(hold));
        let mut frames = threads::named(raw, names, set, arch).frames;
        for frame in frames.iter_mut().take_while(|frame| frame.pc == address - by) {
            frame.pc = address;
            frame.offset = frame.offset.map(|offset| offset + by);
            frame.dso_offset = frame.dso_offset.map(|offset| offset + by);
        }
        Held { hold: hold.record, frames }
    };
    dump.holds.iter().zip(raw).map(held).collect()
}
