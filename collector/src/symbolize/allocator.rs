//! The DSOs that make up the allocator. An allocator may be a front, which provides malloc, and a core, which
//! does the work. A front's malloc may be a single jump: then only frames of the core are on the stack.
//!
//! A DSO belongs to the allocator if a DSO of the allocator needs it (DT_NEEDED), takes functions from it that
//! nobody else defines, or holds its file name (for dlopen), or if a stack shows that a call of malloc entered
//! it. DSOs of the system and the program itself never belong to it. In a DSO that the program needs too, only
//! frames that the allocator called belong to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::arch::{Arch, Callee};
use super::elf::SymbolKind;
use super::images::Modules;
use super::plt::Stubs;
use super::unwind::{RawFrame, Walk};
use crate::files::links::{self, Links};
use crate::session::trace::{AllocatorDso, Membership};

/// What a frame is to the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) in_allocator: bool,
    /// The caller called a function of the malloc family, and this is the frame of the function or of one that
    /// it jumped to.
    pub(super) entry: bool,
}

/// The DSOs of the allocator, by the index of their module.
pub(super) struct AllocatorSet<'m> {
    modules: &'m Modules,
    arch: &'static Arch,
    provider: Option<usize>,
    members: BTreeMap<usize, Membership>,
    facts: Facts<'m>,
}

/// Facts of files and of calls, each read once.
struct Facts<'m> {
    modules: &'m Modules,
    links: RefCell<HashMap<usize, Rc<Links>>>,
    stubs: RefCell<HashMap<usize, Rc<Stubs>>>,
    /// Addresses of the functions of the malloc family that a module defines.
    family: RefCell<HashMap<usize, Rc<BTreeSet<u64>>>>,
    /// Whether the call before a return address is one of malloc.
    calls: RefCell<HashMap<u64, bool>>,
}

impl<'m> AllocatorSet<'m> {
    /// What the files tell. [`AllocatorSet::learn`] adds what the stacks tell.
    pub(super) fn of(modules: &'m Modules, arch: &'static Arch) -> Self {
        let facts = Facts {
            modules,
            links: RefCell::default(),
            stubs: RefCell::default(),
            family: RefCell::default(),
            calls: RefCell::default(),
        };
        let provider = modules.indices().find(|i| modules.is_allocator(*i));
        let mut set = AllocatorSet { modules, arch, provider, members: BTreeMap::new(), facts };
        if let Some(provider) = provider {
            set.members.insert(provider, Membership::Whole);
            if set.is_preloaded(provider) {
                set.add_needed(provider);
                set.add_opened();
                set.restrict_shared();
            }
        }
        set
    }

