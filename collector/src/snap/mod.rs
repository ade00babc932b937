//! A dump of a process that already hangs and was never preloaded, taken from outside.
//!
//! Safest first, as from inside: identity, maps and DSOs, a look at every thread, stacks of blocked threads
//! (nothing of this stops anything), then registers of running threads, each stopped for a moment, samples of
//! them, and a second look. The result is a [`Dump`] like the shim's, and analysed by the same code.
//!
//! - `memory`: reads the process's memory
//! - `link_map`, `dsos`: what is mapped, in which order symbols are searched, and is it still that file
//! - `threads`, `stop`, `regs`: states and stacks; registers of running threads
//! - `permit`: what is missing where something is not permitted
//! - `complete`, `deaf`: what a dump of the shim's lacks: threads that answer no signal, samples of those that nap
//! - [`remark`]: what is noted on the way
//! - [`bundle`]: on disk

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{
    ARCH_AARCH64, ARCH_X86_64, DumpBeginRecord, DumpEndRecord, HelloRecord, MarkRecord, MemoryRecord,
    RangeRecord, ThreadRecord, dso_flags, dump_reason, hello_flags, mark_part,
};
use hangscope_protocol::{Reader, Record, VERSION};
use nix::time::ClockId;
use procfs::process::Stat;
use procfs::{FromRead, ProcError, page_size, ticks_per_second};

use crate::session::maps;
use crate::session::syscalls::{FirstArgument, Syscalls};
use crate::session::{self, Dump, Identity};
use crate::text::message::say;

pub(crate) mod bundle;
mod complete;
mod deaf;
mod dsos;
mod link_map;
mod memory;
mod permit;
mod regs;
pub(crate) mod remark;
mod stop;
#[cfg(test)]
mod tests;
mod threads;

pub(crate) use bundle::{SnapError, Snapped, snap};
pub(crate) use complete::{complete, completed};
use memory::Memory;
pub(crate) use permit::NotPossible;
use remark::Remark;
pub(crate) use threads::moved;

/// Bytes of a stack that go with a sample.
const SAMPLE_STACK: usize = 8 << 10;
/// Who naps has been awake by then, counted from the first look.
const NAPS_END: Duration = Duration::from_millis(100);
/// Most threads that are sampled: so many that run, and so many that nap.
const MOST_SAMPLED: usize = 4;

/// How a process is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// The allocator's name, where the order of symbols does not tell.
    pub target: Option<String>,
    /// Between the two looks.
    pub second_look_after: Duration,
    /// Samples a second of each thread that runs or naps, until the second look; 0: none.
    pub sample_hz: u32,
    /// Stop blocked threads too, for the registers that a stack alone does not tell. Their system calls are
    /// restarted by it: a thread that missed its wake-up may find out so.
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

/// A record with all numbers zero.
fn zero<R: Record>() -> R {
    #[expect(clippy::expect_used, reason = "the reader is given exactly as many bytes as it takes")]
    Reader::new(&vec![0; R::SIZE]).record().expect("zeros are a record")
}

/// Reads ranges of a process's memory, as its shim would.
pub fn read(pid: u32, ranges: &[RangeRecord]) -> Vec<session::Memory> {
    let memory = Memory::of(pid);
    let one = |range: &RangeRecord| {
        let read = memory.up_to(range.address, range.len as usize);
        let errno = read.as_ref().err().map_or(0, |e| *e as u32);
        let record = MemoryRecord { address: range.address, wanted: range.len, errno };
        session::Memory { record, bytes: read.unwrap_or_default() }
    };
    ranges.iter().map(one).collect()
}

