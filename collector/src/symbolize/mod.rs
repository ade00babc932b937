//! From raw stacks and addresses to named frames.
//!
//! - `sources`: where names may come from
//! - `images`, `proof`: which file stands for which mapping, and the proof
//! - `elf`, `debug_file`: the bytes of one file; its separate debug file; `mini`: the symbols inside it;
//!   `debuginfod`: debug files from a server
//! - `arch`: what differs between processors
//! - `stack`: the copied bytes of a stack, and why a stack is cut
//! - `cfi`, `unwind`: unwind tables, and frames from registers and stack bytes
//! - `allocator`: the DSOs that make up the allocator
//! - `names`, `demangle`, `plt`, `data`: names of code, of call stubs, and of data; `kept`: for the next dump
//! - `follow`: what the loop of a running thread reads, and where its list leads; `loops`: that, with
//!   names
//! - `chains`: lists, read block by block; `rings`: those that lead back into themselves, with names
//! - `listing`: the instructions of such a loop
//! - `held`: where threads were held
//! - [`problem`]: why a stack is cut, in words
//! - `variables`: addresses of the variables of a file
//! - `ways_out`: how the program can leave a call without its return
//! - `threads`: the better stack for each thread, and what is missing

mod allocator;
mod arch;
mod cfi;
pub(crate) mod chains;
mod data;
mod debug_file;
mod debuginfod;
mod demangle;
mod elf;
mod follow;
mod held;
mod images;
mod kept;
mod listing;
mod loops;
mod mini;
mod names;
mod plt;
pub(crate) mod problem;
mod proof;
mod rings;
mod sources;
mod stack;
mod threads;
mod unwind;
mod variables;
mod ways_out;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::session::Dump;
use crate::session::trace::{Loop, ThreadTrace, TraceSource, Traces};
use crate::text::message::{Say as _, say};
use problem::StackProblem;

pub use debuginfod::Debuginfod;
pub(crate) use follow::{LINE, LineOf};
pub(crate) use images::VDSO;
pub use kept::KeptNames;
pub use sources::Sources;
pub(crate) use variables::Variables;

/// Unwinds and names everything in a dump. This always returns, after about [`Sources::budget`], whatever
/// the dump and the files hold. What is missing is said in [`ThreadTrace::problem`] and
/// [`Traces::notes`].
pub fn symbolize(dump: &Dump, sources: &Sources) -> Traces {
    let begun = Instant::now();
    let deadline = begun + sources.budget;
    let Some(arch) = arch::of(dump.identity.fixed.arch) else {
        let problem = say!(StackProblem::Machine { machine: dump.identity.fixed.arch });
        return Traces {
            notes: vec![problem.en()],
            threads: without_stacks(dump, &problem),
            ..Traces::default()
        };
    };
    let modules = images::Modules::of(dump, sources);
    // Half of the time is for unwinding, so that some is left for names.
    let unwinder = unwind::Unwinder::new(arch, &modules, begun + sources.budget / 2);
    let threads = threads::of_dump(dump, &unwinder, arch);
    let samples: Vec<_> = dump.samples.iter().map(|p| threads::of_probe(dump, p, &unwinder, arch)).collect();
    let held = held::of_dump(dump, &unwinder, arch);
    let mut set = allocator::AllocatorSet::of(&modules, arch);
    set.learn(threads.iter().chain(&samples).map(threads::Raw::walk));
    let lines = follow::recorded(&dump.memory);
    let ways = follow::of_dump(dump, &modules, arch, &mut |at| lines.get(&at).copied()).ways;
    let mut lookups: BTreeSet<u64> = threads.iter().chain(&samples).flat_map(|raw| raw.lookups()).collect();
    lookups.extend(ways.values().flat_map(loops::lookups));
    lookups.extend(held.iter().flat_map(threads::Raw::lookups));
    let picked = listing::pick(dump, &modules, arch, &ways);
    lookups.extend(picked.values().flat_map(listing::Picked::lookups));
    let names = names::Names::of(lookups, &modules, arch, sources, deadline);
    let namer = data::Namer::of(dump, &modules, arch);
    let loops = loops::Loops { dump, modules: &modules, arch, names: &names, set: &set };
    let named = |(tid, way): (&u32, &follow::Way)| {
        let code = picked.get(tid).and_then(|picked| picked.named(way, &modules, &names, &namer));
        (*tid, Loop { code, ..loops.named(way) })
    };
    let loops: BTreeMap<u32, Loop> = ways.iter().map(named).collect();
    let words = loops.values().flat_map(loops::spoken_of).collect();
    let addresses = data::addresses(dump, &namer, arch, &words);
    let mut traces = Traces { addresses, loops, allocator: set.listed(), ..Traces::default() };
    for raw in threads {
        traces.threads.insert(raw.tid(), threads::named(raw, &names, &set, arch));
    }
    for raw in samples {
        traces.samples.entry(raw.tid()).or_default().push(threads::named(raw, &names, &set, arch));
    }
    rings::add(&mut traces, dump, &namer);
    traces.holds = held::named(dump, held, &names, &set, arch);
    traces.ways_out = ways_out::of(&modules);
    traces.notes =
        modules.without_file().into_iter().map(|(path, why)| format!("no names for {path}: {why}")).collect();
    let refused = modules.debug_refused().into_iter();
    traces.notes.extend(refused.map(|(path, why)| format!("fewer names for {path}: its debug file {why}")));
    traces.notes.extend(names.unread.iter().map(|place| format!("fewer names: {place}")));
    if names.out_of_time {
        traces
            .notes
            .push(format!("some names are missing: the time set for them ({:?}) was over", sources.budget));
    }
    traces
}

