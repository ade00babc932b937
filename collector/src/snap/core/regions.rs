//! Which memory of a process is in its core.
//!
//! A core has every page that the process has in memory. Pages that it never touched are left out: an
//! allocator may have reserved a thousand times what it uses. Files that are only read (fonts, data bases)
//! are left out too, but not the DSOs: a core must be readable after a DSO was replaced.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::session::maps::Mapping;
use crate::symbolize::VDSO;

/// Most regions of a core: the ELF header counts them in 16 bits, and one is for the notes.
const MOST: usize = 60_000;
/// A hole is left out if it has at least so many bytes. Smaller ones are zeros, which cost little.
const LEAST_HOLE: u64 = 1 << 20;
/// Most bytes that one question about pages is for.
const STEP: u64 = 2 << 20;
/// A mapping of a DSO is in the core with all its pages, if it has at most so many bytes.
const MOST_OF_DSO: u64 = 32 << 20;

/// A piece of memory that a core has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: Range<u64>,
    pub(super) mapping: Mapping,
}

/// The regions of these mappings. `present` gives how many bytes from an address on are in memory (true), or
/// are not (false), up to a limit.
pub(super) fn regions(
    mappings: &[Mapping],
    mut present: impl FnMut(u64, u64) -> Option<(bool, u64)>,
) -> Vec<Region> {
    let code: BTreeSet<(&str, u64)> =
        mappings.iter().filter(|m| m.execute && m.is_file()).map(|m| (&*m.path, m.ino)).collect();
    let mut regions = vec![];
    for mapping in mappings.iter().filter(|m| is_wanted(m, &code)) {
        let of = |range| Region { range, mapping: mapping.clone() };
        let whole = mapping.is_file() && mapping.end - mapping.start <= MOST_OF_DSO;
        if mapping.path == VDSO || whole && code.contains(&(&*mapping.path, mapping.ino)) {
            regions.push(of(mapping.start..mapping.end));
            continue;
        }
        regions.extend(pieces(mapping, &mut present).into_iter().map(of));
    }
    // The largest count: those that are left out are the last ones.
    regions.truncate(MOST);
    regions
}

fn is_wanted(m: &Mapping, code: &BTreeSet<(&str, u64)>) -> bool {
    // Pages of the kernel, and of devices: to read these may do something.
    let special = matches!(&*m.path, "[vvar]" | "[vsyscall]" | "[vvar_vclock]");
    let shared_memory = m.path.starts_with("/dev/shm/") || m.path.starts_with("/dev/zero");
    let device = m.path.starts_with("/dev/") && !shared_memory;
    let only_data = m.is_file() && !m.write && !code.contains(&(&*m.path, m.ino));
    (m.read || m.write) && !special && !device && !only_data
}

/// The pieces of a mapping that are in memory. Small holes are in a piece.
fn pieces(m: &Mapping, present: &mut impl FnMut(u64, u64) -> Option<(bool, u64)>) -> Vec<Range<u64>> {
    let mut pieces: Vec<Range<u64>> = vec![];
    let mut at = m.start;
    while at < m.end {
        // Where the kernel does not tell, everything is taken.
        let most = (m.end - at).min(STEP);
        let (there, len) = present(at, most).unwrap_or((true, most));
        let to = at.saturating_add(len.max(1)).min(m.end);
        if there {
            match pieces.last_mut() {
                Some(last) if at - last.end < LEAST_HOLE && !(m.is_file() && at > last.end) => last.end = to,
                _ => pieces.push(at..to),
            }
        }
        at = to;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::maps;

    const MAPS: &[u8] = b"1000-4000 r--p 00000000 08:01 7  /lib/a.so\n\
        4000-6000 r-xp 00003000 08:01 7  /lib/a.so\n\
        10000-12000 r--p 00000000 08:01 8  /data/fonts\n\
        20000-22000 rw-s 00000000 00:01 9  /dev/shm/x\n\
        30000-32000 rw-s 00000000 00:05 10  /dev/dri/card0\n\
        40000-50000 ---p 00000000 00:00 0 \n\
        100000-10000000 rw-p 00000000 00:00 0 \n\
        7fff0000-7fff4000 r--p 00000000 00:00 0  [vvar]\n";

    fn of(there: &[Range<u64>]) -> Vec<Range<u64>> {
        let present = |at: u64, most: u64| {
            let inside = there.iter().find(|r| r.contains(&at));
            let next = there.iter().map(|r| r.start).filter(|s| *s > at).min().unwrap_or(u64::MAX);
            Some(match inside {
                Some(r) => (true, (r.end - at).min(most)),
                None => (false, (next - at).min(most)),
            })
        };
        regions(&maps::parse(MAPS), present).into_iter().map(|r| r.range).collect()
    }

    #[test]
    fn what_was_touched_is_taken_but_no_devices_and_no_data_files() {
        assert_eq!(
            of(&[0..0x8000_0000, 0x8000_0000..u64::MAX]),
            [0x1000..0x4000, 0x4000..0x6000, 0x20000..0x22000, 0x10_0000..0x1000_0000]
        );
        // A DSO is there with all its pages. A small hole of other memory is not left out.
        let there = [0x10_0000..0x10_1000, 0x10_3000..0x10_4000, 0x80_0000..0x80_1000];
        let dso = [0x1000..0x4000, 0x4000..0x6000];
        let rest = [0x10_0000..0x10_4000, 0x80_0000..0x80_1000];
        assert_eq!(of(&there), [&dso[..], &rest].concat());
    }
}
