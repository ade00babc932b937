//! Threads that answer no signal, asked from outside: a program that blocks all signals in its workers would
//! else hide the very thread that loops.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{SYSCALL_RUNNING, probe_outcome};
use nix::unistd::Pid;

use super::memory::Memory;
use super::remark::Remark;
use super::{MOST_SAMPLED, SAMPLE_STACK, stop, threads};
use crate::analysis::message::say;
use crate::session::{Dump, Probe};

/// So many are asked: each is stopped for a moment.
const MOST_ASKED: usize = 64;
/// For so long they are sampled.
pub(super) const SAMPLED_FOR: Duration = Duration::from_secs(1);
/// Between two samples.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Adds to a dump of a live process what its shim could not have: registers and stacks of threads that ran in
/// both looks and took no signal, and samples of the first few of them. Each is stopped with PTRACE_SEIZE and
/// let go at once. What is not permitted, or what ended in between, stays as the dump had it.
pub(super) fn ask_deaf(pid: u32, dump: &Dump) -> Cow<'_, Dump> {
    let memory = Memory(Pid::from_raw(pid as i32));
    let runs = |tid: u32| dump.second_look(tid).is_some_and(|t| t.syscall == SYSCALL_RUNNING);
    let deaf = |outcome: u8| {
        use probe_outcome::{BLOCKED, LATE, NO_SIGNAL, NOT_SENT};
        matches!(outcome, BLOCKED | LATE | NO_SIGNAL | NOT_SENT)
    };
    let refused = dump.probes.iter().filter(|p| deaf(p.record.outcome)).map(|p| p.record.tid);
    let asked: Vec<u32> = refused.filter(|tid| runs(*tid)).take(MOST_ASKED).collect();
    let answers: BTreeMap<u32, Probe> = asked
        .into_iter()
        .map(|tid| (tid, stop::ask(tid, 0, threads::STACK_BYTES, memory)))
        .filter(|(_, probe)| probe.record.outcome == probe_outcome::ANSWERED)
        .collect();
    if answers.is_empty() {
        return Cow::Borrowed(dump);
    }
    let answered: Vec<u32> = answers.keys().copied().collect();
    let mut dump = dump.clone();
    for probe in &mut dump.probes {
        if let Some(answer) = answers.get(&probe.record.tid) {
            probe.clone_from(answer);
        }
    }
    let sampled = answered.get(..MOST_SAMPLED).unwrap_or(&answered);
    let until = Instant::now() + SAMPLED_FOR;
    let mut number = dump.samples.iter().map(|p| p.record.sample).max().unwrap_or(0);
    while Instant::now() < until {
        number += 1;
        let samples = sampled.iter().map(|tid| stop::ask(*tid, number, SAMPLE_STACK, memory));
        dump.samples.extend(samples.filter(|p| p.record.outcome == probe_outcome::ANSWERED));
        thread::sleep(PAUSE);
    }
    for tid in &answered {
        dump.notes.push(say!(Remark::Deaf { tid }).note(*tid));
    }
    Cow::Owned(dump)
}
