//! A dump with derived facts about each thread: what it waits for, whether it moved between the two looks,
//! whether it is inside the allocator. The classes are decided from these facts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hangscope_protocol::record::{
    SYSCALL_RUNNING, ThreadRecord, dso_flags, dump_reason, hello_flags, mark_part, probe_outcome, probe_way,
    thread_flags,
};

use super::ends::{self, Ends};
use super::history::History;
use super::motion;
use super::stack::{self, AllocatorIs, Calls, Proof};
use super::standing::{self, Activity};
use super::wait::{Owner, Tids, Wait, WaitKind, WaitText, resolve, wait_of};
use crate::session::maps::{self, Mapping};
use crate::session::syscalls::Syscalls;
use crate::session::trace::{Frame, ThreadTrace, TraceSource, Traces, is_signal_frame};
use crate::session::{Dump, Probe};
use crate::text::message::{Say as _, say};

/// A thread that sleeps between its attempts spins if it uses at least this share of a core.
pub(super) const BUSY: f64 = 0.2;

/// What a thread did between the two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    /// There was no second look at the thread, or its number of switches could not be read.
    Unknown,
    /// In the same wait in both looks; it slept all the time.
    Asleep,
    /// In the same wait in both looks, but it woke in between.
    Rewaits,
    Runs,
    /// In different waits, or running in one look and waiting in the other.
    Moved,
    /// It ended before the second look.
    Left,
}

/// Whether a wait does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stuck {
    /// It ended, or the thread was woken.
    No,
    Maybe,
    /// The thread slept from the first look to the second.
    Yes,
}

/// A thread with its derived facts.
#[derive(Debug)]
pub(super) struct Thread<'a> {
    pub(super) record: &'a ThreadRecord,
    pub(super) second: Option<&'a ThreadRecord>,
    pub(super) wait: Option<Wait>,
    /// Its wait ends by itself.
    pub(super) ends: Option<Ends>,
    pub(super) motion: Motion,
    /// It woke, and waits again for the same lock of the same owner, or with a timeout for the same event,
    /// without a return in between: how well its stacks prove that.
    pub(super) comes_back: Option<Proof>,
    pub(super) trace: Option<&'a ThreadTrace>,
    pub(super) samples: &'a [ThreadTrace],
    /// From all of its stacks: the one of the dump, and the samples.
    pub(super) calls: Calls,
    /// Whether it is inside the allocator; none where no stack tells.
    pub(super) inside: Option<bool>,
    /// It is a background thread of the allocator itself.
    pub(super) background: bool,
    /// It is inside the allocator, and in each look running or in a short sleep (a timed wait, a yield). A
    /// loop that sleeps between its attempts looks like this, and has not left the allocator. On a busy
    /// machine both looks find such a loop running.
    pub(super) naps: bool,
    /// As `naps`, wherever it is.
    pub(super) dozes: bool,
    /// It is in the same wait in both looks, and the shim's own signals explain all of its wake-ups. An
    /// answer may cost two wake-ups, if it had to wait for a page or for a lock of the address space.
    pub(super) woken_by_us: bool,
    /// Share of a core that it used between the looks, 0 to 1.
    pub(super) cpu_share: f64,
    /// Both looks found it waiting for the same owner, or for an object without one.
    pub(super) same_owner: bool,
    /// When its samples were taken, in their order; CLOCK_MONOTONIC, ns. Empty where it is not known.
    pub(super) sampled_ns: Vec<u64>,
}

