//! The collector named as a tracer, where Yama lets only ancestors and named processes look
//! (kernel.yama.ptrace_scope is 1) and perf events are refused: else nobody would see a running thread.
//!
//! What the program itself has named cannot be read, and is lost. Programs that name a tracer do so when they
//! crash, for the debugger that they start then, and not before. The name is taken back a while after the
//! dump, when the collector has looked.

use super::state::Watchdog;
use crate::arena::Work;
use crate::sys;

/// From the end of a dump until the name is taken back, ns.
const AFTER: u64 = 10_000_000_000;

impl Watchdog {
    /// Names the collector, if threads could not be seen and that helps.
    pub(super) fn name_tracer(&mut self, work: &mut Work) {
        let scope = sys::open_read(c"/proc/sys/kernel/yama/ptrace_scope")
            .and_then(|file| sys::read(&file, &mut work.text))
            .ok()
            .and_then(|n| work.text.get(..n)?.first().copied());
        let peer =
            self.link.socket().and_then(|socket| sys::peer_process(socket).ok()).filter(|pid| *pid != 0);
        // With a filter in force prctl may be a call that it does not know.
        if let (Some(b'1'), Some(pid), false) = (scope, peer, self.is_filtered(work)) {
            sys::set_tracer(pid);
            self.named_until = Some(u64::MAX);
        }
    }

    /// The dump has ended: the name is taken back soon.
    pub(super) fn dump_ended(&mut self) {
        self.named_until = self.named_until.map(|_| sys::now() + AFTER);
    }

    /// Takes the name back if it is time, or `at_once`.
    pub(super) fn take_name_back(&mut self, at_once: bool) {
        if self.pending.is_none() && self.named_until == Some(u64::MAX) {
            self.dump_ended();
        }
        if self.named_until.take_if(|at| at_once || sys::now() >= *at).is_some() {
            sys::set_tracer(0);
        }
    }
}
