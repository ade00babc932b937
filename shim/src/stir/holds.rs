//! Threads held at synchronisation operations: `libhangscope_stir.so` does it, and is told here when.

use hangscope_protocol::stir::Api;

use crate::host::{filters, holds};
use crate::sys::{self, For, OwnedFd};

/// What the watchdog knows of it.
pub(crate) struct Holds {
    api: &'static Api,
    started: bool,
    over: bool,
}

impl Holds {
    /// None if the DSO is not there.
    pub(super) fn new() -> Option<Holds> {
        holds::find().map(|api| Holds { api, started: false, over: false })
    }

    /// Holds threads until this time. True as soon as the socket can be read.
    pub(super) fn until(&mut self, until: u64, socket: Option<&OwnedFd>) -> bool {
        while !self.over {
            // The next call might be what a filter of all threads ends the process for.
            if filters::may_be_new() {
                return false;
            }
            let now = sys::now();
            if now >= until {
                return false;
            }
            if !core::mem::replace(&mut self.started, true) {
                // SAFETY: a static.
                unsafe { (self.api.start)(filters::noted()) };
            }
            let due = match (self.api.tick)() {
                0 => until,
                ns => until.min(now.saturating_add(ns)),
            };
            if sys::wait(socket, For::Reading, due.saturating_sub(sys::now())) {
                return true;
            }
        }
        sys::wait(socket, For::Reading, until.saturating_sub(sys::now()))
    }

    /// No thread is held, until the next [`Holds::until`].
    pub(super) fn rest(&mut self) {
        if core::mem::take(&mut self.started) {
            (self.api.stop)();
        }
    }

    /// No thread is held any more, for good.
    pub(super) fn end(&mut self) {
        self.rest();
        self.over = true;
    }
}
