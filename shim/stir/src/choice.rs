//! Where the next threads are held: chosen by the watchdog, each [`plan::every_ns`].

use core::sync::atomic::{AtomicU64, Ordering};

use hangscope_protocol::random::{Random, STEP};

use crate::plan::{self, SETTINGS};
use crate::{calls, hold, sites};

/// Choices so far.
static MADE: AtomicU64 = AtomicU64::new(0);

pub(crate) fn choose() {
    hold::calibrate();
    // Another sequence than those of the threads: their seeds are below this bit.
    let seed = u64::from(plan::seed()) << 32 | 1 << 31;
    let mut random = Random::from(seed.wrapping_add(MADE.fetch_add(1, Ordering::Relaxed).wrapping_mul(STEP)));
    for _ in 0..SETTINGS.armed.load(Ordering::Relaxed) {
        sites::choose(&mut random);
    }
    for _ in 0..SETTINGS.call_sites.load(Ordering::Relaxed) {
        calls::choose(&mut random);
    }
}
