//! Loops of running threads with names, and with the memory that they read.

use std::collections::BTreeSet;

use super::allocator::AllocatorSet;
use super::arch::Arch;
use super::data;
use super::follow::{LINE, RawRead, Way};
use super::images::Modules;
use super::names::Names;
use crate::files::links::is_system;
use crate::session::trace::{Frame, Loop, LoopRead, NoMemory, ReadHow, Ring};
use crate::session::{Dump, maps};

/// 32-bit numbers kept from the address of a word on: a pthread mutex up to its type.
const MOST_WORDS: u64 = 6;
/// Nodes of a ring whose addresses are kept.
const MOST_NODES: usize = 4;
const MOST_CALLBACKS: usize = 4;

/// The functions that try a lock, and return at once if it is held. Debug information of glibc has names with
/// more underscores.
const TRY_LOCK: [&str; 2] = ["pthread_mutex_trylock", "mtx_trylock"];

/// Addresses that names are needed for.
pub(super) fn lookups(way: &Way) -> impl Iterator<Item = u64> {
    way.calls.iter().map(|call| call.to)
}

/// Addresses of the words of memory that a way reads.
pub(super) fn words(way: &Way) -> impl Iterator<Item = u64> {
    let tried = way.calls.iter().filter_map(|call| call.first);
    let read: BTreeSet<u64> = way.reads.iter().map(|read| read.address).collect();
    let tried: Vec<u64> =
        tried.filter(|first| read.contains(first) || read.contains(&first.wrapping_add(16))).collect();
    read.into_iter().chain(tried)
}

/// Addresses of data that a loop speaks of.
pub(super) fn spoken_of(one: &Loop) -> impl Iterator<Item = u64> {
    let uses = one.code.iter().flat_map(|code| &code.uses).map(|used| used.address);
    one.reads.iter().map(|read| read.address).chain(uses)
}

/// What names and memory are looked up in.
pub(super) struct Loops<'a> {
    pub(super) dump: &'a Dump,
    pub(super) modules: &'a Modules,
    pub(super) arch: &'a Arch,
    pub(super) names: &'a Names,
    pub(super) set: &'a AllocatorSet<'a>,
}

impl Loops<'_> {
    pub(super) fn named(&self, way: &Way) -> Loop {
        let tried: BTreeSet<u64> =
            way.calls.iter().filter(|call| self.is_try_lock(call.to)).filter_map(|call| call.first).collect();
        // What the function itself reads of the mutex is no word of its own.
        let of_mutex =
            |read: &&RawRead| tried.iter().any(|at| (*at..at.saturating_add(40)).contains(&read.address));
        let mut reads: Vec<LoopRead> = tried.iter().map(|at| self.read(*at, 4, ReadHow::TryLock)).collect();
        let own = |read: &&RawRead| self.is_of_system(read.address);
        let others = way.reads.iter().filter(|read| !of_mutex(read) && !own(read));
        reads.extend(others.map(|read| {
            let how = if read.atomic { ReadHow::Atomic } else { ReadHow::Load };
            self.read(read.address, read.size as u32, how)
        }));
        let no_memory =
            NoMemory { samples: way.failed, of: way.samples, wanted: way.wanted, followed: way.followed };
        Loop {
            reads,
            ring: way.ring.as_ref().map(|ring| Ring {
                nodes: ring.nodes.len() as u32,
                addresses: ring.nodes.iter().take(MOST_NODES).copied().collect(),
                mapping: ring.nodes.first().map_or_else(String::new, |at| self.mapping(*at)),
                ..Ring::default()
            }),
            list_ends: false,
            only_reads: way.only_reads,
            callbacks: self.callbacks(way),
            returns: way.returned_to.iter().any(|pc| self.is_program(*pc)),
            no_memory: (way.failed > 0).then_some(no_memory),
            code: None,
        }
    }

    fn is_try_lock(&self, function: u64) -> bool {
        let frames = self.names.frames(function, function, self.modules);
        let name = frames.first().and_then(|frame| frame.function.as_deref()).unwrap_or_default();
        tries_lock(name)
    }

    fn read(&self, address: u64, size: u32, how: ReadHow) -> LoopRead {
        let words = [0, 1].map(|reading| {
            let word = |i: u64| self.word(address.checked_add(i * 4)?, reading);
            (0..MOST_WORDS).map_while(word).collect::<Vec<u32>>()
        });
        let points_to = match words[0][..] {
            [low, high, ..] if how != ReadHow::TryLock => {
                self.thread_at(u64::from(high) << 32 | u64::from(low))
            }
            _ => None,
        };
        LoopRead { address, size, how, words, points_to }
    }

    /// A 32-bit number in the memory records of the dump; `reading` is 0 for the first record of a place.
    fn word(&self, address: u64, reading: usize) -> Option<u32> {
        let mut bytes = [0; 4];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let at = address.checked_add(i as u64)?;
            let line = at & !(LINE as u64 - 1);
            let mut records = self.dump.memory.iter().filter(|m| m.record.address == line);
            let record = records.nth(reading)?;
            *byte = *record.bytes.get(usize::try_from(at - line).ok()?)?;
        }
        Some(u32::from_le_bytes(bytes))
    }

    fn thread_at(&self, address: u64) -> Option<u32> {
        let mapping = maps::find(&self.modules.mappings, address)?;
        data::thread_at(&data::stacks(self.dump, self.arch), mapping, address)
    }

    /// A variable of the system's libraries.
    fn is_of_system(&self, address: u64) -> bool {
        self.modules.owner(address).is_some_and(|(_, module)| !module.allocator && is_system(&module.path))
    }

    fn mapping(&self, address: u64) -> String {
        maps::find(&self.modules.mappings, address).map_or_else(String::new, |m| m.path.clone())
    }

    /// Code of neither the allocator nor the system.
    fn is_program(&self, pc: u64) -> bool {
        self.modules.is_program(pc) && !self.set.holds(pc)
    }

    /// Functions that code of the allocator calls, and that are the program's.
    fn callbacks(&self, way: &Way) -> Vec<Frame> {
        let mut found: Vec<Frame> = vec![];
        for call in way.calls.iter().filter(|call| self.set.holds(call.from)) {
            let frame = self.names.frames(call.to, call.to, self.modules).into_iter().next();
            found.extend(frame.filter(|_| self.is_program(call.to)));
        }
        found.dedup();
        found.truncate(MOST_CALLBACKS);
        found
    }
}

fn tries_lock(function: &str) -> bool {
    TRY_LOCK.contains(&function.split('@').next().unwrap_or(function).trim_start_matches('_'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{tries_lock, words};
    use crate::symbolize::follow::{Call, Way};

    #[test]
    fn a_first_argument_may_be_any_number() {
        let call = |first| Call { from: 1, to: 2, first: Some(first) };
        let calls = BTreeSet::from([call(u64::MAX), call(u64::MAX - 16), call(0)]);
        assert_eq!(words(&Way { calls, ..Way::default() }).count(), 0);
    }

    #[test]
    fn a_lock_is_tried_under_each_name_that_glibc_has_for_it() {
        for name in
            ["pthread_mutex_trylock@@GLIBC_2.34", "__pthread_mutex_trylock", "___pthread_mutex_trylock"]
        {
            assert!(tries_lock(name), "{name}");
        }
        assert!(tries_lock("mtx_trylock") && !tries_lock("pthread_mutex_lock") && !tries_lock(""));
    }
}
