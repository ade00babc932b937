//! Whether anything moves in a process, from one heartbeat to the next.

use std::time::Duration;

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING, SYSCALL_UNREADABLE};

use crate::session::Heartbeat;

/// Where a thread waits: call, first argument, stack pointer, program counter; and its CPU time.
type Place = (u32, i32, u64, u64, u64, u64);

/// Looks in a row at which all threads waited where they had waited before. A timed wait that is begun again
/// between two looks may count as one that goes on: what it means, a dump tells.
#[derive(Debug, Default)]
pub(super) struct Still {
    before: Vec<Place>,
    looks: u32,
    /// CLOCK_MONOTONIC of the first and the last of these looks, ns.
    span_ns: (u64, u64),
}

/// In a shorter time a program may have paused.
const STUCK_AFTER: Duration = Duration::from_secs(5);

impl Still {
    pub(super) fn push(&mut self, beat: &Heartbeat) {
        let places: Option<Vec<Place>> = beat.threads.iter().map(place).collect();
        let places = places.unwrap_or_default();
        let same = !places.is_empty() && places == self.before;
        self.looks = if same { self.looks + 1 } else { 0 };
        self.span_ns = (if same { self.span_ns.0 } else { beat.t_ns }, beat.t_ns);
        self.before = places;
    }

    pub(super) fn looks(&self) -> u32 {
        self.looks
    }

    /// For how long every thread has waited for another one, in a futex call of this machine (`futex`), if
    /// that is long enough to say so. A thread in any other call (poll, read, sleep, sigwait) may be a
    /// daemon's that waits for work: then nothing is said. A heartbeat has no timeouts of waits, so this is
    /// only likely.
    pub(super) fn stuck_for(&self, futex: i32) -> Option<Duration> {
        let (from, to) = self.span_ns;
        let time = Duration::from_nanos(to.saturating_sub(from));
        let waits = |place: &Place| place.1 == futex;
        let all = self.before.len() > 1 && self.before.iter().all(waits);
        (self.looks >= 2 && time >= STUCK_AFTER && all).then_some(time)
    }
}

/// None for a thread that runs, and for one that could not be read.
fn place(thread: &HeartbeatThread) -> Option<Place> {
    let waits = !matches!(thread.syscall, SYSCALL_RUNNING | SYSCALL_UNREADABLE) && thread.state != b'R';
    waits.then_some((thread.tid, thread.syscall, thread.arg0, thread.sp, thread.pc, thread.cpu_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::zero;

    #[test]
    fn only_threads_that_all_wait_for_each_other_long_enough_are_stuck() {
        let thread = |tid, syscall| HeartbeatThread { tid, syscall, state: b'S', ..zero() };
        let stuck = |threads: &[HeartbeatThread], seconds: &[u64]| {
            let mut still = Still::default();
            for s in seconds {
                let t_ns = s * 1_000_000_000;
                still.push(&Heartbeat { t_ns, record: zero(), threads: threads.to_vec() });
            }
            still.stuck_for(202)
        };
        let waiting = [thread(1, 202), thread(2, 202)];
        assert_eq!(stuck(&waiting, &[10, 12, 14, 16]), Some(Duration::from_secs(6)));
        assert_eq!(stuck(&waiting, &[10, 12, 14]), None, "too short");
        assert_eq!(stuck(&waiting, &[10, 20]), None, "one look tells too little");
        assert_eq!(stuck(&[thread(1, 202), thread(2, 7)], &[10, 12, 14, 16]), None, "one polls: a daemon");
        assert_eq!(stuck(&[thread(1, 202)], &[10, 12, 14, 16]), None, "there is no other thread");
        assert_eq!(stuck(&[], &[10, 12, 14, 16]), None);
    }

    #[test]
    fn only_threads_that_wait_where_they_waited_stand_still() {
        let thread = |tid, syscall, arg0| HeartbeatThread { tid, syscall, arg0, state: b'S', ..zero() };
        let beat =
            |threads: &[HeartbeatThread]| Heartbeat { t_ns: 0, record: zero(), threads: threads.to_vec() };
        let (a, b) = (thread(1, 202, 16), thread(2, 202, 32));
        let mut still = Still::default();
        let mut after = |threads: &[HeartbeatThread]| {
            still.push(&beat(threads));
            still.looks()
        };
        assert_eq!([after(&[a, b]), after(&[a, b]), after(&[a, b])], [0, 1, 2]);
        assert_eq!(after(&[a, thread(2, 202, 48)]), 0, "another wait");
        assert_eq!(after(&[a]), 0, "a thread ended");
        assert_eq!(
            [after(&[a]), after(&[HeartbeatThread { cpu_ns: 10_000_000, ..a }])],
            [1, 0],
            "it has worked"
        );
        let runs = thread(1, SYSCALL_RUNNING, 0);
        assert_eq!([after(&[runs]), after(&[runs])], [0, 0], "it runs");
        assert_eq!([after(&[]), after(&[])], [0, 0], "nothing is known");
    }
}
