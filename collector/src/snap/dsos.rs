//! The DSOs of a process that ran without the shim. There are no facts from its start.
//!
//! A file whose change time is older than the process is unchanged since it was loaded: that is as good as a
//! snapshot from init. A younger file may have been built just before it was loaded, or copied over
//! afterwards. Two facts remain for those: ` (deleted)` in maps, and a relocated word. The right value of the
//! word follows from the file (bias plus addend), and a copy in place resets it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use hangscope_protocol::record::{DsoNowRecord, DsoRecord, dso_flags, maps_deleted};
use hangscope_reader::Memory;
use hangscope_reader::elf::{BuildId, Headers};
use hangscope_reader::link_map::Linked;
use nix::errno::Errno;
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, Rela as _};

use super::memory::ProcessMemory;
use super::zero::zero;
use crate::files::facts::{self, device};
use crate::session::Dso;
use crate::session::maps::Mapping;

/// The DSO of the allocator under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) id: u32,
    /// Address of `malloc`; 0 if a DSO was named that has none.
    pub(super) malloc: u64,
}

/// The mapped files that hold code, ascending by address.
pub(super) fn all(mappings: &[Mapping], started_wall_ns: u64, memory: &ProcessMemory) -> Vec<Dso> {
    let mut files: BTreeMap<(&str, u64, u64), Vec<&Mapping>> = BTreeMap::new();
    for mapping in mappings.iter().filter(|m| m.is_file()) {
        files.entry((&mapping.path, mapping.dev, mapping.ino)).or_default().push(mapping);
    }
    let exe = fs::metadata(format!("/proc/{}/exe", memory.tid())).map(|m| m.ino()).unwrap_or(0);
    let mut files: Vec<_> = files.into_values().filter(|lines| lines.iter().any(|m| m.execute)).collect();
    files.sort_by_key(|lines| lines.first().map(|m| m.start));
    let mut dsos = vec![];
    for lines in files {
        let Some(dso) = one(dsos.len() as u32, &lines, started_wall_ns, memory) else { continue };
        dsos.push(dso);
    }
    for dso in &mut dsos {
        if dso.init.map_ino == exe {
            dso.init.flags |= dso_flags::EXECUTABLE;
        }
    }
    dsos
}

/// What the mappings of a file say of its DSO, in a process or in a core. None without an ELF header.
pub(super) fn record(id: u32, lines: &[&Mapping], memory: &impl Memory) -> Option<DsoRecord> {
    let (first, last) = (lines.first()?, lines.last()?);
    let headers = lines.iter().find(|m| m.offset == 0).and_then(|m| Headers::read(memory, m.start))?;
    let build_id = BuildId::of(memory, &headers);
    Some(DsoRecord {
        id,
        start: first.start,
        end: last.end,
        bias: headers.bias,
        map_ino: first.ino,
        map_dev: first.dev,
        // Nobody looked when the process started.
        errno: Errno::ENODATA as u32,
        build_id: build_id.bytes,
        build_id_len: build_id.len,
        ..zero()
    })
}

fn one(id: u32, lines: &[&Mapping], started_wall_ns: u64, memory: &ProcessMemory) -> Option<Dso> {
    let first = lines.first()?;
    let mut init = record(id, lines, memory)?;
    let deleted = lines.iter().any(|m| m.deleted);
    let mut now = DsoNowRecord {
        id,
        maps_deleted: if deleted { maps_deleted::YES } else { maps_deleted::NO },
        // There is no descriptor from init.
        fd_errno: Errno::EBADF as u32,
        build_id_len: init.build_id_len,
        build_id: init.build_id,
        ..zero()
    };
    match fs::metadata(&first.path) {
        Ok(meta) => {
            let ns = |s: i64, n: i64| s.saturating_mul(1_000_000_000).saturating_add(n);
            now.path_dev = device(meta.dev());
            now.path_ino = meta.ino();
            now.path_size = meta.size();
            now.path_mtime_ns = ns(meta.mtime(), meta.mtime_nsec());
            now.path_ctime_ns = ns(meta.ctime(), meta.ctime_nsec());
            now.path_nlink = meta.nlink() as u32;
            now.path_mode = meta.mode();
            now.path_uid = meta.uid();
            let same = !deleted && meta.ino() == first.ino;
            if same && facts::is_older(now.path_ctime_ns, started_wall_ns) {
                init.flags |= dso_flags::SAME_FILE_AT_INIT;
                init.errno = 0;
                init.dev = now.path_dev;
                init.ino = now.path_ino;
                init.size = now.path_size;
                init.mtime_ns = now.path_mtime_ns;
                init.ctime_ns = now.path_ctime_ns;
                init.nlink = now.path_nlink;
                init.mode = now.path_mode;
                init.uid = now.path_uid;
            }
            if same && let Some((address, value)) = relocated_word(&first.path, init.bias) {
                init.got_addr = address;
                init.got_value = value;
                let mut word = [0; 8];
                match memory.read(address, &mut word) {
                    Ok(8) => now.got_value = u64::from_le_bytes(word),
                    Ok(_) => now.got_errno = Errno::EFAULT as u32,
                    Err(e) => now.got_errno = e as u32,
                }
            }
        }
        Err(e) => now.path_errno = e.raw_os_error().unwrap_or(0) as u32,
    }
    Some(Dso { init, path: first.path.clone(), now: Some(now) })
}

