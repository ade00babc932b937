//! Names of code: function, file, line and inlined frames. They come from the best source of a module:
//! debug information in the file itself or in a separate file, then `.symtab`, then `.dynsym`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Instant;

use blazesym::symbolize::source::{Elf as ElfSource, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolizer};

use super::arch::Arch;
use super::demangle::demangle;
use super::elf::{Bytes, Elf, SymbolKind};
use super::images::Modules;
use super::kept::{FileKey, Name};
use super::plt::{Stub, Stubs};
use super::sources::Sources;
use crate::session::trace::Frame;

/// Addresses that are looked up before the time limit is checked again.
const BATCH: usize = 256;

/// Names by lookup address in the process.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_address: HashMap<u64, Vec<Name>>,
    /// Sources that could not be read, a line each with the reason.
    pub(super) unread: BTreeSet<String>,
    /// Some addresses have no names because the time limit was reached.
    pub(super) out_of_time: bool,
}

impl Names {
    /// Looks up all addresses, each once.
    pub(super) fn of(
        addresses: BTreeSet<u64>,
        modules: &Modules,
        arch: &Arch,
        sources: &Sources,
        deadline: Instant,
    ) -> Self {
        let mut by_module: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
        for address in addresses {
            let Some((index, module)) = modules.at(address) else { continue };
            // Load the file first: the address in the file is computed from its program headers.
            if modules.elf(index).is_some()
                && let Some(in_file) = module.file_address(address)
            {
                by_module.entry(index).or_default().push((address, in_file));
            }
        }
        // blazesym follows links to further files. A separate debug file is found here, because blazesym
        // gets the code under another path than its own.
        let symbolizer = Symbolizer::builder()
            .enable_demangling(false)
            .enable_code_info(true)
            .enable_inlined_fns(true)
            .enable_auto_reload(false)
            .set_debug_dirs(Some(&sources.debug_dirs))
            .build();
        let mut names = Names::default();
        for (index, mut addresses) in by_module {
            let stubs = modules.elf(index).map(|elf| Stubs::of(&elf.bytes)).unwrap_or_default();
            addresses.retain(|(address, in_file)| {
                let stub = stubs.at(*in_file, arch);
                let name =
                    |stub: Stub| Name { start: Some(stub.start), function: stub.name, ..Name::default() };
                stub.map(|stub| names.by_address.insert(*address, vec![name(stub)])).is_none()
            });
            let key = key(modules, index, &sources.debug_dirs);
            let mut known = key.as_ref().map_or_else(HashMap::new, |key| sources.kept.known(key, &addresses));
            addresses.retain(|(address, in_file)| {
                known.remove(in_file).map(|found| names.insert(*address, found)).is_none()
            });
            if addresses.is_empty() {
                continue;
            }
            let Some(own) = modules.elf(index).map(Elf::for_names) else { continue };
            let places = places(modules, index, &own);
            let unread = names.unread.len();
            let aliases = OnceCell::new();
            let aliases = || aliases.get_or_init(|| aliases_of(modules, index));
            for batch in addresses.chunks(BATCH) {
                if Instant::now() >= deadline {
                    names.out_of_time = true;
                    return names;
                }
                names.look_up(&symbolizer, &places, batch, &aliases);
            }
            let complete = names.unread.len() == unread && modules.debug_refused_of(index).is_empty();
            if let Some(key) = key.filter(|_| complete) {
                let of = |address| names.by_address.get(&address).cloned().unwrap_or_default();
                sources.kept.keep(key, addresses.iter().map(|(address, in_file)| (*in_file, of(*address))));
            }
        }
        names
    }

    fn insert(&mut self, address: u64, names: Vec<Name>) {
        if !names.is_empty() {
            self.by_address.insert(address, names);
        }
    }