impl Thread<'_> {
    pub(super) fn tid(&self) -> u32 {
        self.record.tid
    }

    pub(super) fn frames(&self) -> &[Frame] {
        self.trace.map_or(&[], |t| &t.frames)
    }

    /// Whether it was running or runnable in the first look.
    pub(super) fn runs(&self) -> bool {
        is_running(self.record)
    }

    /// A child that was started by vfork: another process in the same memory.
    pub(super) fn is_vforked(&self) -> bool {
        self.record.flags & thread_flags::VFORKED != 0
    }

    /// It sleeps until a vforked child starts a program or ends.
    pub(super) fn waits_in_vfork(&self) -> bool {
        let call = |w: &Wait| matches!(w.kind, WaitKind::Call("fork" | "clone"));
        self.in_kernel() && self.wait.as_ref().is_some_and(call)
    }

    /// See [`Tids::ended`].
    pub(super) fn has_ended(&self) -> bool {
        has_ended(self.record)
    }

    /// Stopped by a signal or a debugger.
    pub(super) fn stopped(&self) -> bool {
        matches!(self.record.state, b'T' | b't')
    }

    /// In uninterruptible sleep in both looks, at the same position.
    pub(super) fn in_kernel(&self) -> bool {
        let d = |r: &ThreadRecord| r.state == b'D';
        d(self.record) && self.second.is_none_or(d) && self.motion != Motion::Moved
    }

    pub(super) fn stuck(&self) -> Stuck {
        match self.motion {
            Motion::Asleep => Stuck::Yes,
            Motion::Unknown => Stuck::Maybe,
            Motion::Rewaits if self.comes_back == Some(Proof::Bytes) && self.waits_for_lock() => Stuck::Yes,
            Motion::Rewaits if self.comes_back.is_some() => Stuck::Maybe,
            Motion::Rewaits if self.woken_by_us => Stuck::Maybe,
            // A timed wait wakes at its timeout and waits again: that is no progress.
            Motion::Rewaits if self.wait.as_ref().is_some_and(|w| w.timed) => Stuck::Maybe,
            Motion::Rewaits | Motion::Moved | Motion::Left | Motion::Runs => Stuck::No,
        }
    }

    /// It waited for a lock in the first look, and was awake in the second one. That may be the wake of a signal:
    /// such a thread waits for a processor before it waits for the lock again. Too few stacks tell where it was,
    /// and none that it went on.
    pub(super) fn may_wait_again(&self) -> bool {
        let awake = self.second.is_some_and(is_running);
        let few = self.samples.len() < motion::LEAST_STACKS && self.calls != Calls::Returns;
        self.motion == Motion::Moved && awake && few && self.waits_for_lock()
    }

    fn waits_for_lock(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.kind.is_lock())
    }

    /// What it does: a waiting thread by its stack, another one by all of its stacks.
    pub(super) fn activity(&self, is: AllocatorIs) -> Activity {
        let samples = if self.motion == Motion::Asleep { &[] } else { self.samples };
        standing::activity(self.trace.into_iter().chain(samples), is)
    }

    /// Its stacks that were read in a span of time, ns.
    pub(super) fn traces_in(&self, span: &Range<u64>) -> impl Iterator<Item = &ThreadTrace> {
        let timed = self.samples.iter().zip(&self.sampled_ns);
        timed.filter(|(_, at)| span.contains(at)).map(|(trace, _)| trace)
    }

    /// The futex word in the second look, if the thread still waits on it.
    pub(super) fn word_in_second_look(&self) -> Option<u32> {
        let second = self.second.filter(|_| matches!(self.motion, Motion::Asleep | Motion::Rewaits))?;
        let at = hangscope_protocol::record::NEAR_BEFORE;
        let valid = usize::from(second.near_from) <= at && usize::from(second.near_to) >= at + 4;
        let bytes = second.near.get(at..at + 4).filter(|_| valid)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// It left the wait or the call in which the first look found it.
    pub(super) fn makes_progress(&self) -> bool {
        match self.motion {
            Motion::Left => true,
            Motion::Moved => !self.naps,
            Motion::Rewaits => self.stuck() == Stuck::No,
            Motion::Runs | Motion::Unknown => self.calls == Calls::Returns,
            Motion::Asleep => false,
        }
    }
}

/// The first thread of a process stays in `/proc` until the last one ends.
fn has_ended(record: &ThreadRecord) -> bool {
    matches!(record.state, b'Z' | b'X')
}

pub(super) fn is_running(record: &ThreadRecord) -> bool {
    record.state == b'R'
        || record.syscall == SYSCALL_RUNNING && !has_ended(record) && !matches!(record.state, b'T' | b't')
}

/// A dump with the derived facts.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) dump: &'a Dump,
    pub(super) traces: &'a Traces,
    pub(super) history: &'a History,
    pub(super) is: AllocatorIs,
    pub(super) threads: BTreeMap<u32, Thread<'a>>,
    /// Threads that only the second look has.
    pub(super) came: BTreeSet<u32>,
    /// Threads of heartbeats that the dump does not have.
    pub(super) gone: BTreeSet<u32>,
    /// The first look has every thread of the process.
    pub(super) whole: bool,
    /// Time between the looks; none without a second look.
    pub(super) between_s: Option<f64>,
    /// Time of the last look, CLOCK_MONOTONIC.
    pub(super) end_ns: u64,
}

