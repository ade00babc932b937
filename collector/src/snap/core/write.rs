//! Writes a core of a live process as `core.zst` in a bundle.
//!
//! All threads are stopped while it is written, so that the memory is that of one moment. The core is the
//! last step of a capture: whatever goes wrong here, nothing else of the evidence is lost.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use elfcore::{
    ArchState, CoreDumpBuilder, CoreError, Elf64_Auxv, MappedFile, ProcessInfoSource, ReadProcessMemory,
    ThreadView, VaProtection, VaRegion,
};
use hangscope_reader::Memory as _;
use hangscope_reader::status::Status;
use hangscope_reader::task::Stat;

use super::super::ids::Ids;
use super::super::memory::ProcessMemory;
use super::super::permit;
use super::notes::{self, Retyped};
use super::problem::{CoreProblem, size};
use super::regions::{Region, regions};
use super::stopped::{Stopped, Threads, registers_of_call};
use crate::capture;
use crate::console::cancel::Cancel;
use crate::files::atomic::{self, WRITABLE};
use crate::files::free;
use crate::proc::{slow, sysconf};
use crate::session::maps::{self, Mapping};
use crate::session::record_text;
use crate::session::syscalls::Syscalls;
use crate::symbolize::VDSO;
use crate::text::message::say;

/// The file in a bundle.
pub(crate) const FILE: &str = "core.zst";
/// Time limit for a core. Ten seconds are enough for some gigabytes.
const WRITTEN_WITHIN: Duration = Duration::from_secs(120);
/// zstd's fastest level but one: most of a core are zeros and small integers.
const LEVEL: i32 = 2;
/// Between two looks at the free space of the disk, bytes written.
const BETWEEN_LOOKS: u64 = 8 << 20;

/// A core that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Size of the file, bytes.
    pub(crate) bytes: u64,
    /// Bytes of the core itself.
    pub(crate) unpacked: u64,
    /// How long the threads of the process were stopped.
    pub(crate) took: Duration,
}

/// Writes a core of process `pid` into the folder `dir`, of at most `limit` bytes as a file. If that cannot
/// be done, the file has one line that says why.
///
/// # Errors
/// Why there is none.
pub(crate) fn write(dir: &Path, pid: u32, limit: u64, cancel: &Cancel) -> Result<Written, CoreProblem> {
    let path = dir.join(FILE);
    // The kernel lets the threads run on when the thread ends that has stopped them.
    let made = std::thread::scope(|s| s.spawn(|| write_to(&path, pid, limit, cancel)).join());
    let written = made.unwrap_or_else(|_| Err(say!(CoreProblem::Failed { why: "a bug of hangscope" })));
    if let Err(problem) = &written {
        // Without room for this line either, the report still has it.
        let _ = capture::write_reason(&path, &format!("no core: {}", problem.en()));
    }
    written
}

fn write_to(path: &Path, pid: u32, limit: u64, cancel: &Cancel) -> Result<Written, CoreProblem> {
    let memory = ProcessMemory::of(pid);
    permit::check(pid, &memory).map_err(|why| say!(CoreProblem::Failed { why }))?;
    let begun = Instant::now();
    let process = Process::stopped(pid, &memory)?;
    let why = Cell::new(None);
    let counts = Cell::new([0; 2]);
    let fill = |file: &mut File| {
        let limits =
            Limits { path, limit, until: begun + WRITTEN_WITHIN, cancel, why: &why, counts: &counts };
        let packed = zstd::Encoder::new(Packed { file, limits: &limits }, LEVEL)?;
        process.write(Unpacked { inner: packed, limits: &limits })?.inner.finish().map(drop)
    };
    let wrote = atomic::write_with(path, WRITABLE, fill);
    drop(process.threads);
    let [unpacked, bytes] = counts.get();
    match (wrote, why.take()) {
        (Ok(()), _) => Ok(Written { bytes, unpacked, took: begun.elapsed() }),
        (Err(_), Some(why)) => Err(why),
        (Err(error), None) => Err(say!(CoreProblem::Failed { why: error.reason() })),
    }
}

/// What ends the writing of a core.
struct Limits<'a> {
    path: &'a Path,
    limit: u64,
    until: Instant,
    cancel: &'a Cancel,
    /// Why it ended.
    why: &'a Cell<Option<CoreProblem>>,
    /// Bytes of the core, and of the file.
    counts: &'a Cell<[u64; 2]>,
}

impl Limits<'_> {
    fn refuse(&self, why: CoreProblem) -> io::Error {
        self.why.set(Some(why));
        io::Error::other("no core")
    }
}

/// Takes the bytes of the core.
struct Unpacked<'a, W> {
    inner: W,
    limits: &'a Limits<'a>,
}

