//! A core as a dump, for the same analysis as of a live process.
//!
//! What a core cannot show is missing, and nothing is taken for zero: there is no second look, no CPU time
//! and no count of switches. The kernel's cores have no states of threads either. Whether a thread waits is
//! told by its registers: the instruction before its program counter is a system call that has no result.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use hangscope_protocol::VERSION;
use hangscope_protocol::record::{
    ARCH_AARCH64, ARCH_X86_64, DumpBeginRecord, DumpEndRecord, HelloRecord, MarkRecord, PROBE_REGS,
    ProbeRecord, RED_ZONE, SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, dump_reason, hello_flags,
    mark_part, probe_outcome, probe_way, thread_flags,
};
use hangscope_reader::Memory as _;
use hangscope_reader::thread::{EMPTY, is_futex_wait, read_near};
use nix::errno::Errno;

use super::super::dsos::{self, Provider};
use super::super::memory::up_to;
use super::super::notes::OutsideNote;
use super::super::process;
use super::super::regs;
use super::super::threads::{STACK_BYTES, is_blocked, stack};
use super::super::times::times;
use super::super::zero::zero;
use super::file::{CoreFile, CoreThread};
use super::maps_of::maps;
use super::memory::CoreMemory;
use super::refused::BadCore;
use crate::files::elf;
use crate::proc::sysconf;
use crate::session::maps::{self, Mapping};
use crate::session::syscalls::Syscalls;
use crate::session::{Dso, Dump, Identity, Probe};
use crate::symbolize::VDSO;

/// Largest file whose pages stand for those that a core lacks, bytes.
const MOST_OF_FILE: u64 = 1 << 30;

/// What is read, and with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From<'a> {
    pub(crate) core: &'a Path,
    /// The program, where it is not at its path any more.
    pub(crate) exe: Option<&'a Path>,
    /// Name of the allocator's DSO; none: the DSO that provides malloc.
    pub(crate) target: Option<&'a str>,
}

/// A core that was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) dump: Dump,
    /// Files that may stand for mapped ones, if they prove to.
    pub(crate) copies: Vec<PathBuf>,
}

/// Reads a core.
///
/// # Errors
/// [`BadCore`].
pub(crate) fn read(from: From<'_>) -> Result<Read, BadCore> {
    let core = CoreFile::open(from.core)?;
    let copies = copies(from);
    let text = maps(&core);
    let mappings = maps::parse(&text);
    let mut memory = CoreMemory::of(&core);
    let mut dsos = dsos_of(&mappings, &memory);
    for dso in &dsos {
        if let Some(file) = backing(dso, &copies) {
            let of = |m: &&Mapping| m.path == dso.path && (dso.init.start..dso.init.end).contains(&m.start);
            memory.add(file, mappings.iter().filter(of).map(|m| (m.start, m.end, m.offset)));
        }
    }
    let linked = process::linked(&memory, &core.notes.auxv, &mappings);
    dsos::mark_program(&mut dsos, &linked);
    let provider = dsos::provider(&dsos, &linked, from.target, &memory);
    if let (None, Some(target)) = (provider, from.target) {
        return Err(BadCore::NoTarget { path: from.core.to_owned(), target: target.to_owned() });
    }
    dsos::mark_provider(&mut dsos, provider);
    let arch = Syscalls::from_elf(core.machine);
    let mut threads: Vec<ThreadRecord> =
        core.notes.threads.iter().map(|t| thread(t, &core, &memory, arch)).collect();
    threads.sort_by_key(|t| t.tid);
    threads.dedup_by_key(|t| t.tid);
    let mut identity = identity(&core, &dsos, provider, from.target);
    // The kernel's cores have no names of threads. The shim's thread is never the first.
    let others = threads.iter().filter(|t| t.flags & thread_flags::MAIN == 0).map(|t| (t.tid, t.pc));
    identity.fixed.watchdog_tid = process::in_shim(&mappings, others).unwrap_or(0);
    let mut notes = vec![OutsideNote::FromCore {}.note(0)];
    if provider.is_none() {
        notes.push(OutsideNote::NoMalloc {}.note(0));
    }
    let stacks = threads.iter().filter(|t| is_blocked(t)).filter_map(|t| stack(t, &memory).ok()).collect();
    let probes =
        core.notes.threads.iter().filter_map(|t| probe(t, &threads, core.machine, &memory)).collect();
    let mut dump = Dump {
        end: Some(DumpEndRecord { number: 1, threads: threads.len() as u32, ..zero() }),
        maps: text,
        marks: vec![MarkRecord { part: mark_part::THREADS, records: threads.len() as u32, ..zero() }],
        dsos,
        stacks,
        probes,
        notes,
        ..Dump::begun(
            identity,
            DumpBeginRecord { number: 1, reason: dump_reason::CORE, threads: threads.len() as u32, ..zero() },
        )
    };
    dump.threads = threads;
    dump.memory = times(&dump, &memory);
    Ok(Read { dump, copies })
}

