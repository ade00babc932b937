//! A dump with what is known of each thread put beside it: what it waits for, whether it moved between the
//! two looks, whether it is inside the allocator. What the classes are decided from.

use std::collections::{BTreeMap, BTreeSet};

use hangscope_protocol::record::{
    SYSCALL_RUNNING, ThreadRecord, dso_flags, hello_flags, mark_part, probe_outcome, thread_flags,
};

use super::history::History;
use super::stack::{self, AllocatorIs, Calls};
use super::wait::{Tids, Wait, wait_of};
use crate::session::Dump;
use crate::session::arch::Arch;
use crate::session::trace::{Frame, ThreadTrace, Traces};

/// A thread that sleeps between its tries, and still uses so much of a core, spins.
pub(super) const BUSY: f64 = 0.2;

/// What happened to a thread between the two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    /// There was no second look at it, or how often it woke could not be read.
    Unknown,
    /// In the same wait; it never left the processor's queue of sleepers.
    Still,
    /// In the same wait, but it woke in between.
    Rewaits,
    /// Running in both.
    Runs,
    /// In another wait, or running in one and waiting in the other.
    Moved,
    /// Not there any more.
    Left,
}

/// How certain it is that a wait does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stuck {
    /// It ended, or was woken.
    No,
    /// It may be.
    Maybe,
    /// It slept from the first look to the second.
    Yes,
}

/// A thread.
#[derive(Debug)]
pub(super) struct Thread<'a> {
    pub(super) record: &'a ThreadRecord,
    pub(super) second: Option<&'a ThreadRecord>,
    pub(super) wait: Option<Wait>,
    pub(super) motion: Motion,
    pub(super) trace: Option<&'a ThreadTrace>,
    pub(super) samples: &'a [ThreadTrace],
    /// All that was seen of it: its stack and its samples.
    pub(super) calls: Calls,
    /// On the allocator's code; none where no stack tells.
    pub(super) inside: Option<bool>,
    /// A thread of the allocator's own.
    pub(super) own: bool,
    /// Inside the allocator, and in each look running or in a short sleep (a timed wait, a yield): a loop that
    /// sleeps between its tries is found now in one, now in the other, and has not come out for that. On a machine that is
    /// busy it is found running in both.
    pub(super) naps: bool,
    /// Where it was in both looks, and it woke no oftener than our own questions explain, if their answers had to wait for
    /// something as well (a page, a lock of the address space).
    pub(super) woken_by_us: bool,
    /// Share of a core between the looks.
    pub(super) cpu_share: f64,
}

impl Thread<'_> {
    pub(super) fn tid(&self) -> u32 {
        self.record.tid
    }

    pub(super) fn frames(&self) -> &[Frame] {
        self.trace.map_or(&[], |t| &t.frames)
    }

    /// Running or runnable, in the first look.
    pub(super) fn runs(&self) -> bool {
        is_running(self.record)
    }

    /// Stopped by a signal or a debugger.
    pub(super) fn stopped(&self) -> bool {
        matches!(self.record.state, b'T' | b't')
    }

    /// In uninterruptible sleep in both looks, in the same place.
    pub(super) fn in_kernel(&self) -> bool {
        let d = |r: &ThreadRecord| r.state == b'D';
        d(self.record) && self.second.is_none_or(d) && self.motion != Motion::Moved
    }

    pub(super) fn stuck(&self) -> Stuck {
        match self.motion {
            Motion::Still => Stuck::Yes,
            Motion::Unknown => Stuck::Maybe,
            Motion::Rewaits if self.woken_by_us => Stuck::Maybe,
            // A timed wait wakes and goes back without anything having happened.
            Motion::Rewaits if self.wait.as_ref().is_some_and(|w| w.timed) => Stuck::Maybe,
            Motion::Rewaits | Motion::Moved | Motion::Left | Motion::Runs => Stuck::No,
        }
    }

    /// The word in the second look, if the thread still waits on it there.
    pub(super) fn word_in_second_look(&self) -> Option<u32> {
        let second = self.second.filter(|_| matches!(self.motion, Motion::Still | Motion::Rewaits))?;
        let at = hangscope_protocol::record::NEAR_BEFORE;
        let valid = usize::from(second.near_from) <= at && usize::from(second.near_to) >= at + 4;
        let bytes = second.near.get(at..at + 4).filter(|_| valid)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// It was seen to come out of what it was in.
    pub(super) fn comes_and_goes(&self) -> bool {
        match self.motion {
            Motion::Left => true,
            Motion::Moved => !self.naps,
            Motion::Rewaits => self.stuck() == Stuck::No,
            Motion::Runs | Motion::Unknown => self.calls == Calls::Returns,
            Motion::Still => false,
        }
    }
}

