//! The heartbeats of a session: the last ones in memory, and on disk where somebody will want them.

use std::collections::VecDeque;
use std::path::Path;

use super::record::HeartbeatLine;
use crate::analysis::Integrity;
use crate::files::atomic::{Lines, WriteError};
use crate::files::free;
use crate::session::Heartbeat;

/// Name of their file in a session's folder.
pub(super) const FILE: &str = "heartbeats.jsonl";

/// Memory of all sessions' heartbeats together, bytes.
const ALL_BYTES: usize = 24 << 20;
/// The least and the most of one session, bytes.
const BYTES: (usize, usize) = (8 << 10, 4 << 20);

/// Memory that a session's heartbeats may take among so many sessions, bytes.
pub(super) fn share(sessions: usize) -> usize {
    (ALL_BYTES / sessions.max(1)).clamp(BYTES.0, BYTES.1)
}

#[derive(Debug, Default)]
pub(super) struct Beats {
    /// Not written yet, with the integrity at each.
    waiting: VecDeque<(Heartbeat, Integrity)>,
    bytes: usize,
    /// Heartbeats that were dropped before any was written.
    pub(super) dropped: u64,
}

impl Beats {
    /// Adds a heartbeat, and drops the oldest beyond `most` bytes.
    pub(super) fn push(&mut self, beat: Heartbeat, integrity: Integrity, most: usize) {
        self.bytes += bytes(&beat);
        self.waiting.push_back((beat, integrity));
        while self.bytes > most && self.waiting.len() > 1 {
            if let Some((beat, _)) = self.waiting.pop_front() {
                self.bytes -= bytes(&beat);
                self.dropped += 1;
            }
        }
    }

    /// Heartbeats that are not written.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether their file would leave room for the small files of a hang. Their lines are some three times as
    /// long as they are in memory.
    ///
    /// # Errors
    /// It would not.
    pub(super) fn check_room(&self, dir: &Path) -> Result<(), WriteError> {
        free::check(&dir.join(FILE), self.bytes as u64 * 3)
    }

    /// Appends all that wait to the file in this folder, in one write. After an error they are dropped: they
    /// would be written in vain each time.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(super) fn write(&mut self, dir: &Path, machine: u16) -> Result<(), WriteError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let lines: Vec<HeartbeatLine> =
            waiting.iter().map(|(beat, integrity)| HeartbeatLine::new(beat, machine, *integrity)).collect();
        Lines::open(&dir.join(FILE))?.push_all(&lines)
    }
}

fn bytes(beat: &Heartbeat) -> usize {
    size_of_val(beat) + size_of_val(beat.threads.as_slice())
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::HeartbeatRecord;

    use super::*;
    use crate::testkit::fake_shim::zero;

    fn beat(tick: u32) -> Heartbeat {
        Heartbeat { t_ns: 0, record: HeartbeatRecord { tick, ..zero() }, threads: vec![zero(); 10] }
    }

    #[test]
    fn the_last_ones_stay_and_go_to_the_file_in_one_piece() {
        let dir = tempfile::tempdir().unwrap();
        let mut beats = Beats::default();
        let most = bytes(&beat(0)) * 3;
        (1..=10).for_each(|tick| beats.push(beat(tick), Integrity::Intact, most));
        assert_eq!((beats.len(), beats.dropped), (3, 7));
        beats.write(dir.path(), 62).unwrap();
        beats.push(beat(11), Integrity::Intact, most);
        beats.write(dir.path(), 62).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        let ticks: Vec<u32> =
            text.lines().map(|line| serde_json::from_str::<HeartbeatLine>(line).unwrap().tick).collect();
        assert_eq!(ticks, [8, 9, 10, 11]);
    }

    #[test]
    fn a_session_among_many_keeps_less() {
        assert_eq!(share(1), 4 << 20);
        assert_eq!(share(1000), (24 << 20) / 1000);
        assert_eq!(share(1_000_000), 8 << 10);
    }
}
