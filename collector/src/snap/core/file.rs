//! An ELF core as a file: its threads, its memory, and which files were mapped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use hangscope_protocol::record::{ARCH_AARCH64, ARCH_X86_64};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::pod::{from_bytes, slice_from_bytes};

use super::notes::{NT_FILE, OTHER, THREADS};
use super::refused::BadCore;

/// How a file begins that zstd has packed.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Most bytes of a core that is unpacked. Its zeros take no room on the disk.
const MOST_UNPACKED: u64 = 256 << 30;
/// Most bytes of notes: 4 KB for each of 60,000 threads.
const MOST_NOTES: u64 = 256 << 20;
/// Most program headers.
const MOST_HEADERS: u64 = 1 << 20;
/// `e_phnum` of a file with more headers than 16 bits can count.
const MANY: u64 = 0xffff;
/// Offset of `pr_pid` and of `pr_reg` in `struct elf_prstatus`, the same on both processors (linux/elfcore.h).
const PR_PID: usize = 32;
const PR_REG: usize = 112;
/// Offsets in `struct elf_prpsinfo`: state letter, user, process, parent, name, arguments.
const PR_UID: usize = 16;
const PR_PSPID: usize = 24;
const PR_FNAME: std::ops::Range<usize> = 40..56;
const PR_PSARGS: std::ops::Range<usize> = 56..136;

/// A piece of memory. The file has the first `stored` bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) stored: u64,
    pub(super) offset: u64,
    pub(super) flags: u32,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreThread {
    pub(super) tid: u32,
    /// In the order of the kernel's `elf_gregset_t`.
    pub(super) regs: Vec<u64>,
}

/// A file that was mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MappedFile {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Offset in the file, bytes.
    pub(super) offset: u64,
    /// As the kernel printed it, with ` (deleted)`.
    pub(super) path: String,
}

/// What a core says of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) threads: Vec<CoreThread>,
    pub(super) pid: u32,
    pub(super) ppid: u32,
    pub(super) uid: u32,
    pub(super) comm: String,
    /// The first 80 bytes of the command line.
    pub(super) command: String,
    pub(super) auxv: Vec<u8>,
    pub(super) files: Vec<MappedFile>,
    /// State letter and name by tid: only in cores of hangscope.
    pub(super) names: BTreeMap<u32, (u8, String)>,
}

/// A core that was opened.
#[derive(Debug)]
pub(super) struct CoreFile {
    pub(super) file: File,
    pub(super) machine: u16,
    /// Ascending by address.
    pub(super) loads: Vec<Load>,
    pub(super) notes: Notes,
}

impl CoreFile {
    /// Opens a core, which zstd may have packed.
    ///
    /// # Errors
    /// [`BadCore`]: it cannot be read, or is none that can be analysed.
    pub(super) fn open(path: &Path) -> Result<CoreFile, BadCore> {
        let fail = |why: io::Error| BadCore::unreadable(path, &why);
        let file = File::open(path).map_err(fail)?;
        if !file.metadata().map_err(fail)?.is_file() {
            return Err(BadCore::NotAFile(path.to_owned()));
        }
        let mut head = vec![0; 256];
        let n = file.read_at(&mut head, 0).map_err(fail)?;
        head.truncate(n);
        if head.starts_with(&ZSTD) {
            return CoreFile::read(unpacked(file, path)?, path);
        }
        if let Some(line) = head.strip_prefix(b"# ") {
            let line = String::from_utf8_lossy(line.split(|b| *b == b'\n').next().unwrap_or(line));
            return Err(BadCore::Says { path: path.to_owned(), line: line.into_owned() });
        }
        CoreFile::read(file, path)
    }

