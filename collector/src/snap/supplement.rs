//! What the shim could not put into its dump, taken from outside while the process lives: registers and
//! stacks of threads that took no signal, samples of them, samples of threads that nap, and vforked children.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{SYSCALL_RUNNING, ThreadRecord, probe_outcome};
use hangscope_reader::status::Status;
use nix::errno::Errno;

use super::ids::Ids;
use super::loops::{ForLoops, memory_of_loops};
use super::memory::ProcessMemory;
use super::notes::OutsideNote;
use super::take::{Options, take};
use super::threads::{MOST_SAMPLED, SAMPLE_BYTES, STACK_BYTES, is_blocked};
use super::times::times;
use super::{holders, limits, other_ends, stop, threads, vforked};
use crate::proc::task;
use crate::session::syscalls::Syscalls;
use crate::session::{Dump, Probe};
use crate::symbolize::{Reach, Sources, truncated};
use crate::text::message::{ranges, say};

/// How long threads are sampled.
const SAMPLED_FOR: Duration = Duration::from_secs(1);
/// Between the two looks where the shim's were refused.
const LOOKS_APART: Duration = Duration::from_secs(1);
const BETWEEN_SAMPLES: Duration = Duration::from_millis(20);
/// Most threads that are asked by ptrace: each is stopped for a moment.
const MOST_ASKED: usize = 64;
/// Most blocked threads that are: as many as the shim would be asked for.
const MOST_CUT: usize = 512;
/// Most napping threads that are sampled, in turns.
const MOST_NAPPERS: usize = 16;
/// A thread that runs in both looks naps if it went to sleep more often than this.
const LEAST_NAPS: u64 = 8;
/// Of so many samples of a thread that wakes often, one has registers.
const ASKED_EVERY: u32 = 3;
/// Most looks at a thread for one that shows it waiting.
const MOST_LOOKS: usize = 20;

/// A dump that holds only what is added to `dump`: answers and samples of threads, and what the loops of
/// running threads read. None if nothing is missing. What may not be read, or what has ended since, is left
/// out.
pub fn supplement(pid: u32, dump: &Dump, sources: &Sources) -> Option<Dump> {
    let answers = answers(pid, dump, Some(sources));
    let whole =
        answers.as_ref().map_or(Cow::Borrowed(dump), |answers| Cow::Owned(dump.with_outside(answers)));
    let loops = memory(pid, &whole, sources);
    match (answers, loops) {
        (Some(mut answers), Some(loops)) => {
            answers.memory.extend(loops.memory);
            answers.notes.extend(loops.notes);
            Some(Dump { limits: loops.limits, ..answers })
        }
        (answers, loops) => answers.or(loops),
    }
}

/// A dump that holds only the memory that loops of running threads in `dump` read, and the limits on memory;
/// none if no thread runs.
pub(super) fn memory(pid: u32, dump: &Dump, sources: &Sources) -> Option<Dump> {
    if dump.samples.is_empty() && sources.lists.is_empty() {
        return None;
    }
    let memory = ProcessMemory::of(pid);
    let mut outside = Dump::begun(dump.identity.clone(), dump.begin);
    let ForLoops { memory: read, words, notes } = memory_of_loops(dump, sources, &memory);
    outside.memory = read;
    outside.notes = holders::ended_of_mutexes(pid, dump, &words, &memory);
    outside.notes.extend(notes);
    outside.limits = Some(limits::of(memory.tid()));
    Some(outside)
}

