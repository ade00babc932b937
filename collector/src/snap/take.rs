//! Takes a dump of a process from outside.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{
    DumpBeginRecord, DumpEndRecord, MarkRecord, ThreadRecord, dump_reason, mark_part,
};

use super::ids::Ids;
use super::memory::ProcessMemory;
use super::notes::OutsideNote;
use super::permit::{self, NotPossible};
use super::process::Process;
use super::stop;
use super::threads::{self, MOST_SAMPLED, SAMPLE_BYTES, STACK_BYTES, is_blocked};
use super::times::times;
use super::vforked;
use super::zero::zero;
use super::{holders, other_ends};
use crate::proc::task::tids;
use crate::session::syscalls::{FirstArgument, Syscalls};
use crate::session::{Dump, Note, Probe, Stack};
use crate::text::message::say;

/// A thread that naps has run by then, from the first look on.
const NAPS_END: Duration = Duration::from_millis(100);

/// How a process is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the allocator's DSO; none: the DSO that provides malloc.
    pub target: Option<String>,
    pub second_look_after: Duration,
    /// Samples a second of each thread that runs or naps, until the second look; 0: none.
    pub sample_hz: u32,
    /// Stop blocked threads too, for the registers, which the stack alone does not tell. The kernel restarts
    /// their system calls: a thread that missed its wake-up may notice then.
    pub stop_blocked: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            target: None,
            second_look_after: Duration::from_secs(2),
            sample_hz: 49,
            stop_blocked: false,
        }
    }
}

/// Takes a dump of a process.
///
/// # Errors
/// [`NotPossible`], in one line with what to do about it, where there is no such process or it may not be
/// looked at.
pub fn take(pid: u32, options: &Options) -> Result<Dump, NotPossible> {
    let begun = Instant::now();
    let trigger_ns = stop::now_ns();
    let memory = &ProcessMemory::of(pid);
    permit::check(pid, memory)?;
    let process = Process::read(pid, memory)?;
    let (dsos, provider) = process.dsos(options.target.as_deref())?;
    let mut notes = vec![OutsideNote::FromOutside {}.note(0)];
    if provider.is_none() {
        notes.push(OutsideNote::NoMalloc {}.note(0));
    }
    let mut identity = process.identity(trigger_ns, dsos.len() as u32, provider, options.target.as_deref());

    let mut look = Look { pid, memory, arch: process.arch, begun, marks: vec![] };
    let mut ids = Ids::new(pid, true);
    let mut first = look.threads(1)?;
    first.extend(vforked::look(pid, &first, 1, memory, process.arch));
    first.sort_by_key(|t| t.tid);
    ids.see_others(&first);
    let mut stacks = look.stacks(&first, &mut notes);
    let fds = fds(memory.tid(), &first, process.arch);
    let probes = look.registers(&first, options.stop_blocked);
    let first_look_ns = begun.elapsed().as_nanos() as u64;

    let until = begun + options.second_look_after;
    let samples = look.samples(&first, options.sample_hz, until);
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let second_begun_ns = begun.elapsed().as_nanos() as u64;
    let mut second = look.threads(2)?;
    second.extend(vforked::look(pid, &second, 2, memory, process.arch));
    second.sort_by_key(|t| t.tid);
    stacks.extend(second.iter().filter(|t| is_blocked(t)).filter_map(|t| threads::stack(t, memory).ok()));
    look.mark(mark_part::SECOND_LOOK, second.len());

    ids.see_again(pid);
    identity.fixed.watchdog_tid = process.shim_thread([&first, &second], &probes).unwrap_or(0);
    let mut dump = Dump {
        begin: DumpBeginRecord {
            number: 1,
            reason: dump_reason::ASKED,
            threads: first.len() as u32,
            trigger_ns,
            since_init_ns: process.age_ns,
            second_look_after_ns: options.second_look_after.as_nanos() as u64,
            rss_kib: process.rss_kib,
            ..zero()
        },
        end: Some(DumpEndRecord {
            number: 1,
            threads: second.len() as u32,
            first_look_ns,
            took_ns: begun.elapsed().as_nanos() as u64,
            ..zero()
        }),
        dsos,
        maps: process.maps,
        threads: first,
        second,
        stacks,
        probes,
        samples,
        fds,
        marks: look.marks,
        notes,
        looks_ns: [trigger_ns, trigger_ns + second_begun_ns],
        ..Dump::begun(identity, zero())
    };
    dump.memory = times(&dump, memory);
    dump.notes.extend(holders::ended(pid, &dump, &ids, memory));
    ids.rename(pid, &mut dump);
    dump.notes.extend(holders::notes(pid, &dump, &ids));
    dump.notes.extend(other_ends::notes(pid, &dump, memory));
    Ok(dump)
}