    fn read(file: File, path: &Path) -> Result<CoreFile, BadCore> {
        let fail = |why: io::Error| BadCore::unreadable(path, &why);
        let len = file.metadata().map_err(fail)?.len();
        let no_core = || BadCore::NotACore(path.to_owned());
        let piece = |offset: u64, size: u64| -> Result<Vec<u8>, BadCore> {
            let end = offset.checked_add(size).filter(|_| size <= MOST_NOTES).ok_or_else(no_core)?;
            if end > len {
                return Err(BadCore::CutOff { path: path.to_owned(), has: len, wants: end });
            }
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, offset).map_err(fail)?;
            Ok(bytes)
        };
        let head = piece(0, 64.min(len))?;
        if !head.starts_with(&elf::ELFMAG) {
            return Err(no_core());
        }
        if head.get(4) == Some(&1) {
            return Err(BadCore::Bits32(path.to_owned()));
        }
        let (header, _) = from_bytes::<FileHeader64<LE>>(&head).map_err(|()| no_core())?;
        if head.get(5) != Some(&1) || header.e_type.get(LE) != elf::ET_CORE {
            return Err(no_core());
        }
        let machine = header.e_machine.get(LE).0;
        if ![ARCH_X86_64, ARCH_AARCH64].contains(&machine) {
            return Err(BadCore::Machine { path: path.to_owned(), machine });
        }
        let mut count = u64::from(header.e_phnum.get(LE));
        if count == MANY {
            // sh_info of the first section header.
            let section = piece(header.e_shoff.get(LE), 64)?;
            count = section.get(44..48).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes).into();
        }
        if count > MOST_HEADERS {
            return Err(no_core());
        }
        let size = size_of::<ProgramHeader64<LE>>() as u64;
        let table = piece(header.e_phoff.get(LE), count * size)?;
        let (headers, _) =
            slice_from_bytes::<ProgramHeader64<LE>>(&table, count as usize).map_err(|()| no_core())?;
        let (mut loads, mut notes) = (vec![], Notes::default());
        for h in headers {
            let (offset, stored) = (h.p_offset.get(LE), h.p_filesz.get(LE));
            match h.p_type.get(LE) {
                elf::PT_NOTE => notes.add(&piece(offset, stored)?, machine),
                elf::PT_LOAD => {
                    let (start, size) = (h.p_vaddr.get(LE), h.p_memsz.get(LE));
                    let (Some(end), Some(last)) = (start.checked_add(size), offset.checked_add(stored))
                    else {
                        return Err(no_core());
                    };
                    if last > len && stored > 0 {
                        return Err(BadCore::CutOff { path: path.to_owned(), has: len, wants: last });
                    }
                    let stored = stored.min(size);
                    loads.push(Load { start, end, stored, offset, flags: h.p_flags.get(LE).0 });
                }
                _ => {}
            }
        }
        loads.retain(|load| load.start < load.end);
        loads.sort_by_key(|load| load.start);
        if notes.threads.is_empty() || loads.is_empty() {
            return Err(no_core());
        }
        Ok(CoreFile { file, machine, loads, notes })
    }

    /// Reads stored memory from `at` on. Gives the number of bytes; 0 where none is stored.
    pub(super) fn read_at(&self, at: u64, to: &mut [u8]) -> usize {
        let i = self.loads.partition_point(|load| load.start <= at);
        let Some(load) = i.checked_sub(1).and_then(|i| self.loads.get(i)) else { return 0 };
        let into = at - load.start;
        let Some(rest) = load.stored.checked_sub(into).filter(|rest| *rest > 0) else { return 0 };
        let n = rest.min(to.len() as u64) as usize;
        let Some(offset) = load.offset.checked_add(into) else { return 0 };
        self.file.read_at(&mut to[..n], offset).unwrap_or(0)
    }
}

impl Notes {
    /// Takes the notes of a segment. What makes no sense is passed over.
    fn add(&mut self, bytes: &[u8], machine: u16) {
        let mut rest = bytes;
        while let Some((header, after)) = rest.split_first_chunk::<12>() {
            let word =
                |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let (name_len, len, kind) = (word(0) as usize, word(4) as usize, word(8));
            let padded = |len: usize| len.checked_next_multiple_of(4).unwrap_or(usize::MAX);
            let Some((name, after)) = after.split_at_checked(padded(name_len)) else { return };
            let Some(contents) = after.get(..len) else { return };
            let name = name.get(..name_len).unwrap_or(name);
            self.one(name.strip_suffix(b"\0").unwrap_or(name), kind, contents, machine);
            rest = after.get(padded(len)..).unwrap_or_default();
        }
    }

