//! Lists in the memory of a process, read block by block: those that running threads walk, and those whose heads
//! a profile names.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::data::Namer;
use super::follow::Way;
use super::images::Modules;
use crate::session::chain::{Chain, ChainEnd};
use crate::session::lists::ListHeads;

/// Most blocks of a chain that are read.
pub(crate) const MOST_BLOCKS: usize = 100_000;
/// Most heads that profiles name.
const MOST_HEADS: usize = 4096;
/// Most blocks whose addresses are kept.
const MOST_FIRST: usize = 16;
/// Most words kept that point to blocks.
const MOST_POINTERS: usize = 8;

/// Gives a 64-bit number in memory.
pub(crate) type WordOf<'w> = dyn FnMut(u64) -> Option<u64> + 'w;

/// Where lists begin.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    starts: Vec<Start>,
    /// Variables that may point to blocks.
    pub(crate) variables: Vec<Range<u64>>,
}

#[derive(Debug)]
struct Start {
    /// The thread that walks the list; 0: none was seen to.
    tid: u32,
    from: From,
    next: i64,
    head: Option<String>,
    size: Option<u64>,
}

#[derive(Debug)]
enum From {
    Block(u64),
    Head(u64),
}

/// A list that was read.
#[derive(Debug)]
pub(crate) struct ReadList {
    pub(crate) tid: u32,
    start: usize,
    walked: Walked,
}

/// The blocks of a chain.
#[derive(Debug, PartialEq, Eq)]
struct Walked {
    end: ChainEnd,
    blocks: Vec<u64>,
    /// Where the ring begins.
    before: usize,
}

/// Reads a chain from a block on. `goes_on`: whether there is time left.
fn walk(start: u64, next: i64, word_of: &mut WordOf<'_>, goes_on: &dyn Fn() -> bool) -> Walked {
    let (mut blocks, mut places) = (vec![], HashMap::new());
    let mut block = start;
    let end = loop {
        if let Some(before) = places.get(&block) {
            return Walked { end: ChainEnd::Ring, blocks, before: *before };
        }
        if block == 0 {
            break ChainEnd::Ends;
        }
        if blocks.len() >= MOST_BLOCKS || !goes_on() {
            break ChainEnd::NotRead;
        }
        let Some(after) = word_of(block.wrapping_add_signed(next)) else {
            break if is_mark(block) { ChainEnd::Ends } else { ChainEnd::NotRead };
        };
        places.insert(block, blocks.len());
        blocks.push(block);
        block = after;
    };
    Walked { end, blocks, before: 0 }
}

/// Lists may end with a small number or -1 in the place of a pointer. Any other that leads to no memory may be
/// a pointer that was not understood, such as one with a tag.
fn is_mark(pointer: u64) -> bool {
    const MOST: u64 = 4096;
    pointer < MOST || pointer.wrapping_neg() < MOST
}

impl Lists {
    pub(super) fn of(
        ways: &BTreeMap<u32, Way>,
        modules: &Modules,
        namer: &Namer<'_>,
        heads: &[ListHeads],
    ) -> Lists {
        let walked = |(tid, way): (&u32, &Way)| {
            let chain = way.chain?;
            Some(Start {
                tid: *tid,
                from: From::Block(chain.block),
                next: chain.next,
                head: None,
                size: None,
            })
        };
        let mut starts: Vec<Start> = ways.iter().filter_map(walked).collect();
        for list in heads {
            let variable = namer.variable(&list.head);
            let left = MOST_HEADS.saturating_sub(starts.len());
            let found = variable.map_or_else(Vec::new, |variable| list.heads(variable, left));
            let start = |(at, name, size)| Start {
                tid: 0,
                from: From::Head(at),
                next: list.next,
                head: Some(name),
                size,
            };
            starts.extend(found.into_iter().map(start));
        }
        let variables = match starts.is_empty() {
            true => vec![],
            false => {
                let modules_with = modules.indices().filter(|i| namer.holds_lists(*i));
                modules_with.flat_map(|i| modules.variables(i)).collect()
            }
        };
        Lists { starts, variables }
    }

