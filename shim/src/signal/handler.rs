//! The one handler: for questions, for the timers of `stops`, and for SIGTRAP.
//!
//! It never waits but in a stop, never touches libc and cannot fault. It is put in only for the first
//! question, and taken out again when no question is open and the host has not changed the action: a signal
//! that came after that would end the process. For SIGTRAP it is put in only where the host has no handler,
//! and never taken out: a thread may still have a step to make.

use hangscope_reader::status::Status;
use once_cell::race::OnceRef;

use super::slots::Slots;
use super::stops;
use crate::arch;
use crate::host::task::Tasks;
use crate::sys::{self, KernelAction};

/// Value of a timer's signal. A timer of the host that sends another value is passed over.
pub(super) const MARK: u64 = 0x6861_6e67_7374_6972;

/// Slots that questions are answered in.
static SLOTS: OnceRef<'static, Slots> = OnceRef::new();

extern "C" fn on_signal(signal: i32, info: *const u64, context: *mut libc::ucontext_t) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t (128 bytes) and a ucontext_t. Both live until
    // the handler returns, and nobody else uses them.
    let (code, pid, value, context) =
        unsafe { (*info.add(1) as u32 as i32, *info.add(2) as u32, *info.add(3), &mut *context) };
    match code {
        _ if signal == libc::SIGTRAP && arch::is_step(code, context) => stops::on_step(context),
        _ if signal == libc::SIGTRAP => trap_of_the_host(context),
        libc::SI_QUEUE if pid == sys::getpid() => {
            if let Some(slots) = SLOTS.get() {
                slots.answer(value, context);
            }
        }
        sys::SI_TIMER if value == MARK => stops::on_timer(context),
        _ => {}
    }
}

/// A SIGTRAP that is the host's own ends the process, as it would have without a handler.
fn trap_of_the_host(context: &mut libc::ucontext_t) {
    let default = KernelAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: there is no handler in it.
    let _ = unsafe { sys::action(libc::SIGTRAP as u32, Some(&default)) };
    arch::step(context, false);
    let _ = sys::queue_signal(sys::getpid(), sys::gettid(), libc::SIGTRAP as u32, 0);
}

/// Where the handler's frame goes: how large the thread's alternate stack is, nobody can know beforehand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// The stack that the thread is on. For questions: that stack was found to have room.
    Current,
    /// The alternate stack, if it has one. For the timers and traps of `stops`, which meet any thread.
    Alternate,
}

/// The address of [`on_signal`].
fn address() -> usize {
    on_signal as *const () as usize
}

/// The kernel's action for [`on_signal`].
fn ours(on: On) -> KernelAction {
    let on_stack = if on == On::Alternate { libc::SA_ONSTACK } else { 0 };
    KernelAction {
        handler: address(),
        flags: (libc::SA_SIGINFO | libc::SA_RESTART | on_stack) as u64 | arch::SIGACTION_FLAGS,
        restorer: arch::signal_return as *const () as usize,
        mask: u64::MAX,
    }
}

fn now(signal: u32) -> Option<KernelAction> {
    // SAFETY: only reads.
    unsafe { sys::action(signal, None) }.ok()
}

/// Puts the handler in. Gives false if the kernel refuses.
fn put(signal: u32, on: On) -> bool {
    // SAFETY: `on_signal` may run anywhere: it makes no call but raw system calls, and touches only slots
    // and atomics.
    unsafe { sys::action(signal, Some(&ours(on))) }.is_ok()
}

/// Puts the handler in for SIGTRAP. False where the host has a handler of its own, or ignores the signal.
pub(super) fn install_trap() -> bool {
    let signal = libc::SIGTRAP as u32;
    now(signal).is_some_and(|now| match now.handler {
        libc::SIG_DFL => put(signal, On::Alternate),
        other => other == address(),
    })
}

/// The handler of the real-time signal for questions and timers.
pub(crate) struct Handler {
    /// The signal from HANGSCOPE_SIGNAL; 0: none may be used.
    wanted: u32,
    /// The signal in use, and its action before.
    installed: Option<(u32, KernelAction)>,
    /// The handler is never taken out again: a deleted timer may have sent its signal.
    stays: bool,
}

impl Handler {
    pub(super) fn new(slots: &'static Slots, wanted: u32) -> Handler {
        let _ = SLOTS.set(slots);
        Handler { wanted, installed: None, stays: false }
    }

    /// The signal in use, 0 if none.
    pub(crate) fn signal(&self) -> u32 {
        self.installed.map_or(0, |(signal, _)| signal)
    }

    /// Bit of the signal in use in a set of the kernel.
    pub(super) fn bit(&self) -> u64 {
        self.signal().checked_sub(1).map_or(0, |n| 1 << n)
    }

    /// Puts the handler in, on the wanted signal or, if the host uses that, on the highest real-time signal
    /// that nobody uses. False if none is free.
    pub(super) fn install(&mut self) -> bool {
        self.install_on(On::Current)
    }

    fn install_on(&mut self, on: On) -> bool {
        if self.installed.is_some() {
            return true;
        }
        if self.wanted == 0 {
            return false;
        }
        for signal in core::iter::once(self.wanted).chain((34..=64).rev()) {
            let Some(before) = now(signal) else { continue };
            let free = before.handler == libc::SIG_DFL || before.handler == address();
            if free && put(signal, on) {
                self.installed = Some((signal, KernelAction { handler: libc::SIG_DFL, ..before }));
                return true;
            }
        }
        false
    }

    /// As [`Handler::install`], for signals of timers: the handler is not taken out again. False also where
    /// the host has replaced it since.
    pub(super) fn install_for_good(&mut self) -> bool {
        self.stays = self.install_on(On::Alternate) && self.is_ours();
        self.stays
    }

    fn is_ours(&self) -> bool {
        now(self.signal()).is_some_and(|a| a.handler == address())
    }

    /// Whether a thread blocks the signal in use, or has ended.
    pub(super) fn is_blocked_by(&self, tid: u32, tasks: &Tasks, text: &mut [u8]) -> bool {
        let status = tasks.status(tid, text);
        status.map_or(true, |s| s.blocked_signals().unwrap_or(0) & self.bit() != 0)
    }

    /// Whether the signal in use is pending for a thread.
    pub(super) fn is_pending_for(&self, tid: u32, tasks: &Tasks, text: &mut [u8]) -> bool {
        let pending = tasks.status(tid, text).ok().and_then(Status::pending_signals);
        pending.is_some_and(|set| set & self.bit() != 0)
    }

    /// Whether the handler is in and may be taken out.
    pub(super) fn is_removable(&self) -> bool {
        self.installed.is_some() && !self.stays
    }

    /// Takes the handler out, if it may be and if the host has not put in its own.
    pub(super) fn remove(&mut self) {
        let Some((signal, before)) = self.installed.filter(|_| !self.stays) else { return };
        if self.is_ours() {
            // SAFETY: gives back what was there before.
            let _ = unsafe { sys::action(signal, Some(&before)) };
        }
        self.installed = None;
    }
}
