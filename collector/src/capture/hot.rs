//! Which thread is hot: the one that spent the most CPU between two looks, not since its start.

use std::time::{Duration, Instant};

use super::threads::{self, ThreadLook};
use crate::cancel::Cancel;
use crate::session::Dump;

/// Name of the shim's own thread.
pub const WATCHDOG_COMM: &str = "hangscope";

/// CPU time of a thread at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuLook {
    /// Thread.
    pub tid: u32,
    /// CPU time so far, ns.
    pub cpu_ns: u64,
    /// It is the shim's own thread.
    pub watchdog: bool,
}

impl CpuLook {
    /// Of a thread that was looked at from outside.
    pub fn of(thread: &ThreadLook) -> CpuLook {
        CpuLook { tid: thread.tid, cpu_ns: thread.cpu_ns, watchdog: thread.comm == WATCHDOG_COMM }
    }
}

/// The hottest thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hottest {
    /// Thread.
    pub tid: u32,
    /// Share of a core that it had between the looks, 0 to 1.
    pub cpu_share: f64,
}

/// The thread that spent the most CPU between two looks, `apart` from each other; none if none spent any. Of equal
/// ones the first by tid. A thread that came between the looks counts with all it spent.
pub fn hottest(first: &[CpuLook], second: &[CpuLook], apart: Duration) -> Option<Hottest> {
    let before = |tid| first.iter().find(|l| l.tid == tid).map_or(0, |l| l.cpu_ns);
    second
        .iter()
        .filter(|l| !l.watchdog)
        .map(|l| (l.cpu_ns.saturating_sub(before(l.tid)), l.tid))
        .filter(|(spent, _)| *spent > 0)
        .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(spent, tid)| Hottest {
            tid,
            cpu_share: (spent as f64 / (apart.as_nanos() as f64).max(1.0)).min(1.0),
        })
}

/// The hottest thread between the two looks of a dump; none if it has no second look or nothing ran.
pub fn of_dump(dump: &Dump) -> Option<Hottest> {
    let watchdog = dump.identity.fixed.watchdog_tid;
    let look = |threads: &[hangscope_protocol::record::ThreadRecord]| -> Vec<CpuLook> {
        let cpu = |t: &hangscope_protocol::record::ThreadRecord| match t.err_schedstat {
            0 => t.cpu_ns,
            _ => t.tick_cpu_ns,
        };
        threads.iter().map(|t| CpuLook { tid: t.tid, cpu_ns: cpu(t), watchdog: t.tid == watchdog }).collect()
    };
    let apart = Duration::from_nanos(dump.begin.second_look_after_ns);
    hottest(&look(&dump.threads), &look(&dump.second), apart)
}

/// The hottest thread between `first` and a look that is taken `pause` later, from outside. None if nothing ran, the
/// process has ended, or it was cancelled.
pub fn look_twice(pid: u32, first: &[CpuLook], pause: Duration, cancel: &Cancel) -> Option<Hottest> {
    let start = Instant::now();
    if cancel.wait(pause) {
        return None;
    }
    let second: Vec<CpuLook> = threads::look(pid).ok()?.iter().map(CpuLook::of).collect();
    hottest(first, &second, start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_between_the_looks_counts_and_the_watchdog_does_not() {
        let look = |tid, cpu_ns| CpuLook { tid, cpu_ns, watchdog: tid == 9 };
        let first = [look(1, 5_000_000_000), look(2, 10), look(9, 0)];
        let second = [look(1, 5_000_000_100), look(2, 950_000_010), look(3, 200), look(9, 1 << 40)];
        let hot = hottest(&first, &second, Duration::from_secs(1));
        assert_eq!(hot, Some(Hottest { tid: 2, cpu_share: 0.95 }));
        assert_eq!(hottest(&first, &first, Duration::from_secs(1)), None);
        let equal = hottest(&[], &[look(5, 7), look(4, 7)], Duration::ZERO).unwrap();
        assert_eq!((equal.tid, equal.cpu_share), (4, 1.0));
    }

    #[test]
    fn a_thread_that_spins_is_the_hottest() {
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let first: Vec<CpuLook> = threads::look(child.id()).unwrap().iter().map(CpuLook::of).collect();
        let hot = look_twice(child.id(), &first, Duration::from_millis(300), &Cancel::never());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(hot.map(|h| h.tid), Some(child.id()));
    }
}