/// Marks the allocator among the DSOs.
pub(super) fn mark_provider(dsos: &mut [Dso], provider: Option<Provider>) {
    let Some(provider) = provider else { return };
    for dso in dsos.iter_mut().filter(|d| d.init.id == provider.id) {
        let malloc = if provider.malloc != 0 { dso_flags::PROVIDES_MALLOC } else { 0 };
        dso.init.flags |= dso_flags::ALLOCATOR | malloc;
    }
}

/// Address and value of a word that only the loader writes (it is in RELRO), from the R_*_RELATIVE
/// relocations of the file.
fn relocated_word(path: &str, bias: u64) -> Option<(u64, u64)> {
    /// Largest file that is read, bytes.
    const MOST: u64 = 256 << 20;
    if fs::metadata(path).ok()?.len() > MOST {
        return None;
    }
    let data = &*fs::read(path).ok()?;
    let header = FileHeader64::<LittleEndian>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let relative = match header.e_machine(endian) {
        elf::EM_X86_64 => elf::R_X86_64_RELATIVE,
        elf::EM_AARCH64 => elf::R_AARCH64_RELATIVE,
        _ => return None,
    };
    let segments = header.program_headers(endian, data).ok()?;
    let relro = segments.iter().find(|s| s.p_type(endian) == elf::PT_GNU_RELRO)?;
    let relro = relro.p_vaddr(endian)..relro.p_vaddr(endian).checked_add(relro.p_memsz(endian))?;
    let dynamic = segments.iter().find_map(|s| s.dynamic(endian, data).ok()?)?;
    let value = |tag| dynamic.iter().find(|d| d.d_tag(endian) == tag).map(|d| d.d_val(endian));
    let (at, size) = (value(elf::DT_RELA)?, value(elf::DT_RELASZ)?);
    let offset = segments.iter().find_map(|s| {
        let inside = s.p_type(endian) == elf::PT_LOAD
            && (s.p_vaddr(endian)..s.p_vaddr(endian) + s.p_filesz(endian)).contains(&at);
        inside.then(|| at - s.p_vaddr(endian) + s.p_offset(endian))
    })?;
    let bytes = data.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(size).ok()?)?;
    let (relocations, _) =
        object::pod::slice_from_bytes::<elf::Rela64<LittleEndian>>(bytes, bytes.len() / 24).ok()?;
    let word = relocations
        .iter()
        .find(|r| r.r_type(endian, false) == relative && relro.contains(&r.r_offset(endian)))?;
    let addend = word.r_addend(endian);
    // With bias 0 the value is the same before relocation: it would prove nothing.
    (bias != 0).then(|| (bias.wrapping_add(word.r_offset(endian)), bias.wrapping_add_signed(addend)))
}

/// Marks the program by the loader's list: `/proc/PID/exe` is the loader where the program was started through
/// it.
pub(super) fn mark_program(dsos: &mut [Dso], linked: &[Linked]) {
    let Some(program) = linked.first() else { return };
    let is = |d: &Dso| (d.init.start..d.init.end).contains(&program.dynamic);
    if dsos.iter().any(is) {
        for dso in dsos {
            let flag = if is(dso) { dso_flags::EXECUTABLE } else { 0 };
            dso.init.flags = dso.init.flags & !dso_flags::EXECUTABLE | flag;
        }
    }
}

/// The allocator: the DSO that was named, else the first in the order of symbol search that defines `malloc`.
pub(super) fn provider(
    dsos: &[Dso],
    linked: &[Linked],
    target: Option<&str>,
    memory: &impl hangscope_reader::Memory,
) -> Option<Provider> {
    let of = |linked: &Linked| {
        dsos.iter()
            .find(|d| d.init.bias == linked.bias && (d.init.start..d.init.end).contains(&linked.dynamic))
    };
    if let Some(target) = target {
        let named = dsos.iter().find(|d| is_named(&d.path, target))?;
        let entry = linked.iter().find(|l| of(l).is_some_and(|d| d.init.id == named.init.id));
        let malloc = entry.and_then(|l| l.function(memory, b"malloc")).unwrap_or(0);
        return Some(Provider { id: named.init.id, malloc });
    }
    linked.iter().find_map(|l| {
        let malloc = l.function(memory, b"malloc")?;
        Some(Provider { id: of(l)?.init.id, malloc })
    })
}

/// `hz4`, `libhz4.so`, `libhz4.so.2` or a whole path name `/x/libhz4.so.2`.
fn is_named(path: &str, target: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.strip_prefix("lib").unwrap_or(file);
    let stem = stem.split(".so").next().unwrap_or(stem);
    path == target || file == target || stem == target || file.split(".so").next() == Some(target)
}