/// The program that was named, and the DSOs beside the core: the allocator's copy of a bundle.
fn copies(from: From<'_>) -> Vec<PathBuf> {
    let beside = from.core.parent().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let entries = beside.and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let is_so = |path: &PathBuf| path.extension().is_some_and(|e| e == "so") && path.is_file();
    let mut copies: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_so).collect();
    copies.sort();
    from.exe.into_iter().map(Path::to_owned).chain(copies).collect()
}

/// The mapped files that hold code, and the kernel's own DSO, ascending by address.
fn dsos_of(mappings: &[Mapping], memory: &CoreMemory<'_>) -> Vec<Dso> {
    let mut files: BTreeMap<(&str, u64), Vec<&Mapping>> = BTreeMap::new();
    for mapping in mappings.iter().filter(|m| m.is_file() || m.path == VDSO) {
        files.entry((&mapping.path, mapping.ino)).or_default().push(mapping);
    }
    let mut files: Vec<_> = files.into_values().filter(|lines| lines.iter().any(|m| m.execute)).collect();
    files.sort_by_key(|lines| lines.first().map(|m| m.start));
    let mut found = vec![];
    for lines in files {
        if let Some(init) = dsos::record(found.len() as u32, &lines, memory) {
            found.push(Dso { init, path: lines[0].path.clone(), now: None });
        }
    }
    found
}

/// A file that has the build-id of a mapped one.
fn backing(dso: &Dso, copies: &[PathBuf]) -> Option<File> {
    let wanted = dso.build_id()?;
    let own = Path::new(&dso.path);
    let mut all = std::iter::once(own).chain(copies.iter().map(PathBuf::as_path));
    all.find_map(|path| {
        // By now, the path may name anything, for example a pipe without a writer.
        let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= MOST_OF_FILE);
        let bytes = if is_file { std::fs::read(path).ok()? } else { return None };
        let id = elf::read(&bytes).ok()?.build_id?;
        // A record holds only the first 32 bytes of a build-id.
        let same = id == wanted || wanted.len() == 64 && id.starts_with(&wanted);
        same.then(|| File::open(path).ok()).flatten()
    })
}

fn identity(core: &CoreFile, dsos: &[Dso], provider: Option<Provider>, target: Option<&str>) -> Identity {
    let notes = &core.notes;
    let exe = dsos.iter().find(|d| d.is(hangscope_protocol::record::dso_flags::EXECUTABLE));
    Identity {
        fixed: HelloRecord {
            version: VERSION,
            arch: core.machine,
            pid: notes.pid,
            ppid: notes.ppid,
            uid: notes.uid,
            euid: notes.uid,
            flags: if target.is_some() { hello_flags::TARGET_NAMED } else { 0 },
            page_size: sysconf::page_size() as u32,
            allocator: provider.map_or(u32::MAX, |p| p.id),
            dsos: dsos.len() as u32,
            malloc: provider.map_or(0, |p| p.malloc),
            ..zero()
        },
        label: String::new(),
        exe: exe.map(|d| d.path.clone()).unwrap_or_default(),
        command: notes.command.split_whitespace().map(str::to_owned).collect(),
        ld_preload: String::new(),
        target: target.unwrap_or_default().to_owned(),
        shim: String::new(),
    }
}

fn thread(of: &CoreThread, core: &CoreFile, memory: &CoreMemory<'_>, arch: Option<Syscalls>) -> ThreadRecord {
    let missing = Errno::ENODATA as u8;
    let main = of.tid == core.notes.pid;
    let known = core.notes.names.get(&of.tid);
    let name = known.map(|(_, name)| name.as_str()).or(main.then_some(&*core.notes.comm)).unwrap_or_default();
    let mut comm = [0; 16];
    comm.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
    let call = call(of, core.machine, memory);
    // A state that registers do not show. Whether a thread ran or slept they do show.
    let told = known.map(|(state, _)| *state).filter(|state| b"DTtZX".contains(state));
    let mut t = ThreadRecord {
        tid: of.tid,
        look: 1,
        state: told.unwrap_or(if call == Call::Running { b'R' } else { b'S' }),
        flags: if main { thread_flags::MAIN } else { 0 },
        comm,
        err_status: missing,
        err_wchan: missing,
        err_schedstat: missing,
        ..EMPTY
    };
    let regs = dwarf(of, core.machine);
    match call {
        Call::Running if told.is_some() => (t.syscall, t.sp, t.pc) = (-1, regs[regs::SP], regs[regs::PC]),
        Call::Running => t.syscall = SYSCALL_RUNNING,
        Call::Unknown => (t.syscall, t.err_syscall) = (SYSCALL_UNREADABLE, missing),
        Call::In(number, args) => {
            (t.syscall, t.args, t.sp, t.pc) = (number, args, regs[regs::SP], regs[regs::PC]);
        }
    }
    if arch.is_some_and(|a| is_futex_wait(t.syscall, a.futex())) {
        read_near(&mut t, memory, |e| e as i32 as u8);
    }
    t
}

