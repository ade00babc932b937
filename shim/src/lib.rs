//! `libhangscope.so`, the witness inside: `LD_PRELOAD="libhangscope.so:hz4.so" bench`.
//!
//! It is a guest. Its contract: it never calls the process's malloc, calloc, realloc or free; the host
//! cannot tell that it is there; it never blocks the host; it can be told apart (its thread is named
//! `hangscope`); and if anything in it goes wrong it goes quiet and the host runs on.
//!
//! What makes that hold by construction: no `std` and no `alloc`, all memory from one mapping made at init
//! ([`arena`]), every system call raw and in one module ([`sys`]), a thread that glibc does not know
//! ([`watchdog`]), with a descriptor table of its own, so that no descriptor of the shim's ever stands in the
//! host's. Unsafe code is only in [`sys`], [`arch`], [`arena`], [`init`], [`memory`], [`probe`] and the second
//! signal handler that there may be (`stir::trap`).
//!
//! [`init`] (constructor) reads [`config`] and takes the snapshot ([`maps`], [`elf`], [`dso`]), then starts
//! [`watchdog`], which looks at the threads each tick ([`look`], [`task`], [`futex`], [`stall`]), follows the host's credentials
//! ([`creds`]) and makes a [`dump`] at the deadline, sent through [`link`]. [`probe`] asks running threads, [`fds`] says what
//! descriptors are. [`requests`] does what the collector asks: a dump, answers, [`memory`]. Where it is
//! asked to, the watchdog disturbs scheduling between its looks ([`stir`]).
#![cfg_attr(not(test), no_std)]

mod arch;
mod arena;
mod config;
mod host;
mod init;
mod limits;
mod link;
mod random;
mod signal;
mod stir;
mod sys;
mod text;
mod watchdog;

/// A panic is a bug of the shim's. The host must not pay for it: the watchdog's thread ends, a constructor
/// goes back to its caller as if there were no shim.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    init::give_up()
}

#[cfg(test)]
mod tests;
