//! The hottest thread: the one that used the most CPU between two looks, not since its start.

use std::cmp::Reverse;
use std::time::Duration;

use hangscope_protocol::record::ThreadRecord;

use super::threads::{self, ThreadLook};
use crate::console::cancel::Cancel;
use crate::session::Dump;

/// Name of the shim's own thread.
pub(crate) const WATCHDOG_COMM: &str = "hangscope";

/// CPU time of a thread at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuLook {
    pub(crate) tid: u32,
    /// CPU time since the start of the thread, ns.
    pub(crate) cpu_ns: u64,
    /// Whether it is the shim's own thread.
    pub(crate) watchdog: bool,
}

impl CpuLook {
    pub(crate) fn of(thread: &ThreadLook) -> CpuLook {
        CpuLook { tid: thread.tid, cpu_ns: thread.cpu_ns, watchdog: thread.comm == WATCHDOG_COMM }
    }
}

/// The thread that used the most CPU between two looks; none if none used any. Of equal threads the one with
/// the lowest tid. A thread that only the second look has is left out: it may have used its CPU long before.
fn hottest(first: &[CpuLook], second: &[CpuLook]) -> Option<u32> {
    let before = |tid| first.iter().find(|l| l.tid == tid).map(|l| l.cpu_ns);
    let others = second.iter().filter(|l| !l.watchdog);
    let used = others.filter_map(|l| Some((l.cpu_ns.saturating_sub(before(l.tid)?), l.tid)));
    let most = used.filter(|(ns, _)| *ns > 0).max_by_key(|(ns, tid)| (*ns, Reverse(*tid)));
    most.map(|(_, tid)| tid)
}

/// The hottest thread between the two looks of a dump.
///
/// # Errors
/// Why there is none.
pub(crate) fn of_dump(dump: &Dump) -> Result<u32, String> {
    if dump.between_ns().is_none() {
        return Err("the dump has no second look".to_owned());
    }
    let watchdog = dump.identity.fixed.watchdog_tid;
    let cpu = |t: &ThreadRecord| if t.err_schedstat == 0 { t.cpu_ns } else { t.tick_cpu_ns };
    let one = |t: &ThreadRecord| CpuLook { tid: t.tid, cpu_ns: cpu(t), watchdog: t.tid == watchdog };
    let look = |threads: &[ThreadRecord]| threads.iter().map(one).collect::<Vec<_>>();
    hottest(&look(&dump.threads), &look(&dump.second)).ok_or_else(nothing_ran)
}

/// The hottest thread between `first` and a look from outside, `pause` from now.
///
/// # Errors
/// Why there is none: nothing ran, there is only one look, or Ctrl-C.
pub(crate) fn look_twice(
    pid: u32,
    first: &[CpuLook],
    pause: Duration,
    cancel: &Cancel,
) -> Result<u32, String> {
    if first.is_empty() {
        return Err("no thread was seen at a first look: ps_L.txt says why".to_owned());
    }
    if cancel.wait(pause) {
        return Err("interrupted before a second look".to_owned());
    }
    let second = threads::look(pid, None).map_err(|why| format!("no second look: {why}"))?;
    let second: Vec<CpuLook> = second.iter().map(CpuLook::of).collect();
    hottest(first, &second).ok_or_else(nothing_ran)
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
        assert_eq!(hottest(&first, &second), Some(2));
        assert_eq!(hottest(&first, &first), None);
        assert_eq!(hottest(&[look(4, 0), look(5, 0)], &[look(5, 7), look(4, 7)]), Some(4));
        // How much of it was between the looks is not known.
        assert_eq!(hottest(&first[..2], &[look(1, 5_000_000_000), look(3, 1 << 40)]), None);
    }

    #[test]
    fn a_thread_that_spins_is_the_hottest() {
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let first: Vec<CpuLook> = threads::look(child.id(), None).unwrap().iter().map(CpuLook::of).collect();
        let hot = look_twice(child.id(), &first, Duration::from_millis(300), &Cancel::never());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(hot, Ok(child.id()));
    }

    #[test]
    fn without_two_looks_it_is_not_said_that_nothing_ran() {
        let me = std::process::id();
        let first: Vec<CpuLook> = threads::look(me, None).unwrap().iter().map(CpuLook::of).collect();
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