impl<W: Write> Write for Unpacked<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let limits = self.limits;
        if limits.cancel.is_set() {
            return Err(limits.refuse(CoreProblem::Interrupted {}));
        }
        if Instant::now() > limits.until {
            let seconds = WRITTEN_WITHIN.as_secs();
            return Err(limits.refuse(say!(CoreProblem::TooLong { seconds })));
        }
        let written = self.inner.write(bytes)?;
        let [unpacked, packed] = limits.counts.get();
        limits.counts.set([unpacked + written as u64, packed]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Takes the bytes of the file.
struct Packed<'a> {
    file: &'a mut File,
    limits: &'a Limits<'a>,
}

impl Write for Packed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let limits = self.limits;
        let [unpacked, before] = limits.counts.get();
        let after = before + bytes.len() as u64;
        if after > limits.limit {
            let limit = size(limits.limit);
            return Err(limits.refuse(say!(CoreProblem::TooLarge { limit })));
        }
        if before / BETWEEN_LOOKS != after / BETWEEN_LOOKS || before == 0 {
            free::check(limits.path, BETWEEN_LOOKS)
                .map_err(|error| limits.refuse(say!(CoreProblem::NoRoom { why: error.reason() })))?;
        }
        let written = self.file.write(bytes)?;
        limits.counts.set([unpacked, before + written as u64]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A process whose threads are stopped.
struct Process<'m> {
    memory: &'m ProcessMemory,
    threads: Threads,
    regions: Vec<Region>,
    view: View,
    /// Contents of the notes that elfcore does not write: the files, and the names of the threads.
    files: Vec<u8>,
    names: Vec<u8>,
}

/// What elfcore asks for.
struct View {
    pid: i32,
    threads: Vec<ThreadView>,
    regions: Vec<VaRegion>,
    auxv: Vec<Elf64_Auxv>,
}

impl ProcessInfoSource for View {
    fn pid(&self) -> i32 {
        self.pid
    }
    fn threads(&self) -> &[ThreadView] {
        &self.threads
    }
    fn va_regions(&self) -> &[VaRegion] {
        &self.regions
    }
    fn mapped_files(&self) -> Option<&[MappedFile]> {
        // elfcore does not export the type of a file's regions: see `notes::Retyped`.
        None
    }
    fn aux_vector(&self) -> Option<&[Elf64_Auxv]> {
        Some(&self.auxv)
    }
    fn page_size(&self) -> usize {
        sysconf::page_size() as usize
    }
}

impl<'m> Process<'m> {
    /// Stops all threads of a process, and reads what a core says of it.
    fn stopped(pid: u32, memory: &'m ProcessMemory) -> Result<Process<'m>, CoreProblem> {
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", memory.tid());
            slow::read(&path).map_err(|why| say!(CoreProblem::Failed { why: format!("{path}: {why}") }))
        };
        let (stat, status, auxv) = (read("stat")?, read("status")?, read("auxv")?);
        let ids = Ids::new(pid, true);
        let own = |tid: u32| ids.own(tid).unwrap_or(tid);
        let threads = Threads::stop(pid, memory, Syscalls::from_elf(MACHINE));
        if threads.all.is_empty() {
            return Err(say!(CoreProblem::Failed { why: format!("process {pid} has ended") }));
        }
        let mappings = maps::parse(&read("maps")?);
        let regions = regions(&mappings, |at, most| memory.run(at, most));
        let parent = Stat::parse(&stat).map_or([0; 2], |stat| [stat.ppid, stat.pgrp]);
        let users = Status(&status).users().map_or(0, |[real, ..]| real);
        let cmdline = read("cmdline").unwrap_or_default();
        let view = |stopped: &Stopped| thread(stopped, own(stopped.tid), parent, users, &cmdline);
        let mut views: Vec<ThreadView> = threads.all.iter().map(view).collect();
        // gdb shows the first thread.
        let first = own(pid) as i32;
        views.sort_by_key(|t| t.tid != first);
        if views.first().is_none_or(|t| t.tid != first) {
            return Err(say!(CoreProblem::Failed { why: format!("process {pid} has no first thread") }));
        }
        let rows =
            threads.all.iter().map(|t| (own(t.tid), t.before.state, record_text::padded(&t.before.comm)));
        let (files, names) = (notes::files(&mappings), notes::threads(rows));
        let (pairs, _) = auxv.as_chunks::<16>();
        let pair = |pair: &[u8; 16]| {
            let [key, value] = [&pair[..8], &pair[8..]].map(|b| b.try_into().map_or(0, u64::from_ne_bytes));
            Elf64_Auxv { a_type: key, a_val: value }
        };
        let view = View {
            pid: first,
            threads: views,
            regions: regions.iter().map(region).collect(),
            auxv: pairs.iter().map(pair).collect(),
        };
        Ok(Process { memory, threads, regions, view, files, names })
    }