/// What the registers of a thread say of its system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// In none, or it is just coming out of one.
    Running,
    /// Blocked in the call with this number and these arguments.
    In(i32, [u64; 6]),
    /// Blocked in a call whose first argument is lost.
    Unknown,
}

/// Results of a call that has not ended: the kernel begins it again, or nobody has written a result yet.
/// EINTR, ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK, ENOSYS (include/linux/errno.h).
const NO_RESULT: [i64; 6] = [-4, -512, -513, -514, -516, -38];
/// More numbers than any machine has calls.
const MOST_CALLS: u64 = 1024;

fn call(of: &CoreThread, machine: u16, memory: &CoreMemory<'_>) -> Call {
    let reg = |i: usize| of.regs.get(i).copied().unwrap_or(0);
    let open = |result: u64| NO_RESULT.contains(&(result as i64));
    let before = |pc: u64, len: u64| pc.checked_sub(len);
    if machine == ARCH_X86_64 {
        // rax, orig_rax, rip; then rdi, rsi, rdx, r10, r8, r9.
        let (result, number, pc) = (reg(10), reg(15), reg(16));
        // The code may be neither in the core nor on this machine. The kernel gives a number of a call only to
        // a thread that is in one, so the registers alone are enough.
        let code = || before(pc, 2).and_then(|at| memory.array::<2>(at));
        let is_call = || code().is_none_or(|code| code == [0x0f, 0x05]);
        // A sleep that ended while the threads were being stopped: without the core it would not show.
        let slept = Syscalls::X86_64.call(number as i32).is_some_and(|call| call.kind == "nanosleep");
        match number < MOST_CALLS && (open(result) || slept) && is_call() {
            true => Call::In(number as i32, [14, 13, 12, 7, 9, 8].map(reg)),
            false => Call::Running,
        }
    } else {
        debug_assert_eq!(machine, ARCH_AARCH64, "other machines are refused");
        // The result takes the place of the first argument. `svc #0` is 0xd4000001.
        let is_call = before(reg(32), 4).and_then(|at| memory.half(at)) == Some(0xd400_0001);
        if open(reg(0)) && is_call { Call::Unknown } else { Call::Running }
    }
}

/// The registers by DWARF number, as a probe has them.
fn dwarf(of: &CoreThread, machine: u16) -> [u64; PROBE_REGS] {
    /// rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, rip, eflags in `elf_gregset_t`.
    const X86_64: [usize; 18] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16, 18];
    let mut regs = [0; PROBE_REGS];
    for (i, to) in regs.iter_mut().enumerate() {
        let at = if machine == ARCH_X86_64 { X86_64.get(i).copied() } else { Some(i) };
        *to = at.and_then(|at| of.regs.get(at)).copied().unwrap_or(0);
    }
    regs
}

/// Registers and stack of a thread.
fn probe(of: &CoreThread, threads: &[ThreadRecord], machine: u16, memory: &CoreMemory<'_>) -> Option<Probe> {
    let regs = dwarf(of, machine);
    let (sp, pc) = match machine {
        ARCH_X86_64 => (regs[7], regs[16]),
        _ => (regs[31], regs[32]),
    };
    // A thread that did not stop when the core was written has no registers.
    if sp == 0 || pc == 0 {
        return None;
    }
    let below = sp.saturating_sub(RED_ZONE);
    let with_red_zone = up_to(memory, below, STACK_BYTES).ok().filter(|b| b.len() as u64 > RED_ZONE);
    let (at, stack) = match with_red_zone {
        Some(stack) => (below, stack),
        None => (sp, up_to(memory, sp, STACK_BYTES).unwrap_or_default()),
    };
    let was_blocked = threads.iter().any(|t| t.tid == of.tid && is_blocked(t));
    let record = ProbeRecord {
        tid: of.tid,
        generation: 1,
        outcome: probe_outcome::ANSWERED,
        was_blocked: u8::from(was_blocked),
        way: probe_way::PTRACE,
        stack: at,
        regs,
        ..zero()
    };
    Some(Probe { record, stack })
}
