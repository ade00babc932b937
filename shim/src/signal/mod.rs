//! Signals to threads of the host.

pub(crate) mod probe;
pub(crate) mod stops;
mod trap;
