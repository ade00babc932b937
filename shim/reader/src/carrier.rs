//! The settings that a carrier brings ([`hangscope_protocol::carrier`]), read from its image.

use hangscope_protocol::carrier::{MOST_SETTINGS, OWNER, SETTINGS};
use hangscope_protocol::variable;
use object::elf;

use crate::elf::{Headers, notes};
use crate::memory::Memory;

/// Whether a dynamic section may be that of a carrier. `tag` gives the tag of an entry by its index, and is
/// not called for one behind the end mark.
pub fn may_be(tag: impl Fn(usize) -> u64) -> bool {
    tag(0) == elf::DT_AUXILIARY.0 as u64 && tag(1) == elf::DT_FILTER.0 as u64
}

/// Reads the settings of the carrier whose file begins at address `start` into `to`. `None`: no carrier is
/// there, its note is longer than `to` or than [`MOST_SETTINGS`], or it lies outside of what is loaded.
pub fn settings<'t>(memory: &impl Memory, start: u64, to: &'t mut [u8]) -> Option<&'t [u8]> {
    let headers = Headers::read(memory, start)?;
    let note = notes::find(memory, &headers, OWNER, SETTINGS)?;
    let from = note.at.wrapping_sub(headers.bias);
    let is_loaded = headers.segments(elf::PT_LOAD).any(|segment| {
        let within = from.checked_sub(segment.vaddr);
        within.and_then(|at| at.checked_add(note.len.into())).is_some_and(|end| end <= segment.size)
    });
    let to = to.get_mut(..note.len as usize).filter(|_| is_loaded && note.len as usize <= MOST_SETTINGS)?;
    memory.is_read(note.at, to).then_some(&*to)
}

/// The `NAME=value` of each setting of the shim. Others are passed over, and so is an entry without its NUL.
pub fn entries(settings: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = settings.iter().rposition(|b| *b == 0).and_then(|end| settings.get(..end)).unwrap_or(&[]);
    whole.split(|b| *b == 0).filter(|entry| entry.starts_with(variable::PREFIX.as_bytes()))
}
