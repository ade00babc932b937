//! Symbol search in one image, as the loader does it: by the GNU hash table (glibc's dl-lookup.c), and by
//! the SysV hash table (gABI, "Hash Table") where there is no other.

use object::LittleEndian as LE;
use object::elf::{self, GnuHashHeader, HashHeader, Sym64, SymbolType};

use super::dynamic::Dynamic;
use crate::memory::{Memory, structure};

/// Longest name that can be searched, in bytes.
pub const LONGEST_NAME: usize = 63;
/// Entries of a hash chain that are followed.
const MOST_ENTRIES: u32 = 1 << 16;

/// Value (an address of the file, without the bias) of the function, or the indirect function, that an
/// image defines by this name (without a NUL).
pub fn function(memory: &impl Memory, d: &Dynamic, name: &[u8]) -> Option<u64> {
    find(memory, d, name, &[elf::STT_FUNC, elf::STT_GNU_IFUNC])
}

/// As [`function`], for a variable.
pub fn variable(memory: &impl Memory, d: &Dynamic, name: &[u8]) -> Option<u64> {
    find(memory, d, name, &[elf::STT_OBJECT])
}

fn find(memory: &impl Memory, d: &Dynamic, name: &[u8], kinds: &[SymbolType]) -> Option<u64> {
    if d.symtab == 0 || d.strtab == 0 {
        None
    } else if d.gnu_hash != 0 {
        by_gnu_hash(memory, d, name, kinds)
    } else if d.hash != 0 {
        by_sysv_hash(memory, d, name, kinds)
    } else {
        None
    }
}

/// Address of the `index`th element of a table.
fn element(table: u64, index: impl Into<u64>, size: usize) -> u64 {
    table.wrapping_add(index.into().wrapping_mul(size as u64))
}

fn by_gnu_hash(memory: &impl Memory, d: &Dynamic, name: &[u8], kinds: &[SymbolType]) -> Option<u64> {
    let hash = elf::gnu_hash(name);
    let head: GnuHashHeader<LE> = structure(memory, d.gnu_hash)?;
    let (buckets, first) = (head.bucket_count.get(LE), head.symbol_base.get(LE));
    let bloom_at = d.gnu_hash.wrapping_add(size_of::<GnuHashHeader<LE>>() as u64);
    let bloom_words = head.bloom_count.get(LE);
    // The filter tells most images that do not define the name.
    if let Some(i) = (hash / 64).checked_rem(bloom_words) {
        let word = memory.word(element(bloom_at, i, 8))?;
        let bits = 1u64 << (hash % 64) | 1 << ((hash >> (head.bloom_shift.get(LE) % 32)) % 64);
        if word & bits != bits {
            return None;
        }
    }
    let buckets_at = element(bloom_at, bloom_words, 8);
    let chain_at = element(buckets_at, buckets, 4);
    // The values of a bucket's symbols stand one after the other. The lowest bit of the last one is set.
    let mut index = memory.half(element(buckets_at, hash.checked_rem(buckets)?, 4))?;
    for _ in 0..MOST_ENTRIES {
        let entry = memory.half(element(chain_at, index.checked_sub(first)?, 4))?;
        if entry | 1 == hash | 1
            && let Some(value) = defines(memory, d, index, name, kinds)
        {
            return Some(value);
        }
        if entry & 1 == 1 {
            return None;
        }
        index = index.checked_add(1)?;
    }
    None
}

fn by_sysv_hash(memory: &impl Memory, d: &Dynamic, name: &[u8], kinds: &[SymbolType]) -> Option<u64> {
    let head: HashHeader<LE> = structure(memory, d.hash)?;
    let buckets = head.bucket_count.get(LE);
    let buckets_at = d.hash.wrapping_add(size_of::<HashHeader<LE>>() as u64);
    let chains_at = element(buckets_at, buckets, 4);
    let mut index = memory.half(element(buckets_at, elf::hash(name).checked_rem(buckets)?, 4))?;
    for _ in 0..MOST_ENTRIES {
        // Symbol 0 is none: it ends a chain.
        if index == 0 {
            return None;
        }
        if let Some(value) = defines(memory, d, index, name, kinds) {
            return Some(value);
        }
        index = memory.half(element(chains_at, index, 4))?;
    }
    None
}

fn defines(memory: &impl Memory, d: &Dynamic, index: u32, name: &[u8], kinds: &[SymbolType]) -> Option<u64> {
    let symbol: Sym64<LE> = structure(memory, element(d.symtab, index, size_of::<Sym64<LE>>()))?;
    if !kinds.contains(&symbol.st_type()) || symbol.st_shndx.get(LE) == elf::SHN_UNDEF {
        return None;
    }
    let mut text = [0; LONGEST_NAME + 1];
    let text = text.get_mut(..name.len().checked_add(1)?)?;
    let read = memory.is_read(element(d.strtab, symbol.st_name.get(LE), 1), text);
    (read && text.split_last() == Some((&0, name))).then(|| symbol.st_value.get(LE))
}