    /// Reads every list. Of those whose heads a profile names, only the ones that are rings are kept.
    pub(crate) fn read(&self, word_of: &mut WordOf<'_>, goes_on: &dyn Fn() -> bool) -> Vec<ReadList> {
        let mut lists = vec![];
        for (start, of) in self.starts.iter().enumerate() {
            if let Some(walked) = of.walk(word_of, goes_on) {
                lists.push(ReadList { tid: of.tid, start, walked });
            }
        }
        lists
    }

    /// Reads the lists again, if `again`, and looks for what points to them in the variables, as
    /// `bytes_of` gives them: address and bytes of each part.
    pub(crate) fn chains(
        &self,
        lists: Vec<ReadList>,
        again: Option<(&mut WordOf<'_>, &dyn Fn() -> bool)>,
        parts: &[(u64, Vec<u8>)],
    ) -> Vec<(u32, Chain)> {
        let mut again = again;
        let mut chains = vec![];
        for list in lists {
            let Some(start) = self.starts.get(list.start) else { continue };
            let same = again
                .as_mut()
                .map(|(word_of, goes_on)| start.walk(*word_of, *goes_on).as_ref() == Some(&list.walked));
            chains.push((list.tid, start.chain(&list.walked, same, parts)));
        }
        chains
    }
}

impl Start {
    fn walk(&self, word_of: &mut WordOf<'_>, goes_on: &dyn Fn() -> bool) -> Option<Walked> {
        let block = match self.from {
            From::Block(block) => block,
            From::Head(at) => word_of(at)?,
        };
        let walked = walk(block, self.next, word_of, goes_on);
        match self.from {
            From::Block(_) => Some(walked),
            // A ring through its own head is meant to be one.
            From::Head(at) => {
                let own = walked
                    .blocks
                    .iter()
                    .any(|block| block.wrapping_add_signed(self.next) == at || *block == at);
                (walked.end == ChainEnd::Ring && !own).then_some(walked)
            }
        }
    }

    fn chain(&self, walked: &Walked, again: Option<bool>, parts: &[(u64, Vec<u8>)]) -> Chain {
        let is_ring = walked.end == ChainEnd::Ring;
        let mut ring = walked.blocks.get(walked.before..).unwrap_or_default().to_vec();
        let pointers = if is_ring { self.pointers(&ring, parts) } else { vec![] };
        // It begins where a variable points to, where one does.
        if walked.before == 0
            && let Some((_, to)) = pointers.first()
            && let Some(at) = ring.iter().position(|block| block == to)
            && matches!(self.from, From::Block(_))
        {
            ring.rotate_left(at);
        }
        let first: Vec<u64> = match is_ring {
            true => ring.iter().take(MOST_FIRST).copied().collect(),
            false => vec![],
        };
        Chain {
            end: walked.end,
            next: self.next,
            blocks: ring.len() as u32,
            before: walked.before as u32,
            first,
            again,
            head: self.head.clone(),
            size: self.size,
            pointers,
        }
    }

