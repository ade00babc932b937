//! What the loader made of the DSOs, read from memory with [`sys::peek`]: nothing is dereferenced, so a DSO
//! that was truncated under the process is an error here and not a SIGBUS; and no loader function is called,
//! so no loader lock is taken.
//!
//! Layouts: elf(5); `struct r_debug` and `struct link_map`: <link.h>; the hash table: the GNU hash section as
//! glibc's dl-lookup.c reads it.

use crate::arch;
use crate::sys;

const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELR: u64 = 36;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const NT_GNU_BUILD_ID: u32 = 3;

/// Most objects and entries that are looked at: a bound for lists that are not what they should be.
const MOST_OBJECTS: usize = 4096;
const MOST_ENTRIES: u64 = 1 << 16;

unsafe extern "C" {
    /// The loader's list for debuggers. Its address is all that is used of it.
    static _r_debug: u8;
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// What the dynamic section says.
#[derive(Clone, Copy, Default)]
struct Dynamic {
    hash: u64,
    gnu_hash: u64,
    strtab: u64,
    symtab: u64,
    rela: u64,
    rela_size: u64,
    relr: u64,
}

impl Dynamic {
    fn read(at: u64, bias: u64) -> Dynamic {
        let mut d = Dynamic::default();
        // Sections have some thirty entries; one read for all of them, as far as memory goes.
        let mut section = [0; 16 * 64];
        let read = sys::peek(at, &mut section).unwrap_or(0);
        for entry in section.get(..read).unwrap_or(&[]).chunks_exact(16) {
            let (tag, value) = (u64_at(entry, 0), u64_at(entry, 8));
            // glibc adds the bias to these in place; the vdso and other loaders leave them as in the file.
            let address = if value < bias { value.wrapping_add(bias) } else { value };
            match tag {
                0 => break,
                DT_HASH => d.hash = address,
                DT_GNU_HASH => d.gnu_hash = address,
                DT_STRTAB => d.strtab = address,
                DT_SYMTAB => d.symtab = address,
                DT_RELA => d.rela = address,
                DT_RELASZ => d.rela_size = value,
                DT_RELR => d.relr = address,
                _ => {}
            }
        }
        d
    }
}

/// Calls `each` with the bias and the dynamic section's address of every object, in the order of symbol
/// lookup (the loader's list of the first namespace is in that order for what was there at start).
fn for_each_object(mut each: impl FnMut(u64, u64) -> bool) {
    let debug = &raw const _r_debug as u64;
    let Ok(mut map) = sys::peek_word(debug + 8) else { return };
    for _ in 0..MOST_OBJECTS {
        if map == 0 {
            return;
        }
        let Some(object) = sys::peek_array::<40>(map) else { return };
        if !each(u64_at(&object, 0), u64_at(&object, 16)) {
            return;
        }
        map = u64_at(&object, 24);
    }
}

/// Address of the first definition of `name` (with its NUL) in symbol order.
pub(crate) fn find_function(name: &[u8]) -> Option<u64> {
    let mut found = None;
    for_each_object(|bias, dynamic| {
        found = lookup(&Dynamic::read(dynamic, bias), name).map(|value| value.wrapping_add(bias));
        found.is_none()
    });
    found
}

/// Value of a function or an indirect function that this object defines.
fn lookup(d: &Dynamic, name: &[u8]) -> Option<u64> {
    if d.symtab == 0 || d.strtab == 0 {
        None
    } else if d.gnu_hash != 0 {
        lookup_gnu(d, name)
    } else {
        lookup_sysv(d, name)
    }
}

fn lookup_gnu(d: &Dynamic, name: &[u8]) -> Option<u64> {
    let hash = name
        .iter()
        .take_while(|b| **b != 0)
        .fold(5381u32, |h, b| h.wrapping_mul(33).wrapping_add(u32::from(*b)));
    let head = sys::peek_array::<16>(d.gnu_hash)?;
    let (buckets, first, bloom_words) = (u32_at(&head, 0), u32_at(&head, 4), u32_at(&head, 8));
    if buckets == 0 {
        return None;
    }
    // The filter tells most objects that do not define the name (bloom_shift is the fourth word).
    if bloom_words > 0 {
        let word = sys::peek_word(d.gnu_hash + 16 + u64::from(hash / 64 % bloom_words) * 8).ok()?;
        let bits = 1u64 << (hash % 64) | 1 << ((hash >> (u32_at(&head, 12) % 32)) % 64);
        if word & bits != bits {
            return None;
        }
    }
    let bucket_at = d.gnu_hash + 16 + u64::from(bloom_words) * 8;
    let chain_at = bucket_at + u64::from(buckets) * 4;
    let mut index = u32::from_le_bytes(sys::peek_array(bucket_at + u64::from(hash % buckets) * 4)?);
    if index < first {
        return None;
    }
    let last = index.saturating_add(MOST_ENTRIES as u32);
    while index < last {
        let entry = u32::from_le_bytes(sys::peek_array(chain_at + u64::from(index - first) * 4)?);
        if entry | 1 == hash | 1
            && let Some(value) = defines(d, index, name)
        {
            return Some(value);
        }
        if entry & 1 == 1 {
            return None;
        }
        index += 1;
    }
    None
}

fn lookup_sysv(d: &Dynamic, name: &[u8]) -> Option<u64> {
    if d.hash == 0 {
        return None;
    }
    let hash = name.iter().take_while(|b| **b != 0).fold(0u32, |h, b| {
        let h = (h << 4).wrapping_add(u32::from(*b));
        let high = h & 0xf000_0000;
        (h ^ high >> 24) & !high
    });
    let head = sys::peek_array::<8>(d.hash)?;
    let buckets = u32_at(&head, 0);
    if buckets == 0 {
        return None;
    }
    let mut index = u32::from_le_bytes(sys::peek_array(d.hash + 8 + u64::from(hash % buckets) * 4)?);
    for _ in 0..MOST_ENTRIES {
        if index == 0 {
            return None;
        }
        if let Some(value) = defines(d, index, name) {
            return Some(value);
        }
        index =
            u32::from_le_bytes(sys::peek_array(d.hash + 8 + (u64::from(buckets) + u64::from(index)) * 4)?);
    }
    None
}

fn defines(d: &Dynamic, index: u32, name: &[u8]) -> Option<u64> {
    let symbol = sys::peek_array::<24>(d.symtab + u64::from(index) * 24)?;
    // st_info: type 2 function, 10 indirect function; st_shndx 0: undefined.
    let kind = symbol.get(4)? & 0xf;
    let defined = symbol.get(6..8)? != [0, 0] && matches!(kind, 2 | 10);
    let mut text = [0; 32];
    let text = text.get_mut(..name.len())?;
    let same = sys::peek(d.strtab + u64::from(u32_at(&symbol, 0)), text) == Ok(name.len()) && text == name;
    (defined && same).then(|| u64_at(&symbol, 8))
}

/// What an object's own headers say, read from where it is mapped.
pub(crate) struct Image {
    pub(crate) bias: u64,
    pub(crate) build_id: [u8; 32],
    pub(crate) build_id_len: u32,
    /// A word that the loader relocated, and 0 if there is none.
    pub(crate) got_addr: u64,
}

/// Reads the headers of the object whose first byte is mapped at `start`. None if that is no ELF file.
pub(crate) fn image(start: u64) -> Option<Image> {
    let mut image = Image { bias: 0, build_id: [0; 32], build_id_len: 0, got_addr: 0 };
    let (mut relro, mut dynamic, mut notes) = ((0, 0), 0, Notes::default());
    let mut first_load = None;
    for_each_header(start, |kind, offset, vaddr, memsz| match kind {
        1 if offset == 0 => first_load = Some(vaddr),
        PT_GNU_RELRO => relro = (vaddr, memsz),
        PT_DYNAMIC => dynamic = vaddr,
        PT_NOTE => notes.add(vaddr, memsz),
        _ => {}
    })?;
    image.bias = start.wrapping_sub(first_load.unwrap_or(0));
    (image.build_id, image.build_id_len) = notes.build_id(image.bias);
    if dynamic != 0 && relro.1 != 0 {
        let d = Dynamic::read(dynamic.wrapping_add(image.bias), image.bias);
        image.got_addr = relocated_word(&d, image.bias, relro).unwrap_or(0);
    }
    Some(image)
}

fn for_each_header(start: u64, mut each: impl FnMut(u32, u64, u64, u64)) -> Option<()> {
    let header = sys::peek_array::<64>(start)?;
    // 64-bit, little-endian.
    if header.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (at, size) = (u64_at(&header, 32), u64::from(u32_at(&header, 54) & 0xffff));
    let mut table = [0; 56 * 32];
    let wanted = (u32_at(&header, 56) & 0xffff) as usize * 56;
    if size != 56 || wanted > table.len() {
        return None;
    }
    let table = table.get_mut(..wanted)?;
    if sys::peek(start.checked_add(at)?, table) != Ok(wanted) {
        return None;
    }
    for entry in table.chunks_exact(56) {
        each(u32_at(entry, 0), u64_at(entry, 8), u64_at(entry, 16), u64_at(entry, 40));
    }
    Some(())
}

/// The build-id in memory (NT_GNU_BUILD_ID) and its length; length 0 if there is none or it cannot be read.
pub(crate) fn build_id(start: u64) -> ([u8; 32], u32) {
    let (mut first_load, mut notes) = (0, Notes::default());
    let read = for_each_header(start, |kind, offset, vaddr, memsz| match kind {
        1 if offset == 0 => first_load = vaddr,
        PT_NOTE => notes.add(vaddr, memsz),
        _ => {}
    });
    read.map_or(([0; 32], 0), |()| notes.build_id(start.wrapping_sub(first_load)))
}

/// The note segments of an object: address in the file, size.
#[derive(Default)]
struct Notes {
    segments: [(u64, u64); 4],
    len: usize,
}

impl Notes {
    fn add(&mut self, vaddr: u64, size: u64) {
        if let Some(segment) = self.segments.get_mut(self.len) {
            *segment = (vaddr, size.min(4096));
            self.len += 1;
        }
    }

    fn build_id(&self, bias: u64) -> ([u8; 32], u32) {
        let found = |(vaddr, size): &(u64, u64)| build_id_in(vaddr.wrapping_add(bias), *size);
        self.segments.iter().take(self.len).find_map(found).unwrap_or(([0; 32], 0))
    }
}

fn build_id_in(at: u64, size: u64) -> Option<([u8; 32], u32)> {
    let mut offset = 0;
    while offset + 12 <= size {
        let head = sys::peek_array::<12>(at + offset)?;
        let (name, desc, kind) = (u32_at(&head, 0), u32_at(&head, 4), u32_at(&head, 8));
        let desc_at = at + offset + 12 + u64::from(name.next_multiple_of(4));
        if kind == NT_GNU_BUILD_ID && name == 4 && desc <= 32 {
            let mut id = [0; 32];
            let room = id.get_mut(..desc as usize)?;
            return (sys::peek(desc_at, room) == Ok(desc as usize)).then_some((id, desc));
        }
        offset +=
            12 + u64::from(name.checked_next_multiple_of(4)?) + u64::from(desc.checked_next_multiple_of(4)?);
    }
    None
}

/// A word in RELRO (the loader writes it, then makes its page read-only, so nobody changes it later) that
/// holds an address: after the file was truncated under the process, it holds the file's bytes again.
fn relocated_word(d: &Dynamic, bias: u64, relro: (u64, u64)) -> Option<u64> {
    let inside = |at: u64| at >= relro.0 && at + 8 <= relro.0 + relro.1;
    let relocated =
        |at: u64| inside(at) && sys::peek_word(at.wrapping_add(bias)).is_ok_and(|value| value != 0);
    let count = (d.rela_size / 24).min(4096);
    let mut chunk = [0u8; 24 * 32];
    let mut i = 0;
    while d.rela != 0 && i < count {
        let n = (count - i).min(32) as usize;
        let part = chunk.get_mut(..n * 24)?;
        if sys::peek(d.rela + i * 24, part) != Ok(n * 24) {
            break;
        }
        for entry in part.chunks_exact(24) {
            let (at, kind) = (u64_at(entry, 0), u64_at(entry, 8) as u32);
            if arch::ADDRESS_RELOCATIONS.contains(&kind) && relocated(at) {
                return Some(at.wrapping_add(bias));
            }
        }
        i += n as u64;
    }
    // Packed relative relocations: the first entry is an address (gABI proposal, DT_RELR).
    let at = (d.relr != 0).then(|| sys::peek_word(d.relr).ok()).flatten()?;
    (at & 1 == 0 && relocated(at)).then(|| at.wrapping_add(bias))
}
