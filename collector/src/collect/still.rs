//! Whether anything moves in a process, from one heartbeat to the next.

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
}

impl Still {
    pub(super) fn push(&mut self, beat: &Heartbeat) {
        let places: Option<Vec<Place>> = beat.threads.iter().map(place).collect();
        let places = places.unwrap_or_default();
        let same = !places.is_empty() && places == self.before;
        self.looks = if same { self.looks + 1 } else { 0 };
        self.before = places;
    }

    pub(super) fn looks(&self) -> u32 {
        self.looks
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