/// Answers and samples. Its threads have the ids of the process's own namespace. Without `sources` no stack
/// is found to be cut.
fn answers(pid: u32, dump: &Dump, sources: Option<&Sources>) -> Option<Dump> {
    let memory = &ProcessMemory::of(pid);
    let ids = &mut Ids::of(pid, dump);
    let mut outside = Dump::begun(dump.identity.clone(), dump.begin);
    outside.notes = ids.notes(pid);
    // A dump from outside says it already.
    outside.notes.retain(|note| !dump.notes.contains(note));
    outside.notes.extend(holders::notes(pid, dump, ids));
    outside.notes.extend(other_ends::notes(pid, dump, memory));
    if look_where_refused(pid, dump, &mut outside) {
        return Some(outside);
    }
    outside.probes = ask_threads_without_answer(dump, ids, memory);
    let asked: Vec<u32> = outside.probes.iter().filter(|p| is_answered(p)).map(|p| p.record.tid).collect();
    outside.probes.extend(read_unseen_threads(pid, dump, ids, memory));
    outside.probes.extend(ask_cut_threads(dump, sources, ids, memory));
    let stopped: Vec<&Probe> = outside.probes.iter().filter(|p| is_answered(p)).collect();
    let by_ptrace: Vec<u32> = stopped.iter().filter_map(|probe| ids.own(probe.record.tid)).collect();
    let for_us = |p: &&Probe| p.record.answered_ns.saturating_sub(p.record.asked_ns) / 1000;
    if let Some(us) = stopped.iter().map(for_us).max() {
        outside.notes.push(say!(OutsideNote::AskedByPtrace { tids: ranges(&by_ptrace), us }).note(0));
    }
    let nappers: Vec<u32> = nappers(dump).into_iter().filter_map(|tid| ids.here(tid)).collect();
    let arch = Syscalls::from_elf(dump.identity.fixed.arch);
    let here = |t: &ThreadRecord| Some(ThreadRecord { tid: ids.here(t.tid)?, ..*t });
    let here: Vec<ThreadRecord> = dump.threads.iter().filter_map(here).collect();
    outside.threads = vforked::look(pid, &here, 1, memory, arch);
    outside.stacks = vforked::stacks(&outside.threads, memory);
    outside.memory = times(dump, memory);
    ids.see_others(&outside.threads);
    let ids = &*ids;
    outside.memory = times(dump, memory);
    if outside.probes.is_empty() && nappers.is_empty() && outside.threads.is_empty() {
        return (!outside.notes.is_empty() || !outside.memory.is_empty()).then_some(outside);
    }
    let asked: Vec<u32> = asked.into_iter().filter_map(|tid| ids.here(tid)).collect();
    let woken = woken(dump, &nappers);
    // Threads that were only asked for the rest of their stack need no second look.
    let once = asked.is_empty() && nappers.is_empty() && outside.threads.is_empty();
    let until = Instant::now() + if once { Duration::ZERO } else { SAMPLED_FOR };
    let mut number: u32 = dump.samples.iter().map(|p| p.record.sample).max().unwrap_or(0);
    while Instant::now() < until {
        number += 1;
        let stopped = asked.iter().take(MOST_SAMPLED).map(|t| stop::ask(*t, number, SAMPLE_BYTES, memory));
        outside.samples.extend(stopped.filter(is_answered));
        // Many threads take turns.
        let turn =
            nappers.iter().cycle().skip(number as usize * MOST_SAMPLED).take(MOST_SAMPLED.min(nappers.len()));
        let sample = |t: &u32| match number.is_multiple_of(ASKED_EVERY) && woken.contains(t) {
            true => Some(stop::ask(*t, number, SAMPLE_BYTES, memory)).filter(is_answered),
            false => threads::sample(pid, *t, number, memory),
        };
        outside.samples.extend(turn.filter_map(sample));
        thread::sleep(BETWEEN_SAMPLES);
    }
    let named = |here: u32| ids.named(here);
    outside.samples.retain_mut(|p| named(p.record.tid).map(|tid| p.record.tid = tid).is_some());
    outside.probes.retain_mut(|p| ids.own(p.record.tid).map(|tid| p.record.tid = tid).is_some());
    outside.second = vforked::look(pid, &here, 2, memory, arch);
    outside.second.retain(|second| outside.threads.iter().any(|first| first.tid == second.tid));
    rename_children(&mut outside, ids);
    outside.second.extend(looked_at_again(pid, dump, &nappers, memory));
    Some(outside)
}

