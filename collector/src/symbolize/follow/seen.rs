//! What the loads of one way show: words that are read again and again, and chains of pointers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::machine::Load;

/// A word is read in a loop if it is read this often by one instruction.
const OFTEN: usize = 3;
/// After so many readings of a word by one instruction nothing new comes.
const ENOUGH: usize = 8;
/// A chain of so many loads is a walk along a list.
const CHAIN: u32 = 8;
/// Most bytes from the beginning of a block to its next pointer.
const MOST_NEXT: i64 = 4096;

/// A list that leads back into itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawRing {
    /// The loading instruction.
    pub(crate) pc: u64,
    /// Where it loads from, once round.
    pub(crate) nodes: Vec<u64>,
}

/// A list that is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawChain {
    /// One of its blocks.
    pub(crate) block: u64,
    /// Offset of the next pointer in a block.
    pub(crate) next: i64,
}

/// Loads of one instruction that lead from block to block.
#[derive(Clone, Copy)]
struct Links {
    last: Load,
    next: i64,
    /// So many times in a row the address was what had been loaded before, plus `next`.
    count: u32,
}

/// Loads of one way, counted.
#[derive(Default)]
pub(super) struct Seen {
    /// By instruction and address: the load, how often, its last two depths.
    pub(super) loads: HashMap<(u64, u64), (Load, usize, [u32; 2])>,
    /// All loads, in order.
    log: Vec<Load>,
    /// Addresses by instruction, in order, with their places in `log`.
    in_order: HashMap<u64, Vec<(u64, usize)>>,
    /// Instructions that go round, but not along a list.
    no_list: HashSet<u64>,
    longest: u32,
    pub(super) ring: Option<RawRing>,
    /// By instruction: its last load, and the links before it.
    links: HashMap<u64, Links>,
    /// See [`super::OneWay::turns`].
    pub(super) turns: bool,
}

impl Seen {
    pub(super) fn take(&mut self, loads: &[Load], barriers: usize) {
        for load in loads {
            self.link(load);
            self.longest = self.longest.max(load.depth);
            let order = self.in_order.entry(load.pc).or_default();
            order.push((load.address, self.log.len()));
            self.log.push(*load);
            let (seen, n, [before, last]) =
                self.loads.entry((load.pc, load.address)).or_insert((*load, 0, [0; 2]));
            seen.atomic |= load.atomic;
            *n += 1;
            // The same node twice round, each time further along the chain. A walk that begins again at the
            // head of the list begins a new chain.
            let grows = *n >= 3 && *before < *last && last.abs_diff(*before) == load.depth.abs_diff(*last);
            if grows && load.depth > *last && self.ring.is_none() && barriers == 0 {
                let before = order.iter().rev().skip(1);
                let round = before.clone().position(|(at, _)| *at == load.address).map_or(0, |i| i + 1);
                let steps = &order[order.len().saturating_sub(round + 1)..];
                if self.no_list.contains(&load.pc) {
                    // It was looked at before.
                } else if is_along_one_link(&self.log, steps) {
                    let nodes = steps.iter().skip(1).map(|(at, _)| *at).collect();
                    self.ring = Some(RawRing { pc: load.pc, nodes });
                } else {
                    self.no_list.insert(load.pc);
                }
            }
            (*before, *last) = (*last, load.depth);
        }
    }

    fn link(&mut self, load: &Load) {
        let first = Links { last: *load, next: 0, count: 0 };
        let links = self.links.entry(load.pc).or_insert(first);
        let from = links.last.value.filter(|value| *value != 0 && load.depth > links.last.depth);
        let next = from.map(|from| load.address.wrapping_sub(from) as i64);
        *links = match next.filter(|next| next.abs() <= MOST_NEXT && load.size == 8) {
            Some(next) if next == links.next => Links { last: *load, next, count: links.count + 1 },
            Some(next) => Links { last: *load, next, count: 1 },
            None => Links { last: *load, ..first },
        };
    }

    /// The list that is walked, where enough blocks were linked alike.
    pub(super) fn chain(&self) -> Option<RawChain> {
        let links = self.links.values().filter(|links| links.count >= CHAIN);
        let links = links.max_by_key(|links| (links.count, std::cmp::Reverse(links.last.pc)))?;
        let block = links.last.address.wrapping_sub(links.next as u64);
        Some(RawChain { block, next: links.next })
    }

    /// A walk along a list, without a step of a lock.
    pub(super) fn is_list(&self, barriers: usize) -> bool {
        self.longest >= CHAIN && barriers == 0
    }

    pub(super) fn is_clear(&self) -> bool {
        self.loads.values().any(|(_, n, _)| *n >= ENOUGH)
    }

    pub(super) fn often(&self) -> Vec<Load> {
        let mut words: BTreeMap<u64, Load> = BTreeMap::new();
        for (load, ..) in self.loads.values().filter(|(_, n, _)| *n >= OFTEN) {
            words.entry(load.address).or_insert(*load).atomic |= load.atomic;
        }
        words.into_values().collect()
    }
}

/// The steps from node to node may be along one pointer in the nodes. A walk down a tree and up again, or forth
/// and back in a list, comes back too, but by several pointers. Where no pointer leads to the next node as it is
/// in memory, such as one with a key, nothing speaks against a list.
fn is_along_one_link(log: &[Load], steps: &[(u64, usize)]) -> bool {
    // Instructions that loaded a pointer to the next node out of this one, with the offset between the two.
    let links = |step: &[(u64, usize)]| -> Option<HashSet<(u64, u64)>> {
        let [(_, from), (to, until)] = *step else { return None };
        let between = log.get(from..until)?;
        let offset = |load: &Load| Some(to.wrapping_sub(load.value.filter(|value| *value != 0)?));
        let leads = between.iter().filter_map(|load| Some((load, offset(load)?)));
        let mut leads =
            leads.filter(|(_, offset)| (*offset as i64).unsigned_abs() <= MOST_NEXT as u64).peekable();
        leads.peek()?;
        // One load leads on: the next node is one pointer further.
        let one = log.get(until)?.depth == between.first()?.depth + 1;
        let of_node = leads.filter(|(load, _)| one && Some(load.depth) == between.first().map(|l| l.depth));
        Some(of_node.map(|(load, offset)| (load.pc, offset)).collect())
    };
    let mut steps = steps.windows(2).map(links);
    let Some(Some(first)) = steps.next() else { return true };
    let all = steps.try_fold(first, |all, links| Some(all.intersection(&links?).copied().collect()));
    all.is_none_or(|all: HashSet<(u64, u64)>| !all.is_empty())
}