/// The looks at the threads of a process, with what each part took.
struct Look<'m> {
    pid: u32,
    memory: &'m ProcessMemory,
    arch: Option<Syscalls>,
    begun: Instant,
    marks: Vec<MarkRecord>,
}

impl Look<'_> {
    fn mark(&mut self, part: u32, records: usize) {
        let took_ns = self.begun.elapsed().as_nanos() as u64;
        self.marks.push(MarkRecord { part, records: records as u32, took_ns, ..zero() });
    }

    /// All threads, ascending by tid. `number` is 1 or 2.
    fn threads(&mut self, number: u8) -> Result<Vec<ThreadRecord>, NotPossible> {
        let tids = tids(self.pid).map_err(|e| NotPossible::reading(self.pid, &e))?;
        let look = |tid| threads::look(self.pid, tid, number, self.memory, self.arch);
        let threads: Vec<ThreadRecord> = tids.into_iter().filter_map(look).collect();
        if number == 1 {
            self.mark(mark_part::THREADS, threads.len());
        }
        Ok(threads)
    }

    /// Stacks of the blocked threads.
    fn stacks(&mut self, threads: &[ThreadRecord], notes: &mut Vec<Note>) -> Vec<Stack> {
        let mut stacks = vec![];
        for thread in threads.iter().filter(|t| is_blocked(t)) {
            match threads::stack(thread, self.memory) {
                Ok(stack) => stacks.push(stack),
                Err(e) => {
                    notes
                        .push(say!(OutsideNote::NoStack { tid: thread.tid, why: e.desc() }).note(thread.tid));
                }
            }
        }
        self.mark(mark_part::STACKS, stacks.len());
        stacks
    }

    /// Registers of the running threads, and of the blocked ones if they are wanted.
    fn registers(&mut self, threads: &[ThreadRecord], blocked_too: bool) -> Vec<Probe> {
        let running = threads.iter().filter(|t| !is_blocked(t));
        let blocked = threads.iter().filter(|t| blocked_too && is_blocked(t));
        let ask = |t: &ThreadRecord| stop::ask(t.tid, 0, STACK_BYTES, self.memory);
        let probes: Vec<Probe> = running.chain(blocked).map(ask).collect();
        self.mark(mark_part::PROBES, probes.len());
        probes
    }

    /// Samples, until then, of threads that run and of threads that were blocked in the first look and have
    /// run since: these nap.
    fn samples(&mut self, first: &[ThreadRecord], hz: u32, until: Instant) -> Vec<Probe> {
        let mut samples = vec![];
        if let Some(pause) = Duration::from_secs(1).checked_div(hz) {
            // A nap of a millisecond may outlast two looks in a row.
            let naps_end = NAPS_END.saturating_sub(self.begun.elapsed());
            thread::sleep(naps_end.min(until.saturating_duration_since(Instant::now())));
            let moved = |t: &&ThreadRecord| {
                let now = threads::look(self.pid, t.tid, 1, self.memory, None);
                now.is_some_and(|now| (now.nvcsw, now.sp, now.pc) != (t.nvcsw, t.sp, t.pc))
            };
            let (blocked, running): (Vec<_>, Vec<_>) = first.iter().partition(|t| is_blocked(t));
            let running = running.into_iter().take(MOST_SAMPLED);
            let napping = blocked.into_iter().filter(moved).take(MOST_SAMPLED);
            let tids: Vec<u32> = running.chain(napping).map(|t| t.tid).collect();
            let mut number = 0;
            while !tids.is_empty() && Instant::now() + pause < until {
                thread::sleep(pause);
                number += 1;
                samples.extend(tids.iter().map(|tid| self.sample(*tid, number)));
            }
        }
        self.mark(mark_part::SAMPLES, samples.len());
        samples
    }

    /// A sample of a thread, which is stopped only if it runs.
    fn sample(&self, tid: u32, number: u32) -> Probe {
        let blocked = threads::sample(self.pid, tid, number, self.memory);
        blocked.unwrap_or_else(|| stop::ask(tid, number, SAMPLE_BYTES, self.memory))
    }
}

/// The targets of the descriptors that threads wait on.
fn fds(tid: u32, threads: &[ThreadRecord], arch: Option<Syscalls>) -> BTreeMap<i32, String> {
    let waits_on = |t: &ThreadRecord| {
        let call = arch?.call(t.syscall)?;
        (call.first == FirstArgument::Fd).then(|| i32::try_from(t.args[0]).ok()).flatten()
    };
    let target = |fd: i32| {
        let target = fs::read_link(format!("/proc/{tid}/fd/{fd}")).ok()?;
        Some((fd, target.to_string_lossy().into_owned()))
    };
    threads.iter().filter_map(waits_on).filter_map(target).collect()
}