/// Gives vforked children, which have the ids of this side, those of the process's own namespace.
fn rename_children(outside: &mut Dump, ids: &Ids) {
    let own = |tid: &mut u32| ids.named(*tid).map(|own| *tid = own).is_some();
    outside.threads.retain_mut(|t| own(&mut t.tid));
    outside.second.retain_mut(|t| own(&mut t.tid));
    outside.stacks.retain_mut(|s| own(&mut s.record.tid));
}

/// Where the shim may not read what threads wait for, because the program has dropped its rights, this side
/// may: then all threads are looked at anew. Whether they were.
fn look_where_refused(pid: u32, dump: &Dump, outside: &mut Dump) -> bool {
    let refused = |t: &&ThreadRecord| {
        [Errno::EACCES, Errno::EPERM].iter().any(|errno| i32::from(t.err_syscall) == *errno as i32)
    };
    let Some(thread) = dump.threads.iter().find(refused) else { return false };
    let file = format!("/proc/{}/task/{}/syscall", dump.identity.fixed.pid, thread.tid);
    let why = Errno::from_raw(thread.err_syscall.into()).desc();
    let options = Options { second_look_after: LOOKS_APART, ..Options::default() };
    match take(pid, &options) {
        Ok(looked) => {
            outside.notes.push(say!(OutsideNote::LookedFromOutside { file, why }).note(0));
            outside.threads = looked.threads;
            outside.second = looked.second;
            outside.stacks = looked.stacks;
            outside.probes = looked.probes;
            outside.samples = looked.samples;
            outside.fds = looked.fds;
            outside.marks = looked.marks;
            outside.looks_ns = looked.looks_ns;
            true
        }
        Err(error) => {
            let outside_why = error.to_string();
            let note = say!(OutsideNote::NotLookedFromOutside { file, why, outside: outside_why });
            outside.notes.push(note.note(0));
            false
        }
    }
}

/// The dump with the answers and samples that [`supplement`] adds.
pub(crate) fn supplemented(pid: u32, dump: &Dump) -> Cow<'_, Dump> {
    answers(pid, dump, None).map_or(Cow::Borrowed(dump), |outside| Cow::Owned(dump.with_outside(&outside)))
}

/// Registers and stacks of threads that ran in both looks and took no signal: a program may block all signals
/// in its workers, and one of them may be the thread that loops. Threads that do not answer ptrace are left
/// out. The answers have the ids of the dump.
fn ask_threads_without_answer(dump: &Dump, ids: &Ids, memory: &ProcessMemory) -> Vec<Probe> {
    use probe_outcome::{BLOCKED, LATE, NO_SIGNAL, NOT_SAFE, NOT_SEEN, NOT_SENT};
    let runs = |tid: &u32| dump.second_look(*tid).is_some_and(|t| t.syscall == SYSCALL_RUNNING);
    let unanswered = dump
        .probes
        .iter()
        .filter(|p| matches!(p.record.outcome, BLOCKED | LATE | NO_SIGNAL | NOT_SAFE | NOT_SEEN | NOT_SENT));
    let tids = unanswered.map(|p| p.record.tid).filter(runs).take(MOST_ASKED);
    let ask = |tid| {
        let mut probe = stop::ask(ids.here(tid)?, 0, STACK_BYTES, memory);
        probe.record.tid = tid;
        Some(probe)
    };
    tids.filter_map(ask).filter(is_answered).collect()
}

/// The stacks of threads that ran in the first look, were not seen, and wait now: these are read, and nothing
/// is stopped.
fn read_unseen_threads(pid: u32, dump: &Dump, ids: &Ids, memory: &ProcessMemory) -> Vec<Probe> {
    let unseen = dump.probes.iter().filter(|p| p.record.outcome == probe_outcome::NOT_SEEN);
    let waits = |tid: &u32| dump.second_look(*tid).is_some_and(is_blocked);
    let read = |tid| {
        let mut probe = threads::sample(pid, ids.here(tid)?, 0, memory)?;
        probe.record.tid = tid;
        Some(probe)
    };
    unseen.map(|p| p.record.tid).filter(waits).take(MOST_ASKED).filter_map(read).collect()
}