    pub(super) fn modules(&self) -> &'m Modules {
        self.modules
    }

    /// Whether an address is in one of the DSOs.
    pub(super) fn holds(&self, address: u64) -> bool {
        self.modules.at(address).is_some_and(|(index, _)| self.members.contains_key(&index))
    }

    /// A DSO of its own: neither of the system nor the program.
    fn is_preloaded(&self, index: usize) -> bool {
        let path = self.modules.path(index);
        let ours = path.rsplit('/').next().is_some_and(|file| file.starts_with("libhangscope"));
        !(ours || links::is_system(path) || self.is_program(index))
    }

    fn is_program(&self, index: usize) -> bool {
        self.modules.is_executable(index) || self.facts.links(index).starts
    }

    /// Adds what a DSO needs, and what those need.
    fn add_needed(&mut self, from: usize) {
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            let all = self.needed_by(at).into_iter().chain(self.defining(at));
            let new: Vec<usize> = all.filter(|i| !self.members.contains_key(i)).collect();
            for index in new {
                self.members.insert(index, Membership::Whole);
                open.push(index);
            }
        }
    }

    /// The mapped DSOs, but those of the system, that a module names in DT_NEEDED.
    fn needed_by(&self, at: usize) -> BTreeSet<usize> {
        let needed = &self.facts.links(at).needed;
        let needed = needed.iter().filter(|name| !links::is_system(name));
        needed.filter_map(|name| self.named(name)).filter(|i| self.is_preloaded(*i)).collect()
    }

    /// The mapped DSO that a name of DT_NEEDED names.
    fn named(&self, needed: &str) -> Option<usize> {
        let of_system = |i: &usize| links::is_system(self.modules.path(*i));
        let by_path = |i: &usize| Links::default().is_named(needed, self.modules.path(*i));
        let by_soname = |i: &usize| self.facts.links(*i).is_named(needed, self.modules.path(*i));
        let mut all = self.modules.indices().filter(|i| !of_system(i));
        self.modules.indices().filter(|i| !of_system(i)).find(by_path).or_else(|| all.find(by_soname))
    }

    /// The DSOs that define what a module imports, where neither the system nor a DSO that it needs does: for
    /// example two DSOs that are preloaded side by side. A DSO that the program needs is the program's.
    fn defining(&self, at: usize) -> BTreeSet<usize> {
        let mut open = self.facts.links(at).imports.clone();
        let needed = self.needed_by(at);
        let known = self
            .modules
            .indices()
            .filter(|i| *i == at || needed.contains(i) || links::is_system(self.modules.path(*i)));
        for index in known {
            if open.is_empty() {
                return BTreeSet::new();
            }
            let links = self.facts.links(index);
            open.retain(|name| !links.defines.contains(name));
        }
        let programs = self.of_program();
        let others = self.modules.indices().filter(|i| self.is_preloaded(*i) && !programs.contains(i));
        others.filter(|i| open.iter().any(|name| self.facts.links(*i).defines.contains(name))).collect()
    }

    /// What the program needs, and what those DSOs need.
    fn of_program(&self) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = self.modules.indices().filter(|i| self.is_program(*i)).collect();
        while let Some(at) = open.pop() {
            for index in self.needed_by(at) {
                if found.insert(index) {
                    open.push(index);
                }
            }
        }
        found
    }

    /// Adds DSOs whose file name a DSO of the allocator holds: it opens them with dlopen.
    fn add_opened(&mut self) {
        loop {
            let other = |i: &usize| self.is_preloaded(*i) && !self.members.contains_key(i);
            let opened = |i: &usize| self.members.keys().any(|member| self.holds_name_of(*member, *i));
            let Some(new) = self.modules.indices().filter(other).find(opened) else { return };
            self.members.insert(new, Membership::Whole);
            self.add_needed(new);
        }
    }

    fn holds_name_of(&self, holder: usize, other: usize) -> bool {
        let Some(elf) = self.modules.elf(holder) else { return false };
        let file = self.modules.path(other).rsplit('/').next().unwrap_or_default();
        links::holds_name(&elf.bytes, file)
            || self.facts.links(other).soname.as_ref().is_some_and(|name| links::holds_name(&elf.bytes, name))
    }

    /// Finds the members that a DSO outside the allocator uses too.
    fn restrict_shared(&mut self) {
        let provider = self.provider;
        loop {
            let whole = |i: &usize| self.members.get(i) == Some(&Membership::Whole);
            let outside: Vec<usize> = self
                .modules
                .indices()
                .filter(|i| !whole(i) && (self.is_preloaded(*i) || self.is_program(*i)))
                .filter(|i| self.modules.has_code(*i))
                .filter(|i| !links::is_system(self.modules.path(*i)))
                .collect();
            let used = |i: &usize| outside.iter().any(|user| self.may_use(*user, *i));
            let shared: Vec<usize> = self
                .members
                .keys()
                .copied()
                .filter(|i| Some(*i) != provider && whole(i))
                .filter(used)
                .collect();
            if shared.is_empty() {
                return;
            }
            for index in shared {
                self.members.insert(index, Membership::Shared);
            }
        }
    }

    /// Whether a module may call functions of another one. A module without a proven file may.
    fn may_use(&self, user: usize, other: usize) -> bool {
        self.modules.elf(user).is_none()
            || self.needed_by(user).contains(&other)
            || self.is_program(user) && self.holds_name_of(user, other)
    }

    /// Adds the DSOs that a call of malloc entered, and notes those that the allocator called and of which
    /// nothing else is known: a core that is reached through pointers, or a plug-in of the program. A DSO
    /// that the program uses too may be either, also if a call of malloc entered it.
    pub(super) fn learn<'w>(&mut self, walks: impl Iterator<Item = &'w Walk> + Clone) {
        if !self.provider.is_some_and(|provider| self.is_preloaded(provider)) {
            return;
        }
        let mut programs = None;
        // A search through all bytes of a file: once for each DSO, not for each frame.
        let mut by_programs = BTreeMap::new();
        let mut unknown = |set: &Self, index: usize| {
            let programs = programs.get_or_insert_with(|| set.of_program());
            let by_program = |i| set.is_program(i) && set.holds_name_of(i, index);
            set.is_preloaded(index)
                && !set.members.contains_key(&index)
                && !programs.contains(&index)
                && !*by_programs.entry(index).or_insert_with(|| set.modules.indices().any(by_program))
        };
        for walk in walks.clone() {
            for (inner, outer) in walk.frames.iter().zip(walk.frames.iter().skip(1)) {
                let other = |i: &usize| self.is_preloaded(*i) && !self.members.contains_key(i);
                let Some(index) = self.module(inner).filter(other) else { continue };
                let entered =
                    self.module(outer).is_some_and(|i| i != index && !self.members.contains_key(&i))
                        && self.calls_malloc(outer);
                if entered && unknown(self, index) {
                    self.members.insert(index, Membership::Whole);
                    self.add_needed(index);
                } else if entered {
                    self.members.insert(index, Membership::Unproven);
                }
            }
        }
        self.restrict_shared();
        for walk in walks {
            let marks = self.marks(walk);
            for (at, frame) in walk.frames.iter().enumerate() {
                if !marks[at].in_allocator
                    && self.caller(walk, at).is_some_and(|caller| marks[caller].in_allocator)
                    && let Some(index) = self.module(frame).filter(|i| unknown(self, *i))
                {
                    self.members.insert(index, Membership::Unproven);
                }
            }
        }
    }

    /// One mark for each frame of a stack.
    pub(super) fn marks(&self, walk: &Walk) -> Vec<Mark> {
        let mut marks = vec![Mark::default(); walk.frames.len()];
        for at in (0..walk.frames.len()).rev() {
            let Some(index) = self.module(&walk.frames[at]) else { continue };
            let Some(membership) = self.members.get(&index) else { continue };
            let entered = || walk.frames.get(at + 1).is_some_and(|outer| self.calls_malloc(outer));
            let in_allocator = match membership {
                Membership::Whole => true,
                Membership::Shared => {
                    entered() || self.caller(walk, at).is_some_and(|caller| marks[caller].in_allocator)
                }
                Membership::Unproven => false,
            };
            marks[at] = Mark { in_allocator, entry: in_allocator && entered() };
        }
        if self.provider.is_some_and(|provider| self.is_program(provider)) {
            self.mark_called(walk, &mut marks);
        }
        marks
    }

    /// In a program that contains the allocator, marks what malloc calls as malloc: a function of the program
    /// has no other name for it.
    fn mark_called(&self, walk: &Walk, marks: &mut [Mark]) {
        let mut inside = false;
        for (frame, mark) in walk.frames.iter().zip(marks).rev() {
            let own = mark.in_allocator && self.module(frame) == self.provider;
            inside = !frame.signal && (inside || own && mark.entry);
            mark.entry |= inside && own;
        }
    }

    /// The nearest outer frame that is not of the system: `qsort` and `pthread_once` only pass a call on. None
    /// where a signal came between.
    fn caller(&self, walk: &Walk, at: usize) -> Option<usize> {
        let outward = (at + 1..walk.frames.len()).take_while(|i| !walk.frames[*i].signal);
        outward.into_iter().find(|i| {
            let module = self.module(&walk.frames[*i]);
            module.is_none_or(|index| !links::is_system(self.modules.path(index)))
        })
    }

    fn module(&self, frame: &RawFrame) -> Option<usize> {
        self.modules.at(frame.lookup()).map(|(index, _)| index)
    }

    /// Whether the call before the return address of a frame is one of malloc, free or their like.
    fn calls_malloc(&self, frame: &RawFrame) -> bool {
        if frame.exact || frame.signal {
            return false;
        }
        if let Some(known) = self.facts.calls.borrow().get(&frame.pc) {
            return *known;
        }
        let calls = self.callee(frame).unwrap_or(false);
        self.facts.calls.borrow_mut().insert(frame.pc, calls);
        calls
    }

    fn callee(&self, frame: &RawFrame) -> Option<bool> {
        /// Bytes of the longest call instruction that is decoded.
        const CALL: u64 = 6;
        let (index, module) = self.modules.at(frame.lookup())?;
        let elf = self.modules.elf(index)?;
        let at = module.file_address(frame.pc)?;
        let bytes = elf.bytes_at(at.checked_sub(CALL)?, CALL)?;
        let stubs = self.facts.stubs(index);
        Some(match (self.arch.call_before)(bytes, at)? {
            // The linker calls malloc, calloc, realloc and free through words of its own
            // (elf/dl-minimal.c of glibc), and what else is not of the system in other ways.
            Callee::Through(word) => match stubs.called(word) {
                Some(name) => is_malloc_family(name),
                None => links::is_linker(self.modules.path(index)),
            },
            Callee::At(target) => {
                let stub = stubs.at(target, self.arch).and_then(|stub| stub.name);
                stub.as_deref().is_some_and(is_malloc_family)
                    || self.provider == Some(index) && self.facts.family(index).contains(&target)
            }
        })
    }

    /// For reports. The DSO that provides malloc comes first.
    pub(super) fn listed(&self) -> Vec<AllocatorDso> {
        let mut list: Vec<(usize, Membership)> = self.members.iter().map(|(i, m)| (*i, *m)).collect();
        list.sort_by_key(|(index, _)| Some(*index) != self.provider);
        let one =
            |(index, membership)| AllocatorDso { path: self.modules.path(index).to_owned(), membership };
        list.into_iter().map(one).collect()
    }
}