    /// Asks the sources in turn, each for the addresses that earlier ones did not know.
    fn look_up<'a>(
        &mut self,
        symbolizer: &Symbolizer,
        places: &[Place],
        batch: &[(u64, u64)],
        aliases: &dyn Fn() -> &'a HashMap<u64, String>,
    ) {
        let mut open: Vec<(u64, u64)> = batch.to_vec();
        for place in places {
            if open.is_empty() {
                return;
            }
            let in_file: Vec<u64> = open.iter().map(|(_, a)| *a).collect();
            let found = match symbolizer.symbolize(&place.source, Input::VirtOffset(&in_file)) {
                Ok(found) => found,
                // The debug information may be broken. The next source may work.
                Err(e) => {
                    self.unread.insert(format!("{}: {e:#}", place.what));
                    continue;
                }
            };
            let mut left = vec![];
            for (entry, symbolized) in open.iter().zip(&found) {
                match symbolized.as_sym().filter(|sym| !sym.name.is_empty()) {
                    Some(sym) => {
                        // Debug information has one name for a function, a symbol table may have several.
                        let alias = if sym.code_info.is_none() { aliases().get(&sym.addr) } else { None };
                        self.by_address.insert(entry.0, named(sym, alias.map_or(&sym.name, |a| a)));
                    }
                    None => left.push(*entry),
                }
            }
            open = left;
        }
    }

    /// The frames at an address, innermost first, at least one. `lookup` is the address by which names
    /// are looked up, `pc` the address that is reported.
    pub(super) fn frames(&self, pc: u64, lookup: u64, modules: &Modules) -> Vec<Frame> {
        let module = modules.at(lookup).map(|(_, m)| m);
        let dso_offset = module.and_then(|m| m.file_address(pc));
        let frame = |name: &Name| Frame {
            pc,
            function: name.function.clone(),
            offset: name.start.zip(dso_offset).and_then(|(start, pc)| pc.checked_sub(start)),
            file: name.file.clone(),
            line: name.line,
            dso: module.map(|m| m.path.clone()),
            dso_offset,
            inlined: name.inlined,
            ..Frame::default()
        };
        match self.by_address.get(&lookup) {
            Some(names) => names.iter().map(frame).collect(),
            None => vec![frame(&Name::default())],
        }
    }
}

/// What a module's names come from. None for a file without a build-id: nothing ties its debug file to it.
fn key(modules: &Modules, index: usize, debug_dirs: &[PathBuf]) -> Option<FileKey> {
    let elf = modules.elf(index).filter(|elf| !elf.build_id.is_empty())?;
    Some(FileKey {
        build_id: elf.build_id.clone(),
        len: elf.bytes.len(),
        crc: crc32fast::hash(&elf.bytes),
        path: modules.path(index).to_owned(),
        debug_dirs: debug_dirs.to_vec(),
    })
}

/// For each function address, the name that people know.
fn aliases_of(modules: &Modules, index: usize) -> HashMap<u64, String> {
    let own = modules.elf(index).filter(|elf| elf.has_symtab);
    let elf = own.or_else(|| modules.debug(index).map(|d| &d.elf).filter(|elf| elf.has_symtab));
    let symbols = elf.or_else(|| modules.elf(index)).map_or(vec![], |elf| elf.symbols(SymbolKind::Code));
    // Insert in reverse order, so that the first name of an address stays.
    symbols.into_iter().rev().map(|s| (s.address, s.name)).collect()
}

struct Place {
    source: Source<'static>,
    what: String,
}

/// The sources of a module's names, best first. `own`: the bytes of its file.
fn places(modules: &Modules, index: usize, own: &Bytes) -> Vec<Place> {
    let mut places = vec![];
    let mut push = |path: PathBuf, debug_syms: bool, of: &str| {
        let what = if debug_syms { "debug information" } else { "symbols" };
        let mut source = ElfSource::new(path);
        source.debug_syms = debug_syms;
        places.push(Place { source: Source::Elf(source), what: format!("the {what} of {of}") });
    };
    let Some(elf) = modules.elf(index) else { return places };
    let path = modules.path(index);
    if elf.has_debug_info {
        push(own.path(), true, path);
    } else if let Some(debug) = modules.debug(index) {
        let of = format!("the debug file of {path}");
        if debug.elf.has_debug_info {
            push(debug.path.clone(), true, &of);
        }
        push(debug.path.clone(), false, &of);
    }
    push(own.path(), false, path);
    places
}

/// A symbol and the functions that are inlined there, innermost first.
fn named(sym: &Sym<'_>, function: &str) -> Vec<Name> {
    let name = |name: &str, code: Option<&CodeInfo<'_>>, start, inlined| Name {
        function: Some(name).filter(|n| !n.is_empty()).map(demangle),
        start,
        file: code.map(|c| c.to_path().to_string_lossy().into_owned()),
        line: code.and_then(|c| c.line),
        inlined,
    };
    let inlined = sym.inlined.iter().rev().map(|f| name(&f.name, f.code_info.as_ref(), None, true));
    let outer = name(function, sym.code_info.as_deref(), Some(sym.addr), false);
    inlined.chain([outer]).collect()
}
