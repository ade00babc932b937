//! The build-id: a note that the linker wrote (NT_GNU_BUILD_ID).

use object::LittleEndian as LE;
use object::elf::{self, NoteHeader64};

use super::headers::{Headers, Segment};
use crate::memory::{Memory, structure};

/// Bytes of a note segment that are searched.
const MOST: u64 = 4096;

/// A build-id of at most 32 bytes; empty if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildId {
    /// The bytes, and zeros behind them.
    pub bytes: [u8; 32],
    pub len: u32,
}

impl BuildId {
    /// The build-id of an image; empty if it has none or if it cannot be read.
    pub fn of(memory: &impl Memory, headers: &Headers) -> BuildId {
        let found = |segment| in_segment(memory, headers.bias, segment);
        headers.segments(elf::PT_NOTE).find_map(found).unwrap_or_default()
    }

    /// The build-id of the image whose file begins at address `start`; empty as above.
    pub fn at(memory: &impl Memory, start: u64) -> BuildId {
        Headers::read(memory, start).map_or(BuildId::default(), |h| BuildId::of(memory, &h))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or(&[])
    }
}

fn in_segment(memory: &impl Memory, bias: u64, segment: Segment) -> Option<BuildId> {
    let (mut at, mut left) = (bias.wrapping_add(segment.vaddr), segment.size.min(MOST));
    // A note is a header, a name and a description, the latter two padded to 4 bytes.
    while left >= 12 {
        let note: NoteHeader64<LE> = structure(memory, at)?;
        let (name, desc) = (note.n_namesz.get(LE), note.n_descsz.get(LE));
        let name_at = at.wrapping_add(size_of::<NoteHeader64<LE>>() as u64);
        let padded = name.checked_next_multiple_of(4)?;
        let desc_at = name_at.wrapping_add(padded.into());
        if note.n_type.get(LE) == elf::NT_GNU_BUILD_ID
            && name == 4
            && memory.array(name_at) == Some(*b"GNU\0")
        {
            let mut id = BuildId { bytes: [0; 32], len: desc };
            let room = id.bytes.get_mut(..desc as usize)?;
            return memory.is_read(desc_at, room).then_some(id);
        }
        let whole = 12 + u64::from(padded) + u64::from(desc.checked_next_multiple_of(4)?);
        left = left.checked_sub(whole)?;
        at = at.wrapping_add(whole);
    }
    None
}