    /// Words in variables that point to blocks, without the next pointers of the blocks themselves.
    fn pointers(&self, ring: &[u64], parts: &[(u64, Vec<u8>)]) -> Vec<(u64, u64)> {
        let blocks: HashSet<u64> = ring.iter().copied().collect();
        let links: HashSet<u64> = ring.iter().map(|block| block.wrapping_add_signed(self.next)).collect();
        let mut found = vec![];
        for (address, bytes) in parts {
            let words = bytes.as_chunks::<8>().0.iter().zip(0u64..);
            let words = words.map(|(word, i)| (address.wrapping_add(i * 8), u64::from_le_bytes(*word)));
            found.extend(words.filter(|(at, to)| blocks.contains(to) && !links.contains(at)));
        }
        found.truncate(MOST_POINTERS);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory with one word at each of these addresses.
    fn walked(words: &[(u64, u64)], start: u64, next: i64) -> (ChainEnd, Vec<u64>, usize) {
        let words: BTreeMap<u64, u64> = words.iter().copied().collect();
        let one = walk(start, next, &mut |at| words.get(&at).copied(), &|| true);
        (one.end, one.blocks, one.before)
    }

    fn linked(count: u64, last: u64) -> Vec<(u64, u64)> {
        let at = |i: u64| 0x1000 + i * 64;
        (0..count).map(|i| (at(i), if i + 1 == count { last } else { at(i + 1) })).collect()
    }

    #[test]
    fn a_chain_ends_or_leads_back() {
        use ChainEnd::{Ends, NotRead, Ring};
        assert_eq!(walked(&linked(1, 0x1000), 0x1000, 0), (Ring, vec![0x1000], 0));
        assert_eq!(walked(&linked(3, 0x1000), 0x1000, 0), (Ring, vec![0x1000, 0x1040, 0x1080], 0));
        assert_eq!(walked(&linked(3, 0x1040), 0x1000, 0).2, 1, "the first block is before the ring");
        let long = walked(&linked(5000, 0x1000), 0x1000, 0);
        assert_eq!((long.0, long.1.len()), (Ring, 5000));
        assert_eq!(walked(&linked(5000, 0), 0x1000, 0).0, Ends);
        assert_eq!(walked(&linked(3, u64::MAX), 0x1000, 0).0, Ends, "a mark for the end");
        assert_eq!(walked(&linked(3, 0x9999), 0x1000, 0).0, NotRead, "it leads to no memory");
        assert_eq!(walked(&linked(100_001, 0), 0x1000, 0).0, NotRead);
        // The next pointer is at +8, or before the block.
        assert_eq!(walked(&[(0x1008, 0x2000), (0x2008, 0x1000)], 0x1000, 8).0, Ring);
        assert_eq!(walked(&[(0xff8, 0x2000), (0x1ff8, 0x1000)], 0x1000, -8).0, Ring);
        let none = walk(0x1000, 0, &mut |_| Some(0x1000), &|| false);
        assert_eq!(none.end, NotRead, "there is no time");
    }

    fn list(from: From) -> Lists {
        Lists { starts: vec![Start { tid: 7, from, next: 0, head: None, size: None }], variables: vec![] }
    }

    #[test]
    fn what_points_to_a_ring_and_whether_it_stays() {
        let memory: BTreeMap<u64, u64> = linked(3, 0x1000).into_iter().collect();
        let mut word_of = |at: u64| memory.get(&at).copied();
        let lists = list(From::Block(0x1000));
        let read = lists.read(&mut word_of, &|| true);
        let bytes = [1u64, 0x1040].map(u64::to_le_bytes).concat();
        let parts = [(0x5000, bytes), (0x1000, 0x1040u64.to_le_bytes().to_vec())];
        let (tid, chain) = lists.chains(read, Some((&mut word_of, &|| true)), &parts).remove(0);
        assert_eq!((tid, chain.end, chain.blocks, chain.again), (7, ChainEnd::Ring, 3, Some(true)));
        assert_eq!(chain.pointers, [(0x5008, 0x1040)], "the link of a block is none");
        assert_eq!(chain.first, [0x1040, 0x1080, 0x1000]);
        let read = lists.read(&mut word_of, &|| true);
        let mut other = |at: u64| if at == 0x1080 { Some(0) } else { memory.get(&at).copied() };
        let (_, chain) = lists.chains(read, Some((&mut other, &|| true)), &[]).remove(0);
        assert_eq!(chain.again, Some(false));
        let read = lists.read(&mut word_of, &|| true);
        assert_eq!(lists.chains(read, None, &[])[0].1.again, None);
    }

    #[test]
    fn a_head_is_said_only_of_a_ring_that_is_not_meant() {
        let heads = |words: &[(u64, u64)]| {
            let memory: BTreeMap<u64, u64> = words.iter().copied().collect();
            list(From::Head(0x5000)).read(&mut |at| memory.get(&at).copied(), &|| true).len()
        };
        assert_eq!(heads(&[(0x5000, 0x1000), (0x1000, 0x1040), (0x1040, 0x1000)]), 1);
        assert_eq!(heads(&[(0x5000, 0x1000), (0x1000, 0x1040), (0x1040, 0)]), 0);
        assert_eq!(heads(&[(0x5000, 0x1000), (0x1000, 0x5000)]), 0, "a list that is closed over its head");
        assert_eq!(heads(&[(0x5000, 0x5000)]), 0, "the same, empty");
        assert_eq!(heads(&[(0x5000, 0)]), 0);
    }
}
