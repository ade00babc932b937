//! The truth about a fault. With `FAULT_TRUTH=PATH`, an allocator appends a line to that file just before it
//! does the wrong thing. Tests compare findings with these lines. No analysis takes part in writing them.
//!
//! ```text
//! owner pid=8169 tid=8181 lock=0x7f773d5a3ea0
//! ```

use std::io;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The role of the thread in the fault: `owner` or `culprit`. The allocator's source says which.
    pub role: String,
    pub pid: u32,
    pub tid: u32,
    /// Address of the lock, if the fault is about a lock.
    pub lock: Option<u64>,
}

/// Reads the lines that were written so far. Returns none if the file does not exist (yet).
/// Fails if the file cannot be read, or if a line is not in the format above.
pub fn read(path: &Path) -> io::Result<Vec<Line>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    text.lines()
        .map(|line| {
            parse(line).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {line:?}", path.display()))
            })
        })
        .collect()
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let role = words.next()?.to_owned();
    let pid = words.next()?.strip_prefix("pid=")?.parse().ok()?;
    let tid = words.next()?.strip_prefix("tid=")?.parse().ok()?;
    let lock = u64::from_str_radix(words.next()?.strip_prefix("lock=0x")?, 16).ok()?;
    Some(Line { role, pid, tid, lock: (lock != 0).then_some(lock) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let line = parse("owner pid=8169 tid=8181 lock=0x7f773d5a3ea0");
        let expected = Line { role: "owner".into(), pid: 8169, tid: 8181, lock: Some(0x7f77_3d5a_3ea0) };
        assert_eq!(line, Some(expected));
        assert_eq!(parse("owner pid=1 tid=2 lock=0x0").and_then(|line| line.lock), None);
        assert_eq!(parse("owner pid=1"), None);
    }
}