impl Facts<'_> {
    fn links(&self, index: usize) -> Rc<Links> {
        if let Some(known) = self.links.borrow().get(&index) {
            return known.clone();
        }
        let links = self.modules.elf(index).map(|elf| Links::of(&elf.bytes)).unwrap_or_default();
        self.links.borrow_mut().entry(index).or_insert(Rc::new(links)).clone()
    }

    fn stubs(&self, index: usize) -> Rc<Stubs> {
        let of = || self.modules.elf(index).map(|elf| Stubs::of(&elf.bytes)).unwrap_or_default();
        self.stubs.borrow_mut().entry(index).or_insert_with(|| Rc::new(of())).clone()
    }

    fn family(&self, index: usize) -> Rc<BTreeSet<u64>> {
        let of = || {
            let symbols =
                self.modules.elf(index).map(|elf| elf.symbols(SymbolKind::Code)).unwrap_or_default();
            symbols.iter().filter(|s| is_malloc_family(&s.name)).map(|s| s.address).collect()
        };
        self.family.borrow_mut().entry(index).or_insert_with(|| Rc::new(of())).clone()
    }
}

/// Whether a symbol is of the interface of an allocator: C's functions, and C++'s operators by their mangled
/// names. `@plt` or a version may follow.
fn is_malloc_family(symbol: &str) -> bool {
    const NAMES: [&str; 14] = [
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "free",
        "cfree",
        "memalign",
        "aligned_alloc",
        "posix_memalign",
        "valloc",
        "pvalloc",
        "malloc_usable_size",
        "free_sized",
        "free_aligned_sized",
    ];
    const OPERATORS: [&str; 4] = ["_Znw", "_Zna", "_Zdl", "_Zda"];
    let name = symbol.split('@').next().unwrap_or(symbol);
    NAMES.contains(&name) || OPERATORS.iter().any(|operator| name.starts_with(operator))
}