    fn one(&mut self, name: &[u8], kind: u32, bytes: &[u8], machine: u16) {
        match (name, kind) {
            (b"CORE", kind) if kind == elf::NT_PRSTATUS.0 => self.threads.extend(thread(bytes, machine)),
            (b"CORE", kind) if kind == elf::NT_PRPSINFO.0 => self.process(bytes),
            (b"CORE", kind) if kind == elf::NT_AUXV.0 => self.auxv = bytes.to_vec(),
            (b"CORE", NT_FILE) => self.files = files(bytes).unwrap_or_default(),
            (name, OTHER) if name == THREADS.as_bytes() => self.names = names(bytes),
            _ => {}
        }
    }

    fn process(&mut self, bytes: &[u8]) {
        let word =
            |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let text = |range: std::ops::Range<usize>| {
            let bytes = bytes.get(range).unwrap_or_default();
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
        };
        (self.uid, self.pid, self.ppid) = (word(PR_UID), word(PR_PSPID), word(PR_PSPID + 4));
        (self.comm, self.command) = (text(PR_FNAME), text(PR_PSARGS));
    }
}

fn thread(bytes: &[u8], machine: u16) -> Option<CoreThread> {
    let count = if machine == ARCH_X86_64 { 27 } else { 34 };
    let tid = u32::from_le_bytes(bytes.get(PR_PID..PR_PID + 4)?.try_into().ok()?);
    let (regs, _) = bytes.get(PR_REG..PR_REG + count * 8)?.as_chunks::<8>();
    Some(CoreThread { tid, regs: regs.iter().map(|word| u64::from_le_bytes(*word)).collect() })
}

fn files(bytes: &[u8]) -> Option<Vec<MappedFile>> {
    let word = |i: usize| {
        let at = i.checked_mul(8)?;
        Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
    };
    let (count, unit) = (usize::try_from(word(0)?).ok()?, word(1)?);
    let names = bytes.get(count.checked_mul(24)?.checked_add(16)?..)?;
    let mut names = names.split(|b| *b == 0);
    let one = |i: usize| {
        let at = 2 + i * 3;
        let offset = word(at + 2)?.checked_mul(unit)?;
        let path = String::from_utf8_lossy(names.next()?).into_owned();
        Some(MappedFile { start: word(at)?, end: word(at + 1)?, offset, path })
    };
    let mut files: Vec<MappedFile> = (0..count).map_while(one).filter(|f| f.start < f.end).collect();
    files.sort_by_key(|f| f.start);
    Some(files)
}

fn names(bytes: &[u8]) -> BTreeMap<u32, (u8, String)> {
    let text = String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
    let row = |line: &str| {
        let mut fields = line.splitn(3, '\t');
        let (tid, state) = (fields.next()?.parse().ok()?, fields.next()?.bytes().next()?);
        Some((tid, (state, fields.next()?.to_owned())))
    };
    text.lines().filter_map(row).collect()
}

/// Unpacks a core into a file without a name. Blocks of zeros take no room.
fn unpacked(file: File, path: &Path) -> Result<File, BadCore> {
    let broken = |why: io::Error| BadCore::NotUnpacked { path: path.to_owned(), why: why.to_string() };
    let mut from = zstd::Decoder::new(file).map_err(broken)?;
    let mut to = tempfile::tempfile().map_err(BadCore::NoTemporary)?;
    let (mut block, mut len) = (vec![0; 64 << 10], 0u64);
    loop {
        let n = from.read(&mut block).map_err(broken)?;
        if n == 0 {
            break;
        }
        let bytes = &block[..n];
        len += n as u64;
        if len > MOST_UNPACKED {
            return Err(broken(io::Error::from(io::ErrorKind::FileTooLarge)));
        }
        if bytes.iter().all(|b| *b == 0) {
            to.seek(SeekFrom::Current(n as i64)).map_err(BadCore::NoTemporary)?;
        } else {
            to.write_all(bytes).map_err(BadCore::NoTemporary)?;
        }
    }
    to.set_len(len).map_err(BadCore::NoTemporary)?;
    Ok(to)
}
