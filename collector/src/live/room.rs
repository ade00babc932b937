//! What the board holds. It is copied for a reader by pointers, and a process that changes meanwhile gets a
//! new copy.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::model::{Dump, Kind, Mark, Process};
use super::tally::Tally;

/// Processes that have ended and are still shown.
const MOST_ENDED: usize = 64;
/// Processes whose last dump keeps its threads.
const MOST_DUMPS: usize = 64;
/// Marks that are shown beside a process. The file has all.
const MOST_MARKS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) out: PathBuf,
    pub(super) planned: Option<u32>,
    pub(super) made: u32,
    pub(super) hung: u32,
    /// Runs under way: name, start, whether it is captured.
    pub(super) running: Vec<(String, Instant, bool)>,
    pub(super) tally: Tally,
    pub(super) places: BTreeMap<u64, Arc<Place>>,
    /// Keys of processes that have ended, the oldest first.
    pub(super) ended: VecDeque<u64>,
    /// Keys of processes with the threads of a dump, the oldest first.
    pub(super) dumped: VecDeque<u64>,
    /// The last key.
    pub(super) last: u64,
}

/// A process on the board.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its age is filled in for a reader.
    pub(super) view: Process,
    /// Where its shim talks to.
    pub(super) socket: PathBuf,
    pub(super) began: Instant,
    pub(super) ended: Option<Instant>,
    /// Of the last look: time since the start, and CPU time, ns.
    pub(super) look: Option<(u64, u64)>,
    pub(super) dump: Option<Arc<Dump>>,
    /// It counts among the sessions of a collector that are done.
    pub(super) counted: bool,
}

impl Place {
    /// The process now.
    pub(super) fn process(&self) -> Process {
        let until = self.ended.unwrap_or_else(Instant::now);
        let age_s = until.saturating_duration_since(self.began).as_secs_f64();
        Process { age_s, ..self.view.clone() }
    }

    pub(super) fn marked(&mut self, mark: Mark) {
        self.view.marks.push(mark);
        if self.view.marks.len() > MOST_MARKS {
            self.view.marks.remove(0);
        }
    }
}

impl State {
    /// Adds a process. Its key is returned.
    pub(super) fn add(&mut self, place: Place) -> u64 {
        self.last += 1;
        let view = Process { key: self.last, ..place.view };
        self.places.insert(self.last, Arc::new(Place { view, ..place }));
        self.tally.sessions += 1;
        self.tally.open += 1;
        self.last
    }

    /// Changes a process, if it is still known.
    pub(super) fn change<R>(&mut self, key: u64, change: impl FnOnce(&mut Place) -> R) -> Option<R> {
        // A reader that has a copy keeps what it has.
        self.places.get_mut(&key).map(|place| change(Arc::make_mut(place)))
    }

    /// Counts a session of a collector that has ended, or that has hung, once; and whether it hung.
    pub(super) fn count(&mut self, key: u64, hung: bool) {
        let Some((counted, before)) = self.change(key, |place| {
            (std::mem::replace(&mut place.counted, true), std::mem::replace(&mut place.view.hung, hung))
        }) else {
            return;
        };
        if self.kind != Kind::Collect {
            return;
        }
        self.made += u32::from(!counted);
        self.hung = (self.hung + u32::from(hung)).saturating_sub(u32::from(before));
    }

    /// Notes that a process has ended. Those that ended long ago are forgotten.
    pub(super) fn end(&mut self, key: u64) {
        self.tally.open = self.tally.open.saturating_sub(1);
        self.ended.push_back(key);
        while self.ended.len() > MOST_ENDED {
            if let Some(key) = self.ended.pop_front() {
                self.places.remove(&key);
            }
        }
    }

    /// Keeps the threads of a dump. Those of old dumps are forgotten.
    pub(super) fn keep_dump(&mut self, key: u64, dump: Arc<Dump>) {
        self.change(key, |place| place.dump = Some(dump));
        self.dumped.retain(|other| *other != key);
        self.dumped.push_back(key);
        while self.dumped.len() > MOST_DUMPS {
            if let Some(key) = self.dumped.pop_front() {
                self.change(key, |place| place.dump = None);
            }
        }
    }
}
