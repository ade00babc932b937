//! Answers to questions: each thread that is asked has a slot, and writes its registers and the top of its
//! stack there.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use hangscope_protocol::record::{PROBE_REGS, RED_ZONE};

use crate::arch;
use crate::sys::{self, Resident};

/// Threads that can be asked at a time.
pub(super) const SLOTS: usize = 64;
/// Bytes of stack that an answer can hold.
pub(crate) const STACK: usize = 32 * 1024;

/// States of a slot: free, the question is open, the handler writes, the answer is there.
pub(super) const FREE: u32 = 0;
pub(super) const ASKED: u32 = 1;
const WRITING: u32 = 2;
pub(super) const DONE: u32 = 3;

pub(super) struct Answer {
    pub(super) regs: [u64; PROBE_REGS],
    pub(super) answered_ns: u64,
    pub(super) cpu_ns: u64,
    /// Address of the first byte of `stack`.
    pub(super) stack_at: u64,
    pub(super) stack_len: usize,
    pub(super) stack: [u8; STACK],
}

pub(super) struct Slot {
    pub(super) state: AtomicU32,
    /// Number of the question: an answer to an earlier one comes too late.
    pub(super) generation: AtomicU32,
    /// Bytes of stack that are wanted.
    pub(super) limit: AtomicU32,
}

/// What handlers write into. All zero: nobody is asked.
pub(crate) struct Slots {
    pub(super) slots: [Slot; SLOTS],
    /// By slot. Apart from the states, so that reading all states touches one page and not one for each slot.
    pub(super) written: [UnsafeCell<Answer>; SLOTS],
    /// Number of answers so far: a futex word.
    pub(super) answers: AtomicU32,
}

// SAFETY: an element of `written` is written only by the handler that moved its slot from ASKED to WRITING.
// It is read only by the watchdog after the watchdog saw DONE (acquire), and before the watchdog moves the
// slot to FREE.
unsafe impl Sync for Slots {}

impl Slots {
    /// In the handler: answers the question that `value` names. Does nothing if that question is not open
    /// any more.
    pub(super) fn answer(&self, value: u64, context: &libc::ucontext_t) {
        let (generation, index) = ((value >> 16) as u32, (value & 0xffff) as usize);
        let (Some(slot), Some(written)) = (self.slots.get(index), self.written.get(index)) else { return };
        if slot.generation.load(Ordering::Acquire) != generation
            || slot.state.compare_exchange(ASKED, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return;
        }
        // SAFETY: this handler owns the slot since the exchange above (see `Sync` above).
        let answer = unsafe { &mut *written.get() };
        answer.regs = arch::registers(context);
        let limit = (slot.limit.load(Ordering::Relaxed) as usize).min(STACK);
        let sp = answer.regs[arch::REG_SP];
        let mut copy =
            |from| answer.stack.get_mut(..limit).map_or(0, |to| Resident::BY_MINCORE.stack(from, to).len);
        let below = sp.saturating_sub(RED_ZONE);
        (answer.stack_at, answer.stack_len) = (below, copy(below));
        if (answer.stack_len as u64) < RED_ZONE {
            (answer.stack_at, answer.stack_len) = (sp, copy(sp));
        }
        answer.cpu_ns = sys::thread_cpu();
        answer.answered_ns = sys::now();
        slot.state.store(DONE, Ordering::Release);
        self.answers.fetch_add(1, Ordering::Release);
        sys::futex_wake(&self.answers);
    }
}