impl<'a> Scene<'a> {
    pub(super) fn new(dump: &'a Dump, traces: &'a Traces, history: &'a History) -> Self {
        let ours = |r: &ThreadRecord| r.tid == dump.identity.fixed.watchdog_tid;
        let whole = dump.first_look_is_whole();
        let looks = || dump.threads.iter().chain(&dump.second).filter(|r| !ours(r));
        let ended: BTreeSet<u32> = looks().filter(|r| has_ended(r)).map(|r| r.tid).collect();
        let alive: BTreeSet<u32> = looks().map(|r| r.tid).filter(|tid| !ended.contains(tid)).collect();
        let known: BTreeSet<u32> = history.tids().collect();
        let forked = is_forked(dump);
        let shim = dump.identity.fixed.watchdog_tid;
        let left = known.difference(&alive).copied().filter(|tid| *tid != shim);
        let gone = if whole { left.collect() } else { BTreeSet::new() };
        let elsewhere = dump.holders().map(|holder| (holder.tid, holder.pid)).collect();
        let mappings = maps::parse(&dump.maps);
        let tids = Tids { alive, ended, known, whole, forked, elsewhere, mappings };
        let between_ns = dump.between_ns();
        let between_s = between_ns.map(|ns| ns as f64 / 1e9);
        let is = AllocatorIs { shared: dump.allocator().is_some_and(is_shared) };
        let (answers, sampled) = (answers(dump), dump.sample_times());
        let looks = Looks { dump, traces, tids, is, between_s, answers, sampled };
        let later: BTreeMap<u32, &ThreadRecord> = dump.second.iter().map(|r| (r.tid, r)).collect();
        let first = dump.threads.iter().filter(|r| !ours(r));
        let mut threads: BTreeMap<u32, Thread<'a>> =
            first.map(|r| (r.tid, looks.thread(r, later.get(&r.tid).copied()))).collect();
        settle(&mut threads);
        link_vforked(&mut threads, &looks.tids.mappings);
        let came = |r: &&ThreadRecord| whole && !ours(r) && !threads.contains_key(&r.tid);
        let came = dump.second.iter().filter(came).map(|r| r.tid).collect();
        let end_ns = dump.begin.trigger_ns.saturating_add(between_ns.unwrap_or(0));
        Scene { dump, traces, history, is, threads, came, gone, whole, between_s, end_ns }
    }

    /// A frame of which it is not known whether it is the allocator's. What called the allocator does not count.
    pub(super) fn doubtful(&self, thread: &Thread<'a>) -> Option<&'a Frame> {
        let frames = thread.trace.map_or(&[][..], |t| &t.frames);
        let end = stack::in_allocator(frames, self.is).map_or(frames.len(), |range| range.end);
        frames[..end].iter().find(|f| self.traces.is_doubtful(f))
    }

    /// Whether the process is a forked child that has started no program since.
    pub(super) fn is_forked(&self) -> bool {
        is_forked(self.dump)
    }

    /// All threads but the background threads of the allocator and those that have ended.
    pub(super) fn all(&self) -> impl Iterator<Item = &Thread<'a>> {
        self.threads.values().filter(|t| !t.background && !t.has_ended())
    }

    /// Threads that wait, and what each waits for.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Thread<'a>, &Wait)> {
        self.all().filter_map(|t| Some((t, t.wait.as_ref()?)))
    }

    /// The symbol of the object that is waited for, else that of its futex word.
    pub(super) fn symbol(&self, wait: &Wait) -> Option<&'a String> {
        let of = |address: Option<u64>| self.traces.addresses.get(&address?);
        of(wait.object).or_else(|| of(wait.word))
    }

    /// The deadline of the process, seconds, if the dump was made after it; 0 if the deadline is not known. None: nobody
    /// said by when the process had to end.
    pub(super) fn deadline_s(&self) -> Option<f64> {
        let (begin, fixed) = (&self.dump.begin, &self.dump.identity.fixed);
        let passed = match begin.reason {
            dump_reason::DEADLINE | dump_reason::STILL => true,
            dump_reason::ASKED => fixed.hang_after_ns > 0 && begin.since_init_ns >= fixed.hang_after_ns,
            _ => false,
        };
        passed.then_some(fixed.hang_after_ns as f64 / 1e9)
    }

    /// How long a thread has been in the state in which the dump found it, seconds.
    pub(super) fn for_s(&self, thread: &Thread<'_>) -> Option<f64> {
        let since = self.history.since_ns(thread.record);
        let seen = since.map(|since| self.end_ns.saturating_sub(since) as f64 / 1e9);
        let same = matches!(thread.motion, Motion::Asleep | Motion::Runs | Motion::Rewaits);
        seen.or(self.between_s).filter(|_| same || self.between_s.is_none())
    }

    /// Whether any thread has a stack.
    pub(super) fn has_stacks(&self) -> bool {
        self.threads.values().any(|t| !t.frames().is_empty() || !t.samples.is_empty())
    }
}

