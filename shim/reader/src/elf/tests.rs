//! Images built by hand, damaged in every way, and those of this very process.

use std::os::unix::fs::FileExt as _;

use super::*;
use crate::link_map::{self, List};
use crate::memory::pieces::Pieces;

/// Where the image is mapped; its first segment is at 0x10000 in the file.
const START: u64 = 0x7000_0000;
const VADDR: u64 = 0x10000;
const BIAS: u64 = START - VADDR;
const ID: [u8; 20] = [0xab; 20];

#[derive(Clone, Copy, PartialEq)]
enum Hash {
    Gnu,
    SysV,
}

/// Symbols: name, kind, section, value. Number 0 is the empty one.
const SYMBOLS: [(&str, u8, u16, u64); 5] = [
    ("", 0, 0, 0),
    ("malloc", 2, 0, 0),
    ("mallocs", 2, 9, 0x10a00),
    ("table", 1, 9, 0x10b00),
    ("chosen", 10, 9, 0x10c00),
];

struct Builder(Vec<u8>);

impl Builder {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        self.0[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    fn words(&mut self, at: u64, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.put(at, &bytes);
    }

    fn halves(&mut self, at: u64, halves: &[u32]) {
        let bytes: Vec<u8> = halves.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.put(at, &bytes);
    }
}

/// An image of 4096 bytes. Dynamic section at 0x200, notes 0x400, symbols 0x500, strings 0x600, hash 0x700,
/// rela 0x800, a relocated word at 0x900. `biased`: the loader has added the bias to the dynamic section,
/// as glibc does.
fn built(hash: Hash, biased: bool) -> Vec<u8> {
    let mut b = Builder(vec![0; 4096]);
    b.put(0, b"\x7fELF\x02\x01\x01");
    b.put(0x10, &[3, 0, 62, 0]);
    b.words(0x20, &[0x40]);
    b.put(0x34, &[64, 0, 56, 0, 5, 0]);
    let header = |kind: u64, vaddr: u64, size: u64| [kind, vaddr - VADDR, vaddr, 0, size, size, 8];
    let headers = [
        [1, 0, VADDR, 0, 4096, 4096, 4096],
        header(2, VADDR + 0x200, 0x200),
        header(4, VADDR + 0x400, 32),
        header(4, VADDR + 0x420, 36),
        header(0x6474_e552, VADDR + 0x900, 0x100),
    ];
    for (i, header) in headers.iter().enumerate() {
        b.words(0x40 + 56 * i as u64, header);
    }
    let address = |offset: u64| if biased { START + offset } else { VADDR + offset };
    let table = if hash == Hash::Gnu { 0x6fff_fef5 } else { 4 };
    let dynamic = [
        (1, 77),
        (5, address(0x600)),
        (6, address(0x500)),
        (table, address(0x700)),
        (7, address(0x800)),
        (8, 48),
        (0, 0),
    ];
    b.words(0x200, &dynamic.map(|(tag, value)| [tag, value]).concat());
    // A property note of 16 bytes, then, in a segment of its own, a note of another owner's and the build-id.
    b.halves(0x400, &[4, 16, 5]);
    b.put(0x40c, b"GNU\0");
    b.halves(0x420, &[4, 20, 3]);
    b.put(0x42c, b"GNU\0");
    b.put(0x430, &ID);
    let mut name_at = 0;
    for (i, (name, kind, section, value)) in SYMBOLS.iter().enumerate() {
        b.put(0x600 + name_at, name.as_bytes());
        let at = 0x500 + 24 * i as u64;
        b.halves(at, &[name_at as u32, u32::from(*section) << 16 | u32::from(*kind)]);
        b.words(at + 8, &[*value, 8]);
        name_at += name.len() as u64 + 1;
    }
    match hash {
        // One bucket; a filter that passes all; the chain from symbol 1 on.
        Hash::Gnu => {
            b.halves(0x700, &[1, 1, 1, 6]);
            b.words(0x710, &[u64::MAX]);
            let mut entries: Vec<u32> = SYMBOLS[1..].iter().map(|s| gnu(s.0) & !1).collect();
            *entries.last_mut().unwrap() |= 1;
            b.halves(0x718, &[&[1][..], &entries].concat());
        }
        Hash::SysV => b.halves(0x700, &[1, 5, 4, 0, 0, 1, 2, 3]),
    }
    // R_X86_64_JUMP_SLOT, then R_X86_64_RELATIVE.
    b.words(0x800, &[VADDR + 0x908, 7, 0, VADDR + 0x910, 8, 0]);
    b.words(0x908, &[1, START + 0x500]);
    b.0
}

/// The function of dl-lookup.c, written down again.
fn gnu(name: &str) -> u32 {
    name.bytes().fold(5381, |h: u32, b| h.wrapping_mul(33).wrapping_add(b.into()))
}

fn memory(bytes: Vec<u8>) -> Pieces {
    Pieces(vec![(START, bytes)])
}

#[test]
fn headers_build_id_and_relocated_word() {
    for biased in [true, false] {
        let image = image(&memory(built(Hash::Gnu, biased)), START).unwrap();
        assert_eq!((image.bias, image.build_id.as_bytes()), (BIAS, &ID[..]));
        assert_eq!(image.got_addr, START + 0x910);
    }
    assert_eq!(BuildId::at(&memory(built(Hash::Gnu, true)), START).as_bytes(), ID);
    assert_eq!(BuildId::at(&memory(vec![0; 4096]), START), BuildId::default());
    // After a copy in place the word is 0 again.
    let mut truncated = built(Hash::Gnu, true);
    truncated[0x910..0x918].fill(0);
    assert_eq!(image(&memory(truncated), START).unwrap().got_addr, 0);
}

#[test]
fn a_packed_relocation_is_taken_where_there_is_no_other() {
    let mut bytes = built(Hash::Gnu, true);
    // DT_RELA becomes DT_RELR.
    let at = 0x200 + 4 * 16;
    bytes[at] = 36;
    bytes[0x800..0x808].copy_from_slice(&(VADDR + 0x910).to_le_bytes());
    assert_eq!(image(&memory(bytes.clone()), START).unwrap().got_addr, START + 0x910);
    bytes[0x800] |= 1;
    assert_eq!(image(&memory(bytes), START).unwrap().got_addr, 0);
}

#[test]
fn functions_by_both_hash_tables() {
    for (hash, biased) in [(Hash::Gnu, true), (Hash::Gnu, false), (Hash::SysV, true), (Hash::SysV, false)] {
        let memory = memory(built(hash, biased));
        let d = Dynamic::read(&memory, START + 0x200, BIAS);
        let find = |name: &[u8]| symbols::function(&memory, &d, name);
        assert_eq!((find(b"mallocs"), find(b"chosen")), (Some(0x10a00), Some(0x10c00)));
        // Undefined here; no function; not there; a part of a name; too long.
        for none in [&b"malloc"[..], b"table", b"free", b"choose", b"", &[b'x'; 64], &[b'x'; 200]] {
            assert_eq!(find(none), None, "{none:?}");
        }
    }
}

#[test]
fn the_filter_alone_can_tell_that_a_name_is_not_there() {
    let mut bytes = built(Hash::Gnu, true);
    bytes[0x710..0x718].fill(0);
    let memory = memory(bytes);
    let d = Dynamic::read(&memory, START + 0x200, BIAS);
    assert_eq!(symbols::function(&memory, &d, b"mallocs"), None);
}

#[test]
fn the_list_of_the_loader() {
    let entry = |bias: u64, dynamic: u64, next: u64| {
        [bias, 0, dynamic, next, 0].iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>()
    };
    let mut memory = memory(built(Hash::SysV, true));
    memory.0.push((0x100, entry(1, 0x1000, 0).to_vec()));
    memory.0[1].1[8..16].copy_from_slice(&0x200u64.to_le_bytes());
    memory.0.push((0x200, entry(0, 0x10, 0x300)));
    memory.0.push((0x300, entry(BIAS, START + 0x200, 0x400)));
    let list: Vec<_> = List::new(&memory, 0x100).map(|l| l.dynamic).collect();
    assert_eq!(list, [0x10, START + 0x200], "it ends at an entry that is not there");
    assert_eq!(link_map::find_function(&memory, 0x100, b"chosen"), Some(BIAS + 0x10c00));
    assert_eq!(link_map::find_function(&memory, 0x100, b"malloc"), None);
    // A ring.
    memory.0.push((0x400, entry(0, 0x20, 0x200)));
    assert_eq!(List::new(&memory, 0x100).count(), 4096);
    assert_eq!(List::new(&memory, u64::MAX).count(), 0);
}

#[test]
fn no_damage_makes_it_panic_or_run_on() {
    let stride = if cfg!(miri) { 499 } else { 1 };
    for hash in [Hash::Gnu, Hash::SysV] {
        let whole = built(hash, true);
        let try_all = |bytes: Vec<u8>| {
            let memory = memory(bytes);
            let image = image(&memory, START);
            let d = Dynamic::read(&memory, START + 0x200, BIAS);
            (image, symbols::function(&memory, &d, b"mallocs"))
        };
        for len in (0..whole.len()).step_by(7 * stride) {
            try_all(whole[..len].to_vec());
        }
        for at in (0..0xa00).step_by(stride) {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                try_all(bytes);
            }
        }
    }
}

