//! What is progress and what is not; waits that end.

use super::{BUG, HARNESS, Kind};

/// A ring of two threads in the allocator.
const RING: Kind = Kind {
    kind: 10,
    source: "interrupted.c",
    class: Some("deadlock"),
    says: &["bin_lock", "page_lock"],
    ..BUG
};

/// The run ends by itself, after its deadline.
const ENDS: Kind =
    Kind { kind: 15, source: "waits.c", status: 0, verdict: "not-hung", never: &["bug"], ..BUG };

/// Nothing but the program could end it.
const CLOSED: Kind = Kind { kind: 15, source: "waits.c", class: Some("outside-allocator"), ..HARNESS };

pub(super) const ROWS: &[Kind] = &[
    // A look may find a worker awake, on a machine that is busy: that proves less.
    Kind { name: "ring_under_signals", args: &["signals"], confidence: "either", ..RING },
    Kind { name: "ring_with_statistics", args: &["statistics"], ..RING },
    Kind { name: "ring_with_short_threads", args: &["churn"], ..RING },
    Kind { name: "ring_of_timed_locks", flags: &["-DTIMED"], ..RING },
    Kind {
        kind: 10,
        name: "renewed_for_ever",
        source: "renewed.c",
        class: Some("owner-left"),
        confidence: "likely",
        lock: Some("page_word"),
        owner: Some("keeper"),
        says: &["3 of 4 workers wait for", "page_lock", "left the allocator without a release"],
        never: &["looping"],
        ..BUG
    },
    Kind {
        kind: 8,
        name: "once_crossed",
        source: "once_crossed.c",
        class: Some("deadlock"),
        confidence: "likely",
        owner: Some("pages"),
        says: &["2 threads wait for each other", "sizes_begun", "pages_begun"],
        ..BUG
    },
    Kind {
        name: "sleep_ends",
        args: &["sleep"],
        class: Some("outside-allocator"),
        says: &["nothing here hangs", "clock_nanosleep (6 s)", "`main` (waits.c:"],
        ..ENDS
    },
    Kind {
        name: "poll_ends",
        args: &["poll"],
        class: Some("outside-allocator"),
        says: &["nothing here hangs", "poll", "(6 s)"],
        ..ENDS
    },
    Kind {
        name: "epoll_ends",
        args: &["epoll"],
        class: Some("outside-allocator"),
        says: &["nothing here hangs", "epoll_wait", "(6 s)"],
        ..ENDS
    },
    Kind { name: "pause_until_alarm", args: &["alarm"], class: Some("slow"), ..ENDS },
    Kind {
        name: "pipe_of_its_own",
        args: &["pipe"],
        says: &["read of fd 3 (pipe:", "whose other end only this process has"],
        ..CLOSED
    },
    Kind { name: "condition_never_signalled", args: &["condition"], says: &["condition"], ..CLOSED },
];
