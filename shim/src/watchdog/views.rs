//! Running threads, seen through perf events: each has an event of its own, and the kernel copies its
//! registers and the top of its stack while it runs.

use hangscope_protocol::record::{PROBE_REGS, ProbeRecord, probe_outcome, probe_way};
use hangscope_reader::perf::{Event, Events};
use hangscope_reader::task::{Blocked, Syscall};

use crate::arch;
use crate::host::task::Tasks;
use crate::sys::{self, Errno, MOST_EVENTS as MOST, Plan, Rings};

/// After so long a look tells what became of a thread that gave no sample, ns.
const SETTLED: u64 = 20_000_000;
/// A thread that got no processor for so long leaves its place to others that wait, ns.
const STARVED: u64 = 500_000_000;

/// A thread with an open event.
#[derive(Clone, Copy)]
struct View {
    tid: u32,
    since_ns: u64,
    /// Index among the hot threads of the dump.
    hot: usize,
    /// A sample was asked for and has not come.
    asked: bool,
}

impl View {
    fn record(self, outcome: u8) -> ProbeRecord {
        ProbeRecord {
            tid: self.tid,
            generation: 0,
            sample: 0,
            outcome,
            was_blocked: 0,
            errno: 0,
            way: probe_way::PERF,
            asked_ns: self.since_ns,
            answered_ns: 0,
            cpu_ns: 0,
            stack: 0,
            regs: [0; PROBE_REGS],
        }
    }
}

/// What came of [`Views::open`].
#[expect(clippy::large_enum_variant, reason = "there is no heap, and it lives for a moment")]
pub(super) enum Opened {
    Yes,
    /// All places are taken: later.
    Busy,
    /// The thread has no view, for the reason in the record.
    No(ProbeRecord),
}

pub(super) struct Views {
    rings: Rings,
    plan: Plan,
    open: [Option<View>; MOST],
    /// Why there can be no events in this dump: an errno, 0 if a filter of system calls is in force.
    refused: Option<u8>,
    /// Places whose thread has ended, as bits.
    ended: u32,
    /// Samples that found no room in their ring.
    pub(super) lost: u32,
}

impl Views {
    pub(super) fn new(rings: Rings) -> Views {
        let refused = None;
        Views { rings, plan: Plan::ONCE, open: [None; MOST], refused, ended: 0, lost: 0 }
    }

    /// For a new dump. `refused`: why no event may be opened.
    pub(super) fn begin_dump(&mut self, refused: Option<u8>) {
        self.refused =
            refused.or(if self.rings.are_usable() { None } else { Some(Errno::NOMEM.raw_os_error() as u8) });
        self.lost = 0;
        self.begin(Plan::ONCE);
    }

