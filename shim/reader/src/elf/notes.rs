//! Notes of an image: texts and numbers that a linker, or `hangscope wrap`, wrote.

use object::LittleEndian as LE;
use object::elf::{self, NoteHeader64};

use super::headers::{Headers, Segment};
use crate::memory::{Memory, structure};

/// Bytes of a note segment that are searched.
const MOST: u64 = 4096;
/// Bytes of a header: the sizes of name and description, and the type.
const HEADER: u64 = size_of::<NoteHeader64<LE>>() as u64;

/// The description of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Address.
    pub at: u64,
    /// Size, bytes. All of it is in the note's segment.
    pub len: u32,
}

/// The first note of a type (`n_type`) of this owner. `owner` is its name with the NUL, at most 16 bytes.
pub fn find(memory: &impl Memory, headers: &Headers, owner: &[u8], kind: u32) -> Option<Note> {
    let found = |segment| in_segment(memory, headers.bias, segment, (owner, kind));
    headers.segments(elf::PT_NOTE).find_map(found)
}

fn in_segment(
    memory: &impl Memory,
    bias: u64,
    segment: Segment,
    (owner, kind): (&[u8], u32),
) -> Option<Note> {
    let (mut at, mut left) = (bias.wrapping_add(segment.vaddr), segment.size.min(MOST));
    // A note is a header, a name and a description, the latter two padded to 4 bytes.
    while left >= HEADER {
        let note: NoteHeader64<LE> = structure(memory, at)?;
        let (name, len) = (note.n_namesz.get(LE), note.n_descsz.get(LE));
        let before = HEADER + u64::from(name.checked_next_multiple_of(4)?);
        if note.n_type.get(LE).0 == kind
            && name as usize == owner.len()
            && before + u64::from(len) <= left
            && is_there(memory, at.wrapping_add(HEADER), owner)
        {
            return Some(Note { at: at.wrapping_add(before), len });
        }
        let whole = before + u64::from(len.checked_next_multiple_of(4)?);
        left = left.checked_sub(whole)?;
        at = at.wrapping_add(whole);
    }
    None
}

fn is_there(memory: &impl Memory, at: u64, bytes: &[u8]) -> bool {
    let mut there = [0; 16];
    there.get_mut(..bytes.len()).is_some_and(|there| memory.is_read(at, there) && there == bytes)
}