/// Adds the owners that all waits and stacks together tell.
fn settle(threads: &mut BTreeMap<u32, Thread<'_>>) {
    let stacks =
        threads.values().map(|t| (t.tid(), t.trace.map_or(&[][..], |trace| &trace.frames))).collect();
    let living = || threads.values().filter(|t| !t.has_ended());
    let whole = living().all(|t| t.trace.is_some_and(|trace| !trace.truncated));
    let mut waits = threads.values().filter_map(|t| Some((t.tid(), t.wait.clone()?))).collect();
    let stands: BTreeSet<u32> =
        threads.values().filter(|t| t.stuck() != Stuck::No).map(Thread::tid).collect();
    resolve(&mut waits, &stacks, whole, &stands);
    for (tid, wait) in waits {
        if let Some(thread) = threads.get_mut(&tid) {
            thread.wait = Some(wait);
        }
    }
}

/// A thread that waits in vfork waits for its child. The child runs on the stack of that thread.
fn link_vforked(threads: &mut BTreeMap<u32, Thread<'_>>, mappings: &[Mapping]) {
    let stack = |t: &Thread<'_>| maps::find(mappings, t.record.sp).map(|m| m.start);
    let waiting = |t: &&Thread<'_>| t.waits_in_vfork();
    let children: Vec<(u32, Option<u64>)> =
        threads.values().filter(|t| t.is_vforked()).map(|t| (t.tid(), stack(t))).collect();
    let parents: Vec<(u32, Option<u64>)> =
        threads.values().filter(waiting).map(|t| (t.tid(), stack(t))).collect();
    for (child, stack) in &children {
        let alone = parents.len() == 1 && children.len() == 1;
        let same = |(_, of): &&(u32, Option<u64>)| alone || of.is_some() && of == stack;
        let parent = parents.iter().find(same).and_then(|(parent, _)| threads.get_mut(parent));
        if let Some(wait) = parent.and_then(|parent| parent.wait.as_mut()) {
            wait.owner = Some(Owner::Alive(*child));
            wait.detail = say!(WaitText::VforkOf { child: *child }).said();
        }
    }
}

fn is_forked(dump: &Dump) -> bool {
    dump.identity.fixed.flags & hello_flags::FORKED != 0
}

/// Whether the allocator's DSO contains other code too: it is libc, or the program.
fn is_shared(dso: &crate::session::Dso) -> bool {
    dso.is(dso_flags::EXECUTABLE) || crate::files::links::is_system(&dso.path)
}

/// The input for the facts of one thread.
struct Looks<'a> {
    dump: &'a Dump,
    traces: &'a Traces,
    tids: Tids,
    is: AllocatorIs,
    between_s: Option<f64>,
    /// How many signals of the shim each thread answered.
    answers: BTreeMap<u32, u64>,
    sampled: BTreeMap<u32, Vec<u64>>,
}

