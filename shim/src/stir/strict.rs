//! Strict priorities on one processor: the runnable thread with the highest priority runs, and no other. At
//! change points, at random times, the thread that runs gets the lowest priority of all. That finds races
//! that need few orderings, each with a known probability (PCT: Burckhardt et al., ASPLOS 2010).
//!
//! Change points come again and again, at most [`CHANGES`] apart: a thread that spins for another one does
//! not keep that one from the processor for ever. The policy is SCHED_FIFO, which needs a right (root,
//! RLIMIT_RTPRIO). What a thread forks gets an ordinary policy (SCHED_RESET_ON_FORK).
//!
//! The watchdog has a higher priority than all of them. It works for some microseconds at a change point.

use hangscope_protocol::random::Random;

use super::rounds::Tools;
use super::touched::Role;
use crate::sys::{self, CpuSet, Schedule};

const MICROSECOND: u64 = 1000;
const MILLISECOND: u64 = 1000 * MICROSECOND;
/// Priorities of the host's threads at their start are from the lowest one of these on. Each change point
/// takes a lower one, down to 1; then all are dealt anew.
const FIRST: (u32, u32) = (32, 64);
/// That of the watchdog.
const WATCHDOG: u32 = 80;
/// Time between two change points, by strength, as [`Random::spread`].
const CHANGES: [(u64, u64); 3] = [(4 * MILLISECOND, 3), (500 * MICROSECOND, 4), (100 * MICROSECOND, 4)];

pub(super) struct Strict {
    random: Random,
    pid: u32,
    tid: u32,
    /// What the watchdog had itself before; restored at the end.
    cpus: CpuSet,
    schedule: Schedule,
    /// The processor on which all run.
    on: CpuSet,
    changes: (u64, u64),
    next: u64,
    /// The lowest priority that was given.
    lowest: u32,
}

impl Strict {
    /// For the watchdog `tid` of `pid`. None where real-time priorities are not permitted, or where there is
    /// one processor: everything else on the machine needs one, too.
    pub(super) fn new(strength: u32, seed: u32, (pid, tid): (u32, u32)) -> Option<Strict> {
        let (cpus, schedule) = (sys::affinity(tid).ok()?, sys::schedule(tid).ok()?);
        if cpus.count() < 2 {
            return None;
        }
        sys::set_schedule(tid, &schedule.real_time(WATCHDOG)).ok()?;
        let mut random = Random::new(seed);
        let nth = random.below(u64::from(cpus.count())) as usize;
        let mut on = CpuSet::new();
        on.set((0..CpuSet::MAX_CPU).filter(|cpu| cpus.is_set(*cpu)).nth(nth)?);
        let changes = CHANGES.get(strength.saturating_sub(1) as usize).copied()?;
        let (lowest, _) = FIRST;
        Some(Strict { random, pid, tid, cpus, schedule, on, changes, next: 0, lowest })
    }

    /// Does what is due. Gives when it is to go on.
    pub(super) fn step(&mut self, tools: &mut Tools<'_>, now: u64) -> u64 {
        if now >= self.next {
            self.change(tools);
            self.next = now + self.random.spread(self.changes.0, self.changes.1);
        }
        self.next
    }

    /// A change point: threads that are new get a priority, and the one that runs gets the lowest.
    fn change(&mut self, tools: &mut Tools<'_>) {
        let found = tools.tasks.list(tools.entries, tools.tids).unwrap_or(0).min(tools.tids.len());
        let (first, last) = FIRST;
        if self.lowest <= 1 {
            // None is lower: all are dealt anew.
            self.give_back(tools, found);
            self.lowest = first;
        }
        if found < 2 || !tools.touched.look(self.pid) || !tools.touched.usual.schedule.is_ordinary() {
            return;
        }
        let usual = tools.touched.usual;
        let mut running: Option<(u32, u32)> = None;
        for at in 0..found {
            let Some(tid) = tools.tids.get(at).copied().filter(|tid| *tid != self.pid) else { continue };
            match tools.touched.given(tid) {
                Some(role) => {
                    let runs = tools.tasks.stat(tid, tools.text).is_ok_and(|stat| stat.state == b'R');
                    let priority = role.schedule.priority();
                    if runs && running.is_none_or(|(_, highest)| priority > highest) {
                        running = Some((tid, priority));
                    }
                }
                None => {
                    let priority = first + self.random.below(u64::from(last - first)) as u32;
                    let schedule = usual.schedule.real_time(priority);
                    tools.touched.give(tid, &Role { cpus: self.on, schedule });
                }
            }
        }
        if let Some((tid, _)) = running {
            self.lowest -= 1;
            tools.touched.change(tid, usual.schedule.real_time(self.lowest));
        }
    }

    fn give_back(&mut self, tools: &mut Tools<'_>, found: usize) {
        tools.touched.restore(self.pid, tools.tids.get(..found).unwrap_or(&[]), 0);
    }

    /// Restores all, until the next change point.
    pub(super) fn rest(&mut self, tools: &mut Tools<'_>) {
        let found = tools.tasks.list(tools.entries, tools.tids).unwrap_or(0).min(tools.tids.len());
        self.give_back(tools, found);
        self.next = 0;
    }

    /// Ends the disturbance for good.
    pub(super) fn end(&mut self, tools: &mut Tools<'_>) {
        self.rest(tools);
        // A thread that a touched thread was just starting is in the list by now.
        self.rest(tools);
        let _ = sys::set_affinity(self.tid, &self.cpus);
        let _ = sys::set_schedule(self.tid, &self.schedule);
    }
}
