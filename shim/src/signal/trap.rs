//! The handler of SIGTRAP, for threads in slow motion. It is put in only where the host has none, and never taken out
//! again: a thread may still have a step to make.

use crate::arch;
use crate::sys::{self, KernelAction};

extern "C" fn on_trap(signal: i32, info: *const u64, context: *mut libc::ucontext_t) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t (128 bytes) and a ucontext_t, both live until the handler
    // returns, and nobody else's.
    let (code, context) = unsafe { (*info.add(1) as u32 as i32, &mut *context) };
    if code == arch::STEPPED {
        return super::stops::on_step(context);
    }
    // The host's own: it ends the process, as it would have without a handler.
    let default = KernelAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: there is no handler in it.
    let _ = unsafe { sys::action(signal as u32, Some(&default)) };
    arch::step(context, false);
    let _ = sys::queue_signal(sys::getpid(), sys::gettid(), signal as u32, 0);
}

/// Puts it in. False where the host has a handler of its own, or ignores the signal.
pub(crate) fn install() -> bool {
    let handler = KernelAction {
        handler: on_trap as *const () as usize,
        flags: (libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK) as u64 | arch::SIGACTION_FLAGS,
        restorer: arch::signal_return as *const () as usize,
        mask: u64::MAX,
    };
    // SAFETY: only reads.
    let Ok(now) = (unsafe { sys::action(libc::SIGTRAP as u32, None) }) else { return false };
    if now.handler != libc::SIG_DFL {
        return now.handler == handler.handler;
    }
    // SAFETY: `on_trap` may run anywhere: it makes no call but raw system calls and touches only atomics.
    unsafe { sys::action(libc::SIGTRAP as u32, Some(&handler)) }.is_ok()
}
