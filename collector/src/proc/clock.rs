//! When a program began.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// A program that says it is older is one of another time namespace.
const LONGEST_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// When a program began, by CLOCK_MONOTONIC at its constructor (`init_ns`); `received`, when its hello came,
/// if that is no time of this machine.
pub(crate) fn began(init_ns: u64, received: Instant) -> Instant {
    let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    let age = monotonic.checked_sub(Duration::from_nanos(init_ns));
    let at = age.filter(|age| *age < LONGEST_AGE).and_then(|age| Instant::now().checked_sub(age));
    at.map_or(received, |at| at.min(received))
}
