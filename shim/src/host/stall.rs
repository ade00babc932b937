//! Stalls without a deadline (HANGSCOPE_STALL): whether any thread has left the wait that it is in.
//!
//! A thread's wait is its system call, first argument, SP and PC. The same wait in two looks counts as no
//! progress, also for a timed wait that was begun again. A running thread proves nothing: it has moved only
//! when it is seen in another wait. The shim does not say whether threads that stand still are stuck or
//! idle. It makes a dump, and the analysis looks at the frames.

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING};

use super::futex;

/// While all stands still, further dumps follow after twice, four times, and at most so many times the time
/// set.
const LONGEST: u64 = 8;

/// The wait in which a thread was last seen; 0 for none.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    tid: u32,
    wait: u64,
}

/// Progress over all looks so far.
pub(crate) struct Stall {
    stall_ns: u64,
    /// Since when nothing has moved.
    since: u64,
    /// The next dump is due when nothing has moved for so many times `stall_ns`.
    times: u64,
    index: usize,
    count: usize,
    moved: bool,
    may_be_stuck: bool,
    /// Looks in a row without progress.
    pub(crate) still: u32,
}

impl Stall {
    pub(crate) fn new(stall_ns: u64, now: u64) -> Stall {
        Stall {
            stall_ns,
            since: now,
            times: 1,
            index: 0,
            count: 0,
            moved: false,
            may_be_stuck: false,
            still: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.stall_ns != 0
    }

    /// Begins a look: [`Stall::see`] follows for each thread.
    pub(crate) fn begin(&mut self) {
        self.index = 0;
        self.moved = false;
        self.may_be_stuck = false;
    }

    /// Takes one thread of the look. The kernel lists threads in the same order each time, so the table
    /// follows the list. A thread that came or ended shifts the table, and counts as movement anyway.
    pub(crate) fn see(&mut self, seen: &mut [Seen], thread: &HeartbeatThread) {
        let running = thread.syscall == SYSCALL_RUNNING;
        self.may_be_stuck |= running || thread.state == b'D' || futex::is_wait(thread.syscall);
        let Some(slot) = seen.get_mut(self.index) else { return };
        self.index += 1;
        if slot.tid != thread.tid {
            *slot = Seen { tid: thread.tid, wait: 0 };
            self.moved = true;
        }
        if !running {
            let wait = fingerprint(thread);
            self.moved |= slot.wait != wait;
            slot.wait = wait;
        }
    }

    /// Ends a look. Gives whether a dump is due.
    pub(crate) fn end(&mut self, now: u64) -> bool {
        if self.moved || self.index != self.count {
            self.count = self.index;
            self.since = now;
            self.times = 1;
            self.still = 0;
            return false;
        }
        self.still = self.still.saturating_add(1);
        // All threads are in calls that wait for the world outside (epoll, accept, sleep): the process is
        // idle.
        if !self.may_be_stuck || now.saturating_sub(self.since) < self.stall_ns.saturating_mul(self.times) {
            return false;
        }
        self.times += self.times.min(LONGEST);
        true
    }
}

/// FNV-1a hash of what makes a wait; never 0.
fn fingerprint(t: &HeartbeatThread) -> u64 {
    let parts = [t.syscall as u64, t.arg0, t.sp, t.pc];
    let mix = |hash: u64, part: &u64| (hash ^ part).wrapping_mul(0x0100_0000_01b3);
    parts.iter().fold(0xcbf2_9ce4_8422_2325, mix) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn thread(tid: u32, syscall: i32, pc: u64) -> HeartbeatThread {
        HeartbeatThread {
            tid,
            state: b'S',
            reserved: 0,
            cpu: 0,
            syscall,
            arg1: 0,
            arg0: 1,
            sp: 2,
            pc,
            cpu_ns: 0,
            comm: [0; 16],
        }
    }

    /// Looks, one a second: which of them made a dump due.
    fn due(looks: &[&[HeartbeatThread]]) -> std::vec::Vec<usize> {
        let mut stall = Stall::new(3 * SECOND, 0);
        let seen = &mut [Seen { tid: 0, wait: 0 }; 8];
        let mut due = std::vec![];
        for (i, look) in looks.iter().enumerate() {
            stall.begin();
            look.iter().for_each(|t| stall.see(seen, t));
            if stall.end(i as u64 * SECOND) {
                due.push(i);
            }
        }
        due
    }

    const FUTEX: i32 = libc::SYS_futex as i32;

    #[test]
    fn the_same_waits_are_a_stall_after_the_time_set_and_then_ever_less_often() {
        let look = [thread(1, FUTEX, 9), thread(2, SYSCALL_RUNNING, 0)];
        let looks: std::vec::Vec<&[HeartbeatThread]> = std::vec![&look; 30];
        assert_eq!(due(&looks), [3, 6, 12, 24]);
    }

    #[test]
    fn a_thread_that_comes_goes_or_waits_elsewhere_is_progress() {
        let (a, b) = (thread(1, FUTEX, 9), thread(2, FUTEX, 9));
        assert_eq!(due(&[&[a], &[a], &[a, b], &[a, b], &[a, b], &[a, b]]), [5]);
        assert_eq!(due(&[&[a, b], &[a, b], &[b], &[b], &[b]]), std::vec::Vec::<usize>::new());
        let elsewhere = thread(1, FUTEX, 10);
        assert_eq!(
            due(&[&[a], &[a], &[elsewhere], &[elsewhere], &[elsewhere]]),
            std::vec::Vec::<usize>::new()
        );
    }

    #[test]
    fn a_timed_wait_that_is_seen_running_in_between_is_no_progress() {
        let (waits, runs) = (thread(1, FUTEX, 9), thread(1, SYSCALL_RUNNING, 0));
        assert_eq!(due(&[&[waits], &[runs], &[waits], &[runs]]), [3]);
    }

    #[test]
    fn epoll_and_accept_alone_are_idle() {
        let look = [thread(1, libc::SYS_epoll_wait as i32, 9), thread(2, libc::SYS_accept4 as i32, 9)];
        let looks: std::vec::Vec<&[HeartbeatThread]> = std::vec![&look; 30];
        assert!(due(&looks).is_empty());
    }
}
