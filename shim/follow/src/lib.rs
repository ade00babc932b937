//! `libhangscope_follow.so`: keeps the shim in what a runner starts.
//!
//! Runners set LD_PRELOAD themselves (`env LD_PRELOAD=hz4.so ./bench`), so a value from outside is lost. This
//! DSO is preloaded into the runner. It takes over the exec family, posix_spawn, system and popen, puts
//! itself back into the environment of whatever is started, and the shim in front of what that environment
//! preloads: `follow:shim:hz4.so`. The settings go along where a program clears the environment (`env -i`).
//!
//! Before a signal ends a program that stands still, the collector looks at it ([`kill`]).
//!
//! It does nothing else. It has no thread, allocates nothing, makes no system call but a few around an exec
//! or a kill, and does nothing at all without `HANGSCOPE_FOLLOW`.
//!
//! Not reached: a program that is linked statically or runs with other rights than its caller (setuid, file
//! capabilities), for which ld.so takes no preload; a program that makes the system call itself.
//!
//! [`exec`] has the functions that start programs, [`next`] finds those of libc, [`arch`] has those with any
//! number of arguments; [`environment`] makes the new environment, [`preload`] its LD_PRELOAD, in memory from
//! [`room`]; [`shell`] is for system and popen; [`settings`] is what the constructor keeps; [`timeout`] and
//! [`files`] replace a program and a DSO; [`number`] writes numbers.
#![cfg_attr(not(test), no_std)]

mod arch;
mod environment;
mod exec;
mod files;
mod kill;
mod next;
mod number;
mod preload;
mod room;
mod settings;
mod shell;
mod timeout;

use core::ffi::{c_char, c_int};

#[used]
#[cfg_attr(not(test), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = constructor;

extern "C" fn constructor(_: c_int, _: *const *const c_char, envp: *const *const c_char) {
    // SAFETY: what glibc passes to constructors: the environment that the program was started with. ld.so
    // calls this once.
    unsafe { settings::save(environment::strings(envp)) };
    if settings::saved().is_some() {
        next::find_all();
    }
}

#[cfg(not(test))]
hangscope_protocol::built_alone! {
    /// Nothing here panics: every index is checked and every number fits. The program could not go on, and a
    /// child that fails to execute ends so, too.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(127) }
    }
}
