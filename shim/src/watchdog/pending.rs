//! A dump that is not complete yet.

const SECOND: u64 = 1_000_000_000;
/// From the first look to the second, ns.
pub(super) const SECOND_LOOK: u64 = 2 * SECOND;
/// Running threads are sampled until so long after the first look, ns.
pub(super) const SAMPLED: u64 = 3 * SECOND;
pub(super) const MOST_HOT: usize = 16;

pub(super) struct Pending {
    pub(super) number: u32,
    pub(super) trigger_ns: u64,
    pub(super) first_look_ns: u64,
    pub(super) cpu_before: u64,
    /// Threads to be asked, the running ones first, and how many of them were.
    pub(super) running: usize,
    pub(super) asked: usize,
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
        let fixed = if self.second_done { self.trigger_ns + SAMPLED } else { self.trigger_ns + SECOND_LOOK };
        if self.hot_len > 0 || !self.probes_done { fixed.min(self.next_sample) } else { fixed }
    }
}
