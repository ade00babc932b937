//! Queries of a signal's action by the host do not see the handler of `crash`: they say the default action,
//! as without the shim. Runtimes decide by it whether they put in a handler of their own (Rust's std, for its
//! message about an overflow of the stack), or whether they call the one before (HotSpot).
//!
//! These are libc's functions. Each calls the next definition in the order of symbol search, as
//! `dlsym(RTLD_NEXT)` would find it, without its lock, and changes the answer only where it is that handler.
//! The host's raw system calls are not seen.
//!
//! What is kept is an address of code that was loaded before the shim and is never unloaded. It publishes
//! nothing else, and whoever finds none looks for the same one: threads, signal handlers and forked children
//! may meet.

use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::crash;
use crate::arch;
use crate::host::elf;
use crate::sys::{self, KernelAction};

type Sigaction = unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
type Signal = unsafe extern "C" fn(c_int, usize) -> usize;

/// The next definition of a function after the one at `own`; `known` keeps it.
fn next(name: &[u8], own: usize, known: &AtomicUsize) -> Option<usize> {
    let address = known.load(Ordering::Relaxed);
    if address != 0 {
        return Some(address);
    }
    // A constructor may call before that of the shim.
    if sys::getpid() == 0 {
        sys::know_pid();
    }
    let address = elf::find_next_function(name, own as u64)? as usize;
    known.store(address, Ordering::Relaxed);
    Some(address)
}

/// # Safety
/// As sigaction(2).
unsafe fn query(
    next: Option<usize>,
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the caller's pointer, if there is one. libc's set is larger than the kernel's and begins with
    // it.
    let asks_for_default = !new.is_null()
        && unsafe {
            let mask = (&raw const (*new).sa_mask).cast::<u64>().read();
            ((*new).sa_sigaction, (*new).sa_flags, mask) == (libc::SIG_DFL, 0, 0)
        };
    let done = match next {
        // SAFETY: `next` found a function of this name; the rest is the caller's promise.
        Some(next) => unsafe { core::mem::transmute::<usize, Sigaction>(next)(signal, new, old) },
        // SAFETY: the caller's promise.
        None => unsafe { raw(signal, new, old) },
    };
    // SAFETY: libc has written `old`.
    if done == 0 && !old.is_null() && unsafe { (*old).sa_sigaction } == crash::handler() {
        let (flags, restorer) = crash::before(signal);
        // SAFETY: as above. All zero is the default action without a mask; a restorer is an address or none.
        unsafe {
            old.write_bytes(0, 1);
            (*old).sa_flags = flags as c_int;
            (*old).sa_restorer = core::mem::transmute::<usize, Option<extern "C" fn()>>(restorer);
        }
    }
    if done == 0 && asks_for_default {
        crash::take(signal);
    }
    done
}

/// The system call itself, where libc's function was not found.
///
/// # Safety
/// As sigaction(2).
unsafe fn raw(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int {
    // SAFETY: the caller's pointer, if there is one. libc's set is larger than the kernel's and begins with
    // it.
    let new = (!new.is_null()).then(|| unsafe {
        KernelAction {
            handler: (*new).sa_sigaction,
            flags: (*new).sa_flags as u32 as u64 | arch::SIGACTION_FLAGS,
            restorer: arch::signal_return as *const () as usize,
            mask: (&raw const (*new).sa_mask).cast::<u64>().read(),
        }
    });
    // SAFETY: a handler is the host's own.
    let Ok(before) = (unsafe { sys::action(signal as u32, new.as_ref()) }) else { return -1 };
    if !old.is_null() {
        // SAFETY: the caller's pointer.
        unsafe {
            old.write_bytes(0, 1);
            (*old).sa_sigaction = before.handler;
            (*old).sa_flags = before.flags as c_int;
            (&raw mut (*old).sa_mask).cast::<u64>().write(before.mask);
        }
    }
    0
}

/// # Safety
/// As signal(2).
unsafe fn set(next: Option<usize>, number: c_int, handler: usize) -> usize {
    let Some(next) = next else { return libc::SIG_ERR };
    // SAFETY: `next` found a function of this name; the rest is the caller's promise.
    let before = unsafe { core::mem::transmute::<usize, Signal>(next)(number, handler) };
    if before == crash::handler() { libc::SIG_DFL } else { before }
}

/// The next definitions that are known. Looked for by the watchdog ([`know`]), so that the host's threads
/// make no system calls for it, or at the first call if that comes earlier.
mod known {
    use core::sync::atomic::AtomicUsize;

    pub(super) static SIGACTION: AtomicUsize = AtomicUsize::new(0);
    pub(super) static SIGNAL: AtomicUsize = AtomicUsize::new(0);
}

/// Looks for the next definitions of the functions that programs call.
pub(crate) fn know() {
    let _ = next(b"sigaction", sigaction as *const () as usize, &known::SIGACTION);
    let _ = next(b"signal", signal as *const () as usize, &known::SIGNAL);
}

macro_rules! queries {
    ($($name:ident $next:expr;)*) => {$(
        /// # Safety
        /// As sigaction(2).
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name(
            signal: c_int,
            new: *const libc::sigaction,
            old: *mut libc::sigaction,
        ) -> c_int {
            let next = next(stringify!($name).as_bytes(), $name as *const () as usize, &$next);
            // SAFETY: the caller's promise.
            unsafe { query(next, signal, new, old) }
        }
    )*};
}

macro_rules! sets {
    ($($name:ident $next:expr;)*) => {$(
        /// # Safety
        /// As signal(2).
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name(number: c_int, handler: usize) -> usize {
            let next = next(stringify!($name).as_bytes(), $name as *const () as usize, &$next);
            // SAFETY: the caller's promise.
            unsafe { set(next, number, handler) }
        }
    )*};
}

static SYSTEM_V: AtomicUsize = AtomicUsize::new(0);
static SIGSET: AtomicUsize = AtomicUsize::new(0);

// Names of one function of libc share what is known.
queries! { sigaction known::SIGACTION; __sigaction known::SIGACTION; }
sets! {
    signal known::SIGNAL; ssignal known::SIGNAL; bsd_signal known::SIGNAL;
    sysv_signal SYSTEM_V; __sysv_signal SYSTEM_V; sigset SIGSET;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a test these functions are not among the loader's, so there is no next one.
    #[test]
    fn without_a_next_definition_the_kernel_is_asked() {
        for ask in [sigaction, __sigaction] {
            // SAFETY: zero is a value of it: the default action.
            let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
            action.sa_sigaction = libc::SIG_IGN;
            action.sa_flags = libc::SA_RESTART;
            // SAFETY: no thread of the test uses SIGUSR2, and both structures live.
            unsafe {
                assert_eq!(ask(libc::SIGUSR2, &raw const action, core::ptr::null_mut()), 0);
                let mut is: libc::sigaction = core::mem::zeroed();
                assert_eq!(ask(libc::SIGUSR2, core::ptr::null(), &raw mut is), 0);
                assert_eq!(
                    (is.sa_sigaction, is.sa_flags & libc::SA_RESTART),
                    (libc::SIG_IGN, libc::SA_RESTART)
                );
                assert_eq!(ask(99, core::ptr::null(), &raw mut is), -1);
            }
        }
        for set in [signal, ssignal, bsd_signal, sysv_signal, __sysv_signal, sigset] {
            // SAFETY: there is no handler in it.
            assert_eq!(unsafe { set(libc::SIGUSR2, libc::SIG_DFL) }, libc::SIG_ERR);
        }
    }
}
