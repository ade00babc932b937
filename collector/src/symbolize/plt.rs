//! Names of the stubs through which a DSO calls another (`.plt`, `.plt.got` and others). Linkers give
//! stubs no symbols. The symbol before a stub belongs to another function (`_init`). Each stub jumps
//! through a word of the GOT, and the relocation of that word names the called function. The names are
//! those of gdb and objdump: `rand_r@plt`, `*ABS*+0x9be70@plt`.

use std::collections::HashMap;
use std::ops::Range;

use object::{
    Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationFlags, RelocationTarget, elf,
};

use super::arch::Arch;

/// Relocations whose value is the result of a function, one for each processor.
const IRELATIVE: [elf::RelocationType; 2] = [elf::R_X86_64_IRELATIVE, elf::R_AARCH64_IRELATIVE];

#[derive(Debug, Default)]
pub(super) struct Stubs {
    sections: Vec<Section>,
    /// Called functions by address of the GOT word.
    called: HashMap<u64, String>,
}

#[derive(Debug)]
struct Section {
    addresses: Range<u64>,
    /// Length of one stub, bytes.
    entry: u64,
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stub {
    pub(super) start: u64,
    /// `rand_r@plt`. None for the code at the head of `.plt` that calls the loader.
    pub(super) name: Option<String>,
}

impl Stubs {
    /// The stubs of an ELF file. None for a broken file, or one without section headers.
    pub(super) fn of(data: &[u8]) -> Self {
        let Ok(file) = object::File::parse(data) else { return Stubs::default() };
        let mut stubs = Stubs::default();
        for section in file.sections() {
            if !section.name().is_ok_and(|name| name.starts_with(".plt")) {
                continue;
            }
            let (Ok(bytes), start) = (section.data(), section.address()) else { continue };
            let Some(end) = start.checked_add(bytes.len() as u64) else { continue };
            // `.plt.got` of x86-64 has stubs of 8 bytes and that alignment. All others have 16.
            let entry = section.align().clamp(8, 16);
            stubs.sections.push(Section { addresses: start..end, entry, bytes: bytes.to_vec() });
        }
        let (Some(symbols), Some(relocations)) = (file.dynamic_symbol_table(), file.dynamic_relocations())
        else {
            return stubs;
        };
        for (word, relocation) in relocations {
            let name = match (relocation.target(), relocation.flags()) {
                (RelocationTarget::Symbol(index), _) => {
                    symbols.symbol_by_index(index).ok().and_then(|s| s.name().ok().map(str::to_owned))
                }
                // The loader chooses such a function (IFUNC). The relocation has no symbol, only the
                // address of the function that chooses.
                (_, RelocationFlags::Elf { r_type }) if IRELATIVE.contains(&r_type) => {
                    Some(format!("*ABS*+{:#x}", relocation.addend()))
                }
                _ => None,
            };
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                stubs.called.insert(word, name);
            }
        }
        stubs
    }

    /// The function whose address is in a word of the GOT.
    pub(super) fn called(&self, word: u64) -> Option<&str> {
        self.called.get(&word).map(String::as_str)
    }

    /// The stub at an address of the file; none if the address is in no section of stubs.
    pub(super) fn at(&self, address: u64, arch: &Arch) -> Option<Stub> {
        let section = self.sections.iter().find(|s| s.addresses.contains(&address))?;
        let into = (address - section.addresses.start) / section.entry * section.entry;
        let start = section.addresses.start + into;
        let bytes = section.bytes.get(into as usize..).unwrap_or_default();
        let word = (arch.stub_jumps_through)(bytes.get(..section.entry as usize).unwrap_or(bytes), start);
        let name = word.and_then(|word| self.called.get(&word)).map(|name| format!("{name}@plt"));
        Some(Stub { start, name })
    }
}

#[cfg(test)]
mod tests {
    use super::super::arch;
    use super::*;
    use hangscope_protocol::record::{ARCH_AARCH64, ARCH_X86_64};

    #[test]
    fn the_word_that_a_stub_jumps_through() {
        let word =
            |machine, bytes: &[u8]| (arch::of(machine).expect("known").stub_jumps_through)(bytes, 0x1080);
        let x86 = |bytes: &[u8]| word(ARCH_X86_64, bytes);
        // jmp *0x2f7a(%rip); push $3; jmp .plt
        let plain = [0xff, 0x25, 0x7a, 0x2f, 0, 0, 0x68, 3, 0, 0, 0, 0xe9, 0xb0, 0xff, 0xff, 0xff];
        assert_eq!(x86(&plain), Some(0x4000));
        // endbr64; bnd jmp *0x2f75(%rip); nopl
        let ibt = [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0x75, 0x2f, 0, 0, 0x0f, 0x1f, 0x44, 0, 0];
        assert_eq!(x86(&ibt), Some(0x4000));
        // The head of .plt: push 0x2fca(%rip) comes before its jump.
        let head = [0xff, 0x35, 0xca, 0x2f, 0, 0, 0xff, 0x25, 0xcc, 0x2f, 0, 0, 0x0f, 0x1f, 0x40, 0];
        assert_eq!(x86(&head), None);
        assert_eq!(x86(&[0xff, 0x25]), None);
        assert_eq!(x86(&[]), None);
        // adrp x16, 0x11000; ldr x17, [x16, #16]; add x16, x16, #16; br x17
        let arm: Vec<u8> = [0x9000_0090_u32, 0xf940_0a11, 0x9100_4210, 0xd61f_0220]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(word(ARCH_AARCH64, &arm), Some(0x11010));
    }

    /// glibc calls its own memcpy through such stubs.
    #[test]
    fn stubs_of_functions_that_are_chosen_at_load_time() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).expect("a C library");
        let bytes = std::fs::read(libc).unwrap();
        let stubs = Stubs::of(&bytes);
        let machine = if cfg!(target_arch = "aarch64") { ARCH_AARCH64 } else { ARCH_X86_64 };
        let arch = arch::of(machine).expect("known");
        let section = stubs.sections.iter().max_by_key(|s| s.bytes.len()).expect("stubs");
        let all = section.addresses.clone().step_by(section.entry as usize);
        let names: Vec<String> = all.filter_map(|at| stubs.at(at, arch)?.name).collect();
        let objdump =
            std::process::Command::new("objdump").arg("-d").arg("-j.plt").arg(libc).output().unwrap();
        let objdump = String::from_utf8(objdump.stdout).unwrap();
        let chosen: Vec<&String> = names.iter().filter(|name| name.starts_with("*ABS*+")).collect();
        assert!(chosen.len() > 5, "{names:?}");
        for name in chosen {
            assert!(objdump.contains(&format!("<{name}>:")), "{name} in\n{objdump}");
        }
    }

    #[test]
    fn garbage_has_no_stubs() {
        for bytes in [&b""[..], b"\x7fELF", &[0x7f; 4096]] {
            assert!(Stubs::of(bytes).sections.is_empty());
        }
    }
}
