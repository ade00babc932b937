//! The bytes of one ELF file, held so that nobody can change them while we read, and the places of its
//! parts.
//!
//! A DSO may be overwritten while it is read. Through a plain map of the file, that would kill this
//! process with SIGBUS. So the file is first copied into a sealed memfd, and everything is read from
//! there. The memfd also has a path, `/proc/self/fd/N`, for libraries that need one.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use memmap2::Mmap;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use object::elf::{self, FileHeader64};
use object::read::elf::{ElfFile64, FileHeader, NoteIterator, ProgramHeader, SectionHeader, SectionTable};
use object::{LittleEndian, Object as _};

/// Largest file that is read. A larger file has no names.
pub(super) const MOST_BYTES: u64 = 2 << 30;

/// A sealed copy of a file's bytes; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Bytes(Arc<Sealed>);

#[derive(Debug)]
struct Sealed {
    map: Option<Mmap>,
    file: File,
}

impl Bytes {
    /// Copies everything that `from` gives, up to [`MOST_BYTES`].
    pub(super) fn copy_of(from: impl Read) -> io::Result<Self> {
        let memfd = memfd_create(c"hangscope-image", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(memfd);
        // `dyn` makes `io::copy` read and write. Its faster ways between two files fail when a signal
        // comes.
        let from: &mut dyn Read = &mut from.take(MOST_BYTES + 1);
        let copied = io::copy(from, &mut file)?;
        if copied > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 2 GiB"));
        }
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
        // F_SEAL_WRITE fails with EBUSY if the kernel itself holds a page of the file for more than 150
        // ms, as memory compaction does (memfd_wait_for_pins in mm/memfd.c). F_SEAL_FUTURE_WRITE does not
        // (Linux 5.1).
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_FUTURE_WRITE))
            .or_else(|_| fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)))?;
        let map = if copied == 0 {
            None
        } else {
            // SAFETY: only we have the memfd, and it is sealed against writing and shrinking. Its bytes
            // neither change nor disappear while it is mapped.
            Some(unsafe { Mmap::map(&file)? })
        };
        Ok(Bytes(Arc::new(Sealed { map, file })))
    }

    /// A path under which this process can open the same bytes.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.file.as_raw_fd()))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.map.as_deref().unwrap_or(&[])
    }
}

/// A part of the file, with its address in the address space of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) bytes: Range<usize>,
    pub(super) address: u64,
}

/// A segment that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) offset: u64,
    pub(super) file_size: u64,
    pub(super) address: u64,
    /// Bytes in memory, with .bss.
    pub(super) mem_size: u64,
    pub(super) execute: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolKind {
    Data,
    Code,
}

/// An entry of a symbol table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) name: String,
}

/// A 64-bit little-endian ELF file.
#[derive(Debug)]
pub(super) struct Elf {
    pub(super) bytes: Bytes,
    pub(super) machine: u16,
    pub(super) loads: Vec<Load>,
    /// Empty if the file has none.
    pub(super) build_id: Vec<u8>,
    pub(super) eh_frame: Option<Part>,
    pub(super) eh_frame_hdr: Option<Part>,
    /// `.debug_frame`, if it is not compressed.
    pub(super) debug_frame: Option<Part>,
    pub(super) text: Option<u64>,
    pub(super) got: Option<u64>,
    /// The file itself has `.debug_info`.
    pub(super) has_debug_info: bool,
    pub(super) has_symtab: bool,
    /// The file names a further file (`.gnu_debugaltlink`), by a path relative to its own.
    pub(super) has_alt_link: bool,
    /// File name and CRC of `.gnu_debuglink`.
    pub(super) debug_link: Option<(String, u32)>,
    /// `.gnu_debugdata`: symbols that the file brings along, packed.
    pub(super) debug_data: Option<Range<usize>>,
}

/// A signed 4-byte offset from the place where it stands.
pub(super) const REL_SDATA4: u8 = gimli::DW_EH_PE_pcrel.0 | gimli::DW_EH_PE_sdata4.0;

type Sections<'d> = SectionTable<'d, FileHeader64<LittleEndian>>;

