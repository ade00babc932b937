//! Running threads have no SP and PC in /proc: they are asked with a signal, each alone, and answer with
//! their registers and the top of their stack.
//!
//! The handler never waits, never touches libc and cannot fault: it claims the slot that its value names, copies, says so,
//! and returns. An answer that comes too late finds another generation in the slot and does nothing. A handler is put in only for the first question, and taken out again when no question is open and
//! the host has not changed it: a signal that arrived after that would end the process.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use hangscope_protocol::record::{PROBE_REGS, ProbeRecord, RED_ZONE, probe_outcome};
use hangscope_reader::status::Status;
use once_cell::race::OnceRef;

use crate::host::task::Tasks;
use crate::sys::{self, KernelAction};

/// Threads that can be asked at a time.
pub(crate) const SLOTS: usize = 64;
/// Most stack that an answer holds.
pub(crate) const STACK: usize = 32 * 1024;

const FREE: u32 = 0;
const ASKED: u32 = 1;
const WRITING: u32 = 2;
const DONE: u32 = 3;

/// An answer.
struct Answer {
    regs: [u64; PROBE_REGS],
    answered_ns: u64,
    cpu_ns: u64,
    stack_at: u64,
    stack_len: usize,
    stack: [u8; STACK],
}

struct Slot {
    state: AtomicU32,
    generation: AtomicU32,
    /// Bytes of stack that are wanted.
    limit: AtomicU32,
}

/// What handlers write into. All zero is: nobody is asked.
pub(crate) struct Slots {
    slots: [Slot; SLOTS],
    /// By slot; apart from their states, so that a look at those touches one page and not one a slot.
    written: [UnsafeCell<Answer>; SLOTS],
    /// Counts answers; a futex word.
    answers: AtomicU32,
}

// SAFETY: what a slot has `written` is written only by the handler that moved it from ASKED to WRITING, and read only
// by the watchdog after it saw DONE (acquire), before it moves it to FREE.
unsafe impl Sync for Slots {}

static SLOTS_HERE: OnceRef<'static, Slots> = OnceRef::new();

impl Slots {
    fn answer(&self, value: u64, context: &libc::ucontext_t) {
        let (generation, index) = ((value >> 16) as u32, (value & 0xffff) as usize);
        let (Some(slot), Some(written)) = (self.slots.get(index), self.written.get(index)) else { return };
        if slot.generation.load(Ordering::Acquire) != generation
            || slot.state.compare_exchange(ASKED, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return;
        }
        // SAFETY: this handler owns the slot since the exchange above (see the `Sync` above).
        let answer = unsafe { &mut *written.get() };
        answer.regs = crate::arch::registers(context);
        let limit = (slot.limit.load(Ordering::Relaxed) as usize).min(STACK);
        let sp = answer.regs[crate::arch::REG_SP];
        let mut copy = |from| answer.stack.get_mut(..limit).map_or(0, |to| sys::peek(from, to).unwrap_or(0));
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

extern "C" fn on_signal(_signal: i32, info: *const u64, context: *mut libc::ucontext_t) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t (128 bytes) and a ucontext_t, both live until
    // the handler returns, and nobody else's.
    let (code, pid, value, context) =
        unsafe { (*info.add(1) as u32 as i32, *info.add(2) as u32, *info.add(3), &mut *context) };
    if code == libc::SI_QUEUE
        && pid == sys::getpid()
        && let Some(slots) = SLOTS_HERE.get()
    {
        slots.answer(value, context);
    }
    if code == sys::SI_TIMER && value == crate::signal::stops::MARK {
        crate::signal::stops::on_timer(context);
    }
}

/// The kernel's action for [`on_signal`].
fn handler() -> KernelAction {
    KernelAction {
        handler: on_signal as *const () as usize,
        flags: (libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK) as u64 | crate::arch::SIGACTION_FLAGS,
        restorer: crate::arch::signal_return as *const () as usize,
        mask: u64::MAX,
    }
}

/// A question that is open.
#[derive(Clone, Copy)]
struct Question {
    tid: u32,
    asked_ns: u64,
    was_blocked: bool,
    sample: u32,
}

/// Asks and collects. One for the watchdog.
pub(crate) struct Prober {
    slots: &'static Slots,
    pid: u32,
    wanted: u32,
    /// The signal whose handler is ours now, and what it did before.
    installed: Option<(u32, KernelAction)>,
    questions: [Option<Question>; SLOTS],
    /// Threads whose signal may still be pending.
    late: [u32; SLOTS],
    /// The handler is never taken out again: timers may still have sent their signal.
    stays: bool,
    pub(crate) generation: u32,
    /// Set once if the wanted signal was in use.
    pub(crate) signal_was_taken: bool,
}

impl Prober {
    pub(crate) fn new(slots: &'static Slots, pid: u32, wanted: u32) -> Prober {
        let _ = SLOTS_HERE.set(slots);
        // In a forked child the slots are a copy of whatever they were.
        for slot in &slots.slots {
            slot.state.store(FREE, Ordering::Release);
        }
        Prober {
            slots,
            pid,
            wanted,
            installed: None,
            questions: [None; SLOTS],
            late: [0; SLOTS],
            stays: false,
            generation: slots.slots.first().map_or(0, |s| s.generation.load(Ordering::Relaxed)),
            signal_was_taken: false,
        }
    }

