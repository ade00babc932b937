//! Children that were started by vfork and have started no program yet. The kernel lists them as processes, but
//! they run in the memory of their parent, and one thread of the parent sleeps until they go on.

use std::fs;

use hangscope_protocol::record::{ThreadRecord, thread_flags};
use hangscope_reader::task::Stat;

use super::memory::ProcessMemory;
use super::threads;
use crate::session::Stack;
use crate::session::syscalls::Syscalls;

/// Looks at the children of threads that wait in vfork. A child that may not be read is left out.
pub(super) fn look(
    pid: u32,
    of: &[ThreadRecord],
    number: u8,
    memory: &ProcessMemory,
    arch: Option<Syscalls>,
) -> Vec<ThreadRecord> {
    let starts = |t: &&ThreadRecord| {
        let call = arch.and_then(|arch| arch.call(t.syscall));
        t.state == b'D' && call.is_some_and(|call| matches!(call.kind, "fork" | "clone"))
    };
    of.iter().filter(starts).filter_map(|t| child(pid, t.tid, number, memory, arch)).collect()
}

/// The stack of a child, in the memory of its parent.
pub(super) fn stacks(children: &[ThreadRecord], memory: &ProcessMemory) -> Vec<Stack> {
    let blocked = children.iter().filter(|t| threads::is_blocked(t));
    blocked.filter_map(|t| threads::stack(t, memory).ok()).collect()
}

/// The youngest child of a thread, if it has the memory of the process. A thread in vfork starts no other child.
fn child(
    pid: u32,
    tid: u32,
    number: u8,
    memory: &ProcessMemory,
    arch: Option<Syscalls>,
) -> Option<ThreadRecord> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).ok()?;
    let start = |child: &u32| {
        let stat = fs::read(format!("/proc/{child}/stat")).ok()?;
        Stat::parse(&stat).filter(Stat::is_forked).map(|stat| (stat.start_ticks, *child))
    };
    let children = children.split_whitespace().filter_map(|text| text.parse::<u32>().ok());
    let (_, child) = children.filter_map(|child| start(&child)).max()?;
    // A child of fork has a copy, which differs at least in its resident pages.
    let of =
        |pid: u32, file: &str| fs::read(format!("/proc/{pid}/{file}")).ok().filter(|text| !text.is_empty());
    let same =
        ["maps", "statm"].iter().all(|file| of(child, file).is_some() && of(child, file) == of(pid, file));
    if !same {
        return None;
    }
    let mut record = threads::look(child, child, number, memory, arch)?;
    record.flags = record.flags & !thread_flags::MAIN | thread_flags::VFORKED;
    Some(record)
}
