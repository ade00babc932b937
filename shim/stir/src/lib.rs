//! `libhangscope_stir.so`: holds threads at synchronisation operations, so that races which are rarely lost
//! are lost more often. Preloaded only on request, behind the shim and in front of the allocator.
//!
//! A race is lost where a thread is delayed between two of its steps. Few long delays at synchronisation
//! operations find far more than many short ones anywhere (Edelstein et al.: "Multithreaded Java program test
//! generation", IBM Systems Journal 41, 2002; Burckhardt et al.: "A randomized scheduler with probabilistic
//! guarantees of finding bugs", ASPLOS 2010). So a thread is held, for microseconds to milliseconds,
//!
//! - at calls of pthread functions, of semaphores, of sched_yield, and at futex calls: after a lock was
//!   taken, before and after a release, between a check and its sleep, before a wake ([`calls`])
//! - before or behind an atomic instruction of the allocator ([`sites`])
//!
//! What is held where is chosen by the watchdog of the shim ([`choice`]), from the plan of the run
//! ([`plan`]). Without a plan, or without the shim, nothing is held.
//!
//! It creates no hang: every hold ends by itself, and no call returns anything that it could not have
//! returned. A timed wait lasts at least as long as asked for. It allocates nothing, takes no lock, and can
//! run in a signal handler: [`hold`] waits on a futex word with a timeout.
//!
//! [`live`] lists the places that threads come by, [`next`] finds the functions of libc, [`threads`] has the
//! random numbers of each thread, [`image`] finds the allocator, [`sys`] makes the system calls, [`arch`] has
//! what is particular to a processor.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, expect(dead_code, reason = "in a test nothing is exported"))]

mod arch;
mod calls;
mod choice;
mod hold;
mod image;
mod live;
mod next;
mod plan;
mod sites;
mod sys;
mod threads;

use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::AtomicU32;

use hangscope_protocol::stir::{Api, MAGIC, VERSION};
use hangscope_protocol::variable;

#[cfg_attr(not(test), unsafe(no_mangle))]
#[used]
#[cfg_attr(test, expect(non_upper_case_globals, reason = "the name of the symbol"))]
static hangscope_stir: Api = Api {
    magic: MAGIC,
    version: VERSION,
    start,
    tick,
    stop: hold::stop,
    hold: hold::copy,
    patched: sites::live,
    original: sites::original,
    futex: arch::call,
};

unsafe extern "C" fn start(filters: *const AtomicU32) {
    sites::note_all();
    // SAFETY: the caller's promise.
    hold::start(unsafe { filters.as_ref() });
}

extern "C" fn tick() -> u64 {
    choice::choose();
    plan::every_ns()
}

#[used]
#[cfg_attr(not(test), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = constructor;

extern "C" fn constructor(_: c_int, _: *const *const c_char, mut envp: *const *const c_char) {
    next::find_all();
    if envp.is_null() {
        return;
    }
    // SAFETY: what glibc passes to constructors: a NULL-terminated array of C strings.
    while let Some(entry) = unsafe { envp.read().as_ref() } {
        // SAFETY: as above.
        let entry = unsafe { CStr::from_ptr(entry) };
        let value = entry.to_bytes().strip_prefix(variable::STIR_PLAN.as_bytes());
        if value.is_some_and(|value| value.first() == Some(&b'='))
            && let Some(path) = entry.to_bytes_with_nul().get(variable::STIR_PLAN.len() + 1..)
            && let Ok(path) = CStr::from_bytes_with_nul(path)
            && let Some(plan) = plan::load(path)
        {
            image::find_allocator();
            plan.count_patched(sites::patch(&plan));
            return;
        }
        envp = envp.wrapping_add(1);
    }
}

#[cfg(not(test))]
hangscope_protocol::built_alone! {
    /// Nothing here panics: every index is checked and every number fits.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(127) }
    }
}
