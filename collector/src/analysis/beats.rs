//! The heartbeats of a process over time, for people to look at: what each thread did in each look, and the
//! memory of the process. Their number is bounded: when there are too many looks, every second one goes.

use std::collections::BTreeMap;

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING, SYSCALL_UNREADABLE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::session::{Heartbeat, record_text};

/// Most looks that are kept.
const MOST_LOOKS: usize = 128;
/// Most threads with a row of their own: those that were seen first. All threads are in the counts.
const MOST_THREADS: usize = 48;
/// futex(2) on x86-64 and on aarch64.
const FUTEX: [i32; 2] = [202, 98];

/// What a thread did in a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    /// It was not there.
    Absent,
    Running,
    /// In a futex wait.
    Futex,
    /// In another system call.
    Call,
    /// In an uninterruptible wait (D).
    Disk,
    /// Stopped by a signal or a tracer.
    Stopped,
    Unknown,
}

impl Doing {
    const LETTERS: [(Doing, char); 7] = [
        (Doing::Absent, '.'),
        (Doing::Running, 'r'),
        (Doing::Futex, 'f'),
        (Doing::Call, 'c'),
        (Doing::Disk, 'd'),
        (Doing::Stopped, 't'),
        (Doing::Unknown, '?'),
    ];

    pub(crate) fn of(thread: &HeartbeatThread) -> Doing {
        match (thread.state, thread.syscall) {
            (b'D', _) => Doing::Disk,
            (b'T' | b't', _) => Doing::Stopped,
            (_, SYSCALL_RUNNING) | (b'R', _) => Doing::Running,
            (_, SYSCALL_UNREADABLE) => Doing::Unknown,
            (_, call) if FUTEX.contains(&call) => Doing::Futex,
            _ => Doing::Call,
        }
    }

    fn letter(self) -> char {
        Doing::LETTERS.iter().find(|(doing, _)| *doing == self).map_or('?', |(_, letter)| *letter)
    }

    fn of_letter(letter: char) -> Option<Doing> {
        Doing::LETTERS.iter().find(|(_, of)| *of == letter).map(|(doing, _)| *doing)
    }
}

/// One look at the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    /// Since the shim's start in the process, ms.
    pub(crate) ms: u64,
    /// Resident set, KiB.
    pub(crate) rss_kib: u64,
    /// CPU time of the process, ms.
    pub(crate) cpu_ms: u64,
    pub(crate) running: u32,
    pub(crate) futex: u32,
    /// All threads.
    pub(crate) threads: u32,
}

/// A thread over the looks that are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(crate) comm: String,
    /// One for each look.
    #[serde(serialize_with = "write_runs", deserialize_with = "read_runs")]
    pub(crate) doing: Vec<Doing>,
}

/// The looks that are kept, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beats {
    /// Looks so far.
    pub(crate) seen: u64,
    /// One look of so many is kept: 2 to this power.
    thinned: u32,
    pub(crate) looks: Vec<Look>,
    /// By tid.
    pub(crate) threads: BTreeMap<u32, Track>,
}

impl Beats {
    pub(super) fn push(&mut self, beat: &Heartbeat) {
        let number = self.seen;
        self.seen += 1;
        if !number.is_multiple_of(1 << self.thinned) {
            return;
        }
        if self.looks.len() == MOST_LOOKS {
            self.thin();
            if !number.is_multiple_of(1 << self.thinned) {
                return;
            }
        }
        self.keep(beat);
    }

    fn keep(&mut self, beat: &Heartbeat) {
        let at = self.looks.len();
        let mut look = Look {
            ms: beat.record.since_init_ns / 1_000_000,
            rss_kib: beat.record.rss_kib,
            cpu_ms: beat.record.process_cpu_ns / 1_000_000,
            threads: beat.threads.len() as u32,
            ..Look::default()
        };
        for thread in &beat.threads {
            let doing = Doing::of(thread);
            look.running += u32::from(doing == Doing::Running);
            look.futex += u32::from(doing == Doing::Futex);
            let room = self.threads.len() < MOST_THREADS;
            let new = || Track { comm: record_text::padded(&thread.comm), doing: vec![Doing::Absent; at] };
            let track = match room {
                true => Some(self.threads.entry(thread.tid).or_insert_with(new)),
                false => self.threads.get_mut(&thread.tid),
            };
            if let Some(track) = track.filter(|track| track.doing.len() == at) {
                track.doing.push(doing);
            }
        }
        self.threads.values_mut().for_each(|track| track.doing.resize(at + 1, Doing::Absent));
        self.looks.push(look);
    }