    /// Closes all events. From now on they are opened by this plan.
    pub(super) fn begin(&mut self, plan: Plan) {
        self.rings.begin(plan);
        self.open = [None; MOST];
        self.ended = 0;
        self.plan = plan;
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    pub(super) fn any_open(&self) -> bool {
        self.open.iter().any(Option::is_some)
    }

    pub(super) fn are_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Opens an event for a thread; `hot` is its index among the hot threads.
    pub(super) fn open(&mut self, tid: u32, hot: usize) -> Opened {
        let view = View { tid, since_ns: sys::now(), hot, asked: true };
        let refused = |errno| Opened::No(ProbeRecord { errno, ..view.record(probe_outcome::NOT_SEEN) });
        if let Some(errno) = self.refused {
            return refused(errno);
        }
        let Some(index) = self.rings.free() else { return Opened::Busy };
        match self.rings.open(index, tid) {
            Ok(()) => {
                if let Some(place) = self.open.get_mut(index) {
                    *place = Some(view);
                }
                Opened::Yes
            }
            Err(Errno::SRCH) => Opened::No(view.record(probe_outcome::GONE)),
            // With fewer at a time there may be memory or a descriptor for it.
            Err(_) if self.any_open() && self.rings.are_usable() => Opened::Busy,
            Err(e) => {
                let errno = e.raw_os_error() as u8;
                self.refused = Some(errno);
                refused(errno)
            }
        }
    }

    /// Asks for another sample of each thread whose last one has come.
    pub(super) fn again(&mut self) {
        for (index, view) in self.open.iter_mut().enumerate() {
            if let Some(view) = view.as_mut().filter(|view| !view.asked) {
                view.asked = self.rings.again(index).is_ok();
            }
        }
    }

    fn close(&mut self, index: usize) {
        self.rings.close(index);
        if let Some(place) = self.open.get_mut(index) {
            *place = None;
        }
        self.ended &= !(1 << index);
    }

    /// Gives every sample that is there to `each`, with the index among the hot threads.
    pub(super) fn collect(&mut self, buffer: &mut [u8], each: &mut dyn FnMut(usize, ProbeRecord, &[u8])) {
        for index in 0..MOST {
            let Some(view) = self.open.get(index).copied().flatten() else { continue };
            let mut answered = false;
            for event in Events::new(self.rings.take(index, buffer), arch::PERF_REGS) {
                match event {
                    Event::Sample(sample) => {
                        answered = true;
                        let regs = arch::sampled(&sample.regs);
                        let record = ProbeRecord {
                            answered_ns: sample.time_ns,
                            stack: regs[arch::REG_SP],
                            regs,
                            ..view.record(probe_outcome::ANSWERED)
                        };
                        // The kernel has copied it: the strings of the environment are cut off here.
                        let most = sys::before_strings(regs[arch::REG_SP], sample.stack.len());
                        each(view.hot, record, sample.stack.get(..most).unwrap_or(&[]));
                    }
                    Event::Lost(count) => {
                        answered |= !self.plan.is_once();
                        self.lost = self.lost.saturating_add(count as u32);
                    }
                }
            }
            if answered && self.plan.is_once() {
                self.close(index);
            } else if answered && let Some(Some(view)) = self.open.get_mut(index) {
                view.asked = false;
            }
        }
    }

    /// Waits for a sample, for so long at most. Places whose thread has ended are closed by
    /// [`Views::settle`]: their events would end every later wait at once.
    pub(super) fn wait(&mut self, ns: u64) {
        self.ended |= self.rings.wait(ns);
    }

    /// Says of threads that gave no sample what became of them: one that blocks now has its stack read. With
    /// `all`, of every one; `others` wait for a place.
    pub(super) fn settle(
        &mut self,
        tasks: &Tasks,
        (text, buffer): (&mut [u8], &mut [u8]),
        (all, others): (bool, bool),
        each: &mut dyn FnMut(ProbeRecord, &[u8]),
    ) {
        for index in 0..MOST {
            let Some(view) = self.open.get(index).copied().flatten() else { continue };
            let age = sys::now().saturating_sub(view.since_ns);
            let ended = self.ended & 1 << index != 0;
            if !(all || ended || age >= SETTLED) {
                continue;
            }
            match tasks.call(view.tid, text) {
                Ok(Syscall::Blocked(at)) => {
                    let Some(len) = blocked_stack(tasks, view.tid, at, (text, buffer)) else {
                        if all || ended {
                            each(view.record(probe_outcome::LATE), &[]);
                            self.close(index);
                        }
                        continue;
                    };
                    let mut regs = [0; PROBE_REGS];
                    (regs[arch::REG_SP], regs[arch::REG_PC]) = (at.sp, at.pc);
                    let record = ProbeRecord {
                        was_blocked: 1,
                        way: probe_way::MEMORY,
                        answered_ns: sys::now(),
                        stack: at.sp,
                        regs,
                        ..view.record(probe_outcome::READ)
                    };
                    each(record, buffer.get(..len).unwrap_or(&[]));
                }
                Ok(Syscall::Running) if all || others && age >= STARVED => {
                    each(view.record(probe_outcome::LATE), &[]);
                }
                Ok(Syscall::Running) if !ended => continue,
                _ => each(view.record(probe_outcome::LEFT), &[]),
            }
            self.close(index);
        }
    }
}

/// Copies the stack of a blocked thread. Gives its length; none if the thread has moved meanwhile.
fn blocked_stack(
    tasks: &Tasks,
    tid: u32,
    at: Blocked,
    (text, buffer): (&mut [u8], &mut [u8]),
) -> Option<usize> {
    let copied = tasks.memory.stack(at.sp, buffer);
    (tasks.call(tid, text) == Ok(Syscall::Blocked(at))).then_some(copied.len)
}
