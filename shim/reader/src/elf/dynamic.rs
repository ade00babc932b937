//! The dynamic section of an image.

use object::LittleEndian as LE;
use object::elf::{self, Dyn64};
use object::pod::{bytes_of_slice_mut, slice_from_all_bytes};

use crate::memory::Memory;

/// Entries that are read in one go: sections have some thirty.
const PART: usize = 64;
/// Parts that are read: a bound for a section without its end mark.
const MOST_PARTS: usize = 8;

/// Addresses of the tables that the dynamic section names; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    pub hash: u64,
    pub gnu_hash: u64,
    pub strtab: u64,
    pub symtab: u64,
    pub rela: u64,
    /// Size of the table `rela`, bytes.
    pub rela_size: u64,
    pub relr: u64,
    /// `struct r_debug` of the loader; only in the program itself.
    pub debug: u64,
}

impl Dynamic {
    /// Reads the section at address `at` of an image with this bias, as far as it can be read.
    pub fn read(memory: &impl Memory, at: u64, bias: u64) -> Dynamic {
        let mut d = Dynamic::default();
        let mut words = [0u64; PART * 2];
        for part in 0..MOST_PARTS {
            let from = at.wrapping_add((part * size_of_val(&words)) as u64);
            let bytes = bytes_of_slice_mut(&mut words);
            let read = memory.read(from, bytes).unwrap_or(0) & !15;
            let entries: &[Dyn64<LE>] =
                bytes.get(..read).and_then(|b| slice_from_all_bytes(b).ok()).unwrap_or(&[]);
            if !entries.iter().all(|entry| d.take(entry, bias)) || read < size_of_val(&words) {
                break;
            }
        }
        d
    }

    /// Takes one entry. False at the end mark.
    fn take(&mut self, entry: &Dyn64<LE>, bias: u64) -> bool {
        let value = entry.d_val.get(LE);
        // glibc adds the bias to addresses in place. musl and the vdso leave them as in the file.
        let address = if value < bias { value.wrapping_add(bias) } else { value };
        match entry.d_tag.get(LE) {
            elf::DT_NULL => return false,
            elf::DT_HASH => self.hash = address,
            elf::DT_GNU_HASH => self.gnu_hash = address,
            elf::DT_STRTAB => self.strtab = address,
            elf::DT_SYMTAB => self.symtab = address,
            elf::DT_RELA => self.rela = address,
            elf::DT_RELASZ => self.rela_size = value,
            elf::DT_RELR => self.relr = address,
            elf::DT_DEBUG => self.debug = value,
            _ => {}
        }
        true
    }
}
