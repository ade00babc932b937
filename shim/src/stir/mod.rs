//! A process disturbed from inside (HANGSCOPE_STIR), so that races which are rarely lost are lost more often.
//!
//! The watchdog does it itself, between its other work: there is no further thread. Before a dump all is
//! given back, and the disturbance ends for good: a dump shows the host alone. Where nothing runs nothing is
//! disturbed, and a thread that sleeps never gets a signal from here.
//!
//! - `holds`: threads are held at synchronisation operations, by another DSO
//! - `rounds`: scheduling is disturbed. A round of a few milliseconds begins with a list of the threads. What
//!   the last round changed is given back, and something new is tried.
//!   - level 1: threads get other processors and priorities for the round (`touched`)
//!   - level 2: also, threads are crowded on few processors, and the watchdog holds up whoever runs on one of
//!     them. It sleeps there, wakes, which takes the processor from the running thread, and spins for a
//!     while.
//!   - level 3: also, threads are stopped and slowed inside the allocator ([`crate::signal`])
//! - `strict`: strict priorities on one processor
//! - `way`: one of these

mod holds;
mod rounds;
mod strict;
mod touched;
mod way;

pub(crate) use rounds::Tools;
pub(crate) use touched::Touched;
pub(crate) use way::Stir;
