//! What a running thread does next: its code is followed from the registers of its samples, in the memory of
//! the process as it is. The words that a loop reads again and again are the lock or the flag that it waits
//! for; a chain of loads that comes back is a list that is a ring.
//!
//! - `value`: numbers, known or not; flags
//! - `wide`: moves through vector registers
//! - `space`: memory as the followed thread sees it
//! - `machine`: one instruction after the other
//! - `seen`: what the loads of one way show
//!
//! Only x86-64 code is followed.

mod machine;
mod seen;
mod space;
#[cfg(test)]
mod tests;
mod value;
mod wide;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hangscope_protocol::record::{ARCH_X86_64, probe_outcome};

use super::arch::{Arch, Regs};
use super::images::Modules;
use crate::session::{Dump, Memory, Probe, maps};
pub(super) use machine::{Call, Executed};
use machine::{Code, Load, Machine};
use seen::{RawChain, RawRing, Seen};
pub(crate) use space::{LINE, LineOf};
use space::{Lines, Space};

/// Most threads that are followed, and most samples of each.
const MOST_THREADS: usize = 64;
const MOST_STARTS: usize = 3;
/// Instructions of one way.
const MOST_STEPS: usize = 6_000;
/// Instructions of a way along a list.
const MOST_STEPS_OF_LIST: usize = 60_000;
/// The same, where it is known how the blocks of the list are linked: then the chain itself is read.
const MOST_STEPS_OF_CHAIN: usize = 4_000;
/// Instructions after a system call that failed for want of memory: more than an allocator needs to give
/// up, and its caller to ask again.
const STEPS_AFTER_FAILURE: usize = 20_000;
/// Instructions of all ways.
const MOST_STEPS_OF_ALL: usize = 600_000;
/// Instructions between two looks at what was found.
const CHUNK: usize = 256;
/// Most words kept of a thread.
const MOST_READS: usize = 8;
const MOST_CALLS: usize = 256;
/// Most addresses kept of one loading instruction.
const MOST_ADDRESSES: usize = 4;
/// Where the descriptor of a thread is searched: from the end of its stack, bytes; for the first thread, in
/// small mappings.
const DESCRIPTOR_WITHIN: u64 = 16 << 10;
const BESIDE_LOADER: u64 = 32 << 10;
const MOST_BESIDE_LOADER: usize = 12;
const ENOMEM: i64 = 12;

/// A word that a loop reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawRead {
    pub(super) address: u64,
    pub(super) size: usize,
    /// By an instruction that changes memory in one step.
    pub(super) atomic: bool,
    /// How many of the ways read it.
    pub(super) ways: u32,
}

/// What the loop of a thread does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// Ways that were followed: from so many samples.
    pub(super) ways: u32,
    /// The most often read first.
    pub(super) reads: Vec<RawRead>,
    pub(super) ring: Option<RawRing>,
    pub(super) chain: Option<RawChain>,
    /// The loop was seen to turn, and changes no memory but the thread's own stack.
    pub(super) only_reads: bool,
    pub(super) calls: BTreeSet<Call>,
    /// Where the frames of the samples returned to.
    pub(super) returned_to: BTreeSet<u64>,
    /// The instructions that one way executed more than once.
    pub(super) executed: BTreeMap<u64, Executed>,
    /// Where those of them that load from memory load from, at most [`MOST_ADDRESSES`] each. Loads from the
    /// thread's own stack are left out.
    pub(super) loaded: BTreeMap<u64, BTreeSet<u64>>,
    /// Samples in which a system call has just failed for want of memory, and the second argument of the
    /// last of them: the length, of mmap.
    pub(super) failed: u32,
    pub(super) wanted: u64,
    /// What the thread does after that call was followed to the next one.
    pub(super) followed: bool,
    /// All samples with registers.
    pub(super) samples: u32,
}

/// What was found of all threads.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) ways: BTreeMap<u32, Way>,
    /// The lines of memory that it rests on.
    pub(super) lines: BTreeMap<u64, [u8; LINE]>,
}

/// Follows the threads of a dump that have samples.
pub(super) fn of_dump(dump: &Dump, modules: &Modules, arch: &Arch, line_of: &mut LineOf<'_>) -> Followed {
    if arch.machine != ARCH_X86_64 {
        return Followed::default();
    }
    let mut by_tid: BTreeMap<u32, Vec<&Probe>> = BTreeMap::new();
    for probe in dump.probes.iter().chain(&dump.samples) {
        if matches!(probe.record.outcome, probe_outcome::ANSWERED | probe_outcome::READ) {
            by_tid.entry(probe.record.tid).or_default().push(probe);
        }
    }
    let runs = |tid: &u32| by_tid.get(tid).is_some_and(|probes| probes.iter().any(|p| p.record.sample > 0));
    let tids: Vec<u32> = by_tid.keys().copied().filter(runs).take(MOST_THREADS).collect();
    let mut follower = Follower {
        code: Code::of(modules),
        modules,
        arch,
        lines: Lines::default(),
        line_of,
        steps_left: MOST_STEPS_OF_ALL,
    };
    let ways = tids.into_iter().filter_map(|tid| Some((tid, follower.thread(by_tid.get(&tid)?)))).collect();
    let lines = follower.lines.0.into_iter().filter_map(|(at, line)| Some((at, line?))).collect();
    Followed { ways, lines }
}