    /// Writes the core, and gives the writer back.
    fn write<W: Write>(&self, to: W) -> io::Result<W> {
        let contents = notes::both(&self.files, &self.names);
        let mut to = Retyped::new(to, self.files.len() as u32);
        let reader = Reader { memory: self.memory, regions: &self.regions, at: 0 };
        let mut core = CoreDumpBuilder::from_source(&self.view, reader);
        let mut note = &contents[..];
        core.add_custom_file_note(notes::FILES, &mut note, notes::len(&contents));
        core.write(&mut to).map_err(|error| match error {
            CoreError::IoError(error) => error,
            other => io::Error::other(other.to_string()),
        })?;
        Ok(to.into_inner())
    }
}

impl ProcessInfoSource for &View {
    fn pid(&self) -> i32 {
        (**self).pid()
    }
    fn threads(&self) -> &[ThreadView] {
        (**self).threads()
    }
    fn va_regions(&self) -> &[VaRegion] {
        (**self).va_regions()
    }
    fn mapped_files(&self) -> Option<&[MappedFile]> {
        (**self).mapped_files()
    }
    fn aux_vector(&self) -> Option<&[Elf64_Auxv]> {
        (**self).aux_vector()
    }
    fn page_size(&self) -> usize {
        (**self).page_size()
    }
}

/// ELF machine of this program, and so of every core that elfcore writes.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    hangscope_protocol::record::ARCH_AARCH64
} else {
    hangscope_protocol::record::ARCH_X86_64
};

fn region(region: &Region) -> VaRegion {
    let m = &region.mapping;
    VaRegion {
        begin: region.range.start,
        end: region.range.end,
        offset: m.offset + (region.range.start - m.start),
        protection: VaProtection { is_private: !m.shared, read: m.read, write: m.write, execute: m.execute },
        mapped_file_name: m.is_file().then(|| m.path.clone()),
    }
}

fn thread(stopped: &Stopped, tid: u32, [ppid, pgrp]: [u32; 2], uid: u32, cmdline: &[u8]) -> ThreadView {
    let before = &stopped.before;
    let registers = stopped.registers.clone().unwrap_or_else(|| registers_of_call(before));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words: Vec<String> = cmdline.split(|b| *b == 0).filter(|word| !word.is_empty()).map(text).collect();
    ThreadView {
        tid: tid as i32,
        cmd_line: words.join(" "),
        comm: record_text::padded(&before.comm),
        state: before.state,
        ppid: ppid as i32,
        pgrp: pgrp as i32,
        session: 0,
        flags: 0,
        // Milliseconds.
        utime: before.tick_cpu_ns / 1_000_000,
        stime: 0,
        cutime: 0,
        cstime: 0,
        nice: 0,
        uid: uid.into(),
        gid: 0,
        cursig: 0,
        sighold: before.sigblk,
        sigpend: before.sigpnd,
        arch_state: Box::new(ArchState { gpr_state: registers, components: vec![] }),
    }
}

/// Reads the memory of the regions, one after the other.
struct Reader<'p> {
    memory: &'p ProcessMemory,
    regions: &'p [Region],
    /// Index of the region that was read last.
    at: usize,
}

impl ReadProcessMemory for Reader<'_> {
    /// Pages that are not in memory are zeros, unless they are of a file. What cannot be read is zeros too:
    /// gdb cannot be told of a page that is missing. So are the strings of the environment.
    fn read_process_memory(&mut self, base: usize, to: &mut [u8]) -> Result<usize, CoreError> {
        let base = base as u64;
        while self.regions.get(self.at).is_some_and(|region| region.range.end <= base) {
            self.at += 1;
        }
        let is_image = |m: &Mapping| m.is_file() || m.path == VDSO;
        let of_file = self.regions.get(self.at).is_some_and(|region| is_image(&region.mapping));
        let most = to.len() as u64;
        let (there, len) = self.memory.run(base, most).unwrap_or((true, most));
        let to = to.get_mut(..(len as usize).max(1)).unwrap_or_default();
        if there || of_file {
            match self.memory.read(base, to) {
                Ok(n) if n > 0 => return Ok(n),
                _ => {}
            }
        }
        let page = sysconf::page_size();
        let rest = match there || of_file {
            true => self.memory.hidden(base).unwrap_or(page - base % page),
            false => most,
        };
        let to = to.get_mut(..rest.min(to.len() as u64) as usize).unwrap_or_default();
        to.fill(0);
        Ok(to.len())
    }
}
