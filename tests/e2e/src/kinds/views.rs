//! What keeps a look at a process from seeing it: another PID namespace, a main thread that ended, rights that
//! were given up, memory that never comes.

use super::{BUG, Kind};

const ABBA: Kind = Kind { source: "abba.c", class: Some("deadlock"), says: &["page_lock"], ..BUG };

pub(super) const ROWS: &[Kind] = &[
    Kind {
        kind: 3,
        name: "other_namespace",
        launcher: &["unshare", "-pf", "--mount-proc"],
        needs: &["unshare", "-pf", "--mount-proc", "true"],
        ..ABBA
    },
    Kind {
        kind: 3,
        name: "proc_of_another_namespace",
        launcher: &["unshare", "-pf"],
        needs: &["unshare", "-pf", "true"],
        ..ABBA
    },
    Kind {
        kind: 7,
        name: "page_never_served",
        source: "page_never_served.c",
        needs: &["PROGRAM", "possible"],
        class: Some("owner-spinning"),
        // Nobody can read who holds the lock.
        confidence: "likely",
        culprit: Some("find_span"),
        ..BUG
    },
    Kind { kind: 9, name: "main_left", source: "main_left.c", ..ABBA },
    Kind {
        kind: 9,
        name: "main_ended_with_lock",
        source: "main_ended_with_lock.c",
        class: Some("owner-gone"),
        lock: Some("heap_lock"),
        owner: Some("keeper"),
        says: &["is no longer a thread of the process"],
        ..BUG
    },
    Kind {
        kind: 12,
        name: "dropped_rights",
        source: "dropped_rights.c",
        needs: &["PROGRAM", "possible"],
        ..ABBA
    },
];