impl<'a> Looks<'a> {
    fn thread(&self, record: &'a ThreadRecord, second: Option<&'a ThreadRecord>) -> Thread<'a> {
        let Looks { dump, traces, is, .. } = *self;
        let answers = self.answers.get(&record.tid).copied().unwrap_or(0);
        let trace = traces.threads.get(&record.tid);
        let samples = traces.samples.get(&record.tid).map_or(&[][..], Vec::as_slice);
        let frames = trace.map_or(&[][..], |t| &t.frames);
        let first = wait_of(dump, record, frames, &self.tids);
        let owner = |wait: &Wait| (wait.owner, wait.foreign);
        let later = second.and_then(|second| wait_of(dump, second, frames, &self.tids));
        let same_owner = first.is_some() && first.as_ref().map(owner) == later.as_ref().map(owner);
        let back = self.back(first.as_ref(), record, second, (trace, samples));
        // A look that met it in a signal handler, or on its way, does not show what it waits for.
        let (record, trace) = back.as_ref().map_or((record, trace), |back| (back.record, Some(back.trace)));
        let frames = trace.map_or(&[][..], |t| &t.frames);
        let mut wait = if back.is_some() { wait_of(dump, record, frames, &self.tids) } else { first };
        let ends = wait.as_ref().and_then(|_| ends::ends(dump, record));
        let calls = stack::calls(trace.into_iter().chain(samples), is);
        let inside = match calls {
            Calls::NotSeen => None,
            Calls::Outside => Some(false),
            Calls::Inside(_) | Calls::Returns => Some(true),
        };
        // A thread that waits for a lock is not idle.
        let locked = wait.as_ref().is_some_and(|wait| wait.kind.is_lock());
        let background = trace.is_some_and(|t| stack::is_allocators_own(t, is))
            && record.flags & thread_flags::MAIN == 0
            && !locked;
        let cpu_share = match (self.between_s, second) {
            (Some(s), Some(second)) => {
                (cpu_ns(second).saturating_sub(cpu_ns(record)) as f64 / 1e9 / s).min(1.0)
            }
            _ => 0.0,
        };
        let comes_back = back.map(|back| back.proof);
        let motion = match motion_of(dump, record, second, answers) {
            Motion::Asleep => Motion::Asleep,
            _ if comes_back.is_some() => Motion::Rewaits,
            other => other,
        };
        if let (Some(wait), Some(ends), Motion::Asleep) = (&mut wait, ends, motion) {
            ends::say_time(wait, ends);
        }
        let dozes = |second: &ThreadRecord| match motion {
            Motion::Moved | Motion::Rewaits => is_nap(dump, record) && is_nap(dump, second),
            // It slept in between and used little CPU time: both looks found it waiting for a processor. A
            // thread that spins or yields does not sleep.
            Motion::Runs => sleeps(record, second) > answers && cpu_share < BUSY,
            _ => false,
        };
        let woken_by_us = motion == Motion::Rewaits
            && answers <= 2
            && second.is_some_and(|s| sleeps(record, s) <= 2 * answers);
        let dozes = second.is_some_and(dozes);
        let naps = inside == Some(true) && calls != Calls::Returns && dozes;
        Thread {
            record,
            second,
            wait,
            ends,
            motion,
            comes_back,
            trace,
            samples,
            calls,
            inside,
            background,
            naps,
            dozes,
            woken_by_us,
            cpu_share,
            same_owner,
            sampled_ns: self.sampled.get(&record.tid).cloned().unwrap_or_default(),
        }
    }
}

/// A thread that waits again for what it waited for.
struct Back<'a> {
    /// The look that shows the wait, and a stack of the wait.
    record: &'a ThreadRecord,
    trace: &'a ThreadTrace,
    proof: Proof,
}

impl<'a> Looks<'a> {
    /// Whether a thread that woke, or ran in a look, waits for one lock of one owner all the time, or with a
    /// timeout for one event.
    fn back(
        &self,
        first: Option<&Wait>,
        record: &'a ThreadRecord,
        second: Option<&'a ThreadRecord>,
        (trace, samples): (Option<&'a ThreadTrace>, &'a [ThreadTrace]),
    ) -> Option<Back<'a>> {
        let second = second.filter(|s| s.nvcsw != record.nvcsw)?;
        let renewed = |wait: &Wait| wait.kind.is_lock() || wait.futex && wait.timed;
        let lock = first.filter(|wait| renewed(wait));
        // In a handler of a signal it may wait for something else.
        let handled = trace.is_some_and(|t| t.frames.iter().any(is_signal_frame));
        if lock.is_none() && first.is_some() && !handled {
            return None;
        }
        let at_wait =
            |t: &&ThreadTrace| t.source == TraceSource::Blocked && !t.frames.iter().any(is_signal_frame);
        let shown = trace.filter(|_| lock.is_some()).or_else(|| samples.iter().find(at_wait))?;
        let later = wait_of(self.dump, second, &shown.frames, &self.tids).filter(|wait| renewed(wait))?;
        if lock.is_some_and(|lock| !is_same(lock, &later)) {
            return None;
        }
        let proof = motion::stays(shown, trace.into_iter().chain(samples), self.is)?;
        Some(Back { record: if lock.is_some() { record } else { second }, trace: shown, proof })
    }
}

/// Whether two waits are for one object of one owner. Waiters of a condition variable take turns on its two
/// words.
fn is_same(first: &Wait, later: &Wait) -> bool {
    let event = first.kind == WaitKind::Condition && later.kind == WaitKind::Condition;
    let object = |wait: &Wait| wait.object.or(wait.word).unwrap_or_default();
    let apart = object(first).abs_diff(object(later));
    first.owner == later.owner && if event { apart <= 4 } else { apart == 0 }
}

