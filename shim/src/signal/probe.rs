//! The last way to a thread's registers: a signal, to a blocked thread whose stack was cut, where nothing
//! else is permitted. Each thread is asked alone, and answers with its registers. Its stack stays as it is,
//! for the watchdog to read: the signal interrupts the wait, and the thread waits again.

use hangscope_protocol::record::{PROBE_REGS, ProbeRecord, RED_ZONE, probe_outcome, probe_way};

use super::handler::Handler;
use super::slots::{self, SLOTS, Slot, Slots};
use crate::arch;
use crate::host::task::Tasks;
use crate::sys::{self, Resident};

/// A thread that ran in the first look, or one whose stack the collector found cut.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) tid: u32,
    /// Signals that it blocks: SigBlk of `status`.
    pub(crate) blocked_signals: u64,
}

#[derive(Clone, Copy)]
struct Question {
    tid: u32,
    asked_ns: u64,
}

impl Question {
    /// The record of an answer without registers and stack.
    fn record(&self, generation: u32, outcome: u8) -> ProbeRecord {
        ProbeRecord {
            tid: self.tid,
            generation,
            sample: 0,
            outcome,
            was_blocked: 1,
            errno: 0,
            way: probe_way::SIGNAL,
            asked_ns: self.asked_ns,
            answered_ns: 0,
            cpu_ns: 0,
            stack: 0,
            regs: [0; PROBE_REGS],
        }
    }
}

/// Asks threads and collects their answers.
pub(crate) struct Prober {
    slots: &'static Slots,
    pid: u32,
    pub(crate) handler: Handler,
    questions: [Option<Question>; SLOTS],
    /// Threads whose signal may still be pending.
    late: [u32; SLOTS],
    /// Number of the last question.
    generation: u32,
}

impl Prober {
    pub(crate) fn new(slots: &'static Slots, pid: u32, wanted: u32) -> Prober {
        // In a forked child the slots are a copy of whatever they were.
        slots.slots.iter().for_each(Slot::free);
        Prober {
            slots,
            pid,
            handler: Handler::new(slots, wanted),
            questions: [None; SLOTS],
            late: [0; SLOTS],
            generation: slots.slots.first().map_or(0, Slot::question),
        }
    }

    /// Asks a thread, in a free slot. False if no slot is free. What cannot be asked is answered at once by
    /// `refused` with the reason. The thread must be blocked, with room for a signal's frame.
    pub(crate) fn ask(&mut self, candidate: &Candidate, refused: &mut dyn FnMut(&ProbeRecord)) -> bool {
        let question = Question { tid: candidate.tid, asked_ns: sys::now() };
        let mut refuse = |generation, outcome, errno| {
            refused(&ProbeRecord { errno, ..question.record(generation, outcome) });
            true
        };
        if !self.handler.install() {
            return refuse(self.generation, probe_outcome::NO_SIGNAL, 0);
        }
        if candidate.blocked_signals & self.handler.bit() != 0 {
            return refuse(self.generation, probe_outcome::BLOCKED, 0);
        }
        let free = |(q, s): (&Option<Question>, &Slot)| q.is_none() && s.is_free();
        let Some(index) = self.questions.iter().zip(&self.slots.slots).position(free) else { return false };
        let (Some(slot), Some(open)) = (self.slots.slots.get(index), self.questions.get_mut(index)) else {
            return false;
        };
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        slot.open(self.generation);
        let value = slots::value(self.generation, index);
        match sys::queue_signal(self.pid, candidate.tid, self.handler.signal(), value) {
            Ok(()) => {
                *open = Some(question);
                true
            }
            Err(e) => {
                slot.free();
                let gone = e == sys::Errno::SRCH;
                let outcome = if gone { probe_outcome::GONE } else { probe_outcome::NOT_SENT };
                refuse(generation, outcome, e.raw_os_error() as u8)
            }
        }
    }

    /// The record of a thread that is not asked, for this reason.
    pub(crate) fn not_asked(&self, tid: u32, outcome: u8) -> ProbeRecord {
        Question { tid, asked_ns: sys::now() }.record(self.generation, outcome)
    }

    /// Whether any question is open.
    pub(crate) fn any_open(&self) -> bool {
        self.questions.iter().any(Option::is_some)
    }

    /// Gives every answer that is there to `each`, with the stack, which is read into `buffer`.
    pub(crate) fn collect(
        &mut self,
        memory: &Resident,
        buffer: &mut [u8],
        each: &mut dyn FnMut(&ProbeRecord, &[u8]),
    ) {
        for (index, (open, slot)) in self.questions.iter_mut().zip(&self.slots.slots).enumerate() {
            let Some(regs) = self.slots.registers(index) else { continue };
            if let Some(q) = open.take() {
                let sp = regs[arch::REG_SP];
                let below = sp.saturating_sub(RED_ZONE);
                let (mut stack, mut copied) = (below, memory.stack(below, buffer));
                if (copied.len as u64) < RED_ZONE {
                    (stack, copied) = (sp, memory.stack(sp, buffer));
                }
                let record = ProbeRecord {
                    answered_ns: sys::now(),
                    stack,
                    regs,
                    ..q.record(slot.question(), probe_outcome::ANSWERED)
                };
                each(&record, buffer.get(..copied.len).unwrap_or(&[]));
            }
            slot.free();
        }
    }

    /// Gives up the open questions: each becomes a record that says so. Their threads are remembered, since
    /// the signal may still reach them.
    pub(crate) fn abandon(&mut self, tasks: &Tasks, text: &mut [u8], each: &mut dyn FnMut(&ProbeRecord)) {
        for (index, slot) in self.slots.slots.iter().enumerate() {
            let Some(q) = self.questions.get(index).copied().flatten() else { continue };
            if !slot.close() {
                // Answered (or answering) just now: the next collect has it.
                continue;
            }
            if let Some(open) = self.questions.get_mut(index) {
                *open = None;
            }
            let alive = tasks.is_alive(q.tid, text);
            if alive && let Some(late) = self.late.iter_mut().find(|t| **t == 0 || **t == q.tid) {
                *late = q.tid;
            }
            let outcome = if alive { probe_outcome::LATE } else { probe_outcome::LEFT };
            each(&q.record(slot.question(), outcome));
        }
    }

    /// Takes the handler out, if no signal can be on its way any more and the host has not put in its own.
    pub(crate) fn uninstall(&mut self, tasks: &Tasks, text: &mut [u8]) {
        if !self.handler.is_removable() || self.any_open() {
            return;
        }
        for late in self.late.iter_mut().filter(|t| **t != 0) {
            if !self.handler.is_pending_for(*late, tasks, text) {
                *late = 0;
            }
        }
        // If all places of `late` are in use, one more thread may not have been remembered: then the
        // handler stays.
        if self.late.iter().all(|t| *t == 0) {
            self.handler.remove();
        }
    }
}
