//! The rounds. What one round changes is given back before the next.

use core::hint::spin_loop;
use core::mem::MaybeUninit;

use hangscope_protocol::random::Random;

use super::touched::{self, ROLES, Role, Touched};
use crate::host::task::Tasks;
use crate::signal::{Handler, Timers};
use crate::sys::{self, CpuSet, Schedule};

const MICROSECOND: u64 = 1000;
const MILLISECOND: u64 = 1000 * MICROSECOND;
/// Pause between two looks for something to disturb, while there is nothing.
const IDLE: u64 = 2 * MILLISECOND;
const LONGEST_IDLE: u64 = 64 * MILLISECOND;
/// The host counts as running if it used so much CPU time between two rounds.
const RUNS: u64 = 20 * MICROSECOND;
/// The shortest slice that a thread can have. The watchdog asks for it, too: a thread with a short slice
/// takes the processor from others soonest (EEVDF, Linux 6.12).
const SHORTEST_SLICE: u64 = 100 * MICROSECOND;
/// Length of a round, as [`Random::spread`]; in the same way the times below.
const ROUND: (u64, u64) = (4 * MILLISECOND, 3);
/// Pause between two hold-ups, as [`Random::spread`].
const PAUSE: (u64, u64) = (30 * MICROSECOND, 3);
/// Length of a hold-up. One in [`LONG`] is a long one.
const HOLD: (u64, u64) = (2 * MICROSECOND, 4);
const LONG: u64 = 32;
const LONG_HOLD: (u64, u64) = (2 * MICROSECOND, 10);

/// What the watchdog knows of the disturbance.
pub(crate) struct Rounds {
    level: u32,
    random: Random,
    pid: u32,
    tid: u32,
    /// What the watchdog had itself before; restored at the end.
    cpus: CpuSet,
    schedule: Schedule,
    /// The nice value of a thread can be raised and lowered again.
    may_nice: bool,
    round: u64,
    idle: u64,
    /// Something runs that can be disturbed.
    active: bool,
    /// CPU time of the host at the last round, and the largest tid.
    ran: u64,
    last_tid: u32,
    /// Processors on which threads are held up in this round.
    where_held: CpuSet,
    /// Hold-ups to come on the same processor.
    here: u64,
    timers: Option<Timers>,
    /// What cannot be done, until the collector has been told.
    trouble: Option<&'static [u8]>,
}

/// What a round works with, lent by the watchdog.
pub(crate) struct Tools<'a> {
    pub(crate) tasks: &'a Tasks,
    pub(crate) handler: &'a mut Handler,
    pub(crate) touched: &'a mut Touched,
    pub(crate) entries: &'a mut [MaybeUninit<u8>],
    pub(crate) tids: &'a mut [u32],
    pub(crate) text: &'a mut [u8],
}

impl Rounds {
    /// For the watchdog `tid` of `pid`, whose allocator is mapped at `allocator`. None at level 0, or where
    /// processors cannot be chosen.
    pub(crate) fn new(
        level: u32,
        seed: u32,
        (pid, tid): (u32, u32),
        allocator: Option<(u64, u64)>,
    ) -> Option<Rounds> {
        let (cpus, schedule) = match level {
            0 => return None,
            _ => (sys::affinity(tid).ok()?, sys::schedule(tid).ok()?),
        };
        let mut random = Random::new(seed);
        let timers = allocator.filter(|_| level >= 3).map(|range| Timers::new(range, &mut random));
        let may_nice = may_nice(tid, schedule);
        sys::set_timer_slack(1);
        let _ = sys::set_schedule(tid, &schedule.with(schedule.policy, schedule.nice, SHORTEST_SLICE));
        Some(Rounds {
            level,
            random,
            pid,
            tid,
            cpus,
            schedule,
            may_nice,
            round: 0,
            idle: IDLE,
            active: false,
            ran: 0,
            last_tid: 0,
            where_held: CpuSet::new(),
            here: 0,
            trouble: (level >= 3 && timers.is_none())
                .then_some(b"the allocator to stop threads in is not known"),
            timers,
        })
    }

    /// Does what is due. Gives when it is to go on.
    pub(super) fn step(&mut self, tools: &mut Tools<'_>, now: u64) -> u64 {
        if now >= self.round {
            self.begin_round(tools, now);
        }
        let pause = if self.holds_up() { self.random.spread(PAUSE.0, PAUSE.1) } else { u64::MAX };
        self.round.min(now.saturating_add(pause))
    }

