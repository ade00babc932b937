//! Threads held at synchronisation operations: `libhangscope_stir.so` does it, and is told here when.

use hangscope_protocol::stir::Api;

use crate::host::{filters, holds};

/// What the watchdog knows of it.
pub(crate) struct Holds {
    api: &'static Api,
    started: bool,
}

impl Holds {
    /// None if the DSO is not there.
    pub(super) fn new() -> Option<Holds> {
        holds::find().map(|api| Holds { api, started: false })
    }

    /// Does what is due. Gives when it is to go on.
    pub(super) fn step(&mut self, now: u64) -> u64 {
        if !core::mem::replace(&mut self.started, true) {
            // SAFETY: a static.
            unsafe { (self.api.start)(filters::noted()) };
        }
        match (self.api.tick)() {
            0 => u64::MAX,
            ns => now.saturating_add(ns),
        }
    }

    /// No thread is held, until the next [`Holds::step`].
    pub(super) fn rest(&mut self) {
        if core::mem::take(&mut self.started) {
            (self.api.stop)();
        }
    }
}