fn is_running(record: &ThreadRecord) -> bool {
    record.state == b'R'
        || record.syscall == SYSCALL_RUNNING && !matches!(record.state, b'Z' | b'X' | b'T' | b't')
}

/// The dump as it is looked at.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) dump: &'a Dump,
    pub(super) traces: &'a Traces,
    pub(super) history: &'a History,
    pub(super) is: AllocatorIs,
    pub(super) threads: BTreeMap<u32, Thread<'a>>,
    /// Threads that the second look has and the first does not.
    pub(super) came: BTreeSet<u32>,
    /// Lately threads of this process.
    pub(super) gone: BTreeSet<u32>,
    /// The first look has all threads that there were.
    pub(super) whole: bool,
    /// Seconds between the looks; none without a second.
    pub(super) between_s: Option<f64>,
    /// When the last of it was seen, CLOCK_MONOTONIC.
    pub(super) end_ns: u64,
}

impl<'a> Scene<'a> {
    pub(super) fn new(dump: &'a Dump, traces: &'a Traces, history: &'a History) -> Self {
        let ours = |r: &ThreadRecord| r.tid == dump.identity.fixed.watchdog_tid;
        let whole = dump.first_look_is_whole();
        let alive: BTreeSet<u32> =
            dump.threads.iter().chain(&dump.second).filter(|r| !ours(r)).map(|r| r.tid).collect();
        let known: BTreeSet<u32> = history.tids().collect();
        let forked = dump.identity.fixed.flags & hello_flags::FORKED != 0;
        let gone = if whole { known.difference(&alive).copied().collect() } else { BTreeSet::new() };
        let tids = Tids { alive, known, whole, forked };
        let between_ns = dump.between_ns();
        let between_s = between_ns.map(|ns| ns as f64 / 1e9);
        let is = AllocatorIs { shared: dump.allocator().is_some_and(is_shared) };
        let later: BTreeMap<u32, &ThreadRecord> = dump.second.iter().map(|r| (r.tid, r)).collect();
        let asked = asked(dump);
        let make = |record: &'a ThreadRecord| {
            let asked = asked.get(&record.tid).copied().unwrap_or(0);
            thread(dump, traces, &tids, is, between_s, (record, later.get(&record.tid).copied()), asked)
        };
        let threads: BTreeMap<u32, Thread<'a>> =
            dump.threads.iter().filter(|r| !ours(r)).map(|r| (r.tid, make(r))).collect();
        let came = |r: &&ThreadRecord| whole && !ours(r) && !threads.contains_key(&r.tid);
        let came = dump.second.iter().filter(came).map(|r| r.tid).collect();
        let end_ns = dump.begin.trigger_ns.saturating_add(between_ns.unwrap_or(0));
        Scene { dump, traces, history, is, threads, came, gone, whole, between_s, end_ns }
    }

    /// Threads that count: not the allocator's own.
    pub(super) fn all(&self) -> impl Iterator<Item = &Thread<'a>> {
        self.threads.values().filter(|t| !t.own)
    }

    /// Threads that wait, with what for.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Thread<'a>, &Wait)> {
        self.all().filter_map(|t| Some((t, t.wait.as_ref()?)))
    }

    /// The name of an object's address, by the object or by its word.
    pub(super) fn symbol(&self, wait: &Wait) -> Option<&'a String> {
        let of = |address: Option<u64>| self.traces.addresses.get(&address?);
        of(wait.object).or_else(|| of(wait.word))
    }

    /// How long a thread has been as the dump finds it, seconds.
    pub(super) fn for_s(&self, thread: &Thread<'_>) -> Option<f64> {
        let since = self.history.since_ns(thread.record);
        let seen = since.map(|since| self.end_ns.saturating_sub(since) as f64 / 1e9);
        let same = matches!(thread.motion, Motion::Still | Motion::Runs | Motion::Rewaits);
        seen.or(self.between_s).filter(|_| same || self.between_s.is_none())
    }

    /// Whether any thread has a stack.
    pub(super) fn has_stacks(&self) -> bool {
        self.threads.values().any(|t| !t.frames().is_empty() || !t.samples.is_empty())
    }
}

/// The allocator lives in a DSO with other code in it.
fn is_shared(dso: &crate::session::Dso) -> bool {
    let name = stack::file_name(&dso.path);
    dso.is(dso_flags::EXECUTABLE) || name.starts_with("libc.so") || name.starts_with("libc-")
}