pub(super) fn is_nap(dump: &Dump, record: &ThreadRecord) -> bool {
    let call = Syscalls::from_elf(dump.identity.fixed.arch).and_then(|arch| arch.call(record.syscall));
    is_running(record)
        || call.is_some_and(|call| match call.kind {
            "nanosleep" | "sched_yield" | "poll" | "select" => true,
            "futex" => record.args[3] != 0,
            _ => false,
        })
}

fn cpu_ns(record: &ThreadRecord) -> u64 {
    if record.err_schedstat == 0 && record.cpu_ns > 0 { record.cpu_ns } else { record.tick_cpu_ns }
}

fn motion_of(dump: &Dump, first: &ThreadRecord, second: Option<&ThreadRecord>, answers: u64) -> Motion {
    let Some(second) = second else {
        let whole = dump.marks.iter().any(|m| m.part == mark_part::SECOND_LOOK && m.dropped == 0);
        return if whole && !dump.second.is_empty() { Motion::Left } else { Motion::Unknown };
    };
    match (is_running(first), is_running(second)) {
        (true, true) => return Motion::Runs,
        (false, false) => {}
        _ => return Motion::Moved,
    }
    let counted = counted(first, second);
    if first.err_syscall != 0 || second.err_syscall != 0 {
        // Without the system call only the wait channel tells.
        let same = counted && first.wchan == second.wchan && first.nvcsw == second.nvcsw;
        return if same { Motion::Asleep } else { Motion::Unknown };
    }
    // Not the number: after a signal of the shim a timed wait goes on as restart_syscall.
    let position = |r: &ThreadRecord| (r.args[0], r.sp, r.pc);
    if position(first) != position(second) {
        return Motion::Moved;
    }
    if !counted {
        return Motion::Unknown;
    }
    if sleeps(first, second) <= answers { Motion::Asleep } else { Motion::Rewaits }
}

/// Whether the switches could be read in both looks. A value that could not be read is 0.
fn counted(first: &ThreadRecord, second: &ThreadRecord) -> bool {
    first.err_status == 0 && second.err_status == 0
}

/// How often the thread went to sleep between the looks (voluntary context switches); 0 if unknown.
fn sleeps(first: &ThreadRecord, second: &ThreadRecord) -> u64 {
    if counted(first, second) { second.nvcsw.saturating_sub(first.nvcsw) } else { 0 }
}

/// How often each thread was interrupted for its registers between the looks. Each time costs one switch; a
/// perf event costs none.
fn answers(dump: &Dump) -> BTreeMap<u32, u64> {
    let mut answers = BTreeMap::new();
    let all = dump.probes.iter().chain(&dump.samples);
    // What is asked after the second look has no part in it.
    let second_ns = dump.looks_ns[1];
    let before = |p: &&Probe| second_ns == 0 || p.record.asked_ns <= second_ns;
    let interrupted =
        |p: &&Probe| p.record.outcome == probe_outcome::ANSWERED && p.record.way != probe_way::PERF;
    for probe in all.filter(interrupted).filter(before) {
        *answers.entry(probe.record.tid).or_default() += 1;
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::{self, Make};

    #[test]
    fn a_wait_without_a_count_of_wake_ups_is_not_proven_stuck() {
        let motion_of = |how: fn(&mut ThreadRecord), later: fn(&mut ThreadRecord)| {
            let mut make = Make::new();
            make.futex(101, &dump::bare(dump::LOCK, 2), &["foo_lock@foo"]);
            make.dump.threads.iter_mut().filter(|r| r.tid == 101).for_each(how);
            let dump = make.change(101, later).finish();
            let first = dump.thread(101).unwrap();
            motion_of(&dump, first, dump.second_look(101), 0)
        };
        let uncounted = |r: &mut ThreadRecord| (r.err_status, r.nvcsw) = (22, 0);
        let without_call = |r: &mut ThreadRecord| r.err_syscall = 1;
        assert_eq!(motion_of(|_| (), |_| ()), Motion::Asleep);
        assert_eq!(motion_of(without_call, |_| ()), Motion::Asleep);
        assert_eq!(motion_of(uncounted, |_| ()), Motion::Unknown);
        assert_eq!(motion_of(|_| (), uncounted), Motion::Unknown);
        assert_eq!(motion_of(uncounted, without_call), Motion::Unknown);
        assert_eq!(motion_of(uncounted, |r| r.sp += 64), Motion::Moved);
    }
}
