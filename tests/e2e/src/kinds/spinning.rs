//! Threads that spin without a wait in the kernel; lists that are rings; requests for memory that fail.

use super::{Allocator, BUG, HARNESS, Kind};

const SPIN: Kind =
    Kind { kind: 17, source: "spin_word.c", confidence: "likely", culprit: Some("scan_pages"), ..BUG };

const RING: Kind = Kind {
    kind: 11,
    source: "list_ring.c",
    class: Some("owner-spinning"),
    cause: Some("list-ring"),
    confidence: "likely",
    lock: Some("heap_lock"),
    owner: Some("owner"),
    culprit: Some("find_fit"),
    says: &["back into itself", "double free"],
    ..BUG
};

const NO_MEMORY: Kind = Kind {
    kind: 18,
    cause: Some("enomem-retry"),
    says: &["RLIMIT_AS"],
    never: &["allocator bug"],
    ..HARNESS
};

pub(super) const ROWS: &[Kind] = &[
    Kind {
        kind: 17,
        name: "try_lock",
        source: "try_lock.c",
        class: Some("owner-spinning"),
        lock: Some("span_lock"),
        owner: Some("owner"),
        culprit: Some("carve_span"),
        ..BUG
    },
    Kind {
        name: "spin_word_with_tid",
        args: &["cas"],
        class: Some("owner-spinning"),
        lock: Some("page_word"),
        owner: Some("owner"),
        confidence: "proven",
        ..SPIN
    },
    Kind {
        name: "spin_ticket",
        args: &["ticket"],
        class: Some("owner-spinning"),
        lock: Some("page_word+8"),
        ..SPIN
    },
    Kind {
        name: "spin_forgotten",
        args: &["forgot"],
        class: Some("owner-left"),
        lock: Some("page_word"),
        owner: Some("owner"),
        culprit: Some("worker"),
        ..SPIN
    },
    Kind {
        name: "queue_lock",
        source: "queue_lock.c",
        args: &["queue"],
        class: Some("owner-spinning"),
        culprit: Some("split_run"),
        says: &["3 threads spin in the allocator"],
        ..SPIN
    },
    Kind {
        name: "sequence_left",
        source: "queue_lock.c",
        args: &["sequence"],
        class: Some("owner-left"),
        lock: Some("sequence"),
        owner: Some("owner"),
        culprit: Some("worker"),
        ..SPIN
    },
    Kind { name: "ring_double_free", args: &["twice"], ..RING },
    Kind { name: "ring_write_after_free", args: &["write"], ..RING },
    Kind { name: "ring_of_the_allocator", args: &["own"], ..RING },
    Kind {
        name: "no_memory",
        source: "no_memory.c",
        allocator: Allocator::Debian("libjemalloc.so.2"),
        class: Some("outside-allocator"),
        culprit: Some("insist"),
        ..NO_MEMORY
    },
    Kind {
        name: "new_handler_frees_nothing",
        source: "new_handler_frees_nothing.cpp",
        allocator: Allocator::Debian("libtcmalloc_minimal.so.4"),
        class: Some("runaway"),
        confidence: "either",
        culprit: Some("main"),
        ..NO_MEMORY
    },
];
