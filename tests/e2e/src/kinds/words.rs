//! What a futex word belongs to: one object, one kind, its owner where there is one.

use super::{BUG, Kind};

pub(super) const ROWS: &[Kind] = &[
    Kind {
        kind: 2,
        name: "own_lock",
        source: "own_futex.c",
        args: &["lock"],
        class: Some("owner-spinning"),
        confidence: "likely",
        lock: Some("span_lock"),
        culprit: Some("carve_span"),
        ..BUG
    },
    Kind {
        kind: 2,
        name: "own_event",
        source: "own_futex.c",
        args: &["event"],
        verdict: "inconclusive",
        class: Some("unknown"),
        confidence: "likely",
        says: &["wait for futex (waits while the value is 0) `span_ready`", "read of fd"],
        never: &["more runs", "stacks of the stuck threads"],
        ..BUG
    },
    Kind {
        kind: 8,
        name: "once_twice",
        source: "once_twice.c",
        class: Some("deadlock"),
        lock: Some("heap_once"),
        owner: Some("first"),
        says: &["which it holds itself", "`ensure_heap` (once_twice.c:"],
        ..BUG
    },
    Kind {
        kind: 8,
        name: "shared_lock_kept",
        source: "shared_lock.c",
        verdict: "inconclusive",
        class: Some("owner-blocked"),
        cause: Some("process-shared"),
        confidence: "likely",
        says: &["(keeper) of another process, pid ", "which sleeps"],
        never: &["no longer a thread", "more runs"],
        ..BUG
    },
    Kind {
        kind: 8,
        name: "shared_lock_killed",
        source: "shared_lock.c",
        args: &["killed"],
        verdict: "inconclusive",
        class: Some("owner-gone"),
        cause: Some("process-shared"),
        says: &["no thread of any process any more"],
        never: &["more runs"],
        ..BUG
    },
    Kind {
        kind: 13,
        name: "read_lock_left",
        source: "read_lock_left.c",
        class: Some("owner-gone"),
        confidence: "likely",
        lock: Some("page_lock"),
        says: &["4 of 4 workers wait for read-write lock (held by 1 reader) `page_lock`"],
        ..BUG
    },
    Kind {
        kind: 13,
        name: "readers_overlap",
        source: "readers_overlap.c",
        class: Some("owner-blocked"),
        confidence: "likely",
        lock: Some("page_lock"),
        says: &["waits for read-write lock (held by ", "readers that overlap may starve the writer"],
        ..BUG
    },
    Kind {
        kind: 13,
        name: "inheriting_twice",
        source: "inheriting_twice.c",
        class: Some("deadlock"),
        lock: Some("heap_lock"),
        owner: Some("twice"),
        confidence: "likely",
        says: &["held by tid ", "that the kernel refused"],
        ..BUG
    },
    Kind {
        kind: 13,
        name: "inheriting_ring",
        source: "abba.c",
        flags: &["-DINHERITING"],
        class: Some("deadlock"),
        confidence: "likely",
        says: &["held by tid ", "that the kernel refused"],
        ..BUG
    },
    Kind {
        kind: 13,
        name: "waits_for_many",
        source: "waits_for_many.c",
        class: Some("owner-spinning"),
        confidence: "likely",
        lock: Some("heap_word"),
        culprit: Some("find_span"),
        ..BUG
    },
];
