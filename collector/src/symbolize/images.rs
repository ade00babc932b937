//! Which file stands for which mapping. A file is used for a mapping only if it is proven to be the
//! mapped one. Without proof, no names are given.

use std::cell::OnceCell;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hangscope_protocol::record::{DsoRecord, dso_flags};

use super::debug_file::{self, DebugFile};
use super::elf::{Bytes, Elf};
use super::proof::{Candidate, Mapped, Refused};
use super::sources::Sources;
use crate::files::links::is_system;
use crate::proc::task;
use crate::session::Dump;
use crate::session::maps::{self, Mapping};

/// The name that maps gives the kernel's own DSO.
pub(crate) const VDSO: &str = "[vdso]";

/// Everything that is mapped, and the files behind it. A file is read when it is first needed.
#[derive(Debug)]
pub(super) struct Modules {
    pub(super) mappings: Vec<Mapping>,
    modules: Vec<Module>,
    /// Address ranges of modules, ascending: start, end, index.
    ranges: Vec<(u64, u64, usize)>,
    sources: Sources,
    wall_ns: u64,
}

#[derive(Debug)]
pub(super) struct Module {
    /// Path, without ` (deleted)`.
    pub(super) path: String,
    /// The allocator under test.
    pub(super) allocator: bool,
    /// The snapshot from init, if the file was mapped then.
    init: Option<DsoRecord>,
    lines: Vec<Mapping>,
    loaded: OnceCell<Result<Loaded, String>>,
}

#[derive(Debug)]
struct Loaded {
    elf: Elf,
    bias: Option<u64>,
    debug: OnceCell<debug_file::Found>,
}

impl Modules {
    pub(super) fn of(dump: &Dump, sources: &Sources) -> Self {
        let mappings = maps::parse(&dump.maps);
        let mut modules: Vec<Module> = vec![];
        let mut ranges = vec![];
        let mut of_dso = std::collections::HashMap::new();
        for line in mappings.iter().filter(|m| m.is_file() || m.path == VDSO) {
            let dso = dump.dsos.iter().find(|d| {
                (d.init.start..d.init.end).contains(&line.start) && (d.path == line.path || line.path == VDSO)
            });
            let index =
                *of_dso.entry((dso.map(|d| d.init.id), line.path.clone(), line.ino)).or_insert_with(|| {
                    modules.push(Module {
                        path: line.path.clone(),
                        allocator: dso.is_some_and(|d| d.init.id == dump.identity.fixed.allocator),
                        init: dso.map(|d| d.init),
                        lines: vec![],
                        loaded: OnceCell::new(),
                    });
                    modules.len() - 1
                });
            ranges.push((line.start, line.end, index));
            modules[index].lines.push(line.clone());
        }
        if mappings.is_empty() {
            // maps was lost on the way. The snapshot still says what was where at init.
            for dso in &dump.dsos {
                ranges.push((dso.init.start, dso.init.end, modules.len()));
                modules.push(Module {
                    path: dso.path.clone(),
                    allocator: dso.init.id == dump.identity.fixed.allocator,
                    init: Some(dso.init),
                    lines: vec![],
                    loaded: OnceCell::new(),
                });
            }
            ranges.sort_unstable();
        }
        Modules { mappings, modules, ranges, sources: sources.clone(), wall_ns: dump.identity.fixed.wall_ns }
    }

    /// The module that is mapped at an address.
    pub(super) fn at(&self, address: u64) -> Option<(usize, &Module)> {
        let i = self.ranges.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
        let (_, _, index) = self.ranges.get(i).filter(|(_, end, _)| address < *end)?;
        Some((*index, self.modules.get(*index)?))
    }

    /// The module that an address belongs to: [`Modules::at`], or .bss behind the mapped file.
    pub(super) fn owner(&self, address: u64) -> Option<(usize, &Module)> {
        if let Some(found) = self.at(address) {
            return Some(found);
        }
        let i = self.ranges.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
        let index = self.ranges.get(i)?.2;
        let end = self.elf(index)?.end();
        let module = self.modules.get(index)?;
        module.file_address(address).filter(|a| *a < end).map(|_| (index, module))
    }

    /// Whether an address is in an executable mapping. If maps was lost, any known module counts.
    pub(super) fn is_code(&self, address: u64) -> bool {
        match maps::find(&self.mappings, address) {
            Some(mapping) => mapping.execute,
            None => self.mappings.is_empty() && self.at(address).is_some(),
        }
    }

    /// The code from an address on, to the end of its segment in the proven file.
    pub(super) fn code(&self, pc: u64) -> Option<&[u8]> {
        let (index, module) = self.at(pc)?;
        let elf = self.elf(index)?;
        let address = module.file_address(pc)?;
        let load = elf
            .loads
            .iter()
            .find(|l| l.execute && (l.address..l.address + l.file_size).contains(&address))?;
        let end = load.offset.checked_add(load.file_size)?;
        let from = load.offset + (address - load.address);
        elf.bytes.get(usize::try_from(from).ok()?..usize::try_from(end).ok()?)
    }

