//! Running threads have no SP and PC in `/proc`. They are asked with a signal, each alone, and answer with
//! their registers and the top of their stack.

use core::sync::atomic::Ordering;

use hangscope_protocol::record::{PROBE_REGS, ProbeRecord, probe_outcome};

use super::handler::Handler;
use super::slots::{ASKED, DONE, FREE, SLOTS, Slot, Slots};
use crate::host::task::Tasks;
use crate::sys;

/// A thread that is to be asked: one that ran in the first look, or one whose stack the collector found cut.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) tid: u32,
    /// Signals that it blocks: SigBlk of `status`.
    pub(crate) blocked_signals: u64,
    /// It was blocked in the first look.
    pub(crate) was_blocked: bool,
}

#[derive(Clone, Copy)]
struct Question {
    tid: u32,
    asked_ns: u64,
    was_blocked: bool,
    sample: u32,
}

impl Question {
    /// The record of an answer without registers and stack.
    fn record(&self, generation: u32, outcome: u8) -> ProbeRecord {
        ProbeRecord {
            tid: self.tid,
            generation,
            sample: self.sample,
            outcome,
            was_blocked: u8::from(self.was_blocked),
            errno: 0,
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
        for slot in &slots.slots {
            slot.state.store(FREE, Ordering::Release);
        }
        Prober {
            slots,
            pid,
            handler: Handler::new(slots, wanted),
            questions: [None; SLOTS],
            late: [0; SLOTS],
            generation: slots.slots.first().map_or(0, |s| s.generation.load(Ordering::Relaxed)),
        }
    }

    /// Asks a thread, in a free slot; `sample` is 0 for a dump, `limit` the bytes of stack that are wanted.
    /// False if no slot is free. What cannot be asked is answered at once by `refused` with the reason.
    pub(crate) fn ask(
        &mut self,
        candidate: &Candidate,
        sample: u32,
        limit: u32,
        refused: &mut dyn FnMut(&ProbeRecord),
    ) -> bool {
        let question =
            Question { tid: candidate.tid, asked_ns: sys::now(), was_blocked: candidate.was_blocked, sample };
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
        let free =
            |(q, s): (&Option<Question>, &Slot)| q.is_none() && s.state.load(Ordering::Acquire) == FREE;
        let Some(index) = self.questions.iter().zip(&self.slots.slots).position(free) else { return false };
        let (Some(slot), Some(open)) = (self.slots.slots.get(index), self.questions.get_mut(index)) else {
            return false;
        };
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        slot.generation.store(self.generation, Ordering::Release);
        slot.limit.store(limit, Ordering::Relaxed);
        slot.state.store(ASKED, Ordering::Release);
        let value = u64::from(self.generation) << 16 | index as u64;
        match sys::queue_signal(self.pid, candidate.tid, self.handler.signal(), value) {
            Ok(()) => {
                *open = Some(question);
                true
            }
            Err(e) => {
                slot.state.store(FREE, Ordering::Release);
                let gone = e == sys::Errno::SRCH;
                let outcome = if gone { probe_outcome::GONE } else { probe_outcome::NOT_SENT };
                refuse(generation, outcome, e.raw_os_error() as u16)
            }
        }
    }

    /// Whether a question to this thread is open.
    pub(crate) fn is_open(&self, tid: u32) -> bool {
        self.questions.iter().flatten().any(|q| q.tid == tid)
    }

    /// Whether any question is open.
    pub(crate) fn any_open(&self) -> bool {
        self.questions.iter().any(Option::is_some)
    }

    /// Gives every answer that is there to `each`, with its stack.
    pub(crate) fn collect(&mut self, each: &mut dyn FnMut(&ProbeRecord, &[u8])) {
        for ((open, slot), written) in
            self.questions.iter_mut().zip(&self.slots.slots).zip(&self.slots.written)
        {
            if slot.state.load(Ordering::Acquire) != DONE {
                continue;
            }
            if let Some(q) = open.take() {
                // SAFETY: DONE was seen with acquire, so the handler has finished writing and nobody writes
                // again before FREE.
                let answer = unsafe { &*written.get() };
                let record = ProbeRecord {
                    answered_ns: answer.answered_ns,
                    cpu_ns: answer.cpu_ns,
                    stack: answer.stack_at,
                    regs: answer.regs,
                    ..q.record(slot.generation.load(Ordering::Relaxed), probe_outcome::ANSWERED)
                };
                each(&record, answer.stack.get(..answer.stack_len).unwrap_or(&[]));
            }
            slot.state.store(FREE, Ordering::Release);
        }
    }

    /// Waits for another answer, until `until`. False when the time is over.
    pub(crate) fn wait(&self, until: u64) -> bool {
        let seen = self.slots.answers.load(Ordering::Acquire);
        if self.slots.slots.iter().any(|s| s.state.load(Ordering::Acquire) == DONE) {
            return true;
        }
        let left = until.saturating_sub(sys::now());
        if left > 0 {
            sys::futex_wait(&self.slots.answers, seen, left);
        }
        left > 0
    }

    /// Gives up the open questions: each becomes a record that says so. Their threads are remembered, since
    /// the signal may still reach them.
    pub(crate) fn abandon(&mut self, tasks: &Tasks, text: &mut [u8], each: &mut dyn FnMut(&ProbeRecord)) {
        for (index, slot) in self.slots.slots.iter().enumerate() {
            let Some(q) = self.questions.get(index).copied().flatten() else { continue };
            if slot.state.compare_exchange(ASKED, FREE, Ordering::AcqRel, Ordering::Relaxed).is_err() {
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
            each(&q.record(slot.generation.load(Ordering::Relaxed), outcome));
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