/// This process, by `/proc/self/mem`.
struct Own(std::fs::File);

impl Memory for Own {
    type Error = std::io::Error;

    fn read(&self, at: u64, to: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(to, at)
    }
}

#[test]
#[cfg_attr(miri, ignore = "the memory of an interpreted program is not that of its process")]
fn malloc_of_this_process_is_found_where_the_loader_binds_it() {
    let memory = Own(std::fs::File::open("/proc/self/mem").unwrap());
    let r_debug = link_map::r_debug(&memory, &std::fs::read("/proc/self/auxv").unwrap()).unwrap();
    let maps = std::fs::read("/proc/self/maps").unwrap();
    let image_of = |file: &[u8]| crate::maps::mappings(&maps).find(|m| m.path.ends_with(file)).unwrap().start;
    // The loader defines what the program names.
    let program = std::env::current_exe().unwrap();
    for start in [image_of(program.as_os_str().as_encoded_bytes()), image_of(b"/ld-linux-x86-64.so.2")] {
        assert_eq!(link_map::r_debug_of_image(&memory, start), Some(r_debug));
    }
    assert_eq!(link_map::r_debug_of_image(&memory, image_of(b"/libc.so.6")), None);
    let malloc = link_map::find_function(&memory, r_debug, b"malloc");
    assert_eq!(malloc, Some(libc::malloc as *const () as u64));
    assert_eq!(link_map::find_function(&memory, r_debug, b"no_such_function_"), None);
    let libc = image_of(b"/libc.so.6");
    let image = image(&memory, libc).unwrap();
    assert_eq!(image.build_id.len, 20);
    assert!(image.got_addr > libc && memory.word(image.got_addr).unwrap() > libc);
    assert!(List::new(&memory, r_debug).any(|l| l.bias == image.bias));
}
