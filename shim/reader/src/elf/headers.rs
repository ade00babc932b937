//! The program headers of an image.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64, ProgramType};
use object::pod::{bytes_of_slice_mut, slice_from_bytes};

use crate::memory::{Memory, structure};

/// Program headers that are read. An image with more is refused: the linkers write about a dozen.
const MOST: usize = 32;
/// 64-bit words of a program header.
const WORDS: usize = size_of::<ProgramHeader64<LE>>() / 8;

/// A segment: addresses as in the file, without the bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub vaddr: u64,
    /// Size in memory, bytes (`p_memsz`).
    pub size: u64,
    /// Whether it is mapped for reading and executing only (`p_flags`).
    pub is_code: bool,
}

/// The program headers of an image.
pub struct Headers {
    /// Load bias: what is added to an address of the file.
    pub bias: u64,
    pub machine: elf::Machine,
    table: [u64; WORDS * MOST],
    len: usize,
}

impl Headers {
    /// Reads them from the image whose file begins at address `start`. `None` if no ELF image is there, or
    /// if it cannot be read.
    pub fn read(memory: &impl Memory, start: u64) -> Option<Headers> {
        let header: FileHeader64<LE> = structure(memory, start)?;
        let ident = &header.e_ident;
        let known =
            (ident.magic, ident.class, ident.data) == (elf::ELFMAG, elf::ELFCLASS64, elf::ELFDATA2LSB);
        if !known || usize::from(header.e_phentsize.get(LE)) != WORDS * 8 {
            return None;
        }
        let len = usize::from(header.e_phnum.get(LE));
        let mut headers =
            Headers { bias: 0, machine: header.e_machine.get(LE), table: [0; WORDS * MOST], len };
        let table = headers.table.get_mut(..len.checked_mul(WORDS)?)?;
        if !memory.is_read(start.checked_add(header.e_phoff.get(LE))?, bytes_of_slice_mut(table)) {
            return None;
        }
        let first = headers.all().find(|h| h.p_type.get(LE) == elf::PT_LOAD)?;
        headers.bias = start.wrapping_add(first.p_offset.get(LE)).wrapping_sub(first.p_vaddr.get(LE));
        Some(headers)
    }

    pub fn segments(&self, kind: ProgramType) -> impl Iterator<Item = Segment> {
        let of = move |h: &&ProgramHeader64<LE>| h.p_type.get(LE) == kind;
        self.all().filter(of).map(|h| Segment {
            vaddr: h.p_vaddr.get(LE),
            size: h.p_memsz.get(LE),
            is_code: h.p_flags.get(LE) == elf::PF_R | elf::PF_X,
        })
    }

    /// Address of the dynamic section.
    pub fn dynamic(&self) -> Option<u64> {
        self.segments(elf::PT_DYNAMIC).next().map(|s| s.vaddr.wrapping_add(self.bias))
    }

    fn all(&self) -> impl Iterator<Item = &ProgramHeader64<LE>> {
        let bytes = object::pod::bytes_of_slice(&self.table);
        slice_from_bytes(bytes, self.len).map_or(&[][..], |(table, _)| table).iter()
    }
}