/// Which threads could give their registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    AnyThread,
    /// Those that do not block the signal.
    BySignal,
}

/// The threads whose stack was read from memory, is cut, and could be followed further with their registers.
/// This unwinds only and names nothing.
pub fn truncated(dump: &Dump, sources: &Sources, reach: Reach) -> Vec<u32> {
    let Some(arch) = arch::of(dump.identity.fixed.arch) else { return vec![] };
    let modules = images::Modules::of(dump, sources);
    let unwinder = unwind::Unwinder::new(arch, &modules, Instant::now() + sources.budget);
    let raw = threads::of_dump(dump, &unwinder, arch);
    let can = |raw: &&threads::Raw| reach == Reach::AnyThread || !raw.is_refused();
    raw.iter().filter(|raw| raw.wants_registers()).filter(can).map(|raw| raw.tid()).collect()
}

/// The memory that loops of running threads read.
#[derive(Debug, Default)]
pub(crate) struct LoopMemory {
    /// Addresses of the words that they read again and again.
    pub(crate) words: BTreeSet<u64>,
    /// By address, [`LINE`] bytes each.
    pub(crate) lines: BTreeMap<u64, [u8; LINE]>,
    pub(crate) lists: chains::Lists,
}

/// Follows the code of running threads in the memory of the process, which `line_of` gives.
pub(crate) fn memory_of_loops(dump: &Dump, sources: &Sources, line_of: &mut LineOf<'_>) -> LoopMemory {
    let Some(arch) = arch::of(dump.identity.fixed.arch) else { return LoopMemory::default() };
    let modules = images::Modules::of(dump, sources);
    let found = follow::of_dump(dump, &modules, arch, line_of);
    let namer = data::Namer::of(dump, &modules, arch);
    let lists = chains::Lists::of(&found.ways, &modules, &namer, &sources.lists);
    LoopMemory { words: found.ways.values().flat_map(loops::words).collect(), lines: found.lines, lists }
}

/// The bytes of the allocator's DSO, proven to be what is mapped; else why they are not.
pub(crate) fn allocator_bytes(dump: &Dump, sources: &Sources) -> Result<Vec<u8>, String> {
    images::Modules::of(dump, sources).allocator()
}

fn without_stacks(dump: &Dump, problem: &StackProblem) -> std::collections::BTreeMap<u32, ThreadTrace> {
    let none = |tid| ThreadTrace {
        tid,
        source: TraceSource::None,
        frames: vec![],
        truncated: true,
        problem: Some(problem.said()),
    };
    dump.threads.iter().map(|t| (t.tid, none(t.tid))).collect()
}
