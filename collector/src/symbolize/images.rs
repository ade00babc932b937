//! Which bytes stand for which mapping. A file is used for a mapping only if it is proven to be the mapped one;
//! of what is not proven, no name is said.
//!
//! Proof for a DSO of the snapshot from init is its build-id in memory at that time, or, where it has none, a
//! file at its path whose device, inode, size and change time are still those of the snapshot. What was mapped
//! later is proven by the inode that maps shows, not deleted, and not changed since the process started.

use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hangscope_protocol::record::DsoRecord;

use super::debug_file::{self, DebugFile};
use super::elf::{Bytes, Elf};
use super::sources::Sources;
use crate::files::facts::device;
use crate::proc::task;
use crate::session::Dump;
use crate::session::maps;
use crate::session::maps::Mapping;

/// The name that maps gives the kernel's own DSO.
const VDSO: &str = "[vdso]";

/// Everything that is mapped, and the files behind it, read when they are first needed.
#[derive(Debug)]
pub(super) struct Modules {
    /// Lines of maps.
    pub(super) mappings: Vec<Mapping>,
    modules: Vec<Module>,
    /// Address ranges of modules, ascending: start, end, index.
    ranges: Vec<(u64, u64, usize)>,
    sources: Sources,
    wall_ns: u64,
}

/// A file as it is mapped.
#[derive(Debug)]
pub(super) struct Module {
    /// Path, without ` (deleted)`.
    pub(super) path: String,
    /// The allocator under test.
    pub(super) allocator: bool,
    /// Its snapshot from init, if it was there.
    init: Option<DsoRecord>,
    /// Its lines of maps.
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
            // Maps were lost on the way: the snapshot still tells what was where at init.
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

    /// The module whose mapping an address is in.
    pub(super) fn at(&self, address: u64) -> Option<(usize, &Module)> {
        let i = self.ranges.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
        let (_, _, index) = self.ranges.get(i).filter(|(_, end, _)| address < *end)?;
        Some((*index, self.modules.get(*index)?))
    }

    /// The module whose file says that an address is its own: [`Modules::at`], and .bss beyond the mapped file.
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

    /// Whether an address is in something executable; all that is mapped counts where maps were lost.
    pub(super) fn is_code(&self, address: u64) -> bool {
        match maps::find(&self.mappings, address) {
            Some(mapping) => mapping.execute,
            None => self.mappings.is_empty() && self.at(address).is_some(),
        }
    }

    /// The file of a module, if one is proven.
    pub(super) fn elf(&self, index: usize) -> Option<&Elf> {
        self.loaded(index).map(|l| &l.elf)
    }

    /// The path of a module.
    pub(super) fn path(&self, index: usize) -> &str {
        self.modules.get(index).map_or("", |m| &m.path)
    }

    /// The separate debug file of a module, if there is one that belongs to it.
    pub(super) fn debug(&self, index: usize) -> Option<&DebugFile> {
        let module = self.modules.get(index)?;
        let loaded = self.loaded(index)?;
        let find = || DebugFile::find(&loaded.elf, Path::new(&module.path), &self.sources.debug_dirs);
        loaded.debug.get_or_init(find).file.as_ref()
    }

    /// Debug files that are there and could not be used: path of the module, the file and why.
    pub(super) fn debug_refused(&self) -> Vec<(&str, &str)> {
        let mut list = vec![];
        for module in &self.modules {
            let loaded = module.loaded.get().and_then(|loaded| loaded.as_ref().ok());
            let refused = loaded.and_then(|loaded| loaded.debug.get()).map_or(&[][..], |d| &d.refused);
            list.extend(refused.iter().map(|why| (&*module.path, &**why)));
        }
        list
    }

    /// The bytes of the allocator's file.
    ///
    /// # Errors
    /// Why they are not proven to be what is mapped.
    pub(super) fn allocator(&self) -> Result<Vec<u8>, String> {
        let index = self.modules.iter().position(|m| m.allocator).ok_or("it is not known which DSO it is")?;
        match self.elf(index) {
            Some(elf) => Ok(elf.bytes.to_vec()),
            None => Err(self.modules.get(index).map_or_else(String::new, |m| m.why().to_owned())),
        }
    }