impl Elf {
    /// Parses the bytes. Sections that are cut off or invalid are left out. Fails if this is no 64-bit
    /// little-endian ELF file with readable program headers.
    pub(super) fn parse(bytes: Bytes) -> Result<Self, String> {
        let data: &[u8] = &bytes;
        let header =
            FileHeader64::<LittleEndian>::parse(data).map_err(|e| format!("not a 64-bit ELF file ({e})"))?;
        let endian = header.endian().map_err(|e| e.to_string())?;
        let segments = header.program_headers(endian, data).map_err(|e| e.to_string())?;
        let mut loads = vec![];
        let mut build_id = vec![];
        let mut frame_hdr_at = None;
        for segment in segments {
            match segment.p_type(endian) {
                elf::PT_LOAD => loads.push(Load {
                    offset: segment.p_offset(endian),
                    file_size: segment.p_filesz(endian),
                    address: segment.p_vaddr(endian),
                    mem_size: segment.p_memsz(endian),
                    execute: segment.p_flags(endian).contains(elf::PF_X),
                }),
                elf::PT_GNU_EH_FRAME => {
                    let (offset, size) = segment.file_range(endian);
                    frame_hdr_at = part(data, offset, size, segment.p_vaddr(endian));
                }
                elf::PT_NOTE => {
                    let notes = segment.notes(endian, data).ok().flatten();
                    build_id = notes.and_then(build_id_in).unwrap_or(build_id);
                }
                _ => {}
            }
        }
        // Section headers are not loaded, and may be stripped or cut off. Everything must work without
        // them.
        let sections = header.sections(endian, data).unwrap_or_default();
        let named = |name: &[u8]| section(&sections, endian, data, name);
        if build_id.is_empty() {
            // A separate debug file keeps its program headers, but not the bytes that they point at.
            let notes = named(b".note.gnu.build-id").and_then(|(s, _)| s.notes(endian, data).ok().flatten());
            build_id = notes.and_then(build_id_in).unwrap_or_default();
        }
        let plain = |name: &[u8]| named(name).filter(|(s, _)| !compressed(s, endian)).map(|(_, p)| p);
        let eh_frame_hdr = plain(b".eh_frame_hdr").or(frame_hdr_at);
        let eh_frame = plain(b".eh_frame")
            .or_else(|| eh_frame_hdr.as_ref().and_then(|hdr| behind_hdr(data, &loads, hdr)));
        let file = ElfFile64::<LittleEndian>::parse(data);
        let debug_link = file.ok().and_then(|file| file.gnu_debuglink().ok().flatten());
        let debug_link = debug_link.map(|(name, crc)| (String::from_utf8_lossy(name).into_owned(), crc));
        Ok(Elf {
            machine: header.e_machine(endian).0,
            loads,
            build_id,
            eh_frame,
            eh_frame_hdr,
            debug_frame: plain(b".debug_frame"),
            text: named(b".text").map(|(_, p)| p.address),
            got: named(b".got").map(|(_, p)| p.address),
            has_debug_info: named(b".debug_info").or_else(|| named(b".zdebug_info")).is_some(),
            has_symtab: named(b".symtab").is_some(),
            has_alt_link: named(b".gnu_debugaltlink").is_some(),
            debug_link,
            debug_data: plain(b".gnu_debugdata").map(|p| p.bytes),
            bytes,
        })
    }

    /// Variables or functions with a size, sorted by address, from `.symtab`, else from `.dynsym`. Of
    /// several at one address, the smallest comes first; of the same size, the name that people know
    /// comes first.
    pub(super) fn symbols(&self, kind: SymbolKind) -> Vec<Symbol> {
        let data: &[u8] = &self.bytes;
        let Ok(header) = FileHeader64::<LittleEndian>::parse(data) else { return vec![] };
        let Ok(endian) = header.endian() else { return vec![] };
        let Ok(sections) = header.sections(endian, data) else { return vec![] };
        let mut symbols = vec![];
        for table in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
            let Ok(table) = sections.symbols(endian, data, table) else { continue };
            for symbol in table.iter() {
                let defined = symbol.st_shndx.get(endian) != elf::SHN_UNDEF;
                let wanted = match kind {
                    SymbolKind::Data => symbol.st_info.st_type() == elf::STT_OBJECT,
                    SymbolKind::Code => {
                        [elf::STT_FUNC, elf::STT_GNU_IFUNC].contains(&symbol.st_info.st_type())
                    }
                };
                let (address, size) = (symbol.st_value.get(endian), symbol.st_size.get(endian));
                let name = table.strings().get(symbol.st_name.get(endian)).unwrap_or_default();
                if defined && wanted && size > 0 && !name.is_empty() && address.checked_add(size).is_some() {
                    symbols.push(Symbol { address, size, name: String::from_utf8_lossy(name).into_owned() });
                }
            }
            if !symbols.is_empty() {
                break;
            }
        }
        symbols.sort_by(|a, b| {
            let key = |s: &Symbol| (s.address, s.size, known(&s.name));
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        symbols
    }

    /// The bytes for blazesym. It fails on a file with `.gnu_debugdata`, which it cannot unpack here, even for
    /// names that other sections have: for such a file these are bytes in which the section has another name.
    pub(super) fn for_names(&self) -> Bytes {
        const NAME: &[u8] = b".gnu_debugdata\0";
        if self.debug_data.is_none() {
            return self.bytes.clone();
        }
        let mut renamed = self.bytes.to_vec();
        let places: Vec<usize> = memchr::memmem::find_iter(&self.bytes, NAME).collect();
        places.into_iter().for_each(|at| renamed[at + 1] = b'x');
        Bytes::copy_of(&*renamed).unwrap_or_else(|_| self.bytes.clone())
    }

    /// The bytes of the file at an address of the file; none if they are not all in one segment.
    pub(super) fn bytes_at(&self, address: u64, len: u64) -> Option<&[u8]> {
        let into = |l: &Load| address.checked_sub(l.address).filter(|into| *into < l.file_size);
        let (load, into) = self.loads.iter().find_map(|l| Some((l, into(l)?)))?;
        let rest = (load.file_size - into).min(len);
        let part = part(&self.bytes, load.offset.checked_add(into)?, rest, address)?;
        self.bytes.get(part.bytes).filter(|bytes| bytes.len() as u64 == len)
    }

    /// First address after everything that is loaded.
    pub(super) fn end(&self) -> u64 {
        self.loads.iter().filter_map(|l| l.address.checked_add(l.mem_size)).max().unwrap_or(0)
    }
}

/// Sorts the name that people know first: `free` before `__libc_free`, `raise` before `gsignal`.
fn known(name: &str) -> (usize, usize) {
    (name.bytes().take_while(|b| *b == b'_').count(), name.len())
}

fn compressed(section: &elf::SectionHeader64<LittleEndian>, endian: LittleEndian) -> bool {
    section.sh_flags(endian).contains(elf::SHF_COMPRESSED)
}

fn section<'d>(
    sections: &Sections<'d>,
    endian: LittleEndian,
    data: &[u8],
    name: &[u8],
) -> Option<(&'d elf::SectionHeader64<LittleEndian>, Part)> {
    let (_, section) = sections.section_by_name(endian, name)?;
    let (offset, size) = section.file_range(endian)?;
    Some((section, part(data, offset, size, section.sh_addr(endian))?))
}