    /// The wait after a step is over.
    pub(super) fn woke(&mut self) {
        if self.holds_up() {
            self.hold_up();
        }
    }

    fn holds_up(&self) -> bool {
        self.level >= 2 && self.active
    }

    fn begin_round(&mut self, tools: &mut Tools<'_>, now: u64) {
        // The kernel's tids begin anew some time. So all threads are looked at once a second
        // ([`Rounds::rest`]).
        let listed = self.give_back(tools, self.last_tid);
        let ran = sys::process_cpu().saturating_sub(sys::thread_cpu());
        let runs = ran.saturating_sub(core::mem::replace(&mut self.ran, ran)) >= RUNS;
        self.active = listed >= 2 && runs && tools.touched.look(self.pid);
        if !self.active {
            self.round = now + self.idle;
            self.idle = (self.idle * 2).min(LONGEST_IDLE);
            return;
        }
        self.idle = IDLE;
        self.where_held = tools.touched.usual.cpus;
        self.here = 0;
        match self.random.below(4) {
            0 => {}
            1 => self.shuffle(tools, listed),
            _ if self.level == 1 => self.shuffle(tools, listed),
            _ => self.crowd(tools, listed),
        }
        self.arm(tools, listed);
        self.last_tid = tools.tids.iter().take(listed).copied().max().unwrap_or(0);
        // With very many threads a round is expensive. Then it lasts longer.
        let took = sys::now().saturating_sub(now);
        self.round = now + self.random.spread(ROUND.0, ROUND.1).max(8 * took);
    }

    /// Restores what the last round changed. Threads with a tid up to `known` cannot have inherited it.
    /// Gives the number of threads, as far as they fit the table.
    fn give_back(&mut self, tools: &mut Tools<'_>, known: u32) -> usize {
        let found = tools.tasks.list(tools.entries, tools.tids).unwrap_or(0).min(tools.tids.len());
        tools.touched.restore(self.pid, tools.tids.get(..found).unwrap_or(&[]), known);
        found
    }

    /// Gives threads other processors and priorities: one of four roles each, or none. One of the roles is
    /// new each time.
    fn shuffle(&mut self, tools: &mut Tools<'_>, listed: usize) {
        let usual = tools.touched.usual;
        let all_are_new = core::mem::replace(&mut tools.touched.roles_for, usual) != usual;
        let new = self.random.below(ROLES as u64) as usize;
        for (n, role) in tools.touched.roles.iter_mut().enumerate() {
            // What is nicer must be able to come back.
            let possible = self.may_nice || role.schedule.nice == usual.schedule.nice;
            if n != new && !all_are_new && possible {
                continue;
            }
            let cpus = self.some_of(&usual.cpus, 2);
            let nice = if self.may_nice { self.random.below(11) as i32 } else { 0 };
            let slice = self.random.spread(SHORTEST_SLICE, 8);
            *role = Role { cpus, schedule: other_policy(&usual.schedule, nice, slice) };
        }
        let roles = tools.touched.roles;
        self.cast(tools, listed, &roles, 2);
    }

    /// Crowds all threads but the first on few processors, at most half of what they would need.
    fn crowd(&mut self, tools: &mut Tools<'_>, listed: usize) {
        let usual = tools.touched.usual;
        let most = (listed as u64 / 2).min(u64::from(usual.cpus.count()) / 2).max(1);
        let wanted = 1 + self.random.below(most);
        let mut cpus = CpuSet::new();
        for _ in 0..wanted {
            if let Some(cpu) = self.one_of(&usual.cpus) {
                cpus.set(cpu);
            }
        }
        self.where_held = cpus;
        // With the shortest slices the threads take turns each time the watchdog wakes there.
        let schedule = other_policy(&usual.schedule, 0, SHORTEST_SLICE);
        self.cast(tools, listed, &[Role { cpus, schedule }], 1);
    }