    /// Every second look goes.
    fn thin(&mut self) {
        self.thinned += 1;
        let mut at = 0..;
        self.looks.retain(|_| at.next().is_some_and(|n: usize| n.is_multiple_of(2)));
        for track in self.threads.values_mut() {
            let mut at = 0..;
            track.doing.retain(|_| at.next().is_some_and(|n: usize| n.is_multiple_of(2)));
        }
    }
}

/// As `f12r1`: letters, each with how many looks in a row.
fn write_runs<S: Serializer>(doing: &[Doing], serializer: S) -> Result<S::Ok, S::Error> {
    let runs = doing.chunk_by(|a, b| a == b).map(|run| format!("{}{}", run[0].letter(), run.len()));
    serializer.serialize_str(&runs.collect::<String>())
}

fn read_runs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Doing>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bad = || serde::de::Error::custom("no runs of states");
    let mut doing = vec![];
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        let mut count = 0_usize;
        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
            count = count * 10 + digit as usize;
            rest.next();
            // A file may say anything.
            if count > MOST_LOOKS {
                return Err(bad());
            }
        }
        let of = Doing::of_letter(letter).filter(|_| count > 0).ok_or_else(bad)?;
        doing.resize(doing.len() + count, of);
        if doing.len() > MOST_LOOKS {
            return Err(bad());
        }
    }
    Ok(doing)
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::HeartbeatRecord;

    use super::*;
    use crate::testkit::fake_shim::zero;

    fn beat(second: u64, threads: &[(u32, u8, i32)]) -> Heartbeat {
        let record = HeartbeatRecord { since_init_ns: second * 1_000_000_000, rss_kib: 5, ..zero() };
        let thread = |(tid, state, syscall): &(u32, u8, i32)| HeartbeatThread {
            tid: *tid,
            state: *state,
            syscall: *syscall,
            ..zero()
        };
        Heartbeat { t_ns: 0, record, threads: threads.iter().map(thread).collect() }
    }

    #[test]
    fn a_day_of_looks_is_kept_in_a_few() {
        let mut beats = Beats::default();
        for second in 0..86_400 {
            let mut threads = vec![(1, b'S', 202), (2, b'R', SYSCALL_RUNNING)];
            if second >= 40_000 {
                threads.push((3, b'D', 0));
            }
            beats.push(&beat(second, &threads));
        }
        assert!(beats.looks.len() > MOST_LOOKS / 2 && beats.looks.len() <= MOST_LOOKS);
        assert!(beats.looks.windows(2).all(|w| w[0].ms < w[1].ms));
        assert_eq!(
            beats.looks[0],
            Look { ms: 0, rss_kib: 5, running: 1, futex: 1, threads: 2, ..Look::default() }
        );
        let json = serde_json::to_string(&beats).unwrap();
        assert!(json.len() < 16_000, "{json}");
        assert_eq!(serde_json::from_str::<Beats>(&json).unwrap(), beats);
        let third = &beats.threads[&3].doing;
        assert_eq!((third[0], third.last()), (Doing::Absent, Some(&Doing::Disk)));
        assert!(beats.threads.values().all(|track| track.doing.len() == beats.looks.len()));
    }

    #[test]
    fn threads_beyond_the_most_are_only_counted() {
        let mut beats = Beats::default();
        let all: Vec<(u32, u8, i32)> = (0..1000).map(|tid| (tid, b'S', 202)).collect();
        beats.push(&beat(1, &all));
        assert_eq!((beats.threads.len(), beats.looks[0].futex), (MOST_THREADS, 1000));
    }

    #[test]
    fn states_that_no_version_wrote_are_refused() {
        for text in ["f", "x3", "f999999999999999999999", "3f", "f100r100"] {
            let json = format!(r#"{{"comm":"","doing":"{text}"}}"#);
            assert!(serde_json::from_str::<Track>(&json).is_err(), "{text}");
        }
    }
}
