//! A dump of a process that already hangs and has no shim, taken from outside.
//!
//! The safest part first, as from inside: identity, maps and DSOs, a look at every thread, stacks of blocked
//! threads. None of this stops anything. Then registers of running threads, each stopped for a moment,
//! samples of them, and a second look. The result is a [`Dump`](crate::session::Dump) like the shim's; the
//! same code analyses it.
//!
//! - [`take`](mod@take): takes the dump
//! - `process`, `dsos`: what the process is, what it has mapped, and whether that is still the same file
//! - `threads`, `stop`, `regs`: states and stacks; registers of running threads
//! - `memory`: reads the memory of the process
//! - `ids`: thread ids in the process's own PID namespace
//! - `holders`: owners of locks in shared memory, which may be threads of other processes
//! - `other_ends`: who can end a wait for a pipe, an eventfd, a lock of a file or a child
//! - `loops`, `limits`: the memory that loops read; how much memory the process may have
//! - `permit`: which right is missing where something is not permitted
//! - `supplement`: what the shim could not put into its dump
//! - [`notes`]: notes of a look from outside
//! - `vforked`: children that run in the memory of the process
//! - [`core`]: cores, written and read
//! - `write`: a snap on disk

pub(crate) mod core;
mod dsos;
mod holders;
mod ids;
mod limits;
mod loops;
mod memory;
pub(crate) mod notes;
mod other_ends;
mod permit;
mod process;
mod regs;
mod stop;
mod supplement;
mod take;
#[cfg(test)]
mod tests;
mod threads;
mod times;
mod vforked;
mod write;
mod zero;

pub use memory::read;
pub use permit::NotPossible;
pub use supplement::supplement;
pub(crate) use supplement::{only_a_signal_reaches, supplemented};
pub use take::{Options, take};
pub(crate) use write::{Of, Request, snap};
