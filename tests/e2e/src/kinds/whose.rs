//! Whose mistake it is: callbacks, signal handlers, forgotten releases.

use super::{BUG, HARNESS, Kind};

/// A function of the program that the allocator called.
const CALLBACK: Kind = Kind {
    kind: 4,
    source: "callback.c",
    cause: Some("callback"),
    lock: Some("heap_lock"),
    owner: Some("grower"),
    culprit: Some("record_growth"),
    says: &["`record_growth` (callback.c:", "a function of the benchmark that the allocator called"],
    never: &["B, allocator bug"],
    ..HARNESS
};

const FORGOTTEN: Kind = Kind {
    kind: 16,
    source: "forgotten.c",
    class: Some("owner-left"),
    lock: Some("page_lock"),
    owner: Some("owner"),
    culprit: Some("owner"),
    says: &["(take_pages, forgotten.c:", "left the allocator without a release"],
    never: &["looping in"],
    ..BUG
};

pub(super) const ROWS: &[Kind] = &[
    Kind { name: "callback_loops", args: &["loops"], class: Some("owner-spinning"), ..CALLBACK },
    Kind { name: "callback_reads", args: &["reads"], class: Some("owner-blocked"), ..CALLBACK },
    Kind {
        name: "callback_locks",
        args: &["locks"],
        class: Some("deadlock"),
        lock: Some("table_lock"),
        owner: Some("keeper"),
        culprit: Some("main"),
        ..CALLBACK
    },
    Kind {
        name: "callback_allocates",
        args: &["allocates"],
        class: Some("reentry"),
        culprit: None,
        ..CALLBACK
    },
    Kind {
        name: "interposed",
        source: "interposed.c",
        args: &[],
        class: Some("reentry"),
        lock: Some("count_lock"),
        owner: Some("counter"),
        culprit: Some("madvise"),
        says: &["`madvise` (interposed.c:", "a function of the benchmark that the allocator called"],
        ..CALLBACK
    },
    Kind {
        kind: 6,
        name: "handler_again",
        source: "handler.c",
        args: &["again"],
        class: Some("reentry"),
        cause: Some("signal-reentry"),
        lock: Some("heap_lock"),
        owner: Some("interrupted"),
        says: &["from the signal handler `on_alarm` (handler.c:"],
        never: &["B, allocator bug"],
        ..HARNESS
    },
    Kind {
        kind: 6,
        name: "handler_on_own_stack",
        source: "own_stack.c",
        class: Some("owner-blocked"),
        cause: Some("signal-reentry"),
        confidence: "likely",
        lock: Some("heap_lock"),
        owner: Some("interrupted"),
        culprit: Some("on_user"),
        says: &["stays in the signal handler `on_user` (own_stack.c:"],
        never: &["B, allocator bug"],
        ..HARNESS
    },
    Kind {
        kind: 6,
        name: "handler_stays",
        source: "handler.c",
        args: &["stays"],
        class: Some("owner-blocked"),
        cause: Some("signal-reentry"),
        confidence: "likely",
        lock: Some("heap_lock"),
        owner: Some("interrupted"),
        culprit: Some("on_alarm"),
        says: &["stays in the signal handler `on_alarm` (handler.c:"],
        never: &["B, allocator bug"],
        ..HARNESS
    },
    Kind {
        kind: 6,
        name: "jumps_out",
        source: "jumps_out.c",
        verdict: "inconclusive",
        class: Some("deadlock"),
        lock: Some("heap_lock"),
        owner: Some("jumper"),
        says: &["siglongjmp"],
        never: &["B, allocator bug", "more runs"],
        ..BUG
    },
    Kind { name: "forgotten_works", args: &["works"], ..FORGOTTEN },
    Kind { name: "forgotten_sleeps", args: &["sleeps"], ..FORGOTTEN },
    Kind {
        kind: 8,
        name: "at_exit",
        source: "at_exit.c",
        class: Some("deadlock"),
        lock: Some("heap_lock"),
        owner: Some("main"),
        says: &["waits for the end of tid", "`end` (at_exit.c:", "`purge_thread` (at_exit.c:"],
        ..BUG
    },
];
