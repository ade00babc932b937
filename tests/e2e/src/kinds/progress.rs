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

/// Something outside the process may still end it.
const OPEN: Kind = Kind { kind: 15, source: "waits.c", class: Some("outside-allocator"), ..HARNESS };

pub(super) const ROWS: &[Kind] = &[
    Kind { name: "ring_under_signals", args: &["signals"], ..RING },
    Kind { name: "ring_with_statistics", args: &["statistics"], ..RING },
    Kind { name: "ring_with_short_threads", args: &["churn"], ..RING },
    Kind { name: "ring_of_timed_locks", flags: &["-DTIMED"], ..RING },
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
        says: &["nothing here hangs", "poll (6 s)"],
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
    Kind { name: "pipe_of_its_own", args: &["pipe"], confidence: "likely", ..OPEN },
    Kind { name: "condition_never_signalled", args: &["condition"], says: &["condition"], ..OPEN },
];
