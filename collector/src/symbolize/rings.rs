//! Lists that lead back into themselves: what was read of them, with names.

use std::collections::{BTreeMap, BTreeSet};

use super::data::Namer;
use crate::session::chain::{Chain, ChainEnd};
use crate::session::trace::{Ring, ThreadTrace, Traces};
use crate::session::{Dump, maps};

/// Functions that give a block back.
const FREE: [&str; 6] = ["free", "cfree", "free_sized", "free_aligned_sized", "operator delete", "sdallocx"];

/// Adds what was read of lists to the loops that walk them.
pub(super) fn add(traces: &mut Traces, dump: &Dump, namer: &Namer<'_>) {
    let mappings = maps::parse(&dump.maps);
    for (tid, chain) in dump.chains() {
        let ring = ring(tid, &chain, &traces.threads, dump, namer);
        let mapping = |at: &u64| maps::find(&mappings, *at).map_or_else(String::new, |m| m.path.clone());
        let ring = ring
            .map(|ring| Ring { mapping: ring.addresses.first().map_or_else(String::new, mapping), ..ring });
        match traces.loops.get_mut(&tid) {
            // A list that has ended or changed meanwhile is none, whatever one look showed.
            Some(one) => {
                one.ring = ring;
                one.list_ends = chain.end == ChainEnd::Ends && chain.again != Some(false);
            }
            None => traces.rings.extend(ring),
        }
    }
    // The walked list may be one whose head a profile names.
    let heads: Vec<Ring> = std::mem::take(&mut traces.rings);
    for known in heads {
        let is_known = |ring: &&mut Ring| {
            ring.nodes == known.nodes
                && ring.next == known.next
                && known.addresses.iter().any(|at| ring.addresses.contains(at))
        };
        match traces.loops.values_mut().filter_map(|one| one.ring.as_mut()).find(is_known) {
            Some(ring) => {
                (ring.head, ring.size, ring.before) = (known.head, known.size, known.before);
            }
            None => traces.rings.push(known),
        }
    }
}

/// None where the chain is no ring, or changed while it was read.
fn ring(
    walker: u32,
    chain: &Chain,
    threads: &BTreeMap<u32, ThreadTrace>,
    dump: &Dump,
    namer: &Namer<'_>,
) -> Option<Ring> {
    if chain.end != ChainEnd::Ring || chain.again == Some(false) {
        return None;
    }
    let mut pointed: Vec<(u64, String)> = vec![];
    let mut variables = BTreeSet::new();
    for (at, to) in &chain.pointers {
        let name = namer.name(*at);
        if namer.symbol(*at).is_some() {
            variables.insert(name.clone());
        }
        pointed.push((*to, name));
    }
    let mut freed = vec![];
    for (tid, at, to) in on_stacks(&chain.first, walker, dump) {
        let name = format!("stack of tid {tid}");
        if !pointed.iter().any(|(block, known)| *block == to && *known == name) {
            pointed.push((to, name));
        }
        if threads.get(&tid).is_some_and(|trace| is_in_free(trace, at)) && !freed.contains(&(to, tid)) {
            freed.push((to, tid));
        }
    }
    let only = (variables.len() == 1).then(|| variables.first().cloned()).flatten();
    Some(Ring {
        nodes: chain.blocks,
        addresses: chain.first.clone(),
        mapping: String::new(),
        next: Some(chain.next),
        before: chain.before,
        again: chain.again == Some(true),
        head: chain.head.clone().or(only),
        size: chain.size,
        within: chain.first.iter().map(|at| namer.pointed(*at)).collect(),
        pointed,
        freed,
    })
}

/// Words of the stacks of other threads that point to one of the blocks: thread, address, block.
fn on_stacks(blocks: &[u64], walker: u32, dump: &Dump) -> Vec<(u32, u64, u64)> {
    let blocks: BTreeSet<u64> = blocks.iter().copied().collect();
    let blocked =
        dump.stacks.iter().filter(|s| s.record.look == 1).map(|s| (s.record.tid, s.record.sp, &s.bytes));
    let asked = dump.probes.iter().map(|p| (p.record.tid, p.record.stack, &p.stack));
    let mut found = vec![];
    for (tid, start, bytes) in blocked.chain(asked).filter(|(tid, ..)| *tid != walker) {
        let words = bytes.as_chunks::<8>().0.iter().zip(0u64..);
        let words = words.map(|(word, i)| (tid, start.wrapping_add(i * 8), u64::from_le_bytes(*word)));
        found.extend(words.filter(|(_, _, to)| blocks.contains(to)));
    }
    found
}

/// Whether the thread is in a call of `free`, and an address in its stack belongs to that call.
fn is_in_free(trace: &ThreadTrace, at: u64) -> bool {
    let frees = |name: &str| {
        let plain = name.split('@').next().unwrap_or(name).trim_start_matches('_');
        FREE.contains(&plain) || name.starts_with("operator delete")
    };
    let entry = trace.frames.iter().find(|f| f.entry && f.function.as_deref().is_some_and(frees));
    entry.and_then(|frame| frame.cfa).is_some_and(|cfa| at < cfa)
}