    /// Whether code is the program's: neither the allocator's nor the system's.
    pub(super) fn is_program(&self, pc: u64) -> bool {
        self.at(pc).is_some_and(|(_, module)| !module.allocator && !is_system(&module.path))
    }

    /// Where the variables of a module are that are not read-only.
    pub(super) fn variables(&self, index: usize) -> Vec<Range<u64>> {
        let (Some(module), Some(elf)) = (self.modules.get(index), self.elf(index)) else { return vec![] };
        let mut found: Vec<Range<u64>> =
            module.lines.iter().filter(|line| line.write).map(|line| line.start..line.end).collect();
        // .bss begins in the last mapping of the file, and goes on behind it.
        if let Some(last) = found.last_mut()
            && let Some(in_file) = module.file_address(last.start)
            && let Some(end) = last.start.checked_add(elf.end().saturating_sub(in_file))
        {
            last.end = last.end.max(end);
        }
        found
    }

    /// The address in the process of one in the address space of a module's file.
    pub(super) fn in_process(&self, index: usize, in_file: u64) -> Option<u64> {
        let module = self.modules.get(index)?;
        let line = module.lines.first()?;
        in_file.checked_add(line.start.checked_sub(module.file_address(line.start)?)?)
    }

    /// The proven file of a module.
    pub(super) fn elf(&self, index: usize) -> Option<&Elf> {
        self.loaded(index).map(|l| &l.elf)
    }

    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        0..self.modules.len()
    }

    pub(super) fn is_allocator(&self, index: usize) -> bool {
        self.modules.get(index).is_some_and(|m| m.allocator)
    }

    pub(super) fn is_executable(&self, index: usize) -> bool {
        let init = self.modules.get(index).and_then(|m| m.init.as_ref());
        init.is_some_and(|init| init.flags & dso_flags::EXECUTABLE != 0)
    }

    /// Whether a module has code. A mapped data file has none. Without its mappings it may have some.
    pub(super) fn has_code(&self, index: usize) -> bool {
        self.modules.get(index).is_some_and(Module::has_code)
    }

    pub(super) fn path(&self, index: usize) -> &str {
        self.modules.get(index).map_or("", |m| &m.path)
    }

    /// The separate debug file of a module, if there is one that belongs to it.
    pub(super) fn debug(&self, index: usize) -> Option<&DebugFile> {
        let module = self.modules.get(index)?;
        let loaded = self.loaded(index)?;
        let find = || debug_file::best(&loaded.elf, Path::new(&module.path), &self.sources);
        loaded.debug.get_or_init(find).file.as_ref()
    }

    /// Debug files that exist but cannot be used: path of the module, and the file with the reason.
    pub(super) fn debug_refused(&self) -> Vec<(&str, &str)> {
        let mut list = vec![];
        for module in &self.modules {
            list.extend(module.debug_refused().iter().map(|why| (&*module.path, &**why)));
        }
        list
    }

    /// The same of one module, without its path.
    pub(super) fn debug_refused_of(&self, index: usize) -> &[String] {
        self.modules.get(index).map_or(&[], Module::debug_refused)
    }

    /// The bytes of the allocator's file. Fails if they are not proven to be what is mapped.
    pub(super) fn allocator(&self) -> Result<Vec<u8>, String> {
        let index = self.modules.iter().position(|m| m.allocator).ok_or("it is not known which DSO it is")?;
        match self.elf(index) {
            Some(elf) => Ok(elf.bytes.to_vec()),
            None => Err(self.modules.get(index).map_or_else(String::new, |m| m.why().to_owned())),
        }
    }

    /// Modules with code that were needed and have no proven file: path and reason.
    pub(super) fn without_file(&self) -> Vec<(&str, &str)> {
        let mut list: Vec<_> = self
            .modules
            .iter()
            .filter(|m| m.has_code())
            .map(|m| (&*m.path, m.why()))
            .filter(|(_, why)| !why.is_empty())
            .collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// The bytes of the files that were needed so far, without the system's and the allocator's.
    pub(super) fn read_of_program(&self) -> impl Iterator<Item = &[u8]> {
        let program = self.modules.iter().filter(|m| !m.allocator && m.path != VDSO && !is_system(&m.path));
        program.filter_map(|m| m.loaded.get()?.as_ref().ok()).map(|loaded| &*loaded.elf.bytes)
    }

    fn loaded(&self, index: usize) -> Option<&Loaded> {
        let module = self.modules.get(index)?;
        module.loaded.get_or_init(|| self.load(module)).as_ref().ok()
    }

    fn load(&self, module: &Module) -> Result<Loaded, String> {
        let elf = if module.path == VDSO { self.vdso(module)? } else { self.file(module)? };
        let bias = match &module.init {
            Some(init) => Some(init.bias),
            None => module.lines.iter().find_map(|line| bias(&elf, line)),
        };
        Ok(Loaded { elf, bias, debug: OnceCell::new() })
    }

    /// The first proven candidate. Else why the file at the path is not proven, and which other
    /// candidates could not be read.
    fn file(&self, module: &Module) -> Result<Elf, String> {
        let mut why: Vec<String> = vec![];
        let mut candidates = vec![(PathBuf::from(&module.path), Candidate::InPlace)];
        let live = self.sources.live_pid.map(task::sharing);
        if let Some(tid) = live {
            candidates.push((PathBuf::from(format!("/proc/{tid}/root{}", module.path)), Candidate::InPlace));
        }
        if module.allocator {
            candidates
                .extend(self.sources.allocator_copy.iter().map(|p| (p.clone(), Candidate::OfAllocator)));
        }
        candidates.extend(self.sources.copies.iter().map(|p| (p.clone(), Candidate::Copy)));
        if let (Some(tid), Some(line)) = (live, module.lines.first()) {
            // This is the mapped file itself, even if it has no path any more. Reading it takes
            // CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE. It may have been written to: the build-id shows
            // that.
            let link = format!("/proc/{tid}/map_files/{:x}-{:x}", line.start, line.end);
            candidates.push((PathBuf::from(link), Candidate::Link));
        }
        let mapped = Mapped { init: module.init.as_ref(), line: module.lines.first(), wall_ns: self.wall_ns };
        for (path, candidate) in candidates {
            match mapped.proven(&path, candidate) {
                Ok(elf) => return Ok(elf),
                Err(refused) if why.is_empty() => why.push(refused.to_string()),
                Err(Refused::Unreadable(e)) if !candidate.is_closed_by(&e) => {
                    let e = e.to_string();
                    // Many candidates may fail for one reason, for example no free descriptor.
                    if !why.iter().any(|said| said.ends_with(&e)) {
                        why.push(format!("{}: cannot be read: {e}", candidate.called(&path)));
                    }
                }
                // Most candidates are other builds, or do not exist.
                Err(_) => {}
            }
        }
        Err(why.join("; "))
    }

    /// The kernel's DSO has no file. It is the same in all processes of one boot.
    fn vdso(&self, module: &Module) -> Result<Elf, String> {
        let own = maps::parse(&std::fs::read("/proc/self/maps").map_err(|e| e.to_string())?);
        let own = own.iter().find(|m| m.path == VDSO).ok_or("this process has none to compare with")?;
        let mut bytes = vec![0; usize::try_from(own.end - own.start).unwrap_or(0)];
        let memory = File::open("/proc/self/mem").map_err(|e| e.to_string())?;
        memory.read_exact_at(&mut bytes, own.start).map_err(|e| e.to_string())?;
        let elf = Elf::parse(Bytes::copy_of(&*bytes).map_err(|e| e.to_string())?)?;
        let known = module.init.as_ref().filter(|i| i.build_id_len > 0);
        let same = match known {
            Some(init) => init.build_id_bytes() == elf.build_id,
            None => {
                let line = module.lines.first();
                self.sources.same_boot && line.is_some_and(|l| l.end - l.start == own.end - own.start)
            }
        };
        if same { Ok(elf) } else { Err("it is of another kernel than this one".into()) }
    }
}

