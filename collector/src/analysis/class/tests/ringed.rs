//! Rings in lists, and what is said of them.

use super::*;
use crate::analysis::words::Cause;
use crate::session::trace::{Loop, Ring};
use crate::text::message::Lang;

/// Three blocks, read twice.
fn three() -> Ring {
    Ring {
        nodes: 3,
        addresses: vec![0x1000, 0x2000, 0x3000],
        next: Some(0),
        again: true,
        within: vec![Some("heap".to_owned()), None, None],
        ..Ring::default()
    }
}

/// The finding of a thread that walks a ring.
fn walked(ring: Ring) -> Finding {
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(40));
    make.traces.loops.insert(101, Loop { ring: Some(ring), ..Loop::default() });
    make.analyse()
}

fn says(ring: Ring) -> String {
    let found = walked(ring).list_ring.expect("a ring");
    Lang::ALL.map(|lang| found.summary.text(lang).to_owned()).join("\n")
}

#[test]
fn a_ring_has_its_blocks_and_what_points_to_them() {
    let ring = Ring {
        head: Some("bin[4].free".to_owned()),
        size: Some(64),
        pointed: vec![(0x1000, "bin+32".to_owned()), (0x2000, "stack of tid 103".to_owned())],
        freed: vec![(0x2000, 103)],
        ..three()
    };
    let found = walked(ring);
    assert_eq!((found.class, found.cause), (Class::Runaway, Some(Cause::ListRing)));
    let one = found.list_ring.as_ref().expect("a ring");
    assert_eq!((one.tid, one.nodes, one.next, one.both_looks), (101, 3, Some(0), true));
    assert_eq!((one.function.as_deref(), one.source.as_deref()), (Some("foo_refill"), Some("foo.c:87")));
    assert_eq!(one.blocks.iter().map(|block| block.size).collect::<Vec<_>>(), [Some(64); 3]);
    assert_eq!(
        (&one.blocks[1].pointed_by[..], &one.blocks[1].freed_by[..]),
        (&["stack of tid 103".to_owned()][..], &[103][..])
    );
    let why = found.said.iter().skip(2).flat_map(|why| Lang::ALL.map(|lang| why.text(lang)));
    insta::assert_snapshot!(why.collect::<Vec<_>>().join("\n"), @r"
    the list that tid 101 walks in `foo_refill` leads back into itself after 3 nodes (dump_outside.bin)
    tid 101 が `foo_refill` でたどるリストは 3 ノードで元に戻る (dump_outside.bin)
    read from memory: the list at `bin[4].free` is a ring of 3 blocks, next at +0: 0x1000 -> 0x2000 -> 0x3000 -> 0x1000 (threads.json)
    メモリの読み取り結果: `bin[4].free` のリストは 3 ブロックの輪 (次へのポインタは +0): 0x1000 -> 0x2000 -> 0x3000 -> 0x1000 (threads.json)
    block 0x1000 of the ring is also pointed to by bin+32 (threads.json)
    輪のブロック 0x1000 を指すほかのもの: bin+32 (threads.json)
    block 0x2000 of the ring is also pointed to by stack of tid 103 (threads.json)
    輪のブロック 0x2000 を指すほかのもの: stack of tid 103 (threads.json)
    tid 103 is in free(), and its stack in that call has block 0x2000 of the ring (threads.json)
    tid 103 は free() の中にあり、その呼び出しのスタックに輪のブロック 0x2000 がある (threads.json)
    ");
}

#[test]
fn a_ring_is_said_as_far_as_it_was_read() {
    let all = [
        three(),
        Ring { nodes: 1, addresses: vec![0x1000], ..three() },
        Ring { nodes: 5000, next: Some(-8), ..three() },
        Ring { before: 2, head: Some("g_bins[4]".to_owned()), ..three() },
        // One look.
        Ring { again: false, ..three() },
        // The followed code alone shows no offset.
        Ring { again: false, next: None, ..three() },
    ];
    insta::assert_snapshot!(all.map(says).join("\n"), @r"
    the list that tid 101 walks is a ring of 3 blocks, next at +0: 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    tid 101 がたどるリストは 3 ブロックの輪 (次へのポインタは +0): 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    the list that tid 101 walks is a ring of 1 block, next at +0: 0x1000 -> 0x1000
    tid 101 がたどるリストは 1 ブロックの輪 (次へのポインタは +0): 0x1000 -> 0x1000
    the list that tid 101 walks is a ring of 5000 blocks, next at -8: 0x1000 -> 0x2000 -> 0x3000 -> ... -> 0x1000
    tid 101 がたどるリストは 5000 ブロックの輪 (次へのポインタは -8): 0x1000 -> 0x2000 -> 0x3000 -> ... -> 0x1000
    the list at `g_bins[4]` leads, after 2 blocks, into a ring of 3 blocks, next at +0: 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    `g_bins[4]` のリストは 2 ブロックの後、3 ブロックの輪に入る (次へのポインタは +0): 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    likely, from one reading: the list that tid 101 walks is a ring of 3 blocks, next at +0: 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    1 回の読み取りによる推定: tid 101 がたどるリストは 3 ブロックの輪 (次へのポインタは +0): 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    likely, from one reading: the list that tid 101 walks is a ring of 3 blocks: 0x1000 -> 0x2000 -> 0x3000 -> 0x1000
    1 回の読み取りによる推定: tid 101 がたどるリストは 3 ブロックの輪 (順に 0x1000 -> 0x2000 -> 0x3000 -> 0x1000)
    ");
}

#[test]
fn a_ring_that_nobody_walks_is_no_cause() {
    let mut make = Make::new();
    make.runs(101, 0.9, LOOP, Sampled::OneCall(40));
    make.traces.rings = vec![Ring { head: Some("g_bins[4]".to_owned()), ..three() }];
    let found = make.analyse();
    let ring = found.list_ring.as_ref().expect("a ring");
    assert_eq!((ring.tid, ring.head.as_deref(), found.cause), (0, Some("g_bins[4]"), None));
    assert_eq!((found.class, found.confidence), (Class::Runaway, Confidence::Proven));
}
