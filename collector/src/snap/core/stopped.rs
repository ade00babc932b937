//! All threads of a process, stopped at one moment, with their registers.
//!
//! The thread that calls is the tracer: the kernel lets a thread go whose tracer ends. So a core is written
//! by a thread of its own, and nothing of the process stays stopped whatever becomes of that thread.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::ThreadRecord;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::super::memory::ProcessMemory;
use super::super::threads;
use crate::proc::task::tids;
use crate::session::syscalls::Syscalls;

/// Time limit for all threads to stop. A thread in uninterruptible sleep does not stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Between two questions whether a thread has stopped: `waitpid` has no time limit.
const PAUSE: Duration = Duration::from_micros(200);
/// Threads may start threads while they are stopped. Most lists of threads.
const MOST_LISTS: u32 = 8;

/// The general registers in the order of the kernel's `elf_gregset_t`.
pub(super) type Registers = Vec<u64>;

/// A thread of a stopped process.
#[derive(Debug)]
pub(super) struct Stopped {
    /// Its id on this side.
    pub(super) tid: u32,
    /// A look at it before it was stopped.
    pub(super) before: ThreadRecord,
    /// None: it did not stop, or another process traces it.
    pub(super) registers: Option<Registers>,
}

/// The threads of a process. They run on when it is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) all: Vec<Stopped>,
    /// Threads that have stopped, with the signal that each was about to take.
    held: BTreeMap<u32, Option<Signal>>,
}

impl Threads {
    /// Looks at all threads, then stops them.
    pub(super) fn stop(pid: u32, memory: &ProcessMemory, arch: Option<Syscalls>) -> Threads {
        let mut threads = Threads { all: vec![], held: BTreeMap::new() };
        let until = Instant::now() + STOP_WITHIN;
        for _ in 0..MOST_LISTS {
            let known = |tid: &u32| threads.all.iter().all(|t| t.tid != *tid);
            let new: Vec<u32> = tids(pid).unwrap_or_default().into_iter().filter(known).collect();
            if new.is_empty() {
                break;
            }
            let looked = new.iter().filter_map(|tid| threads::look(pid, *tid, 1, memory, arch));
            let looked: Vec<ThreadRecord> = looked.collect();
            let asked = looked.iter().map(|t| t.tid).filter(|tid| {
                let id = Pid::from_raw(*tid as i32);
                ptrace::seize(id, ptrace::Options::empty()).is_ok() && ptrace::interrupt(id).is_ok()
            });
            let asked = asked.collect();
            threads.wait(asked, until);
            threads.all.extend(looked.into_iter().map(|before| Stopped {
                tid: before.tid,
                registers: threads.held.get(&before.tid).and_then(|_| registers(before.tid).ok()),
                before,
            }));
        }
        threads.all.sort_by_key(|t| t.tid);
        threads
    }

    /// Waits until threads have stopped.
    fn wait(&mut self, mut asked: Vec<u32>, until: Instant) {
        loop {
            asked.retain(|tid| {
                let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
                match waitpid(Pid::from_raw(*tid as i32), Some(flags)) {
                    Ok(WaitStatus::StillAlive) => return true,
                    Ok(WaitStatus::PtraceEvent(..)) => drop(self.held.insert(*tid, None)),
                    // It stopped for a signal, which it takes when it runs on.
                    Ok(WaitStatus::Stopped(_, signal)) => drop(self.held.insert(*tid, Some(signal))),
                    _ => {}
                }
                false
            });
            if asked.is_empty() || Instant::now() > until {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for (tid, signal) in &self.held {
            let _ = ptrace::detach(Pid::from_raw(*tid as i32), *signal);
        }
    }
}

/// The registers of a thread that is stopped.
///
/// # Errors
/// The errno of ptrace.
fn registers(tid: u32) -> Result<Registers, Errno> {
    let r = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(Pid::from_raw(tid as i32))?;
    #[cfg(target_arch = "x86_64")]
    let registers = vec![
        r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8, r.rax, r.rcx, r.rdx, r.rsi,
        r.rdi, r.orig_rax, r.rip, r.cs, r.eflags, r.rsp, r.ss, r.fs_base, r.gs_base, r.ds, r.es, r.fs, r.gs,
    ];
    #[cfg(target_arch = "aarch64")]
    let registers = r.regs.into_iter().chain([r.sp, r.pc, r.pstate]).collect();
    Ok(registers)
}

/// What `/proc` tells of the registers of a thread that did not stop: those of its system call.
pub(super) fn registers_of_call(t: &ThreadRecord) -> Registers {
    /// `-ENOSYS`: what the kernel puts into the register of the result before a call has one.
    const NO_RESULT: u64 = (-38i64) as u64;
    let [a, b, c, d, e, f] = t.args;
    let waits = t.syscall >= 0;
    let call = i64::from(t.syscall) as u64;
    #[cfg(target_arch = "x86_64")]
    {
        let mut regs = vec![0; 27];
        // As in `registers`: r10, r9, r8, rax, rdx, rsi, rdi, orig_rax.
        let known = [(7, d), (8, f), (9, e), (10, NO_RESULT), (12, c), (13, b), (14, a), (15, call)];
        if waits {
            known.into_iter().for_each(|(at, value)| regs[at] = value);
        } else {
            regs[15] = u64::MAX;
        }
        (regs[16], regs[19]) = (t.pc, t.sp);
        regs
    }
    #[cfg(target_arch = "aarch64")]
    {
        let mut regs = vec![0; 34];
        if waits {
            regs[..6].copy_from_slice(&[NO_RESULT, b, c, d, e, f]);
            regs[8] = call;
            let _ = a;
        }
        (regs[31], regs[32]) = (t.sp, t.pc);
        regs
    }
}