fn thread<'a>(
    dump: &'a Dump,
    traces: &'a Traces,
    tids: &Tids,
    is: AllocatorIs,
    between_s: Option<f64>,
    (record, second): (&'a ThreadRecord, Option<&'a ThreadRecord>),
    asked: u64,
) -> Thread<'a> {
    let trace = traces.threads.get(&record.tid);
    let samples = traces.samples.get(&record.tid).map_or(&[][..], Vec::as_slice);
    let frames = trace.map_or(&[][..], |t| &t.frames);
    let wait = wait_of(dump, record, frames, tids);
    let calls = stack::calls(trace.into_iter().chain(samples), is);
    let inside = match calls {
        Calls::NotSeen => None,
        Calls::Outside => Some(false),
        Calls::Inside(_) | Calls::Returns => Some(true),
    };
    let own =
        trace.is_some_and(|t| stack::is_allocators_own(t, is)) && record.flags & thread_flags::MAIN == 0;
    let cpu_share = match (between_s, second) {
        (Some(s), Some(second)) => (cpu_ns(second).saturating_sub(cpu_ns(record)) as f64 / 1e9 / s).min(1.0),
        _ => 0.0,
    };
    let motion = motion(dump, record, second, asked);
    let naps = |second: &ThreadRecord| match motion {
        Motion::Moved | Motion::Rewaits => is_nap(dump, record) && is_nap(dump, second),
        // One that has slept in between and used little: both looks found it waiting for a processor. Who spins or yields
        // sleeps at no time.
        Motion::Runs => slept(record, second) > asked && cpu_share < BUSY,
        _ => false,
    };
    let woken_by_us =
        motion == Motion::Rewaits && asked <= 2 && second.is_some_and(|s| slept(record, s) <= 2 * asked);
    let naps = inside == Some(true) && calls != Calls::Returns && second.is_some_and(naps);
    Thread { record, second, wait, motion, trace, samples, calls, inside, own, naps, woken_by_us, cpu_share }
}

fn is_nap(dump: &Dump, record: &ThreadRecord) -> bool {
    let call = Arch::from_elf(dump.identity.fixed.arch).and_then(|arch| arch.call(record.syscall));
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

fn motion(dump: &Dump, first: &ThreadRecord, second: Option<&ThreadRecord>, asked: u64) -> Motion {
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
        // Without the call there is only the place in the kernel.
        let same = counted && first.wchan == second.wchan && first.nvcsw == second.nvcsw;
        return if same { Motion::Still } else { Motion::Unknown };
    }
    // After our own signal a timed wait goes on as restart_syscall, from the same place.
    let place = |r: &ThreadRecord| (r.args[0], r.sp, r.pc);
    if place(first) != place(second) {
        return Motion::Moved;
    }
    if !counted {
        return Motion::Unknown;
    }
    if slept(first, second) <= asked { Motion::Still } else { Motion::Rewaits }
}

/// What could not be read is zero, and so the same in both.
fn counted(first: &ThreadRecord, second: &ThreadRecord) -> bool {
    first.err_status == 0 && second.err_status == 0
}

/// How often it gave up its processor to wait, between the looks; 0 where that could not be read.
fn slept(first: &ThreadRecord, second: &ThreadRecord) -> u64 {
    if counted(first, second) { second.nvcsw.saturating_sub(first.nvcsw) } else { 0 }
}

/// How often we woke each thread ourselves, by a signal between the looks: each costs one switch.
fn asked(dump: &Dump) -> BTreeMap<u32, u64> {
    let mut asked = BTreeMap::new();
    let all = dump.probes.iter().chain(&dump.samples);
    for probe in all.filter(|p| p.record.outcome == probe_outcome::ANSWERED) {
        *asked.entry(probe.record.tid).or_default() += 1;
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump;
    use crate::testkit::dump::Make;

    #[test]
    fn a_wait_whose_wake_ups_could_not_be_counted_may_be_stuck_and_no_more() {
        let motion_of = |how: fn(&mut ThreadRecord), later: fn(&mut ThreadRecord)| {
            let mut make = Make::new();
            make.futex(101, &dump::bare(dump::LOCK, 2), &["foo_lock@foo"]);
            make.dump.threads.iter_mut().filter(|r| r.tid == 101).for_each(how);
            let dump = make.change(101, later).finish();
            let first = dump.thread(101).unwrap();
            motion(&dump, first, dump.second_look(101), 0)
        };
        let uncounted = |r: &mut ThreadRecord| (r.err_status, r.nvcsw) = (22, 0);
        let without_call = |r: &mut ThreadRecord| r.err_syscall = 1;
        assert_eq!(motion_of(|_| (), |_| ()), Motion::Still);
        assert_eq!(motion_of(without_call, |_| ()), Motion::Still);
        assert_eq!(motion_of(uncounted, |_| ()), Motion::Unknown);
        assert_eq!(motion_of(|_| (), uncounted), Motion::Unknown);
        assert_eq!(motion_of(uncounted, without_call), Motion::Unknown);
        assert_eq!(motion_of(uncounted, |r| r.sp += 64), Motion::Moved);
    }
}
