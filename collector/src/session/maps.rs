//! `/proc/PID/maps` as the kernel printed it, parsed. Lines that are not what the kernel prints are left out:
//! a dump may be cut off in the middle of one.

/// One line of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// First address.
    pub(crate) start: u64,
    /// First address after it.
    pub(crate) end: u64,
    /// Readable.
    pub(crate) read: bool,
    /// Writable.
    pub(crate) write: bool,
    /// Executable.
    pub(crate) execute: bool,
    /// Offset in the file, bytes.
    pub(crate) offset: u64,
    /// Device, `major << 32 | minor`.
    pub(crate) dev: u64,
    /// Inode; 0 for what has no file.
    pub(crate) ino: u64,
    /// Path or pseudo path (`[heap]`), without ` (deleted)`; empty for an anonymous mapping.
    pub(crate) path: String,
    /// Whether the kernel printed ` (deleted)`.
    pub(crate) deleted: bool,
}

impl Mapping {
    /// Whether an address is inside.
    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether it maps a file that has a path (not `[stack]`, not anonymous).
    pub(crate) fn is_file(&self) -> bool {
        self.path.starts_with('/') && self.ino != 0
    }
}

/// Parses maps; ascending by address, overlaps left out. The last line counts only if it is complete.
pub(crate) fn parse(maps: &[u8]) -> Vec<Mapping> {
    let mut parsed: Vec<Mapping> = vec![];
    for line in maps.split_inclusive(|b| *b == b'\n').filter_map(|l| l.strip_suffix(b"\n")) {
        match line_of(line) {
            Some(m) if parsed.last().is_none_or(|last| last.end <= m.start) => parsed.push(m),
            _ => {}
        }
    }
    parsed
}

/// The mapping that an address is in.
pub(crate) fn find(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    let i = mappings.partition_point(|m| m.start <= address).checked_sub(1)?;
    mappings.get(i).filter(|m| m.contains(address))
}

fn line_of(line: &[u8]) -> Option<Mapping> {
    let line = String::from_utf8_lossy(line);
    let mut rest = &*line;
    let mut field = || {
        rest = rest.trim_start_matches(' ');
        let end = rest.find(' ').unwrap_or(rest.len());
        let (field, tail) = rest.split_at(end);
        rest = tail;
        field
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = field().split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let perms = field().as_bytes();
    let &[r, w, x, _] = perms else { return None };
    let offset = hex(field())?;
    let (major, minor) = field().split_once(':')?;
    let dev = hex(major)? << 32 | hex(minor)?;
    let ino = field().parse().ok()?;
    // The kernel escapes a newline in a path as \012 and nothing else.
    let path = rest.trim_start_matches(' ');
    let (path, deleted) = match path.strip_suffix(" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let path = path.replace("\\012", "\n");
    (start < end).then_some(Mapping {
        start,
        end,
        read: r == b'r',
        write: w == b'w',
        execute: x == b'x',
        offset,
        dev,
        ino,
        path,
        deleted,
    })
}

#[cfg(test)]
mod tests {
    use crate::session::maps::*;

    #[test]
    fn lines_as_the_kernel_prints_them() {
        let maps = b"55d0c0a00000-55d0c0a02000 r--p 00000000 fe:01 131 /usr/bin/a b (deleted)\n\
            55d0c0a02000-55d0c0a03000 r-xp 00002000 fe:01 131 /usr/bin/a b (deleted)\n\
            7ffd3c000000-7ffd3c021000 rw-p 00000000 00:00 0                          [stack]\n\
            7ffd3c030000-7ffd3c031000 rw-p 00000000 00:00 0 \n\
            7ffd3c0fe000-7ffd3c100000 r-xp 00000000 00:00 0                          [vd";
        let parsed = parse(maps);
        assert_eq!(parsed.len(), 4);
        assert_eq!((&*parsed[0].path, parsed[0].deleted, parsed[0].ino), ("/usr/bin/a b", true, 131));
        assert_eq!(parsed[0].dev, 0xfe << 32 | 1);
        assert!(parsed[1].execute && parsed[1].offset == 0x2000);
        assert_eq!(parsed[2].path, "[stack]");
        assert_eq!(parsed[3].path, "");
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
