//! A look at every thread of another process, as the shim looks from inside; nothing is stopped.

use std::fs;
use std::io;

use hangscope_protocol::record::{
    NEAR_BEFORE, NEAR_LEN, ProbeRecord, SYSCALL_RUNNING, SYSCALL_UNREADABLE, StackRecord, ThreadRecord,
    probe_outcome, stack_flags, thread_flags,
};
use nix::errno::Errno;
use procfs::process::{Schedstat, Stat, Status, Syscall};
use procfs::{FromBufRead as _, FromRead as _, ProcResult};

use super::memory::Memory;
use super::stop::now_ns;
use super::{regs, zero};
use crate::analysis::counters::rest;
use crate::session::syscalls::Syscalls;
use crate::session::{Dump, Probe, Stack};

/// Bytes of a stack that are copied, as the shim does.
pub(super) const STACK_BYTES: usize = 32 << 10;

/// Threads of a process, ascending.
///
/// # Errors
/// What reading `/proc/PID/task` gives.
pub(super) fn tids(pid: u32) -> io::Result<Vec<u32>> {
    let mut tids: Vec<u32> = fs::read_dir(format!("/proc/{pid}/task"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    tids.sort_unstable();
    Ok(tids)
}

/// What a status file says. A name need not be UTF-8: the kernel cuts one after 15 bytes, in the middle of a character
/// too.
///
/// # Errors
/// What makes no sense in it.
pub(super) fn status(bytes: &[u8]) -> ProcResult<Status> {
    Status::from_buf_read(String::from_utf8_lossy(bytes).as_bytes())
}

/// Looks at one thread; none if it has left.
pub(super) fn look(
    pid: u32,
    tid: u32,
    look: u8,
    memory: Memory,
    arch: Option<Syscalls>,
) -> Option<ThreadRecord> {
    let dir = format!("/proc/{pid}/task/{tid}");
    let file = |name: &str| fs::read(format!("{dir}/{name}")).map_err(errno);
    let mut t = ThreadRecord { tid, look, ..zero() };
    match file("stat").and_then(|b| Stat::from_read(&*b).map_err(|_| Errno::EINVAL as u8)) {
        Ok(stat) => {
            t.state = u8::try_from(stat.state).unwrap_or(b'?');
            t.cpu = stat.processor.and_then(|c| u16::try_from(c).ok()).unwrap_or(0);
            let ticks = procfs::ticks_per_second().max(1);
            t.tick_cpu_ns = (stat.utime + stat.stime).saturating_mul(1_000_000_000 / ticks);
            for (to, from) in t.comm.iter_mut().zip(stat.comm.bytes().take(15)) {
                *to = from;
            }
        }
        // It has left between the listing and now: a later look has it or has not.
        Err(e) if e == Errno::ENOENT as u8 || e == Errno::ESRCH as u8 => return None,
        Err(e) => t.err_stat = e,
    }
    match file("status").and_then(|b| status(&b).map_err(|_| Errno::EINVAL as u8)) {
        Ok(status) => {
            t.nvcsw = status.voluntary_ctxt_switches.unwrap_or(0);
            t.nivcsw = status.nonvoluntary_ctxt_switches.unwrap_or(0);
            t.sigblk = status.sigblk;
            t.sigpnd = status.sigpnd;
        }
        Err(e) => t.err_status = e,
    }
    match file("schedstat").and_then(|b| Schedstat::from_read(&*b).map_err(|_| Errno::EINVAL as u8)) {
        Ok(schedstat) => {
            t.cpu_ns = schedstat.sum_exec_runtime;
            t.runqueue_ns = schedstat.run_delay;
        }
        Err(e) => t.err_schedstat = e,
    }
    match file("wchan") {
        // "0" is what the kernel prints for a thread that is not blocked.
        Ok(wchan) if wchan != b"0" => {
            for (to, from) in t.wchan.iter_mut().zip(wchan.iter().take(31)) {
                *to = *from;
            }
        }
        Ok(_) => {}
        Err(e) => t.err_wchan = e,
    }
    t.syscall = SYSCALL_UNREADABLE;
    match file("syscall").and_then(|b| Syscall::from_read(&*b).map_err(|_| Errno::EINVAL as u8)) {
        Ok(Syscall::Blocked { syscall_number, argument_registers, stack_pointer, program_counter }) => {
            t.syscall = i32::try_from(syscall_number).unwrap_or(-1);
            t.args = argument_registers;
            t.sp = stack_pointer;
            t.pc = program_counter;
        }
        Ok(_) => t.syscall = SYSCALL_RUNNING,
        Err(e) => t.err_syscall = e,
    }
    if tid == pid {
        t.flags |= thread_flags::MAIN;
    }
    if arch.is_some_and(|a| a.futex() == t.syscall) {
        near(&mut t, memory);
    }
    Some(t)
}

/// A thread of a live process that is not where the second look of its dump had it any more, or is gone, or has come since.
pub(crate) fn moved(pid: u32, dump: &Dump) -> Option<u32> {
    let memory = Memory::of(pid);
    let stands =
        |t: &ThreadRecord| look(pid, t.tid, 2, memory, None).is_some_and(|now| rest::stands(t, &now));
    let watchdog = dump.identity.fixed.watchdog_tid;
    let known = |tid: u32| tid == watchdog || dump.second_look(tid).is_some();
    let of_second = dump.second.iter().filter(|t| t.tid != watchdog);
    let gone = of_second.clone().find(|t| !stands(t)).map(|t| t.tid);
    gone.or_else(|| tids(pid).map_or(Some(pid), |tids| tids.into_iter().find(|tid| !known(*tid))))
}

/// Memory around the futex word; what is before the first readable page is left out.
fn near(t: &mut ThreadRecord, memory: Memory) {
    let Some(from) = t.args[0].checked_sub(NEAR_BEFORE as u64) else { return };
    // The word may be at the start of a mapping: then only what is from its page on can be read.
    let page = t.args[0] & !4095;
    for start in [from, from.max(page)] {
        let skipped = (start - from) as usize;
        match memory.up_to(start, NEAR_LEN - skipped) {
            Ok(bytes) => {
                for (to, byte) in t.near.iter_mut().skip(skipped).zip(&bytes) {
                    *to = *byte;
                }
                t.near_from = skipped as u16;
                t.near_to = (skipped + bytes.len()) as u16;
                t.err_near = 0;
                t.flags |= thread_flags::NEAR;
                return;
            }
            Err(e) => t.err_near = e as i32 as u8,
        }
    }
}

/// The stack of a blocked thread.
///
/// # Errors
/// The errno of reading it.
pub(super) fn stack(thread: &ThreadRecord, memory: Memory) -> Result<Stack, Errno> {
    let bytes = memory.up_to(thread.sp, STACK_BYTES)?;
    let flags = if bytes.len() < STACK_BYTES { stack_flags::TO_THE_END } else { 0 };
    let record = StackRecord { tid: thread.tid, look: u16::from(thread.look), flags, sp: thread.sp };
    Ok(Stack { record, bytes })
}

/// The stack of a thread that is blocked just now, as a sample; none if it runs, or moved while it was read.
pub(super) fn sample(pid: u32, tid: u32, number: u32, bytes: usize, memory: Memory) -> Option<Probe> {
    let dir = format!("/proc/{pid}/task/{tid}");
    // The call with its place, and the switches: a thread that went through the same call again has one more.
    let place = || {
        let call = fs::read(format!("{dir}/syscall")).ok()?;
        let status = status(&fs::read(format!("{dir}/status")).ok()?).ok()?;
        Some((call, status.voluntary_ctxt_switches))
    };
    let before = place()?;
    let Ok(Syscall::Blocked { stack_pointer, program_counter, .. }) = Syscall::from_read(&*before.0) else {
        return None;
    };
    let asked_ns = now_ns();
    let stack = memory.up_to(stack_pointer, bytes).ok()?;
    if place()? != before {
        return None;
    }
    let mut record = ProbeRecord {
        tid,
        generation: 1,
        sample: number,
        outcome: probe_outcome::READ,
        was_blocked: 1,
        asked_ns,
        answered_ns: now_ns(),
        ..zero()
    };
    record.stack = stack_pointer;
    record.regs[regs::SP] = stack_pointer;
    record.regs[regs::PC] = program_counter;
    Some(Probe { record, stack })
}

/// Whether a thread stands in the kernel, with SP and PC known.
pub(super) fn is_blocked(thread: &ThreadRecord) -> bool {
    thread.syscall >= -1 && thread.sp != 0
}

fn errno(error: io::Error) -> u8 {
    error.raw_os_error().and_then(|e| u8::try_from(e).ok()).unwrap_or(u8::MAX)
}
