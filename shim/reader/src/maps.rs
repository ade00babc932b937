//! The lines of `/proc/PID/maps` (proc_pid_maps(5)).

use crate::text::{decimal, fields, hex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    pub start: u64,
    /// First address after the mapping.
    pub end: u64,
    pub read: bool,
    pub write: bool,
    pub execute: bool,
    /// Other processes that map the same pages see what this one writes (MAP_SHARED).
    pub shared: bool,
    /// Offset of `start` in the file, bytes.
    pub offset: u64,
    /// Device of the file: `major << 32 | minor`.
    pub dev: u64,
    /// Inode; 0 for memory without a file.
    pub ino: u64,
    /// Path or pseudo path (`[heap]`) without ` (deleted)`; empty for anonymous memory. Raw: the kernel
    /// prints a newline in a path as `\012`.
    pub path: &'a [u8],
    /// Whether the kernel printed ` (deleted)` after the path.
    pub deleted: bool,
}

impl<'a> Mapping<'a> {
    /// Parses one line, with or without its newline. A line that is cut off in its path cannot be told from
    /// a whole one: pass whole lines.
    pub fn parse(line: &'a [u8]) -> Option<Mapping<'a>> {
        let mut f = fields(line);
        let (start, end) = pair(f.next()?, b'-')?;
        let &[r, w, x, s] = f.next()? else { return None };
        let offset = hex(f.next()?)?;
        let (major, minor) = pair(f.next()?, b':')?;
        let ino_field = f.next()?;
        let ino = decimal(ino_field)?;
        // The path begins after the blanks behind the inode. It may hold blanks: it is the rest of the line.
        let path_at = (ino_field.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize) + ino_field.len();
        let path = line.get(path_at..)?;
        let path = path.strip_suffix(b"\n").unwrap_or(path);
        let blanks = path.iter().take_while(|b| **b == b' ').count();
        let path = path.get(blanks..)?;
        let kept = path.strip_suffix(b" (deleted)");
        (start < end).then_some(Mapping {
            start,
            end,
            read: r == b'r',
            write: w == b'w',
            execute: x == b'x',
            shared: s == b's',
            offset,
            dev: major << 32 | minor,
            ino,
            path: kept.unwrap_or(path),
            deleted: kept.is_some(),
        })
    }

    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether it maps a file with a path: not `[stack]`, not anonymous memory.
    pub fn is_file(&self) -> bool {
        self.path.first() == Some(&b'/') && self.ino != 0
    }

    /// Whether code may be loaded from the file. memfd, System V shared memory and `/dev/zero` have paths
    /// that always say `(deleted)`, and they are no DSOs.
    pub fn may_be_dso(&self) -> bool {
        self.path.first() == Some(&b'/')
            && ![&b"/memfd:"[..], b"/SYSV", b"/dev/zero", b"/dev/shm/", b"/anon_hugepage", b"/[aio]"]
                .iter()
                .any(|no| self.path.starts_with(no))
    }
}

fn pair(field: &[u8], between: u8) -> Option<(u64, u64)> {
    let at = field.iter().position(|b| *b == between)?;
    Some((hex(field.get(..at)?)?, hex(field.get(at + 1..)?)?))
}

/// Bytes of the whole lines at the start of `text`: what follows is a line that is cut off.
pub fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)
}

/// The mappings of a text, in its order. A last line without a newline, and what is no line of maps, is
/// left out.
pub fn mappings(text: &[u8]) -> impl Iterator<Item = Mapping<'_>> {
    let whole = text.get(..whole_lines(text)).unwrap_or(&[]);
    whole.split(|b| *b == b'\n').filter_map(Mapping::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_all_its_parts() {
        let line = b"7f10af000000-7f10af001000 r-xp 00002000 fd:01 1234                       /a b/lib x.so (deleted)";
        let m = Mapping::parse(line).unwrap();
        assert_eq!((m.start, m.end, m.offset), (0x7f10_af00_0000, 0x7f10_af00_1000, 0x2000));
        assert_eq!((m.read, m.write, m.execute), (true, false, true));
        assert_eq!((m.dev, m.ino), (0xfd << 32 | 1, 1234));
        assert_eq!((m.path, m.deleted), (&b"/a b/lib x.so"[..], true));
        assert!(m.is_file() && m.may_be_dso() && m.contains(m.start) && !m.contains(m.end));
    }

    #[test]
    fn paths_as_the_kernel_prints_them() {
        let path = |rest: &str| {
            let line = format!("1000-2000 rw-p 00000000 00:00 0 {rest}");
            let m = Mapping::parse(line.as_bytes()).unwrap();
            (String::from_utf8(m.path.to_vec()).unwrap(), m.deleted)
        };
        for (printed, is, deleted) in [
            ("/a (deleted) (deleted)", "/a (deleted)", true),
            ("/a(deleted)", "/a(deleted)", false),
            ("/a\\012b", "/a\\012b", false),
            ("/ends with a blank ", "/ends with a blank ", false),
            ("/ends with a blank  (deleted)\n", "/ends with a blank ", true),
            ("[stack]", "[stack]", false),
            ("", "", false),
            ("\n", "", false),
        ] {
            assert_eq!(path(printed), (is.to_owned(), deleted));
        }
    }

    #[test]
    fn what_cannot_be_a_dso() {
        for no in ["/memfd:x (deleted)", "/SYSV00000000 (deleted)", "/dev/zero (deleted)", "[stack]", ""] {
            let line = format!("1000-2000 rw-p 00000000 00:00 0 {no}");
            assert!(!Mapping::parse(line.as_bytes()).unwrap().may_be_dso(), "{no}");
        }
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        let line = "1000-2000 rw-p 0 00:00 7";
        assert!(Mapping::parse(line.as_bytes()).is_some());
        for end in 0..line.len() {
            assert_eq!(Mapping::parse(&line.as_bytes()[..end]), None, "{end}");
        }
        for bad in [
            "x",
            "1000 rw-p 0 00:00 0",
            "1000-2000 rw-p 0 0000 0",
            "1000-2000 rw-p 0 00:00 z",
            "2-1 rw-p 0 0:0 0",
            "1-2 rw 0 0:0 0",
        ] {
            assert_eq!(Mapping::parse(bad.as_bytes()), None, "{bad}");
        }
        let text = b"\n-\n1-2 r-xp 0 0:0 0\n2-3 r--p 0 0:0 0 /x\n3-4 r--p 0 0:0 0 /cut";
        assert_eq!(mappings(text).map(|m| m.start).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((whole_lines(b"a"), whole_lines(b"a\nb\nc"), whole_lines(b"")), (0, 4, 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "functions of an interpreted program are not in the mappings of its process")]
    fn this_very_process() {
        let text = std::fs::read("/proc/self/maps").unwrap();
        let here = mappings(&text).find(|m| m.contains(whole_lines as *const () as u64)).unwrap();
        assert!(here.execute && here.is_file() && here.may_be_dso());
        assert_eq!(mappings(&text).count(), text.iter().filter(|b| **b == b'\n').count());
    }
}
