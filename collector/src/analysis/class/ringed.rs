//! A list that leads back into itself, as evidence.

use super::case::Case;
use crate::analysis::list_ring::{ListRing, RingBlock};
use crate::analysis::scene::{Scene, Thread};
use crate::analysis::stack;
use crate::analysis::why::Why;
use crate::session::trace::Ring;
use crate::text::message::{Say as _, Text, messages, say};

/// Most blocks of a sentence.
const MOST_SAID: usize = 3;
/// Most threads and words of a sentence.
const MOST_NAMED: usize = 4;

messages! {
    /// A ring in a list, in one sentence.
    pub(crate) RingSays {
        At { head } => "the list at `{head}`", "`{head}` のリスト";
        Walked { tid } => "the list that tid {tid} walks", "tid {tid} がたどるリスト";
        Is { list, nodes: "block", way } => "{list} is a ring of {nodes}{way}", "{list}は {nodes} ブロックの輪{way}";
        Into { list, before: "block", nodes: "block", way } => "{list} leads, after {before}, into a ring of {nodes}{way}",
            "{list}は {before} ブロックの後、{nodes} ブロックの輪に入る{way}";
        Next { offset, way } => ", next at {offset}: {way}", " (次へのポインタは {offset}): {way}";
        Way { way } => ": {way}", " (順に {way})";
        Once { ring } => "likely, from one reading: {ring}", "1 回の読み取りによる推定: {ring}";
    }
}

/// The ring that the culprit walks; else one that another thread walks in the allocator; else one at a head
/// that a profile names.
pub(super) fn of(scene: &Scene<'_>, case: &Case) -> Option<ListRing> {
    let ring_of =
        |thread: &Thread<'_>| scene.traces.loops.get(&thread.tid()).and_then(|one| one.ring.as_ref());
    let culprit = case.culprit.and_then(|tid| scene.threads.get(&tid));
    let inside = || scene.all().filter(|t| t.runs() && t.inside == Some(true));
    let walker = culprit.into_iter().chain(inside()).find_map(|t| Some((Some(t), ring_of(t)?)));
    let (thread, ring) = walker.or_else(|| Some((None, scene.traces.rings.first()?)))?;
    let frame = thread.and_then(|t| stack::telling_frame(t.frames(), scene.is));
    Some(ListRing {
        tid: thread.map_or(0, Thread::tid),
        function: frame.and_then(stack::name),
        source: frame.and_then(super::case::source),
        nodes: ring.nodes,
        next: ring.next,
        head: ring.head.clone(),
        both_looks: ring.again,
        summary: summary(thread.map(Thread::tid), ring),
        blocks: ring.addresses.iter().enumerate().map(|(i, at)| block(ring, i, *at)).collect(),
    })
}

/// What the ring shows, for the evidence.
pub(super) fn why(ring: &ListRing) -> Vec<Why> {
    let mut why = vec![say!(Why::RingIs { ring: &ring.summary })];
    for block in ring.blocks.iter().filter(|block| !block.pointed_by.is_empty()).take(MOST_NAMED) {
        let names: Vec<&str> = block.pointed_by.iter().take(MOST_NAMED).map(String::as_str).collect();
        why.push(say!(Why::RingPointed { block: &block.address, names: names.join(", ") }));
    }
    for block in ring.blocks.iter().filter(|block| !block.freed_by.is_empty()).take(MOST_NAMED) {
        let tids: Vec<String> = block.freed_by.iter().take(MOST_NAMED).map(u32::to_string).collect();
        why.push(say!(Why::RingFreed { tids: tids.join(", "), block: &block.address }));
    }
    why
}

fn block(ring: &Ring, index: usize, at: u64) -> RingBlock {
    let of = |(block, name): &(u64, String)| (*block == at).then(|| name.clone());
    RingBlock {
        address: format!("{at:#x}"),
        within: ring.within.get(index).cloned().flatten(),
        size: ring.size,
        pointed_by: ring.pointed.iter().filter_map(of).collect(),
        freed_by: ring.freed.iter().filter(|(block, _)| *block == at).map(|(_, tid)| *tid).collect(),
    }
}

fn summary(tid: Option<u32>, ring: &Ring) -> Text {
    let list = match (&ring.head, tid) {
        (Some(head), _) => say!(RingSays::At { head }).said(),
        (None, tid) => say!(RingSays::Walked { tid: tid.unwrap_or(0) }).said(),
    };
    let way = way(ring);
    let way = match ring.next {
        Some(next) => say!(RingSays::Next { offset: format!("{next:+}"), way }).said(),
        None => say!(RingSays::Way { way }).said(),
    };
    let nodes = ring.nodes;
    let says = match ring.before {
        0 => say!(RingSays::Is { list, nodes, way }).said(),
        before => say!(RingSays::Into { list, before, nodes, way }).said(),
    };
    if ring.again { says } else { say!(RingSays::Once { ring: says }).said() }
}

/// `0x7f10 -> 0x7f50 -> 0x7f10`.
fn way(ring: &Ring) -> String {
    let all = ring.nodes as usize;
    // A few blocks are said in full.
    let shown = if all <= MOST_SAID + 1 { all } else { MOST_SAID };
    let mut way: Vec<String> = ring.addresses.iter().take(shown).map(|at| format!("{at:#x}")).collect();
    if way.len() < all {
        way.push("...".to_owned());
    }
    way.extend(ring.addresses.first().map(|at| format!("{at:#x}")));
    way.join(" -> ")
}