    /// The signal that is in use, 0 if none.
    pub(crate) fn signal(&self) -> u32 {
        self.installed.map_or(0, |(signal, _)| signal)
    }

    /// Puts the handler in, on the wanted signal or, if the host uses that, the highest real-time signal that
    /// nobody uses. False if none is free.
    pub(crate) fn install(&mut self) -> bool {
        if self.installed.is_some() {
            return true;
        }
        if self.wanted == 0 {
            return false;
        }
        let handler = handler();
        for signal in core::iter::once(self.wanted).chain((34..=64).rev()) {
            // SAFETY: only reads.
            let Ok(before) = (unsafe { sys::action(signal, None) }) else { continue };
            if before.handler != libc::SIG_DFL && before.handler != handler.handler {
                self.signal_was_taken |= signal == self.wanted;
                continue;
            }
            // SAFETY: `on_signal` may run anywhere: it makes no call but raw system calls and touches only slots.
            if unsafe { sys::action(signal, Some(&handler)) }.is_ok() {
                let before = KernelAction { handler: libc::SIG_DFL, ..before };
                self.installed = Some((signal, before));
                return true;
            }
        }
        false
    }

    /// The same, for signals that come by themselves until their timers are deleted: it is not taken out again. False
    /// also where the host has put in its own since.
    pub(crate) fn install_for_good(&mut self) -> bool {
        self.stays = self.install() && self.is_ours();
        self.stays
    }

    /// Whether the signal that is in use still has our handler.
    fn is_ours(&self) -> bool {
        // SAFETY: only reads.
        unsafe { sys::action(self.signal(), None) }
            .is_ok_and(|a| a.handler == on_signal as *const () as usize)
    }

    /// Whether a thread blocks the signal that is in use, or is gone.
    pub(crate) fn is_blocked_by(&self, tid: u32, tasks: &Tasks, text: &mut [u8]) -> bool {
        let blocked = tasks.status(tid, text).map(|status| status.blocked_signals().unwrap_or(0));
        blocked.map_or(true, |set| set & 1 << (self.signal() - 1) != 0)
    }

