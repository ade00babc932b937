//! `libhangscope.so`, the witness inside: `LD_PRELOAD="libhangscope.so:hz4.so" bench`.
//!
//! The shim is a guest. It never calls malloc, calloc, realloc or free of the process. The host cannot tell
//! that the shim is there. The shim never blocks the host. It can be told apart: its thread is named
//! `hangscope`. If anything in the shim goes wrong, the shim goes quiet and the host runs on.
//!
//! That holds by construction. There is no `std` and no `alloc`. All memory comes from one mapping made at
//! init ([`arena`]). Every system call is raw and in one room ([`sys`]). glibc does not know the thread
//! ([`watchdog`]), and the thread has a descriptor table of its own, so the host's table never holds a
//! descriptor of the shim. Unsafe code is only in [`sys`], [`arch`], [`arena`], [`init`], `host::memory`,
//! `host::elf` and [`signal`].
//!
//! [`init`] is the constructor. It reads [`config`], takes the snapshot of the DSOs ([`host`]) and starts the
//! [`watchdog`]. The watchdog looks at the threads each tick, follows the host's credentials, makes a dump at
//! the deadline or on request, and sends all through [`link`]. It sees running threads through perf events,
//! and asks blocked ones by [`signal`] where nothing else is permitted. Where the user wants it, it disturbs
//! scheduling between its looks ([`stir`]). Under a hunt a crash of the host leaves a record
//! (`signal::crash`): that handler, and the functions of libc that would show it to the host
//! (`signal::hide`), are all that the host's own calls can meet.
//!
//! No two rooms import each other, and no two files of a room do: [`arch`], [`limits`], [`text`];
//! then [`sys`]; [`host`], [`config`]; [`link`]; [`signal`]; [`stir`]; [`arena`]; [`watchdog`]; [`init`].
#![cfg_attr(not(test), no_std)]

#[cfg(all(not(test), not(doc), panic = "unwind"))]
compile_error!(
    "the shim has no unwinder: run ./scripts/build.sh, or cargo build --profile shim -p hangscope-shim"
);

mod arch;
mod arena;
mod config;
mod host;
mod init;
mod limits;
mod link;
mod signal;
mod stir;
mod sys;
mod text;
mod watchdog;

#[cfg(not(test))]
hangscope_protocol::built_alone! {
    /// A panic is a bug of the shim. The host must not pay for it: the watchdog's thread ends, or the
    /// constructor returns to its caller as if there were no shim.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        init::give_up()
    }
}

#[cfg(test)]
mod tests;
