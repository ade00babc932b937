//! Programs behind a launcher. Its hello proves nothing about them.

use super::{Allocator, BUG, Kind};

/// The program has libc's malloc, and hangs by itself.
const WITHOUT: Kind = Kind {
    kind: 1,
    source: "launched.c",
    allocator: Allocator::Debian("libmimalloc.so.2"),
    status: 30,
    verdict: "inconclusive",
    class: Some("unknown"),
    confidence: "likely",
    says: &["not proven to run the DSO", "no hello"],
    never: &["SHA-1", "pinned DSO intact"],
    ..BUG
};

pub(super) const ROWS: &[Kind] = &[
    Kind { name: "launched_flock", launcher: &["flock", "/usr", "env", "-i"], ..WITHOUT },
    Kind { name: "launched_timeout", launcher: &["timeout", "60", "env", "-i"], ..WITHOUT },
    Kind {
        kind: 1,
        name: "launched_with_dso",
        source: "abba.c",
        // Another file than that of the other row: a test must not wait for another.
        launcher: &["flock", "/var"],
        class: Some("deadlock"),
        says: &["page_lock"],
        ..BUG
    },
];