/// The lines in memory records, as [`of_dump`] asks for them. Of equal addresses the first counts.
pub(super) fn recorded(memory: &[Memory]) -> HashMap<u64, [u8; LINE]> {
    let mut lines = HashMap::new();
    for memory in memory {
        if let Ok(line) = <[u8; LINE]>::try_from(&*memory.bytes)
            && memory.record.address.is_multiple_of(LINE as u64)
        {
            lines.entry(memory.record.address).or_insert(line);
        }
    }
    lines
}

fn is_descriptor(line: &[u8; LINE], at: u64) -> bool {
    let word = |i: usize| line.get(i..i + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    word(0) == Some(at) && word(16) == Some(at)
}

struct Follower<'m, 'l> {
    code: Code<'m>,
    modules: &'m Modules,
    arch: &'m Arch,
    lines: Lines,
    line_of: &'l mut LineOf<'l>,
    steps_left: usize,
}

impl Follower<'_, '_> {
    fn thread(&mut self, probes: &[&Probe]) -> Way {
        let mut way = Way::default();
        let mut failing: Vec<&Probe> = vec![];
        for probe in probes.iter().filter(|p| p.record.outcome == probe_outcome::ANSWERED) {
            let regs = &probe.record.regs;
            way.samples += 1;
            if regs[0] as i64 == -ENOMEM && self.code.is_after_syscall(regs[self.arch.pc]) {
                way.failed += 1;
                way.wanted = regs[4];
                failing.push(probe);
            }
        }
        let mut starts: Vec<&Probe> = failing.last().copied().into_iter().collect();
        // Without registers little can be followed.
        let answered: Vec<&Probe> =
            probes.iter().copied().filter(|p| p.record.outcome == probe_outcome::ANSWERED).collect();
        let best = if answered.is_empty() { probes } else { &answered };
        let (last, middle) = (best.len().saturating_sub(1), best.len() / 2);
        starts.extend([last, middle, 0].iter().filter_map(|i| best.get(*i).copied()));
        starts.dedup_by_key(|p| p.record.sample);
        let base = starts.first().and_then(|p| self.thread_base(p.record.regs[self.arch.sp]));
        let mut reads: BTreeMap<u64, RawRead> = BTreeMap::new();
        let mut stores = false;
        starts.truncate(MOST_STARTS);
        for probe in &starts {
            way.ways += 1;
            let is_failing = failing.iter().any(|failing| std::ptr::eq(*failing, *probe));
            let followed = self.follow(probe, base, is_failing);
            way.followed |= followed.asks_again;
            way.returned_to.extend(followed.returned_to);
            stores |= followed.stores || !followed.turns;
            for load in followed.often {
                let first = RawRead { address: load.address, size: load.size, atomic: false, ways: 0 };
                let read = reads.entry(load.address).or_insert(first);
                read.ways += 1;
                read.atomic |= load.atomic;
            }
            way.ring = way.ring.or(followed.ring);
            way.chain = way.chain.or(followed.chain);
            for (pc, executed) in followed.executed {
                let all = way.executed.entry(pc).or_default();
                all.times += executed.times;
                all.next.extend(executed.next);
            }
            for (pc, address) in followed.loaded {
                let all = way.loaded.entry(pc).or_default();
                if all.len() < MOST_ADDRESSES {
                    all.insert(address);
                }
            }
            let room = MOST_CALLS.saturating_sub(way.calls.len());
            way.calls.extend(followed.calls.into_iter().take(room));
        }
        // The memory of a running program changes while it is read, so one way may go wrong.
        let mut others: Vec<&Probe> =
            [0, failing.len() / 2].iter().filter_map(|i| failing.get(*i).copied()).collect();
        others.dedup_by_key(|p| p.record.sample);
        for probe in others.into_iter().filter(|p| !starts.iter().any(|start| std::ptr::eq(*start, *p))) {
            let followed = self.follow(probe, base, true);
            way.followed |= followed.asks_again;
            way.returned_to.extend(followed.returned_to);
        }
        way.only_reads = way.ways > 0 && !stores && reads.values().all(|read| !read.atomic);
        way.reads = reads.into_values().collect();
        way.reads.sort_by_key(|r| (std::cmp::Reverse((r.ways, r.atomic)), r.address));
        way.reads.truncate(MOST_READS);
        way
    }

    /// The base of a thread's thread-locals: glibc's descriptor of a thread, which begins with its own address
    /// and has it again at 16. It lies at the end of the thread's stack; that of the first thread in a mapping
    /// of the loader's.
    fn thread_base(&mut self, sp: u64) -> Option<u64> {
        let mappings = &self.modules.mappings;
        let stack = maps::find(mappings, sp)?;
        let places: Vec<(u64, u64)> = match &*stack.path {
            "[stack]" => {
                let small =
                    |m: &&maps::Mapping| m.path.is_empty() && m.write && m.end - m.start <= BESIDE_LOADER;
                mappings.iter().filter(small).take(MOST_BESIDE_LOADER).map(|m| (m.start, m.end)).collect()
            }
            _ => vec![(stack.start.max(stack.end.saturating_sub(DESCRIPTOR_WITHIN)), stack.end)],
        };
        places.into_iter().find_map(|(start, end)| {
            let last = (end - start) / LINE as u64;
            let mut lines = (1..=last).map(|i| end - i * LINE as u64);
            lines.find(|at| self.lines.matching(*at, self.line_of, |line| is_descriptor(line, *at)))
        })
    }

    /// `is_failing`: a system call has just failed for want of memory. Who asks again may be far away.
    fn follow(&mut self, probe: &Probe, thread_base: Option<u64>, is_failing: bool) -> OneWay {
        let record = &probe.record;
        let (pc, sp) = (record.regs[self.arch.pc], record.regs[self.arch.sp]);
        let all = record.outcome == probe_outcome::ANSWERED;
        let regs: Regs = match all {
            true => self.arch.answered(&record.regs),
            false => self.arch.blocked(pc, sp),
        };
        let own = maps::find(&self.modules.mappings, sp).map_or(sp..sp, |m| m.start..m.end);
        let space = Space {
            stack: (record.stack, &probe.stack),
            own,
            lines: &mut self.lines,
            line_of: &mut *self.line_of,
            written: HashMap::new(),
            stores: false,
            guesses: false,
        };
        let mut machine = Machine::new(&mut self.code, space, &regs, pc);
        match all {
            true => machine.set_flags(record.regs[17]),
            // A sleep or a yield that has ended well.
            false => machine.set_result(0),
        }
        machine.thread_base = thread_base;
        let seen = follow(&mut machine, &mut self.steps_left);
        let executed = machine.executed.drain().filter(|(_, executed)| executed.times > 1).collect();
        let (barriers, stores) = (machine.barriers, machine.space.stores);
        // Only where that longer way leads is of interest, not what is read there.
        if is_failing && seen.turns && self.steps_left >= STEPS_AFTER_FAILURE {
            self.steps_left -= STEPS_AFTER_FAILURE;
            go_on(&mut machine, STEPS_AFTER_FAILURE);
        }
        let asks_again = is_failing && machine.requests > 0 && !machine.space.guesses;
        let shared = |load: &Load| {
            maps::find(&self.modules.mappings, load.address).is_none_or(|mapping| mapping.write)
        };
        let loaded: Vec<(u64, u64)> = seen.loads.keys().copied().collect();
        OneWay {
            executed,
            loaded,
            often: seen.often().into_iter().filter(shared).collect(),
            chain: seen.chain().filter(|_| barriers == 0),
            ring: seen.ring.filter(|_| barriers == 0),
            stores,
            turns: seen.turns,
            calls: machine.calls.into_iter().collect(),
            returned_to: machine.returned_to,
            asks_again,
        }
    }
}

/// Goes on for so many instructions, or to one after which it is not known what comes next.
fn go_on(machine: &mut Machine<'_, '_, '_>, steps: usize) {
    for _ in 0..steps {
        machine.loads.clear();
        if machine.step().is_none() {
            break;
        }
    }
}

/// Follows a thread until nothing new comes.
fn follow(machine: &mut Machine<'_, '_, '_>, steps_left: &mut usize) -> Seen {
    let mut seen = Seen::default();
    let mut steps = 0;
    loop {
        let goes_on = (0..CHUNK).all(|_| machine.step().is_some());
        steps += CHUNK;
        *steps_left = steps_left.saturating_sub(CHUNK);
        seen.take(&machine.loads, machine.barriers);
        machine.loads.clear();
        let is_list = seen.is_list(machine.barriers);
        let most = match (is_list, seen.chain()) {
            (true, None) => MOST_STEPS_OF_LIST,
            (true, Some(_)) => MOST_STEPS_OF_CHAIN,
            (false, _) => MOST_STEPS,
        };
        let done = seen.ring.is_some() || (seen.is_clear() && !is_list);
        if !goes_on || done || steps >= most || *steps_left == 0 {
            seen.turns = done || steps >= most;
            return seen;
        }
    }
}

/// What one way showed.
struct OneWay {
    /// One load for each word, and instruction, that was read often.
    often: Vec<Load>,
    ring: Option<RawRing>,
    chain: Option<RawChain>,
    /// See [`Way::executed`].
    executed: BTreeMap<u64, Executed>,
    /// Instructions, and addresses that they loaded from.
    loaded: Vec<(u64, u64)>,
    /// Memory was changed that is not of the thread's own stack.
    stores: bool,
    /// It was followed to the end of the steps, or long enough to read words often.
    turns: bool,
    calls: BTreeSet<Call>,
    returned_to: Vec<u64>,
    /// The next request for memory was reached, without a number that had to be guessed.
    asks_again: bool,
}
