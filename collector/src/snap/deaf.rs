//! Threads that answer no signal, asked from outside: a program that blocks all signals in its workers would
//! else hide the very thread that loops.

use hangscope_protocol::record::{SYSCALL_RUNNING, probe_outcome};

use super::memory::Memory;
use super::{stop, threads};
use crate::session::{Dump, Probe};

/// So many are asked: each is stopped for a moment.
const MOST_ASKED: usize = 64;

/// Registers and stacks of threads that ran in both looks and took no signal. Each is stopped with PTRACE_SEIZE and
/// let go at once; those that gave no answer to that either are left out.
pub(super) fn ask(dump: &Dump, memory: Memory) -> Vec<Probe> {
    let runs = |tid: &u32| dump.second_look(*tid).is_some_and(|t| t.syscall == SYSCALL_RUNNING);
    let deaf = |outcome: u8| {
        use probe_outcome::{BLOCKED, LATE, NO_SIGNAL, NOT_SENT};
        matches!(outcome, BLOCKED | LATE | NO_SIGNAL | NOT_SENT)
    };
    let refused = dump.probes.iter().filter(|p| deaf(p.record.outcome)).map(|p| p.record.tid);
    refused
        .filter(runs)
        .take(MOST_ASKED)
        .map(|tid| stop::ask(tid, 0, threads::STACK_BYTES, memory))
        .filter(|probe| probe.record.outcome == probe_outcome::ANSWERED)
        .collect()
}
