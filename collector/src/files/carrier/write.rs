//! The bytes of a carrier.
//!
//! Two segments are loaded: what is only read, and the dynamic section, which older versions of glibc write
//! to. They are on different pages in memory and side by side in the file.

use hangscope_protocol::carrier::{MADE_OF, OWNER, SETTINGS, made_of};
use object::Endianness;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, SectionIndex, Writer};
use object::write::{Result, StringId};
use sha1::{Digest as _, Sha1};

use super::model::{Carrier, MadeOf};
use crate::files::elf::Target;

/// Bytes of the build-id: a SHA-1.
const BUILD_ID: usize = 20;
/// Segments: two loaded ones, the dynamic section, the notes, and the rights of the stack.
const SEGMENTS: u32 = 5;

/// Where everything is in the file, bytes.
struct Layout {
    build_id: u64,
    notes: u64,
    notes_len: u64,
    hash: u64,
    gnu_hash: u64,
    dynsym: u64,
    dynstr: u64,
    /// End of what is only read.
    read_end: u64,
    dynamic: u64,
    dynamic_len: u64,
}

/// Names of sections and strings of the dynamic section.
struct Names {
    build_id: (SectionIndex, StringId),
    notes: (SectionIndex, StringId),
    soname: StringId,
    shim: StringId,
    allocator: StringId,
}

impl Carrier {
    /// The bytes of the file, for programs of this target.
    ///
    /// # Errors
    /// A path or a setting is too long for the file.
    pub(crate) fn write(&self, target: Target) -> Result<Vec<u8>> {
        let without = with_build_id(self, target, &[0; BUILD_ID])?;
        with_build_id(self, target, &Sha1::digest(&without))
    }
}

fn with_build_id(carrier: &Carrier, target: Target, id: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let endian = if target.little { Endianness::Little } else { Endianness::Big };
    let mut to = Writer::new(endian, target.bits == 64, &mut bytes);
    let build_id = note(endian, b"GNU\0", elf::NT_GNU_BUILD_ID.0, id);
    let mut notes = note(endian, OWNER, SETTINGS, &entries(&carrier.settings));
    notes.extend(note(endian, OWNER, MADE_OF, &entries(&carrier.made_of.entries())));

    to.reserve_file_header();
    to.reserve_program_headers(SEGMENTS);
    to.reserve_null_section_index();
    let names = Names {
        build_id: (to.reserve_section_index(), to.add_section_name(b".note.gnu.build-id")),
        notes: (to.reserve_section_index(), to.add_section_name(b".note.hangscope")),
        soname: to.add_dynamic_string(carrier.soname.as_bytes()),
        shim: to.add_dynamic_string(carrier.shim.as_bytes()),
        allocator: to.add_dynamic_string(carrier.allocator.as_bytes()),
    };
    to.reserve_hash_section_index();
    to.reserve_gnu_hash_section_index();
    to.reserve_dynsym_section_index();
    to.reserve_dynstr_section_index();
    to.reserve_dynamic_section_index();
    to.reserve_shstrtab_section_index();
    // The symbol that every table begins with is the only one.
    to.reserve_null_dynamic_symbol_index();
    let layout = Layout {
        build_id: to.reserve(build_id.len() as u64, 4),
        notes: to.reserve(notes.len() as u64, 4),
        notes_len: notes.len() as u64,
        hash: to.reserve_hash(1, 1),
        gnu_hash: to.reserve_gnu_hash(1, 1, 0),
        dynsym: to.reserve_dynsym(),
        dynstr: to.reserve_dynstr()?,
        read_end: to.reserved_len(),
        dynamic: to.reserve_dynamic(ENTRIES),
        dynamic_len: to.reserved_len(),
    };
    let layout = Layout { dynamic_len: layout.dynamic_len - layout.dynamic, ..layout };
    to.reserve_shstrtab()?;
    to.reserve_section_headers();

    to.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_DYN,
        e_machine: elf::Machine(target.machine),
        e_entry: 0,
        e_flags: elf::FileFlags(0),
    })?;
    segments(&mut to, &layout, target);
    to.pad_until(layout.build_id);
    to.write(&build_id);
    to.pad_until(layout.notes);
    to.write(&notes);
    to.write_hash(1, 1, |_| None);
    to.write_gnu_hash(1, 0, 1, 1, 0, |_| 0);
    to.write_null_dynamic_symbol();
    to.write_dynstr();
    dynamic(&mut to, &layout, &names, target)?;
    to.write_shstrtab();
    sections(&mut to, &layout, &names, build_id.len() as u64, target);
    Ok(bytes)
}