/// Registers of threads whose stack could not be followed without them, and that wait for a futex: the kernel
/// begins that wait again after a stop. Other calls end early (signal(7), "Interruption of system calls by
/// stop signals"): epoll_wait, sigtimedwait, semop, msgrcv, io_getevents, reads of inotify. Threads in those
/// are left alone.
fn ask_cut_threads(dump: &Dump, sources: Option<&Sources>, ids: &Ids, memory: &ProcessMemory) -> Vec<Probe> {
    let (Some(sources), Some(arch)) = (sources, Syscalls::from_elf(dump.identity.fixed.arch)) else {
        return vec![];
    };
    let waits = |tid: &u32| dump.second_look(*tid).is_some_and(|t| t.syscall == arch.futex());
    let tids = truncated(dump, sources, Reach::AnyThread).into_iter().filter(waits).take(MOST_CUT);
    let ask = |tid| {
        let mut probe = stop::ask(ids.here(tid)?, 0, STACK_BYTES, memory);
        (probe.record.tid, probe.record.was_blocked) = (tid, 1);
        Some(probe)
    };
    tids.filter_map(ask).filter(is_answered).collect()
}

/// Whether threads of a process may not be stopped from here, so that only a signal reaches their registers.
/// Never of a process that has a tracer: a debugger would stop at the signal.
pub(crate) fn only_a_signal_reaches(pid: u32) -> bool {
    let tid = task::sharing(pid);
    let status = fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    Status(&status).number(b"TracerPid:") == Some(0) && !stop::may_be_stopped(tid)
}

fn is_answered(probe: &Probe) -> bool {
    probe.record.outcome == probe_outcome::ANSWERED
}

/// Threads that slept between the looks and were not asleep all the time: in a loop that naps, or woken by signals. The
/// shim samples only threads that run, and two looks do not tell whether such a thread goes on.
fn nappers(dump: &Dump) -> Vec<u32> {
    let ran = |t: &&ThreadRecord| {
        let second = dump.second_look(t.tid);
        let waits = is_blocked(t) || second.is_some_and(is_blocked);
        let naps = second.is_some_and(|second| second.nvcsw > t.nvcsw + LEAST_NAPS);
        second.is_some_and(|second| second.nvcsw > t.nvcsw) && (waits || naps)
    };
    let ours = dump.identity.fixed.watchdog_tid;
    let napping = dump.threads.iter().filter(|t| t.tid != ours).filter(ran);
    napping.map(|t| t.tid).take(MOST_NAPPERS).collect()
}

/// Those that wait for a futex and wake often: their registers are wanted too, and to stop them ends no wait that would
/// not end without it. The kernel restarts a futex wait after the stop.
fn woken(dump: &Dump, nappers: &[u32]) -> BTreeSet<u32> {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return BTreeSet::new() };
    let often = |tid: &&u32| {
        let looks = dump.thread(**tid).zip(dump.second_look(**tid));
        looks.is_some_and(|(first, second)| {
            let waits = [first, second].iter().any(|t| t.syscall == arch.futex());
            waits && second.nvcsw > first.nvcsw + LEAST_NAPS
        })
    };
    nappers.iter().filter(often).copied().collect()
}

/// A second look at threads that the second look met on their way, in a signal handler for example, but that wait for a
/// futex again and again.
fn looked_at_again(pid: u32, dump: &Dump, nappers: &[u32], memory: &ProcessMemory) -> Vec<ThreadRecord> {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return vec![] };
    let waits = |t: &ThreadRecord| t.syscall == arch.futex();
    let on_its_way = |tid: &&u32| dump.second_look(**tid).is_some_and(|t| !waits(t));
    let look = |tid: &u32| {
        let mut looks = (0..MOST_LOOKS).filter_map(|_| threads::look(pid, *tid, 2, memory, Some(arch)));
        looks.find(waits)
    };
    nappers.iter().filter(on_its_way).filter_map(look).collect()
}
