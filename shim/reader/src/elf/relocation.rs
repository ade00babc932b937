//! A word that the loader relocated.
//!
//! Such a word in RELRO (the loader writes it, then makes its page read-only) tells whether the file was
//! truncated under the process: then the word holds the bytes of the file again.

use object::LittleEndian as LE;
use object::elf::{self, Rela64};
use object::pod::{bytes_of_slice_mut, slice_from_all_bytes};

use super::dynamic::Dynamic;
use super::headers::{Headers, Segment};
use crate::memory::Memory;

/// Relocations that are read in one go.
const PART: usize = 32;
/// Relocations that are searched.
const MOST: u64 = 4096;
const SIZE: usize = size_of::<Rela64<LE>>();

/// Types of relocation whose word holds an address that the loader computed. Not JUMP_SLOT: lazy binding
/// writes it later.
fn holds_an_address(machine: elf::Machine, kind: u32) -> bool {
    let kind = elf::RelocationType(kind);
    match machine {
        elf::EM_X86_64 => matches!(kind, elf::R_X86_64_GLOB_DAT | elf::R_X86_64_RELATIVE),
        elf::EM_AARCH64 => matches!(kind, elf::R_AARCH64_GLOB_DAT | elf::R_AARCH64_RELATIVE),
        _ => false,
    }
}

/// Address of a relocated word in RELRO that is not 0.
pub fn relocated_word(memory: &impl Memory, headers: &Headers, d: &Dynamic) -> Option<u64> {
    let relro = headers.segments(elf::PT_GNU_RELRO).next()?;
    let relocated = |vaddr: u64| {
        let at = vaddr.wrapping_add(headers.bias);
        (inside(relro, vaddr) && memory.word(at).is_some_and(|value| value != 0)).then_some(at)
    };
    let count = (d.rela_size / SIZE as u64).min(MOST);
    let mut words = [0u64; SIZE / 8 * PART];
    let mut i = 0;
    while d.rela != 0 && i < count {
        let n = (count - i).min(PART as u64);
        let part = bytes_of_slice_mut(&mut words).get_mut(..n as usize * SIZE)?;
        if !memory.is_read(d.rela.wrapping_add(i * SIZE as u64), part) {
            break;
        }
        let entries: &[Rela64<LE>] = slice_from_all_bytes(part).unwrap_or(&[]);
        let addresses = entries.iter().filter(|e| holds_an_address(headers.machine, e.r_info.get(LE) as u32));
        if let Some(at) = addresses.map(|e| e.r_offset.get(LE)).find_map(relocated) {
            return Some(at);
        }
        i += n;
    }
    // Packed relative relocations (gABI, DT_RELR): the first entry is an address.
    let first = (d.relr != 0).then(|| memory.word(d.relr)).flatten()?;
    if first & 1 == 0 { relocated(first) } else { None }
}

fn inside(segment: Segment, vaddr: u64) -> bool {
    let end = segment.vaddr.saturating_add(segment.size);
    vaddr >= segment.vaddr && vaddr.checked_add(8).is_some_and(|last| last <= end)
}