impl Module {
    fn debug_refused(&self) -> &[String] {
        let loaded = self.loaded.get().and_then(|loaded| loaded.as_ref().ok());
        loaded.and_then(|loaded| loaded.debug.get()).map_or(&[], |debug| &debug.refused)
    }

    fn has_code(&self) -> bool {
        self.lines.is_empty() || self.lines.iter().any(|line| line.execute)
    }

    /// Why the module has no file; empty if it has one, or none was needed.
    fn why(&self) -> &str {
        self.loaded.get().and_then(|loaded| loaded.as_ref().err()).map_or("", |why| why)
    }

    /// The address in the address space of the file; none if it cannot be computed.
    pub(super) fn file_address(&self, address: u64) -> Option<u64> {
        if let Some(init) = &self.init {
            return address.checked_sub(init.bias);
        }
        match self.loaded.get() {
            Some(Ok(loaded)) => address.checked_sub(loaded.bias?),
            // Only maps is known. This is the offset in the file, as tools print it for a stripped DSO.
            _ => {
                let line = self.lines.iter().find(|l| l.contains(address))?;
                (address - line.start).checked_add(line.offset)
            }
        }
    }
}

/// The difference between an address in the process and one in the file, from one line of maps.
fn bias(elf: &Elf, line: &Mapping) -> Option<u64> {
    const PAGE: u64 = 4096;
    let load = elf.loads.iter().find(|l| {
        l.execute == line.execute
            && l.offset / PAGE <= line.offset / PAGE
            && line.offset < l.offset.saturating_add(l.file_size)
    })?;
    let at_line = load.address.checked_add(line.offset)?.checked_sub(load.offset)?;
    line.start.checked_sub(at_line)
}