    /// Gives one of the roles to one in `n` threads. Not to those that started since the last round: if the
    /// host moves a thread, it mostly does so at its start.
    fn cast(&mut self, tools: &mut Tools<'_>, listed: usize, roles: &[Role], n: u64) {
        if !tools.touched.usual.schedule.is_ordinary() {
            return;
        }
        roles.iter().for_each(|role| tools.touched.remember(role));
        let first = self.random.below(listed as u64) as usize;
        let threads = tools.tids.get(..listed).unwrap_or(&[]);
        let from = threads.get(first..).unwrap_or(&[]);
        for tid in from.iter().chain(threads).take(listed.min(touched::MOST)) {
            if *tid != self.pid
                && *tid <= self.last_tid
                && let Some(role) = roles.get(self.random.below(roles.len() as u64) as usize)
                && self.random.one_in(n)
            {
                tools.touched.give(*tid, role);
            }
        }
    }

    /// Gives timers to a few threads.
    fn arm(&mut self, tools: &mut Tools<'_>, listed: usize) {
        let Some(timers) = &mut self.timers else { return };
        for _ in 0..listed.min(8) {
            let Some(tid) = tools.tids.get(self.random.below(listed as u64) as usize) else { return };
            if !timers.arm(*tid, tools.handler, tools.tasks, tools.text) {
                timers.end();
                self.timers = None;
                self.trouble = Some(b"no signal is free to stop threads inside the allocator");
                return;
            }
        }
    }

    /// Holds up the thread that runs on one of the processors: the watchdog runs there instead.
    fn hold_up(&mut self) {
        if self.here == 0 {
            self.here = 1 + self.random.below(8);
            let mut here = CpuSet::new();
            if let Some(cpu) = self.one_of(&self.where_held.clone()) {
                here.set(cpu);
                let _ = sys::set_affinity(self.tid, &here);
            }
        }
        self.here -= 1;
        let (least, octaves) = if self.random.one_in(LONG) { LONG_HOLD } else { HOLD };
        let end = sys::now() + self.random.spread(least, octaves);
        while sys::now() < end {
            spin_loop();
        }
    }

    fn one_of(&mut self, cpus: &CpuSet) -> Option<usize> {
        let nth = self.random.below(u64::from(cpus.count())) as usize;
        (0..CpuSet::MAX_CPU).filter(|cpu| cpus.is_set(*cpu)).nth(nth)
    }

    /// About one in `n` processors of a set, one at least.
    fn some_of(&mut self, cpus: &CpuSet, n: u64) -> CpuSet {
        let mut some = CpuSet::new();
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| cpus.is_set(*cpu)) {
            if self.random.one_in(n) {
                some.set(cpu);
            }
        }
        if let (0, Some(cpu)) = (some.count(), self.one_of(cpus)) {
            some.set(cpu);
        }
        some
    }

    /// What cannot be done; given only once.
    pub(crate) fn take_trouble(&mut self) -> Option<&'static [u8]> {
        self.trouble.take()
    }

    /// Restores all, until the next round.
    pub(crate) fn rest(&mut self, tools: &mut Tools<'_>) {
        if let Some(timers) = &mut self.timers {
            timers.pause();
        }
        self.give_back(tools, 0);
        self.round = 0;
        self.active = false;
    }

    /// The host's credentials have changed, and the watchdog's with them.
    pub(crate) fn credentials_changed(&mut self) {
        self.may_nice = false;
    }

    /// Ends the disturbance for good. When it returns, the host is as if it had never been disturbed.
    pub(crate) fn end(&mut self, tools: &mut Tools<'_>) {
        if let Some(timers) = &mut self.timers {
            timers.end();
        }
        self.give_back(tools, 0);
        // A thread that a touched thread was just starting is in the list by now.
        self.give_back(tools, 0);
        let _ = sys::set_affinity(self.tid, &self.cpus);
        let _ = sys::set_schedule(self.tid, &self.schedule);
        sys::set_timer_slack(0);
    }
}

/// The other ordinary policy, made nicer by so much, with another slice.
fn other_policy(usual: &Schedule, nicer: i32, slice: u64) -> Schedule {
    let batch = usual.policy == libc::SCHED_BATCH as u32;
    let policy = if batch { libc::SCHED_OTHER } else { libc::SCHED_BATCH };
    usual.with(policy as u32, (usual.nice + nicer).min(19), slice)
}

/// Whether a nice value can be raised and lowered again (RLIMIT_NICE, CAP_SYS_NICE): tried on this thread.
fn may_nice(tid: u32, own: Schedule) -> bool {
    let nicer = own.with(own.policy, own.nice + 1, own.runtime);
    own.nice < 19 && sys::set_schedule(tid, &nicer).is_ok() && sys::set_schedule(tid, &own).is_ok()
}
