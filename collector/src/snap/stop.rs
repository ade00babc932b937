//! Registers of running threads. Each thread is stopped only while its registers and its stack are read.
//!
//! PTRACE_SEIZE and PTRACE_INTERRUPT send no signal, and leave no trace in the process. All requests of a
//! tracer must come from one thread. When that thread ends, the kernel releases all that it traces: so a
//! thread that does not stop, because it is in the kernel, is not traced for ever.

use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{ProbeRecord, RED_ZONE, probe_outcome, probe_way};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::memory::ProcessMemory;
use super::regs;
use super::zero::zero;
use crate::session::Probe;

/// Time limit for a thread to stop: it stops when it is scheduled.
const STOPS_WITHIN: Duration = Duration::from_millis(500);
/// A thread that has a processor stops within this time, and is seen to: it stands still no longer than
/// needed.
const WATCHED: Duration = Duration::from_millis(2);

/// Stops a thread, reads its registers and at most `bytes` of its stack, and lets it run on. `sample` is the
/// number of the sample; 0 if it is none. It was stopped from `asked_ns` to `answered_ns` of the record.
pub(super) fn ask(tid: u32, sample: u32, bytes: usize, memory: &ProcessMemory) -> Probe {
    let way = probe_way::PTRACE;
    let mut record = ProbeRecord {
        tid,
        generation: 1,
        sample,
        outcome: probe_outcome::ANSWERED,
        way,
        asked_ns: now_ns(),
        ..zero()
    };
    let mut stack = vec![];
    let id = Pid::from_raw(tid as i32);
    let look = || {
        let stopped_ns = now_ns();
        let regs = regs::of(id)?;
        let sp = regs[regs::SP];
        let below = sp.saturating_sub(RED_ZONE);
        // No page is waited for while the thread stands still.
        let with_red_zone = memory.there(below, bytes).filter(|b| b.len() as u64 >= RED_ZONE);
        let (at, stack) = match with_red_zone {
            Some(stack) => (below, stack),
            None => (sp, memory.there(sp, bytes).unwrap_or_default()),
        };
        Ok((stopped_ns, regs, at, stack))
    };
    // Each request has its own tracer: when that ends, the kernel lets the thread run on in any case.
    let seen = thread::scope(|s| s.spawn(|| stopped(id, look)).join());
    record.answered_ns = now_ns();
    match seen.unwrap_or(Err(Failed::Gone)) {
        Ok(((stopped_ns, regs, at, bytes), let_go_ns)) => {
            (record.asked_ns, record.answered_ns) = (stopped_ns, let_go_ns);
            (record.regs, record.stack, stack) = (regs, at, bytes);
        }
        Err(Failed::Gone) => record.outcome = probe_outcome::GONE,
        Err(Failed::Late) => record.outcome = probe_outcome::LATE,
        Err(Failed::Errno(e)) => {
            record.outcome = probe_outcome::NOT_SENT;
            record.errno = e as i32 as u8;
        }
    }
    Probe { record, stack }
}

/// Whether a thread of a process may be stopped. Nothing is stopped for it: the kernel lets a thread go whose
/// tracer ends. A process that has a tracer already (gdb) may not.
pub(super) fn may_be_stopped(tid: u32) -> bool {
    let id = Pid::from_raw(tid as i32);
    let seized = thread::scope(|s| s.spawn(|| ptrace::seize(id, ptrace::Options::empty())).join());
    matches!(seized, Ok(Ok(())))
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

/// Runs `look` while the thread is stopped. Gives also when it was let go, CLOCK_MONOTONIC, ns.
fn stopped<T>(tid: Pid, look: impl FnOnce() -> Result<T, Errno>) -> Result<(T, u64), Failed> {
    ptrace::seize(tid, ptrace::Options::empty())?;
    ptrace::interrupt(tid)?;
    let begun = Instant::now();
    let until = begun + STOPS_WITHIN;
    let deliver = loop {
        match waitpid(tid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::PtraceEvent(..)) => break None,
            // The thread stopped for a signal: it is delivered when the thread runs on.
            Ok(WaitStatus::Stopped(_, signal)) => break Some(signal),
            Ok(WaitStatus::StillAlive) if begun.elapsed() < WATCHED => thread::yield_now(),
            Ok(WaitStatus::StillAlive) if Instant::now() < until => {
                // waitpid has no time limit. A running thread stops as soon as it gets a processor.
                thread::sleep(Duration::from_micros(50));
            }
            Ok(WaitStatus::StillAlive) => return Err(Failed::Late),
            Ok(_) => return Err(Failed::Gone),
            Err(e) => return Err(e.into()),
        }
    };
    let seen = look();
    ptrace::detach(tid, deliver)?;
    let let_go_ns = now_ns();
    Ok((seen?, let_go_ns))
}

/// CLOCK_MONOTONIC.
pub(super) fn now_ns() -> u64 {
    clock_ns(ClockId::CLOCK_MONOTONIC)
}

/// The time of a clock, ns; 0 if it cannot be read.
pub(super) fn clock_ns(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| (t.tv_sec() as u64).saturating_mul(1_000_000_000) + t.tv_nsec() as u64)
}