fn build_id_in(mut notes: NoteIterator<'_, FileHeader64<LittleEndian>>) -> Option<Vec<u8>> {
    while let Ok(Some(note)) = notes.next() {
        if note.n_type(LittleEndian) == elf::NT_GNU_BUILD_ID && note.name() == elf::ELF_NOTE_GNU {
            return Some(note.desc().to_vec());
        }
    }
    None
}

/// A part; none if it is not wholly in the file.
fn part(data: &[u8], offset: u64, size: u64, address: u64) -> Option<Part> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    data.get(start..end)?;
    Some(Part { bytes: start..end, address })
}

/// `.eh_frame` of a file without section headers. `.eh_frame_hdr` points at it. It ends with a zero
/// length, where readers stop, so the part may reach to the end of the segment.
fn behind_hdr(data: &[u8], loads: &[Load], hdr: &Part) -> Option<Part> {
    let bytes = data.get(hdr.bytes.clone())?;
    // Version 1, with the encoding that every linker writes.
    let (&[1, REL_SDATA4, _, _], pointer) = bytes.split_first_chunk::<4>()? else { return None };
    let pointer = i32::from_le_bytes(*pointer.first_chunk()?);
    let address = hdr.address.checked_add(4)?.checked_add_signed(pointer.into())?;
    let load = loads.iter().find(|l| address >= l.address && address - l.address < l.file_size)?;
    let into = address - load.address;
    part(data, load.offset.checked_add(into)?, load.file_size - into, address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{SpliceFFlags, splice};

    /// After the last read, holds a page of each image of this process, as memory compaction does.
    struct Holds<'a> {
        bytes: &'a [u8],
        pipes: Vec<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)>,
    }

    impl Read for Holds<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let read = self.bytes.read(buf)?;
            if read == 0 {
                for link in std::fs::read_dir("/proc/self/fd")?.flatten().map(|entry| entry.path()) {
                    let image = std::fs::read_link(&link)
                        .is_ok_and(|to| to.to_string_lossy().starts_with("/memfd:hangscope-image"));
                    if let Some(file) = image.then(|| File::open(&link)).and_then(Result::ok) {
                        let (out, into) = nix::unistd::pipe()?;
                        splice(&file, Some(&mut 0), &into, None, 1, SpliceFFlags::SPLICE_F_NONBLOCK)?;
                        self.pipes.push((out, into));
                    }
                }
            }
            Ok(read)
        }
    }

    #[test]
    fn a_page_that_the_kernel_holds_is_no_reason_to_have_no_copy() {
        let mut from = Holds { bytes: &[7; 9000], pipes: vec![] };
        let bytes = Bytes::copy_of(&mut from).unwrap();
        assert!(!from.pipes.is_empty());
        assert_eq!(*bytes, [7; 9000]);
        // The copy cannot be written.
        assert!(
            File::options()
                .write(true)
                .open(bytes.path())
                .and_then(|mut f| io::Write::write(&mut f, b"x"))
                .is_err()
        );
    }
}
