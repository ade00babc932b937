//! Names of data: futex words, locks, and the addresses in registers of running threads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::arch::Arch;
use super::demangle::demangle;
use super::elf::{Symbol, SymbolKind};
use super::images::Modules;
use crate::session::maps::{self, Mapping};
use crate::session::syscalls::Syscalls;
use crate::session::{Dump, Probe};

/// Possible offsets of a futex word in its object: the word is the object (0); a barrier or an rwlock of
/// glibc (4, 8); a condition variable of glibc, from `__wseq` to `__g_signals` (0x28, 0x2c).
const INTO_OBJECT: [u64; 5] = [0, 4, 8, 0x28, 0x2c];

/// Names of all addresses of data that a dump speaks of, and of `words`.
pub(super) fn addresses(
    dump: &Dump,
    namer: &Namer<'_>,
    arch: &Arch,
    words: &BTreeSet<u64>,
) -> BTreeMap<u64, String> {
    let modules = namer.modules;
    let mut names = BTreeMap::new();
    let futex = Syscalls::from_elf(arch.machine).map(Syscalls::futex);
    let futexes =
        dump.threads.iter().chain(&dump.second).filter(|t| Some(t.syscall) == futex).map(|t| t.args[0]);
    for word in futexes.collect::<BTreeSet<_>>() {
        for into in INTO_OBJECT {
            let Some(address) = word.checked_sub(into) else { continue };
            if into == 0 || modules.owner(address).is_some() {
                names.entry(address).or_insert_with(|| namer.name(address));
            }
        }
    }
    for address in words {
        names.entry(*address).or_insert_with(|| namer.name(*address));
    }
    // A lock on which threads spin is in no argument of a system call, but often in a register. A
    // register may hold anything, so only addresses with a symbol are named.
    let answered = |p: &&Probe| !p.stack.is_empty();
    for probe in dump.probes.iter().chain(&dump.samples).filter(answered) {
        for address in probe.record.regs {
            if !names.contains_key(&address)
                && let Some(symbol) = namer.symbol(address)
            {
                names.insert(address, symbol);
            }
        }
    }
    names
}

/// The thread with the nearest SP below the address: a stack grows down to its SP. Above SP, the mapping holds
/// the thread's stack, and with glibc also its thread-locals and descriptor.
pub(super) fn thread_at(stacks: &[(u64, u32)], mapping: &Mapping, address: u64) -> Option<u32> {
    let i = stacks.partition_point(|(sp, _)| *sp <= address);
    let (sp, tid) = stacks.get(i.checked_sub(1)?)?;
    mapping.contains(*sp).then_some(*tid)
}

/// Stack pointers, ascending, with their threads.
pub(super) fn stacks(dump: &Dump, arch: &Arch) -> Vec<(u64, u32)> {
    let blocked = dump.threads.iter().map(|t| (t.sp, t.tid));
    let answered = dump.probes.iter().map(|p| (p.record.regs[arch.sp], p.record.tid));
    let mut stacks: Vec<_> = blocked.chain(answered).filter(|(sp, _)| *sp != 0).collect();
    stacks.sort_unstable();
    stacks.dedup();
    stacks
}

/// Gives names to addresses of data.
pub(super) struct Namer<'m> {
    modules: &'m Modules,
    pid: u32,
    stacks: Vec<(u64, u32)>,
    tables: RefCell<HashMap<usize, Rc<Vec<Symbol>>>>,
}

impl<'m> Namer<'m> {
    pub(super) fn of(dump: &Dump, modules: &'m Modules, arch: &Arch) -> Self {
        let pid = dump.identity.fixed.pid;
        Namer { modules, pid, stacks: stacks(dump, arch), tables: RefCell::default() }
    }

    /// A symbol; else what is mapped at the address.
    pub(super) fn name(&self, address: u64) -> String {
        if let Some(symbol) = self.symbol(address) {
            return symbol;
        }
        if let Some((_, module)) = self.modules.owner(address) {
            let name = module.path.rsplit('/').next().unwrap_or(&module.path);
            return match module.file_address(address) {
                Some(in_file) => format!("{name}+{in_file:#x}"),
                None => name.to_owned(),
            };
        }
        let Some(mapping) = maps::find(&self.modules.mappings, address) else { return "not mapped".into() };
        if mapping.path == "[heap]" {
            return "heap".into();
        }
        match thread_at(&self.stacks, mapping, address) {
            Some(tid) => format!("stack of tid {tid}"),
            _ if mapping.path == "[stack]" => format!("stack of tid {}", self.pid),
            _ if mapping.path.starts_with('[') && !mapping.path.starts_with("[anon") => mapping.path.clone(),
            _ => "anonymous mapping".into(),
        }
    }

    /// Address and size of the variable with this name in the allocator, else in the program.
    pub(super) fn variable(&self, name: &str) -> Option<(u64, u64)> {
        let mut indices: Vec<usize> = self.modules.indices().filter(|i| self.holds_lists(*i)).collect();
        indices.sort_by_key(|i| !self.modules.is_allocator(*i));
        indices.into_iter().find_map(|index| {
            let table = self.table(index)?;
            let symbol = table.iter().find(|s| s.name == name || demangle(&s.name) == name)?;
            Some((self.modules.in_process(index, symbol.address)?, symbol.size))
        })
    }

    /// A module whose variables may point to blocks of a list.
    pub(super) fn holds_lists(&self, index: usize) -> bool {
        self.modules.is_allocator(index) || self.modules.is_executable(index)
    }

    /// The variables of a module, by address.
    fn table(&self, index: usize) -> Option<Rc<Vec<Symbol>>> {
        let elf = self.modules.elf(index)?;
        Some(Rc::clone(self.tables.borrow_mut().entry(index).or_insert_with(|| {
            let debug = || {
                self.modules
                    .debug(index)
                    .filter(|d| d.elf.has_symtab)
                    .map(|d| d.elf.symbols(SymbolKind::Data))
                    // MiniDebugInfo has functions only.
                    .filter(|symbols| !symbols.is_empty())
            };
            let own = || elf.symbols(SymbolKind::Data);
            Rc::new(if elf.has_symtab { own() } else { debug().unwrap_or_else(own) })
        })))
    }

    /// What a number points to, if it may be a pointer.
    pub(super) fn pointed(&self, number: u64) -> Option<String> {
        let mapped =
            self.modules.owner(number).is_some() || maps::find(&self.modules.mappings, number).is_some();
        mapped.then(|| self.name(number))
    }

    /// `symbol+offset`, for an address inside a variable of a DSO.
    pub(super) fn symbol(&self, address: u64) -> Option<String> {
        let (index, module) = self.modules.owner(address)?;
        let table = self.table(index)?;
        let in_file = module.file_address(address)?;
        // Several symbols may begin at one address. Take the first of the smallest.
        let end = table.partition_point(|s| s.address <= in_file);
        let start = table.get(end.checked_sub(1)?)?.address;
        let first = table.partition_point(|s| s.address < start);
        let symbol = table.get(first..end)?.iter().find(|s| in_file - s.address < s.size)?;
        let name = demangle(&symbol.name);
        Some(match in_file - symbol.address {
            0 => name,
            offset => format!("{name}+{offset}"),
        })
    }
}
