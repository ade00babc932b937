//! `sessions.jsonl`. A line that cannot be written waits in memory, until the disk has room again.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::record::SessionRecord;
use crate::files::atomic::{Lines, WriteError};

/// Name of the file in OUT.
pub(super) const SESSIONS: &str = "sessions.jsonl";
/// Most bytes of lines that wait: those of some ten thousand sessions.
const MOST_WAITING: usize = 16 << 20;

pub(super) struct SessionLines {
    file: Lines,
    /// Without their line ends, in order.
    waiting: VecDeque<String>,
    bytes: usize,
    /// Lines that found no place in memory either.
    lost: u64,
}

impl SessionLines {
    /// # Errors
    /// [`WriteError`].
    pub(super) fn open(path: &Path) -> Result<SessionLines, WriteError> {
        Ok(SessionLines { file: Lines::open(path)?, waiting: VecDeque::new(), bytes: 0, lost: 0 })
    }

    /// Goes on with a new file at this path. Lines that wait still do.
    ///
    /// # Errors
    /// [`WriteError`]; then the file is still the old one.
    pub(super) fn reopen(&mut self, path: &Path) -> Result<(), WriteError> {
        self.file = Lines::open(path)?;
        Ok(())
    }

    pub(super) fn is_gone(&self) -> bool {
        self.file.is_gone()
    }

    /// Writes a line after those that wait.
    ///
    /// # Errors
    /// [`WriteError`]; then it waits.
    pub(super) fn push(&mut self, record: &SessionRecord) -> Result<(), WriteError> {
        let line = self.file.line(record)?;
        if self.bytes + line.len() > MOST_WAITING {
            self.lost += 1;
        } else {
            self.bytes += line.len();
            self.waiting.push_back(line);
        }
        self.retry()
    }

    /// Number of lines that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of lines that are lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes the lines that wait.
    ///
    /// # Errors
    /// [`WriteError`] of the first that still waits.
    pub(super) fn retry(&mut self) -> Result<(), WriteError> {
        while let Some(line) = self.waiting.front() {
            self.file.push(line)?;
            self.bytes -= line.len();
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Writes the lines that wait to a new file in the system's folder for temporary ones, which stays.
    ///
    /// # Errors
    /// There is no room there either.
    pub(super) fn elsewhere(&mut self) -> std::io::Result<PathBuf> {
        let mut file = tempfile::Builder::new().prefix("hangscope-sessions-").suffix(".jsonl").tempfile()?;
        for line in &self.waiting {
            writeln!(file, "{line}")?;
        }
        let (_, path) = file.keep().map_err(|error| error.error)?;
        self.waiting.clear();
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::Make;

    fn record(pid: u32) -> SessionRecord {
        SessionRecord::new(&Make::new().finish().identity, pid, format!("sessions/{pid}"))
    }

    fn pids(path: &Path) -> Vec<u32> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str::<SessionRecord>(line).unwrap().pid).collect()
    }

    #[test]
    fn lines_wait_until_they_can_be_written_and_keep_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.jsonl");
        // /dev/full has no room for a byte.
        let mut lines = SessionLines { file: Lines::full(), ..SessionLines::open(&path).unwrap() };
        for pid in 1..=3 {
            assert!(lines.push(&record(pid)).unwrap_err().is_full());
        }
        assert_eq!((lines.waiting(), lines.lost()), (3, 0));
        lines.reopen(&path).unwrap();
        lines.push(&record(4)).unwrap();
        assert_eq!((pids(&path), lines.waiting(), lines.bytes), (vec![1, 2, 3, 4], 0, 0));
    }

    #[test]
    fn what_waits_has_a_limit_and_in_the_end_another_place() {
        let mut lines = SessionLines { file: Lines::full(), waiting: VecDeque::new(), bytes: 0, lost: 0 };
        lines.push(&record(1)).unwrap_err();
        lines.bytes = MOST_WAITING;
        lines.push(&record(2)).unwrap_err();
        assert_eq!((lines.waiting(), lines.lost()), (1, 1));
        let path = lines.elsewhere().unwrap();
        assert_eq!((pids(&path), lines.waiting()), (vec![1], 0));
        std::fs::remove_file(path).unwrap();
    }
}