    /// Modules with code that were needed and for which no file could be had: path and why.
    pub(super) fn without_file(&self) -> Vec<(&str, &str)> {
        let code = |m: &&Module| m.lines.is_empty() || m.lines.iter().any(|l| l.execute);
        let mut list: Vec<_> = self
            .modules
            .iter()
            .filter(code)
            .map(|m| (&*m.path, m.why()))
            .filter(|(_, why)| !why.is_empty())
            .collect();
        list.sort_unstable();
        list.dedup();
        list
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

    /// The first candidate that is proven; else why the file at its path is not, and which others could not be read.
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
            // The mapped file itself, even if it has no path any more; takes CAP_SYS_ADMIN or
            // CAP_CHECKPOINT_RESTORE. It may have been written to: the build-id says.
            let link = format!("/proc/{tid}/map_files/{:x}-{:x}", line.start, line.end);
            candidates.push((PathBuf::from(link), Candidate::Link));
        }
        for (path, candidate) in candidates {
            match self.proven(&path, candidate, module) {
                Ok(elf) => return Ok(elf),
                Err(refused) if why.is_empty() => why.push(refused.to_string()),
                Err(Refused::Unreadable(e)) if !candidate.is_closed_by(&e) => {
                    let e = e.to_string();
                    // One reason may be that of many candidates: no descriptor is left.
                    if !why.iter().any(|said| said.ends_with(&e)) {
                        why.push(format!("{}: cannot be read: {e}", candidate.called(&path)));
                    }
                }
                // Most candidates are of other builds, or not there.
                Err(_) => {}
            }
        }
        Err(why.join("; "))
    }

    fn proven(&self, path: &Path, candidate: Candidate, module: &Module) -> Result<Elf, Refused> {
        // What is at the path by now may be anything, also a pipe that nobody writes to.
        let file =
            File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|e| {
                match e.kind() {
                    io::ErrorKind::NotFound => "its file is gone".into(),
                    _ => Refused::Unreadable(e),
                }
            })?;
        let meta = file.metadata().map_err(Refused::Unreadable)?;
        if !meta.is_file() {
            return Err("its path is no file any more".into());
        }
        let bytes = Bytes::copy_of(&file).map_err(Refused::Unreadable)?;
        // Said of the bytes that were read: whoever writes to the file meanwhile moves its change time.
        let after = file.metadata().map_err(Refused::Unreadable)?;
        let still =
            (after.len(), after.ctime(), after.ctime_nsec()) == (meta.len(), meta.ctime(), meta.ctime_nsec());
        let elf = Elf::parse(bytes).map_err(Refused::Not)?;
        let ctime_ns = meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec());
        match (&module.init, module.lines.first()) {
            (Some(init), _) if init.build_id_len > 0 => {
                let id = init.build_id_bytes();
                // The record has room for 32 bytes of it.
                let same = elf.build_id == id || (id.len() == 32 && elf.build_id.starts_with(id));
                if same { Ok(elf) } else { Err("its file is another build now".into()) }
            }
            (Some(init), _) => match candidate {
                Candidate::OfAllocator if init.size == 0 || init.size == meta.len() => Ok(elf),
                Candidate::InPlace
                    if still
                        && init.errno == 0
                        && (init.dev, init.ino, init.size)
                            == (device(meta.dev()), meta.ino(), meta.len())
                        && init.ctime_ns == ctime_ns =>
                {
                    Ok(elf)
                }
                _ => Err("it has no build-id, and its file was changed since the start".into()),
            },
            (None, Some(line)) => {
                let unchanged = still && u64::try_from(ctime_ns).is_ok_and(|t| t <= self.wall_ns);
                match candidate {
                    Candidate::InPlace if !line.deleted && line.ino == meta.ino() && unchanged => Ok(elf),
                    _ => Err("it was mapped later, and its file is not proven to be the same".into()),
                }
            }
            (None, None) => Err("nothing is known of it".into()),
        }
    }

    /// The kernel's DSO has no file; it is the same in every process of one boot.
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

/// What a file could prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    /// The file at the path that was mapped.
    InPlace,
    /// The copy that the shim took of the allocator at init.
    OfAllocator,
    /// Some other file.
    Copy,
    /// The kernel's own link to the file that is mapped.
    Link,
}

impl Candidate {
    /// What a person calls it.
    fn called(self, path: &Path) -> String {
        match self {
            Candidate::OfAllocator | Candidate::Copy => format!("the copy {}", path.display()),
            Candidate::InPlace | Candidate::Link => path.display().to_string(),
        }
    }

    /// Whether that is so for most users, and no failure.
    fn is_closed_by(self, error: &io::Error) -> bool {
        self == Candidate::Link && error.kind() == io::ErrorKind::PermissionDenied
    }
}

/// Why a file is not used for a mapping.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("its file cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is not there, or not the one.
    #[error("{0}")]
    Not(String),
}

impl From<&str> for Refused {
    fn from(why: &str) -> Self {
        Refused::Not(why.to_owned())
    }
}

impl Module {
    /// Why it has no file; empty if it has one, or none was needed.
    fn why(&self) -> &str {
        self.loaded.get().and_then(|loaded| loaded.as_ref().err()).map_or("", |why| why)
    }

    /// The address in the file's own address space; none if the two cannot be related.
    pub(super) fn file_address(&self, address: u64) -> Option<u64> {
        if let Some(init) = &self.init {
            return address.checked_sub(init.bias);
        }
        match self.loaded.get() {
            Some(Ok(loaded)) => address.checked_sub(loaded.bias?),
            // Nothing but maps is known: the offset in the file, as tools print it for a stripped DSO.
            _ => {
                let line = self.lines.iter().find(|l| l.contains(address))?;
                (address - line.start).checked_add(line.offset)
            }
        }
    }
}

/// What is added to an address of the file, from one line of maps.
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
