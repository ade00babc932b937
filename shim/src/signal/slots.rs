//! Answers to questions: each thread that is asked has a slot, and writes its registers there.
//!
//! Who writes and who reads:
//!
//! - The state of a slot is one word: the number of the question, and how far it is. The watchdog opens and
//!   closes questions. The handler, on the thread that was asked, takes an open one and completes it. So the
//!   number and the state are compared in one step: a handler that comes late, for an earlier question of the
//!   same slot, takes nothing, wherever it was interrupted.
//! - The registers are the handler's from its exchange (acquire: after the watchdog's last reading) until it
//!   stores DONE (release). They are the watchdog's from its load of DONE (acquire) until it frees the slot
//!   (release).
//! - The handler has all signals blocked, and neither forks nor makes a thread. A fork by another thread
//!   copies the slots as they are. The child has no pending signals, and its watchdog frees all slots before
//!   it asks.
//! - An exec replaces the memory. A signal that is still pending then would meet the new program's default
//!   action. It is sent only to a thread that sleeps in a call which ends at once for it, and not to one that
//!   blocks it. What remains is a thread that begins an exec within the microseconds between the look and the
//!   signal.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use hangscope_protocol::record::PROBE_REGS;

use crate::arch;

/// Threads that can be asked at a time.
pub(super) const SLOTS: usize = 64;

/// How far a question is: none, open, the handler writes, the answer is there.
const FREE: u64 = 0;
const ASKED: u64 = 1;
const WRITING: u64 = 2;
const DONE: u64 = 3;
/// Bits of these states. The number of the question is above them.
const STATE_BITS: u32 = 2;

const fn word(question: u32, state: u64) -> u64 {
    (question as u64) << STATE_BITS | state
}

/// The number of the last question, and its state.
pub(super) struct Slot(AtomicU64);

impl Slot {
    /// Number of the last question.
    pub(super) fn question(&self) -> u32 {
        (self.0.load(Ordering::Relaxed) >> STATE_BITS) as u32
    }

    fn is(&self, state: u64) -> bool {
        self.0.load(Ordering::Acquire) & word(0, DONE) == state
    }

    pub(super) fn is_free(&self) -> bool {
        self.is(FREE)
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is(DONE)
    }

    /// Opens a question. For the watchdog, on a free slot.
    pub(super) fn open(&self, question: u32) {
        self.0.store(word(question, ASKED), Ordering::Release);
    }

    /// Makes the slot free. For the watchdog, when no handler can be writing.
    pub(super) fn free(&self) {
        self.0.store(word(self.question(), FREE), Ordering::Release);
    }

    /// Closes a question that nobody has begun to answer. False if somebody has.
    pub(super) fn close(&self) -> bool {
        self.step(self.question(), ASKED, FREE)
    }

    fn step(&self, question: u32, from: u64, to: u64) -> bool {
        let (from, to) = (word(question, from), word(question, to));
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// What handlers write into. All zero: nobody is asked.
#[repr(C)]
pub(crate) struct Slots {
    /// Registers, by slot. Apart from the states, so that reading all states touches one page.
    written: [UnsafeCell<[u64; PROBE_REGS]>; SLOTS],
    pub(super) slots: [Slot; SLOTS],
}

// SAFETY: an element of `written` is written only by the handler that moved its slot from ASKED to WRITING.
// It is read only by the watchdog after the watchdog saw DONE (acquire), and before the watchdog moves the
// slot to FREE.
unsafe impl Sync for Slots {}

impl Slots {
    /// In the handler: answers the question that `value` names. Does nothing if that question is not open any
    /// more. No system call: a filter of the program might end it for one.
    pub(super) fn answer(&self, value: u64, context: &libc::ucontext_t) {
        self.write(value, || arch::registers(context));
    }

    fn write(&self, value: u64, registers: impl FnOnce() -> [u64; PROBE_REGS]) {
        let (question, index) = ((value >> 16) as u32, (value & 0xffff) as usize);
        let (Some(slot), Some(written)) = (self.slots.get(index), self.written.get(index)) else { return };
        if slot.step(question, ASKED, WRITING) {
            // SAFETY: this handler owns the slot since that step (see `Sync` above).
            unsafe { *written.get() = registers() };
            slot.0.store(word(question, DONE), Ordering::Release);
        }
    }

    /// The registers of an answer. For the watchdog, before it frees the slot; none without an answer.
    pub(super) fn registers(&self, index: usize) -> Option<[u64; PROBE_REGS]> {
        let written = self.written.get(index)?;
        // SAFETY: DONE was seen with acquire, so the handler has finished writing, and nobody writes again
        // before the slot is free (see `Sync` above).
        self.slots.get(index)?.is_answered().then(|| unsafe { *written.get() })
    }
}

/// The value that a signal carries: which question, in which slot.
pub(super) fn value(question: u32, index: usize) -> u64 {
    u64::from(question) << 16 | index as u64
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;

    use super::*;

    fn slots() -> Box<Slots> {
        // SAFETY: zero is a valid value of all of it, as in the arena.
        unsafe { Box::new_zeroed().assume_init() }
    }

    #[test]
    fn a_late_answer_is_not_taken_for_that_of_the_next_question() {
        let slots = slots();
        let [slot, ..] = &slots.slots;
        slot.open(1);
        assert!(slot.close() && slot.is_free());
        slot.open(2);
        slots.write(value(1, 0), || [1; PROBE_REGS]);
        assert_eq!(slots.registers(0), None);
        slots.write(value(2, 0), || [2; PROBE_REGS]);
        assert_eq!(slots.registers(0), Some([2; PROBE_REGS]));
        // Nor for its own again.
        slots.write(value(2, 0), || [3; PROBE_REGS]);
        assert_eq!((slots.registers(0), slot.close()), (Some([2; PROBE_REGS]), false));
        slot.free();
        assert_eq!((slots.registers(0), slot.question()), (None, 2));
        slots.write(value(2, SLOTS), || unreachable!());
    }

    /// Two threads answer, one of them always late. Miri checks here that nobody reads what is being written.
    #[test]
    fn whoever_answers_late_or_in_time_an_answer_is_whole_and_its_own() {
        let rounds = if cfg!(miri) { 30 } else { 20_000 };
        let slots = slots();
        let [slot, ..] = &slots.slots;
        let answers = std::thread::scope(|scope| {
            for late in [0, 1] {
                let slots = &slots;
                scope.spawn(move || {
                    for question in 1..=rounds {
                        while slots.slots[0].question() < question + late {
                            std::thread::yield_now();
                        }
                        slots.write(value(question, 0), || [u64::from(question); PROBE_REGS]);
                    }
                });
            }
            let mut answers = 0;
            for question in 1..=rounds + 1 {
                slot.open(question);
                if question % 2 == 0 || question > rounds {
                    // Given up, unless somebody has begun.
                    std::thread::yield_now();
                    if slot.close() {
                        continue;
                    }
                }
                let registers = loop {
                    match slots.registers(0) {
                        Some(registers) => break registers,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(registers, [u64::from(question); PROBE_REGS]);
                answers += 1;
                slot.free();
            }
            answers
        });
        assert!(answers >= rounds / 2, "{answers}");
    }
}
