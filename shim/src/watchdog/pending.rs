//! A dump that is not complete yet.

const SECOND: u64 = 1_000_000_000;
/// From the first look to the second, ns.
const SECOND_LOOK: u64 = 2 * SECOND;
/// Running threads are sampled until so long after the first look, ns.
const SAMPLED: u64 = 3 * SECOND;
pub(super) const MOST_HOT: usize = crate::sys::MOST_EVENTS;

/// When the parts of a dump are due, ns after its trigger.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) second_look: u64,
    /// The end of the samples.
    pub(super) sampled: u64,
}

impl Times {
    /// `second_look` as the collector asks for it; 0, or more than usual: as usual. Then the samples end with
    /// the second look.
    pub(super) fn of(second_look: u64) -> Times {
        match second_look {
            1..SECOND_LOOK => Times { second_look, sampled: second_look },
            _ => Times { second_look: SECOND_LOOK, sampled: SAMPLED },
        }
    }
}

pub(super) struct Pending {
    pub(super) number: u32,
    pub(super) trigger_ns: u64,
    pub(super) times: Times,
    pub(super) first_look_ns: u64,
    pub(super) cpu_before: u64,
    /// Running threads, and how many of them have had a turn to be seen.
    pub(super) running: usize,
    pub(super) asked: usize,
    /// Threads that the collector named, behind the running ones, and how many of them were asked.
    pub(super) named: usize,
    pub(super) signalled: usize,
    pub(super) probes_done: bool,
    pub(super) answered: u32,
    pub(super) hot: [u32; MOST_HOT],
    pub(super) hot_len: usize,
    pub(super) samples: [u32; MOST_HOT],
    pub(super) next_sample: u64,
    pub(super) second_done: bool,
    pub(super) threads_left_out: bool,
    pub(super) second_threads: u32,
}

impl Pending {
    /// When there is something to do for it.
    pub(super) fn next(&self) -> u64 {
        let part = if self.second_done { self.times.sampled } else { self.times.second_look };
        let fixed = self.trigger_ns + part;
        if self.hot_len > 0 || !self.probes_done { fixed.min(self.next_sample) } else { fixed }
    }

    /// Brings the second look and the end of the samples forward.
    pub(super) fn hurry(&mut self, second_look: u64) {
        let times = Times::of(second_look);
        self.times.second_look = self.times.second_look.min(times.second_look);
        self.times.sampled = self.times.sampled.min(times.sampled);
    }
}