fn segments(to: &mut Writer<'_>, at: &Layout, target: Target) {
    let segment = |p_type, p_flags, from: u64, len: u64, p_align| ProgramHeader {
        p_type,
        p_flags,
        p_offset: from,
        p_vaddr: from,
        p_paddr: from,
        p_filesz: len,
        p_memsz: len,
        p_align,
    };
    let (page, writable) = (page(target), at.dynamic + page(target));
    let moved = |header| ProgramHeader { p_vaddr: writable, p_paddr: writable, ..header };
    let (r, rw) = (elf::PF_R, elf::PF_R | elf::PF_W);
    to.write_align_program_headers();
    to.write_program_header(&segment(elf::PT_LOAD, r, 0, at.read_end, page));
    to.write_program_header(&moved(segment(elf::PT_LOAD, rw, at.dynamic, at.dynamic_len, page)));
    to.write_program_header(&moved(segment(elf::PT_DYNAMIC, rw, at.dynamic, at.dynamic_len, 8)));
    to.write_program_header(&segment(elf::PT_NOTE, r, at.build_id, at.notes + at.notes_len - at.build_id, 4));
    // Without this one, the program's stacks would become executable.
    to.write_program_header(&segment(elf::PT_GNU_STACK, rw, 0, 0, 16));
}

/// Entries of the dynamic section.
const ENTRIES: usize = 11;

fn dynamic(to: &mut Writer<'_>, at: &Layout, names: &Names, target: Target) -> Result<()> {
    to.write_align_dynamic();
    // The shim looks for these two at the beginning. ld.so puts each in front of the carrier and behind what
    // it has put there before, so the shim is in front of the allocator.
    to.write_dynamic_string(elf::DT_AUXILIARY, names.shim)?;
    to.write_dynamic_string(elf::DT_FILTER, names.allocator)?;
    to.write_dynamic_string(elf::DT_SONAME, names.soname)?;
    to.write_dynamic(elf::DT_HASH, at.hash)?;
    to.write_dynamic(elf::DT_GNU_HASH, at.gnu_hash)?;
    to.write_dynamic(elf::DT_STRTAB, at.dynstr)?;
    to.write_dynamic(elf::DT_SYMTAB, at.dynsym)?;
    to.write_dynamic(elf::DT_STRSZ, to.dynstr_len().into())?;
    to.write_dynamic(elf::DT_SYMENT, if target.bits == 64 { 24 } else { 16 })?;
    // A program may open and close the carrier. What it brought stays: the shim has a thread.
    to.write_dynamic(elf::DT_FLAGS_1, elf::DF_1_NODELETE.0)?;
    to.write_dynamic(elf::DT_NULL, 0)
}

fn sections(to: &mut Writer<'_>, at: &Layout, names: &Names, build_id_len: u64, target: Target) {
    let note = |name, from, len| SectionHeader {
        sh_name: name,
        sh_type: elf::SHT_NOTE,
        sh_flags: elf::SHF_ALLOC,
        sh_addr: from,
        sh_offset: from,
        sh_size: len,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: 4,
        sh_entsize: 0,
    };
    to.write_null_section_header();
    let name = to.section_name_offset(Some(names.build_id.1));
    to.write_section_header(&note(name, at.build_id, build_id_len));
    let name = to.section_name_offset(Some(names.notes.1));
    to.write_section_header(&note(name, at.notes, at.notes_len));
    to.write_hash_section_header(at.hash);
    to.write_gnu_hash_section_header(at.gnu_hash);
    to.write_dynsym_section_header(at.dynsym, 1);
    to.write_dynstr_section_header(at.dynstr);
    to.write_dynamic_section_header(at.dynamic + page(target));
    to.write_shstrtab_section_header();
}

/// The largest page of a target's systems, bytes.
fn page(target: Target) -> u64 {
    if elf::Machine(target.machine) == elf::EM_X86_64 { 0x1000 } else { 0x1_0000 }
}

/// A note: sizes of name and description, type, and both, each padded to 4 bytes.
fn note(endian: Endianness, owner: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
    let number = |n: u32| if endian == Endianness::Little { n.to_le_bytes() } else { n.to_be_bytes() };
    let mut note = [owner.len() as u32, description.len() as u32, kind].map(number).concat();
    for part in [owner, description] {
        note.extend_from_slice(part);
        note.resize(note.len().next_multiple_of(4), 0);
    }
    note
}

/// `NAME=value`, each with a NUL.
fn entries<N: AsRef<str>>(entries: &[(N, String)]) -> Vec<u8> {
    entries.iter().flat_map(|(name, value)| format!("{}={value}\0", name.as_ref()).into_bytes()).collect()
}

impl MadeOf {
    fn entries(&self) -> Vec<(&'static str, String)> {
        let texts = [
            (made_of::NAME, &self.name),
            (made_of::SOURCE, &self.source),
            (made_of::ALLOCATOR_SHA1, &self.allocator_sha1),
            (made_of::SHIM_SHA1, &self.shim_sha1),
            (made_of::VERSION, &self.version),
        ];
        texts.into_iter().map(|(name, text)| (name, text.clone())).collect()
    }
}
