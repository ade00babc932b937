//! `/proc/PID/maps` of a dump: [`hangscope_reader::maps`] with owned paths.

use hangscope_reader::maps;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    /// First address after the mapping.
    pub(crate) end: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    /// Other processes that map the same pages see what this one writes (MAP_SHARED).
    pub(crate) shared: bool,
    /// Offset of `start` in the file, bytes.
    pub(crate) offset: u64,
    /// Device of the file: `major << 32 | minor`.
    pub(crate) dev: u64,
    /// Inode; 0 for memory without a file.
    pub(crate) ino: u64,
    /// Path or pseudo path (`[heap]`) without ` (deleted)`; empty for anonymous memory.
    pub(crate) path: String,
    /// Whether the kernel printed ` (deleted)` after the path.
    pub(crate) deleted: bool,
}

impl Mapping {
    fn owned(m: &maps::Mapping<'_>) -> Mapping {
        Mapping {
            start: m.start,
            end: m.end,
            read: m.read,
            write: m.write,
            execute: m.execute,
            shared: m.shared,
            offset: m.offset,
            dev: m.dev,
            ino: m.ino,
            // The kernel escapes a newline in a path, and nothing else.
            path: String::from_utf8_lossy(m.path).replace("\\012", "\n"),
            deleted: m.deleted,
        }
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether it maps a file with a path: not `[stack]`, not anonymous memory.
    pub(crate) fn is_file(&self) -> bool {
        self.path.starts_with('/') && self.ino != 0
    }
}

/// The mappings of a text, ascending by address. A mapping that overlaps the one before it is left out, and
/// so is what is no line of maps: a dump may be cut off in the middle of a line.
pub(crate) fn parse(text: &[u8]) -> Vec<Mapping> {
    let mut parsed: Vec<Mapping> = vec![];
    for m in maps::mappings(text) {
        if parsed.last().is_none_or(|last| last.end <= m.start) {
            parsed.push(Mapping::owned(&m));
        }
    }
    parsed
}

/// The mapping that contains an address.
pub(crate) fn find(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    let i = mappings.partition_point(|m| m.start <= address).checked_sub(1)?;
    mappings.get(i).filter(|m| m.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_the_kernel_prints_them() {
        let maps = b"55d0c0a00000-55d0c0a02000 r--p 00000000 fe:01 131 /usr/bin/a b (deleted)\n\
            55d0c0a02000-55d0c0a03000 r-xp 00002000 fe:01 131 /usr/bin/a b (deleted)\n\
            7ffd3c000000-7ffd3c021000 rw-p 00000000 00:00 0                          [stack]\n\
            7ffd3c030000-7ffd3c031000 rw-s 00000000 00:01 77 \n\
            7ffd3c0fe000-7ffd3c100000 r-xp 00000000 00:00 0                          [vd";
        let parsed = parse(maps);
        assert_eq!(parsed.len(), 4);
        assert_eq!((&*parsed[0].path, parsed[0].deleted, parsed[0].ino), ("/usr/bin/a b", true, 131));
        assert_eq!(parsed[0].dev, 0xfe << 32 | 1);
        assert!(parsed[1].execute && parsed[1].offset == 0x2000);
        assert_eq!(parsed[2].path, "[stack]");
        assert_eq!((&*parsed[3].path, parsed[3].shared, parsed[2].shared), ("", true, false));
        assert_eq!(find(&parsed, 0x55d0_c0a0_2fff), Some(&parsed[1]));
        assert_eq!(find(&parsed, 0x55d0_c0a0_3000), None);
        assert_eq!(find(&parsed, 0), None);
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        assert!(
            parse(b"\n-\n1-0 r-xp 0 0:0 0\n1-2 rx 0 0:0 0\nzz-1 r-xp 0 0:0 0\n1-2 r-xp 0 00 0\n").is_empty()
        );
        assert!(parse(b"1-2 r-xp 0 0:0 0 /x").is_empty());
    }
}
