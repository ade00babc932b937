//! The loader's list of what is mapped, read from the memory of a running process: the order in which symbols
//! are searched, and so which DSO provides `malloc`.

use std::fs;

use super::memory::Memory;

const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;
const PT_PHDR: u32 = 6;
const PT_DYNAMIC: u32 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_DEBUG: u64 = 21;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const SYM_SIZE: u64 = 24;
/// Most objects that are followed: the list may be garbage.
const MOST: usize = 4096;

/// An entry of the list (`struct link_map` of link.h).
#[derive(Clone, Copy, Debug)]
pub(super) struct Linked {
    /// Load bias.
    pub(super) bias: u64,
    /// Address of its dynamic section: in the DSO's mapping.
    pub(super) dynamic: u64,
}

/// The list in symbol order; none for a static program, or before the loader has set it up.
pub(super) fn list(memory: Memory) -> Option<Vec<Linked>> {
    let auxv = fs::read(format!("/proc/{}/auxv", memory.tid())).ok()?;
    let (words, _) = auxv.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
    let aux = |key| words.chunks_exact(2).find(|pair| pair[0] == key).map(|pair| pair[1]);
    let phdrs = aux(AT_PHDR)?;
    let headers = memory.exactly(phdrs, usize::try_from(aux(AT_PHNUM)?).ok()?.min(256) * 56).ok()?;
    let mut bias = 0;
    let mut dynamic = None;
    for header in headers.as_chunks::<56>().0 {
        let kind = u32::from_le_bytes(*header.first_chunk()?);
        let address = u64::from_le_bytes(*header.get(16..)?.first_chunk()?);
        match kind {
            PT_PHDR => bias = phdrs.wrapping_sub(address),
            PT_DYNAMIC => dynamic = Some(address),
            _ => {}
        }
    }
    let debug = tag(memory, bias.wrapping_add(dynamic?), DT_DEBUG)?;
    // struct r_debug: version, then (aligned) the head of the list.
    let mut entry = memory.word(debug.checked_add(8)?).ok()?;
    let mut list = vec![];
    while entry != 0 && list.len() < MOST {
        let word = |i: u64| memory.word(entry.wrapping_add(8 * i)).ok();
        list.push(Linked { bias: word(0)?, dynamic: word(2)? });
        entry = word(3)?;
    }
    Some(list)
}

impl Linked {
    /// The address of a symbol that it defines.
    pub(super) fn defines(&self, name: &str, memory: Memory) -> Option<u64> {
        // glibc has put addresses into the table, musl leaves offsets.
        let table = |key| {
            let value = tag(memory, self.dynamic, key)?;
            Some(if value < self.bias { value + self.bias } else { value })
        };
        let (hash_table, symbols, strings) = (table(DT_GNU_HASH)?, table(DT_SYMTAB)?, table(DT_STRTAB)?);
        let header = memory.exactly(hash_table, 16).ok()?;
        let field = |i: usize| header.as_chunks::<4>().0.get(i).map(|w| u64::from(u32::from_le_bytes(*w)));
        let (buckets, first, bloom) = (field(0)?, field(1)?, field(2)?);
        let hash = name.bytes().fold(5381u32, |h, c| h.wrapping_mul(33).wrapping_add(c.into()));
        let bucket_at = hash_table + 16 + bloom * 8;
        let half = |at: u64| Some(u32::from_le_bytes(memory.exactly(at, 4).ok()?.try_into().ok()?));
        let start = u64::from(half(bucket_at + 4 * u64::from(hash).checked_rem(buckets)?)?);
        let chain_at = bucket_at + 4 * buckets;
        for index in start..start + MOST as u64 {
            let chained = half(chain_at + 4 * index.checked_sub(first)?)?;
            if chained | 1 == hash | 1 {
                let symbol = memory.exactly(symbols + SYM_SIZE * index, SYM_SIZE as usize).ok()?;
                let name_at = u32::from_le_bytes(*symbol.first_chunk()?);
                let section = u16::from_le_bytes(*symbol.get(6..)?.first_chunk()?);
                let value = u64::from_le_bytes(*symbol.get(8..)?.first_chunk()?);
                if section != 0 && memory.text(strings + u64::from(name_at)).is_ok_and(|n| n == name) {
                    return Some(value + self.bias);
                }
            }
            if chained & 1 == 1 {
                return None;
            }
        }
        None
    }
}

/// The value of a tag in a dynamic section.
fn tag(memory: Memory, dynamic: u64, key: u64) -> Option<u64> {
    for i in 0..512 {
        let at = dynamic.checked_add(16 * i)?;
        match memory.word(at).ok()? {
            0 => return None,
            found if found == key => return memory.word(at + 8).ok(),
            _ => {}
        }
    }
    None
}
