//! Answers to questions: each thread that is asked has a slot, and writes its registers there.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use hangscope_protocol::record::PROBE_REGS;

use crate::arch;

/// Threads that can be asked at a time.
pub(super) const SLOTS: usize = 64;

/// States of a slot: free, the question is open, the handler writes, the answer is there.
pub(super) const FREE: u32 = 0;
pub(super) const ASKED: u32 = 1;
const WRITING: u32 = 2;
pub(super) const DONE: u32 = 3;

pub(super) struct Slot {
    pub(super) state: AtomicU32,
    /// Number of the question: an answer to an earlier one comes too late.
    pub(super) generation: AtomicU32,
}

/// What handlers write into. All zero: nobody is asked.
pub(crate) struct Slots {
    pub(super) slots: [Slot; SLOTS],
    /// Registers, by slot. Apart from the states, so that reading all states touches one page.
    pub(super) written: [UnsafeCell<[u64; PROBE_REGS]>; SLOTS],
}

// SAFETY: an element of `written` is written only by the handler that moved its slot from ASKED to WRITING.
// It is read only by the watchdog after the watchdog saw DONE (acquire), and before the watchdog moves the
// slot to FREE.
unsafe impl Sync for Slots {}

impl Slots {
    /// In the handler: answers the question that `value` names. Does nothing if that question is not open any
    /// more. No system call: a filter of the program might end it for one.
    pub(super) fn answer(&self, value: u64, context: &libc::ucontext_t) {
        let (generation, index) = ((value >> 16) as u32, (value & 0xffff) as usize);
        let (Some(slot), Some(written)) = (self.slots.get(index), self.written.get(index)) else { return };
        if slot.generation.load(Ordering::Acquire) != generation
            || slot.state.compare_exchange(ASKED, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return;
        }
        // SAFETY: this handler owns the slot since the exchange above (see `Sync` above).
        unsafe { *written.get() = arch::registers(context) };
        slot.state.store(DONE, Ordering::Release);
    }
}
