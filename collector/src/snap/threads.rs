//! A look at the threads of another process, as the shim looks from inside. Nothing is stopped.

use std::fs;

use hangscope_protocol::record::{
    ProbeRecord, StackRecord, ThreadRecord, probe_outcome, probe_way, stack_flags, thread_flags,
};
use hangscope_reader::status::Status;
use hangscope_reader::task::{Blocked, Syscall};
use hangscope_reader::thread::{self, Files, is_futex_wait, read_near};
use nix::errno::Errno;

use super::memory::{ProcessMemory, up_to};
use super::regs;
use super::stop::now_ns;
use super::zero::zero;
use crate::proc::sysconf;
use crate::session::syscalls::Syscalls;
use crate::session::{Probe, Stack};

/// Bytes of a stack in a dump; the shim copies as many.
pub(super) const STACK_BYTES: usize = 32 << 10;
/// Bytes of a stack in a sample.
pub(super) const SAMPLE_BYTES: usize = 8 << 10;
/// Most running threads, and most napping threads, that are sampled.
pub(super) const MOST_SAMPLED: usize = 4;

/// The files of one thread.
struct TaskFiles {
    /// `/proc/PID/task/TID`.
    dir: String,
    last: Vec<u8>,
}

impl TaskFiles {
    fn of(pid: u32, tid: u32) -> TaskFiles {
        TaskFiles { dir: format!("/proc/{pid}/task/{tid}"), last: vec![] }
    }
}

impl Files for TaskFiles {
    fn read(&mut self, name: &str) -> Result<&[u8], u8> {
        let errno = |e: std::io::Error| e.raw_os_error().and_then(|e| u8::try_from(e).ok());
        self.last = fs::read(format!("{}/{name}", self.dir)).map_err(|e| errno(e).unwrap_or(u8::MAX))?;
        Ok(&self.last)
    }
}

/// Looks at one thread; none if it has left.
pub(super) fn look(
    pid: u32,
    tid: u32,
    look: u8,
    memory: &ProcessMemory,
    arch: Option<Syscalls>,
) -> Option<ThreadRecord> {
    let tick_ns = 1_000_000_000 / sysconf::ticks_per_second();
    let mut t = thread::look(tid, look, tick_ns, &mut TaskFiles::of(pid, tid));
    // The thread has left since the threads were listed.
    if [Errno::ENOENT, Errno::ESRCH].iter().any(|gone| i32::from(t.err_stat) == *gone as i32) {
        return None;
    }
    if tid == pid {
        t.flags |= thread_flags::MAIN;
    }
    if arch.is_some_and(|a| is_futex_wait(t.syscall, a.futex())) {
        read_near(&mut t, memory, |e| e as i32 as u8);
    }
    Some(t)
}

/// The stack of a blocked thread.
///
/// # Errors
/// The errno of reading it.
pub(super) fn stack(
    thread: &ThreadRecord,
    memory: &impl hangscope_reader::Memory<Error = Errno>,
) -> Result<Stack, Errno> {
    let bytes = up_to(memory, thread.sp, STACK_BYTES)?;
    let flags = if bytes.len() < STACK_BYTES { stack_flags::TO_THE_END } else { 0 };
    let record = StackRecord { tid: thread.tid, look: u16::from(thread.look), flags, sp: thread.sp };
    Ok(Stack { record, bytes })
}

/// A sample of a thread that is blocked at this moment; none if it runs, or moved while its stack was read.
pub(super) fn sample(pid: u32, tid: u32, number: u32, memory: &ProcessMemory) -> Option<Probe> {
    let mut files = TaskFiles::of(pid, tid);
    // A thread that returned and made the same call again has one more voluntary switch.
    let mut place = || -> Option<(Blocked, u64)> {
        let blocked = Syscall::parse(files.read("syscall").ok()?)?.blocked()?;
        let (voluntary, _) = Status(files.read("status").ok()?).switches()?;
        Some((blocked, voluntary))
    };
    let before = place()?;
    let asked_ns = now_ns();
    let stack = memory.up_to(before.0.sp, SAMPLE_BYTES).ok()?;
    if place()? != before {
        return None;
    }
    let mut record = ProbeRecord {
        tid,
        generation: 1,
        sample: number,
        outcome: probe_outcome::READ,
        was_blocked: 1,
        way: probe_way::MEMORY,
        asked_ns,
        answered_ns: now_ns(),
        ..zero()
    };
    record.stack = before.0.sp;
    record.regs[regs::SP] = before.0.sp;
    record.regs[regs::PC] = before.0.pc;
    Some(Probe { record, stack })
}

/// Whether a thread is blocked in the kernel, and SP and PC are known.
pub(super) fn is_blocked(thread: &ThreadRecord) -> bool {
    thread.syscall >= -1 && thread.sp != 0
}
