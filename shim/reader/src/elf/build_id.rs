//! The build-id: a note that the linker wrote (NT_GNU_BUILD_ID).

use object::elf;

use super::headers::Headers;
use super::notes;
use crate::memory::Memory;

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
        let read = || {
            let note = notes::find(memory, headers, b"GNU\0", elf::NT_GNU_BUILD_ID.0)?;
            let mut id = BuildId { bytes: [0; 32], len: note.len };
            let room = id.bytes.get_mut(..note.len as usize)?;
            memory.is_read(note.at, room).then_some(id)
        };
        read().unwrap_or_default()
    }

    /// The build-id of the image whose file begins at address `start`; empty as above.
    pub fn at(memory: &impl Memory, start: u64) -> BuildId {
        Headers::read(memory, start).map_or(BuildId::default(), |h| BuildId::of(memory, &h))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or(&[])
    }
}