    /// Asks a thread, in a free slot. False if there is none. What cannot be asked is answered at once by
    /// `refused` with the reason.
    pub(crate) fn ask(
        &mut self,
        tid: u32,
        (blocked_signals, was_blocked): (u64, bool),
        sample: u32,
        limit: u32,
        refused: &mut dyn FnMut(ProbeRecord),
    ) -> bool {
        let record = ProbeRecord {
            tid,
            generation: self.generation,
            sample,
            outcome: probe_outcome::NO_SIGNAL,
            was_blocked: u8::from(was_blocked),
            errno: 0,
            asked_ns: sys::now(),
            answered_ns: 0,
            cpu_ns: 0,
            stack: 0,
            regs: [0; PROBE_REGS],
        };
        if !self.install() {
            refused(record);
            return true;
        }
        let signal = self.signal();
        if blocked_signals & 1 << (signal - 1) != 0 {
            refused(ProbeRecord { outcome: probe_outcome::BLOCKED, ..record });
            return true;
        }
        let free =
            |(q, s): (&Option<Question>, &Slot)| q.is_none() && s.state.load(Ordering::Acquire) == FREE;
        let Some(index) = self.questions.iter().zip(&self.slots.slots).position(free) else { return false };
        let (Some(slot), Some(question)) = (self.slots.slots.get(index), self.questions.get_mut(index))
        else {
            return false;
        };
        self.generation = self.generation.wrapping_add(1);
        slot.generation.store(self.generation, Ordering::Release);
        slot.limit.store(limit, Ordering::Relaxed);
        slot.state.store(ASKED, Ordering::Release);
        let value = u64::from(self.generation) << 16 | index as u64;
        match sys::queue_signal(self.pid, tid, signal, value) {
            Ok(()) => *question = Some(Question { tid, asked_ns: record.asked_ns, was_blocked, sample }),
            Err(e) => {
                slot.state.store(FREE, Ordering::Release);
                let gone = e == sys::Errno::SRCH;
                let outcome = if gone { probe_outcome::GONE } else { probe_outcome::NOT_SENT };
                refused(ProbeRecord { outcome, errno: e.raw_os_error() as u16, ..record });
            }
        }
        true
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
    pub(crate) fn collect(&mut self, each: &mut dyn FnMut(ProbeRecord, &[u8])) {
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
                    tid: q.tid,
                    generation: slot.generation.load(Ordering::Relaxed),
                    sample: q.sample,
                    outcome: probe_outcome::ANSWERED,
                    was_blocked: u8::from(q.was_blocked),
                    errno: 0,
                    asked_ns: q.asked_ns,
                    answered_ns: answer.answered_ns,
                    cpu_ns: answer.cpu_ns,
                    stack: answer.stack_at,
                    regs: answer.regs,
                };
                each(record, answer.stack.get(..answer.stack_len).unwrap_or(&[]));
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
    pub(crate) fn abandon(&mut self, tasks: &Tasks, text: &mut [u8], each: &mut dyn FnMut(ProbeRecord)) {
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
            each(ProbeRecord {
                tid: q.tid,
                generation: slot.generation.load(Ordering::Relaxed),
                sample: q.sample,
                outcome: if alive { probe_outcome::LATE } else { probe_outcome::LEFT },
                was_blocked: u8::from(q.was_blocked),
                errno: 0,
                asked_ns: q.asked_ns,
                answered_ns: 0,
                cpu_ns: 0,
                stack: 0,
                regs: [0; PROBE_REGS],
            });
        }
    }

    /// Takes the handler out, if no signal can be on its way any more and the host has not put in its own.
    pub(crate) fn uninstall(&mut self, tasks: &Tasks, text: &mut [u8]) {
        let Some((signal, before)) = self.installed.filter(|_| !self.stays) else { return };
        if self.any_open() {
            return;
        }
        for late in self.late.iter_mut().filter(|t| **t != 0) {
            let pending = tasks.status(*late, text).ok().and_then(Status::pending_signals);
            if pending.is_none_or(|set| set & 1 << (signal - 1) == 0) {
                *late = 0;
            }
        }
        // All slots of `late` in use might mean that one more was not remembered: then the handler stays.
        if self.late.iter().any(|t| *t != 0) {
            return;
        }
        if self.is_ours() {
            // SAFETY: gives back what was there before.
            let _ = unsafe { sys::action(signal, Some(&before)) };
        }
        self.installed = None;
    }
}