/// Takes a dump of a process.
///
/// # Errors
/// [`NotPossible`], one line with what to do about it, where the process is not there or may not be looked at.
pub fn take(pid: u32, options: &Options) -> Result<Dump, NotPossible> {
    let begun = Instant::now();
    let trigger_ns = stop::now_ns();
    let memory = Memory::of(pid);
    permit::check(pid, memory)?;
    let read_of = |id: u32, name: &str| {
        fs::read(format!("/proc/{id}/{name}")).map_err(|e| NotPossible::reading(pid, &e))
    };
    let read = |name: &str| read_of(memory.tid(), name);
    let maps = read("maps")?;
    let mappings = maps::parse(&maps);
    let odd = |e: ProcError| NotPossible::Other { pid, error: e.to_string() };
    let stat = Stat::from_read(&*read_of(pid, "stat")?).map_err(odd)?;
    let status = threads::status(&read("status")?).map_err(odd)?;
    let machine = machine(memory.tid());
    let arch = Syscalls::from_elf(machine);

    // Field 22 counts from boot, suspended time included.
    let tick_ns = 1_000_000_000 / ticks_per_second().max(1);
    let age_ns =
        stop::clock_ns(ClockId::CLOCK_BOOTTIME).saturating_sub(stat.starttime.saturating_mul(tick_ns));
    let wall_ns = stop::clock_ns(ClockId::CLOCK_REALTIME).saturating_sub(age_ns);
    let mut dsos = dsos::all(&mappings, wall_ns, memory);
    let linked = link_map::list(memory).unwrap_or_default();
    let provider = dsos::provider(&dsos, &linked, options.target.as_deref(), memory);
    let mut notes = vec![Remark::FromOutside {}.note(0)];
    match (&provider, &options.target) {
        (Some(_), _) => {}
        (None, Some(target)) => return Err(NotPossible::NoTarget { pid, target: target.clone() }),
        (None, None) => notes.push(Remark::NoMalloc {}.note(0)),
    }
    if let Some(provider) = provider {
        for dso in dsos.iter_mut().filter(|d| d.init.id == provider.id) {
            dso.init.flags |= dso_flags::ALLOCATOR;
            if provider.malloc != 0 {
                dso.init.flags |= dso_flags::PROVIDES_MALLOC;
            }
        }
    }
    let environ = read("environ").unwrap_or_default();
    let preload = environ.split(|b| *b == 0).find_map(|v| v.strip_prefix(b"LD_PRELOAD=")).unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let cmdline = read("cmdline")?;
    let identity = Identity {
        fixed: HelloRecord {
            version: VERSION,
            arch: machine,
            pid,
            ppid: stat.ppid as u32,
            uid: status.ruid,
            euid: status.euid,
            flags: if options.target.is_some() { hello_flags::TARGET_NAMED } else { 0 },
            page_size: page_size() as u32,
            start_ticks: stat.starttime,
            init_ns: trigger_ns.saturating_sub(age_ns),
            wall_ns,
            allocator: provider.map_or(u32::MAX, |p| p.id),
            dsos: dsos.len() as u32,
            malloc: provider.map_or(0, |p| p.malloc),
            clk_tck: ticks_per_second() as u32,
            ..zero()
        },
        label: String::new(),
        exe: fs::read_link(format!("/proc/{}/exe", memory.tid()))
            .map(|p| p.to_string_lossy().into_owned())
            .unwrap_or_default(),
        command: cmdline.split(|b| *b == 0).filter(|a| !a.is_empty()).map(text).collect(),
        ld_preload: text(preload),
        target: options.target.clone().unwrap_or_default(),
        shim: String::new(),
    };

    let look = |number: u8| -> Result<Vec<ThreadRecord>, NotPossible> {
        let tids = threads::tids(pid).map_err(|e| NotPossible::reading(pid, &e))?;
        Ok(tids.into_iter().filter_map(|tid| threads::look(pid, tid, number, memory, arch)).collect())
    };
    let mut marks = vec![];
    let first = look(1)?;
    marks.push(mark(mark_part::THREADS, first.len(), begun));
    let mut stacks = vec![];
    for thread in first.iter().filter(|t| threads::is_blocked(t)) {
        match threads::stack(thread, memory) {
            Ok(stack) => stacks.push(stack),
            Err(e) => notes.push(say!(Remark::NoStack { tid: thread.tid, why: e.desc() }).note(thread.tid)),
        }
    }
    marks.push(mark(mark_part::STACKS, stacks.len(), begun));
    let fds = fds(memory.tid(), &first, arch);
    let running: Vec<u32> = first.iter().filter(|t| !threads::is_blocked(t)).map(|t| t.tid).collect();
    let blocked = first.iter().filter(|t| options.stop_blocked && threads::is_blocked(t)).map(|t| t.tid);
    let asked = running.iter().copied().chain(blocked);
    let probes: Vec<_> = asked.map(|tid| stop::ask(tid, 0, threads::STACK_BYTES, memory)).collect();
    marks.push(mark(mark_part::PROBES, probes.len(), begun));
    let first_look_ns = begun.elapsed().as_nanos() as u64;

    let until = begun + options.second_look_after;
    let mut samples = vec![];
    if let Some(pause) = Duration::from_secs(1).checked_div(options.sample_hz) {
        // Those that run, and those that were blocked a moment ago and have been awake since: they nap. A nap of a millisecond
        // may outlast the looks; nothing tells its end.
        thread::sleep(
            NAPS_END.saturating_sub(begun.elapsed()).min(until.saturating_duration_since(Instant::now())),
        );
        let again = |t: &&ThreadRecord| {
            let now = threads::look(pid, t.tid, 1, memory, None);
            now.is_some_and(|now| (now.nvcsw, now.sp, now.pc) != (t.nvcsw, t.sp, t.pc))
        };
        let naps = first.iter().filter(|t| threads::is_blocked(t)).filter(again).map(|t| t.tid);
        let sampled: Vec<u32> =
            running.iter().copied().take(MOST_SAMPLED).chain(naps.take(MOST_SAMPLED)).collect();
        let mut number = 0;
        while !sampled.is_empty() && Instant::now() + pause < until {
            thread::sleep(pause);
            number += 1;
            samples.extend(sampled.iter().map(|tid| {
                let blocked = threads::sample(pid, *tid, number, SAMPLE_STACK, memory);
                blocked.unwrap_or_else(|| stop::ask(*tid, number, SAMPLE_STACK, memory))
            }));
        }
    }
    marks.push(mark(mark_part::SAMPLES, samples.len(), begun));
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let second_begun_ns = begun.elapsed().as_nanos() as u64;
    let second = look(2)?;
    for thread in second.iter().filter(|t| threads::is_blocked(t)) {
        stacks.extend(threads::stack(thread, memory));
    }
    marks.push(mark(mark_part::SECOND_LOOK, second.len(), begun));

    let rss_kib = status.vmrss.unwrap_or(0);
    Ok(Dump {
        identity,
        begin: DumpBeginRecord {
            number: 1,
            reason: dump_reason::ASKED,
            threads: first.len() as u32,
            trigger_ns,
            since_init_ns: age_ns,
            second_look_after_ns: options.second_look_after.as_nanos() as u64,
            rss_kib,
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
        maps,
        threads: first,
        second,
        stacks,
        probes,
        samples,
        memory: vec![],
        fds,
        marks,
        notes,
        gaps: 0,
        looks_ns: [trigger_ns, trigger_ns + second_begun_ns],
    })
}

/// ELF machine number of the program; that of this one where it cannot be read.
fn machine(tid: u32) -> u16 {
    let own = if cfg!(target_arch = "aarch64") { ARCH_AARCH64 } else { ARCH_X86_64 };
    let read = || -> std::io::Result<u16> {
        use std::os::unix::fs::FileExt as _;
        let mut machine = [0; 2];
        fs::File::open(format!("/proc/{tid}/exe"))?.read_exact_at(&mut machine, 18)?;
        Ok(u16::from_le_bytes(machine))
    };
    read().unwrap_or(own)
}

/// What the descriptors are that threads wait on.
fn fds(tid: u32, threads: &[ThreadRecord], arch: Option<Syscalls>) -> BTreeMap<i32, String> {
    let waits = |t: &ThreadRecord| {
        let call = arch?.call(t.syscall).filter(|c| c.first == FirstArgument::Fd)?;
        let _ = call;
        i32::try_from(t.args[0]).ok()
    };
    let target = |fd: i32| {
        let target = fs::read_link(format!("/proc/{tid}/fd/{fd}")).ok()?;
        Some((fd, target.to_string_lossy().into_owned()))
    };
    threads.iter().filter_map(waits).filter_map(target).collect()
}

fn mark(part: u32, records: usize, begun: Instant) -> MarkRecord {
    MarkRecord { part, records: records as u32, took_ns: begun.elapsed().as_nanos() as u64, ..zero() }
}
