//! Which thread is hot: the one that spent the most CPU between two looks, not since its start.

use std::time::{Duration, Instant};

use super::threads::{self, ThreadLook};
use crate::console::cancel::Cancel;
use crate::session::Dump;

/// Name of the shim's own thread.
pub(crate) const WATCHDOG_COMM: &str = "hangscope";

/// CPU time of a thread at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuLook {
    /// Thread.
    pub(crate) tid: u32,
    /// CPU time so far, ns.
    pub(crate) cpu_ns: u64,
    /// It is the shim's own thread.
    pub(crate) watchdog: bool,
}

impl CpuLook {
    /// Of a thread that was looked at from outside.
    pub(crate) fn of(thread: &ThreadLook) -> CpuLook {
        CpuLook { tid: thread.tid, cpu_ns: thread.cpu_ns, watchdog: thread.comm == WATCHDOG_COMM }
    }
}

/// The hottest thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hottest {
    /// Thread.
    pub(crate) tid: u32,
    /// Share of a core that it had between the looks, 0 to 1.
    pub(crate) cpu_share: f64,
}

/// The thread that spent the most CPU between two looks, `apart` from each other; none if none spent any. Of equal
/// ones the first by tid. A thread that only the second look has is left out: what it spent may be from long before.
pub(crate) fn hottest(first: &[CpuLook], second: &[CpuLook], apart: Duration) -> Option<Hottest> {
    let before = |tid| first.iter().find(|l| l.tid == tid).map(|l| l.cpu_ns);
    second
        .iter()
        .filter(|l| !l.watchdog)
        .filter_map(|l| Some((l.cpu_ns.saturating_sub(before(l.tid)?), l.tid)))
        .filter(|(spent, _)| *spent > 0)
        .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(spent, tid)| Hottest {
            tid,
            cpu_share: (spent as f64 / (apart.as_nanos() as f64).max(1.0)).min(1.0),
        })
}

/// The hottest thread between the two looks of a dump.
///
/// # Errors
/// Why there is none.
pub(crate) fn of_dump(dump: &Dump) -> Result<Hottest, String> {
    let Some(apart) = dump.between_ns().map(Duration::from_nanos) else {
        return Err("the dump has no second look".to_owned());
    };
    let watchdog = dump.identity.fixed.watchdog_tid;
    let look = |threads: &[hangscope_protocol::record::ThreadRecord]| -> Vec<CpuLook> {
        let cpu = |t: &hangscope_protocol::record::ThreadRecord| match t.err_schedstat {
            0 => t.cpu_ns,
            _ => t.tick_cpu_ns,
        };
        threads.iter().map(|t| CpuLook { tid: t.tid, cpu_ns: cpu(t), watchdog: t.tid == watchdog }).collect()
    };
    hottest(&look(&dump.threads), &look(&dump.second), apart).ok_or_else(nothing_ran)
}

/// The hottest thread between `first` and a look that is taken `pause` later, from outside.
///
/// # Errors
/// Why there is none: nothing ran, one of the looks could not be had, or it was cancelled.
pub(crate) fn look_twice(
    pid: u32,
    first: &[CpuLook],
    pause: Duration,
    cancel: &Cancel,
) -> Result<Hottest, String> {
    if first.is_empty() {
        return Err("no thread was seen at a first look: ps_L.txt says why".to_owned());
    }
    let start = Instant::now();
    if cancel.wait(pause) {
        return Err("interrupted before a second look".to_owned());
    }
    let second = threads::look(pid).map_err(|why| format!("no second look: {why}"))?;
    let second: Vec<CpuLook> = second.iter().map(CpuLook::of).collect();
    hottest(first, &second, start.elapsed()).ok_or_else(nothing_ran)
}

fn nothing_ran() -> String {
    "no thread used any CPU between two looks".to_owned()
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
        let equal = hottest(&[look(4, 0), look(5, 0)], &[look(5, 7), look(4, 7)], Duration::ZERO).unwrap();
        assert_eq!((equal.tid, equal.cpu_share), (4, 1.0));
        // How much of it was between the looks is not known.
        assert_eq!(hottest(&first[..2], &[look(1, 5_000_000_000), look(3, 1 << 40)], Duration::ZERO), None);
    }

    #[test]
    fn a_thread_that_spins_is_the_hottest() {
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let first: Vec<CpuLook> = threads::look(child.id()).unwrap().iter().map(CpuLook::of).collect();
        let hot = look_twice(child.id(), &first, Duration::from_millis(300), &Cancel::never());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(hot.map(|h| h.tid), Ok(child.id()));
    }

    #[test]
    fn without_two_looks_it_is_not_said_that_nothing_ran() {
        let me = std::process::id();
        let first: Vec<CpuLook> = threads::look(me).unwrap().iter().map(CpuLook::of).collect();
        let pause = Duration::from_millis(1);
        let why =
            |pid, first: &[CpuLook], cancel: &Cancel| look_twice(pid, first, pause, cancel).unwrap_err();
        let never = Cancel::never();
        assert_eq!(why(me, &[], &never), "no thread was seen at a first look: ps_L.txt says why");
        let (canceller, cancel) = crate::console::cancel::pair();
        drop(canceller);
        assert_eq!(why(me, &first, &cancel), "interrupted before a second look");
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let pid = gone.id();
        assert_eq!(why(pid, &first, &never), format!("no second look: process {pid} has ended"));
        let one_look = crate::testkit::dump::Make::new().one_look().finish();
        assert_eq!(of_dump(&one_look).unwrap_err(), "the dump has no second look");
    }
}
