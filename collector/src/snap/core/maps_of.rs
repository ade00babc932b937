//! The mappings of a core, as lines of `/proc/PID/maps`. A core has pieces of memory, and a list of mapped
//! files; both together are the mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hangscope_reader::elf::Headers;
use object::elf;

use super::file::{CoreFile, Load, MappedFile};
use super::memory::CoreMemory;
use crate::symbolize::VDSO;

/// Key of the kernel's own DSO in auxv (AT_SYSINFO_EHDR).
const SYSINFO_EHDR: u64 = 33;

/// A line: range, permissions, and offset and path of a file.
struct Line {
    start: u64,
    end: u64,
    flags: u32,
    file: Option<(u64, String)>,
}

/// The text. Shared memory is told from private memory by its file only.
pub(super) fn maps(core: &CoreFile) -> Vec<u8> {
    let files = &core.notes.files;
    let of_range = |start: u64, end: u64| {
        let first = core.loads.partition_point(|load| load.end <= start);
        core.loads.get(first).filter(|load| load.start < end)
    };
    let mut lines: Vec<Line> = files
        .iter()
        .map(|f| Line {
            start: f.start,
            end: f.end,
            flags: of_range(f.start, f.end).map_or_else(|| unstored(f, core), |load| load.flags),
            file: Some((f.offset, f.path.clone())),
        })
        .collect();
    let of_file = |load: &&Load| {
        let i = files.partition_point(|f| f.end <= load.start);
        files.get(i).is_some_and(|f| f.start < load.end)
    };
    for load in core.loads.iter().filter(|load| !of_file(load)) {
        match lines.last_mut() {
            // Pieces of one mapping lie side by side.
            Some(last) if last.file.is_none() && (last.end, last.flags) == (load.start, load.flags) => {
                last.end = load.end;
            }
            _ => lines.push(Line { start: load.start, end: load.end, flags: load.flags, file: None }),
        }
    }
    lines.sort_by_key(|line| line.start);
    text(&lines, core)
}

/// Permissions of a mapped file of which a core has nothing: gdb leaves out what is only read, code too. The
/// headers of the image tell where its code is.
fn unstored(of: &MappedFile, core: &CoreFile) -> u32 {
    let memory = CoreMemory::of(core);
    let mut images = core.notes.files.iter().filter(|f| f.path == of.path && f.offset == 0);
    let headers = images.find_map(|f| Headers::read(&memory, f.start));
    let is_code = headers.is_none_or(|headers| {
        let mut code = headers.segments(elf::PT_LOAD).filter(|segment| segment.is_code);
        code.any(|segment| {
            let start = headers.bias.wrapping_add(segment.vaddr);
            start < of.end && of.start < start.saturating_add(segment.size)
        })
    });
    if is_code { elf::PF_R.0 | elf::PF_X.0 } else { elf::PF_R.0 }
}

fn text(lines: &[Line], core: &CoreFile) -> Vec<u8> {
    let vdso = core.notes.auxv.as_chunks::<16>().0.iter().find_map(|pair| {
        let word = |at: usize| pair[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        (word(0) == SYSINFO_EHDR).then(|| word(8))
    });
    let executes = |line: &&Line| line.flags & elf::PF_X.0 != 0;
    let path = |line: &Line| line.file.as_ref().map(|(_, path)| path.clone());
    let code: BTreeSet<String> = lines.iter().filter(executes).filter_map(path).collect();
    let mut inodes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = String::new();
    for line in lines {
        let has = |bit: elf::ProgramFlags, letter: char| if line.flags & bit.0 != 0 { letter } else { '-' };
        let (offset, path) = line.file.as_ref().map_or((0, ""), |(offset, path)| (*offset, path));
        let next = inodes.len() + 1;
        let inode = if path.is_empty() { 0 } else { *inodes.entry(path).or_insert(next) };
        // A file that is written, and holds no code, is shared memory.
        let shared = line.flags & elf::PF_W.0 != 0 && !path.is_empty() && !code.contains(path);
        let name = if Some(line.start) == vdso { VDSO } else { path };
        let _ = writeln!(
            text,
            "{:x}-{:x} {}{}{}{} {offset:08x} 00:00 {inode} {}",
            line.start,
            line.end,
            has(elf::PF_R, 'r'),
            has(elf::PF_W, 'w'),
            has(elf::PF_X, 'x'),
            if shared { 's' } else { 'p' },
            name.replace('\n', "\\012"),
        );
    }
    text.into_bytes()
}
