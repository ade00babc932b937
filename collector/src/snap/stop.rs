//! Registers of running threads: each is stopped for as long as it takes to read them, and let go at once.
//!
//! PTRACE_SEIZE and PTRACE_INTERRUPT send no signal, and leave no trace in the process. All requests of one
//! tracer must come from one thread; if that thread ends, the kernel lets go of all that it held, so a thread
//! that never stops (it is in the kernel) is not held for ever.

use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{ProbeRecord, RED_ZONE, probe_outcome};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::memory::Memory;
use super::{regs, zero};
use crate::session::Probe;

/// How long a thread may take until it stops: it has to be scheduled for that.
const STOPS_WITHIN: Duration = Duration::from_millis(500);

/// Stops a thread, reads its registers and up to `bytes` of its stack, and lets it go. `sample` is 0, or the
/// number of the sample.
pub(super) fn ask(tid: u32, sample: u32, bytes: usize, memory: Memory) -> Probe {
    let asked_ns = now_ns();
    let mut record =
        ProbeRecord { tid, generation: 1, sample, outcome: probe_outcome::ANSWERED, asked_ns, ..zero() };
    let mut stack = vec![];
    let id = Pid::from_raw(tid as i32);
    let look = || {
        let regs = regs::of(id)?;
        let sp = regs[regs::SP];
        let below = sp.saturating_sub(RED_ZONE);
        let with_red_zone = memory.up_to(below, bytes).ok().filter(|b| b.len() as u64 >= RED_ZONE);
        Ok(match with_red_zone {
            Some(stack) => (regs, below, stack),
            None => (regs, sp, memory.up_to(sp, bytes).unwrap_or_default()),
        })
    };
    // A tracer of its own for each question: whatever happens, the thread is let go when it ends.
    let seen = thread::scope(|s| s.spawn(|| stopped(id, look)).join());
    match seen.unwrap_or(Err(Failed::Gone)) {
        Ok(seen) => (record.regs, record.stack, stack) = seen,
        Err(Failed::Gone) => record.outcome = probe_outcome::GONE,
        Err(Failed::Late) => record.outcome = probe_outcome::LATE,
        Err(Failed::Errno(e)) => {
            record.outcome = probe_outcome::NOT_SENT;
            record.errno = e as i32 as u16;
        }
    }
    record.answered_ns = now_ns();
    Probe { record, stack }
}

enum Failed {
    Gone,
    Late,
    Errno(Errno),
}

impl From<Errno> for Failed {
    fn from(e: Errno) -> Self {
        if e == Errno::ESRCH { Failed::Gone } else { Failed::Errno(e) }
    }
}

/// Runs `look` while the thread stands still.
fn stopped<T>(tid: Pid, look: impl FnOnce() -> Result<T, Errno>) -> Result<T, Failed> {
    ptrace::seize(tid, ptrace::Options::empty())?;
    ptrace::interrupt(tid)?;
    let until = Instant::now() + STOPS_WITHIN;
    let deliver = loop {
        match waitpid(tid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::PtraceEvent(..)) => break None,
            // A signal was on its way to it: it is handed on when the thread is let go.
            Ok(WaitStatus::Stopped(_, signal)) => break Some(signal),
            Ok(WaitStatus::StillAlive) if Instant::now() < until => {
                // waitpid has no time limit; a running thread stops as soon as it gets a processor.
                thread::sleep(Duration::from_micros(50));
            }
            Ok(WaitStatus::StillAlive) => return Err(Failed::Late),
            Ok(_) => return Err(Failed::Gone),
            Err(e) => return Err(e.into()),
        }
    };
    let seen = look();
    ptrace::detach(tid, deliver)?;
    Ok(seen?)
}

/// CLOCK_MONOTONIC.
pub(super) fn now_ns() -> u64 {
    clock_ns(ClockId::CLOCK_MONOTONIC)
}

/// A clock, ns.
pub(super) fn clock_ns(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| (t.tv_sec() as u64).saturating_mul(1_000_000_000) + t.tv_nsec() as u64)
}
