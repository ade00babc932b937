//! Timers that interrupt threads, so that they can be stopped inside the allocator (`stops`).
//!
//! A thread that sleeps must never get a signal: the signal would end a wait whose wake was lost, and so
//! cure the very hang that is looked for. So each signal comes from a timer on the CPU clock of the thread
//! that gets the signal. That clock stands while the thread sleeps. The timer goes off in the kernel's tick
//! while the thread runs. Since Linux 5.10 the thread itself sends the signal, on its way back to user
//! mode. (Before, a tick within a call that was about to sleep could send the signal: the call saw the
//! signal before it had slept, and was begun again.) An exec deletes timers and the signals that they have
//! sent.

use hangscope_protocol::random::Random;

use super::handler::{Handler, MARK, install_trap};
use super::stops;
use crate::host::task::Tasks;
use crate::sys::{self, Timer};

/// Threads that have a timer at a time.
const MOST: usize = 32;
/// Period of a timer, ns of its clock. The kernel rounds up: it goes off at each tick in which its thread
/// runs.
const EACH_TICK: u64 = 1000;

pub(crate) struct Timers {
    /// The thread of each timer, and the timer.
    timers: [Option<(u32, Timer)>; MOST],
    next: usize,
}

impl Timers {
    /// For an allocator that is mapped in this range.
    pub(crate) fn new(allocator: (u64, u64), random: &mut Random) -> Timers {
        stops::prepare(allocator, random.draw());
        Timers { timers: [None; MOST], next: 0 }
    }

    /// Gives a thread a timer; takes one from another thread where there are too many. False if there can
    /// be none: no signal is free, or the host has replaced our handler.
    pub(crate) fn arm(&mut self, tid: u32, handler: &mut Handler, tasks: &Tasks, text: &mut [u8]) -> bool {
        if !handler.install_for_good() {
            return false;
        }
        let slows = install_trap();
        let at = self.timers.iter().position(|t| t.is_some_and(|(of, _)| of == tid));
        let armed = at.and_then(|at| self.timers.get(at).copied().flatten());
        // A timer whose thread has ended cannot be armed. Another thread may have the tid by now.
        if armed.is_none_or(|(_, timer)| timer.arm(EACH_TICK, EACH_TICK).is_err())
            && !handler.is_blocked_by(tid, tasks, text)
            && let Ok(timer) = sys::cpu_timer(tid, handler.signal(), MARK)
        {
            let _ = timer.arm(EACH_TICK, EACH_TICK);
            let at = at.unwrap_or(self.next);
            self.next = (self.next + 1) % MOST;
            if let Some((_, old)) = self.timers.get_mut(at).and_then(|slot| slot.replace((tid, timer))) {
                old.delete();
            }
        }
        stops::allow(slows);
        true
    }

    /// Nobody is stopped or slowed until a timer is given again.
    pub(crate) fn pause(&mut self) {
        stops::forbid();
    }

    /// Deletes all timers: nobody is stopped any more.
    pub(crate) fn end(&mut self) {
        for (_, timer) in self.timers.iter_mut().filter_map(Option::take) {
            timer.delete();
        }
        self.pause();
    }
}
