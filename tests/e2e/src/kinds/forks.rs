//! Allocators of several DSOs, and locks over fork and vfork.

use super::{BUG, Core, HARNESS, Kind};

const FRONT: Kind = Kind {
    kind: 5,
    source: "front.c",
    class: Some("owner-spinning"),
    lock: Some("core_lock"),
    owner: Some("owner"),
    culprit: Some("core_alloc"),
    ..BUG
};

const INHERITED: Kind = Kind {
    kind: 14,
    source: "fork_inherited.c",
    class: Some("owner-gone"),
    cause: Some("fork-inherited"),
    says: &["a thread of the parent, held when it forked"],
    ..BUG
};

const VFORK: Kind = Kind {
    kind: 14,
    source: "vfork_ring.c",
    class: Some("deadlock"),
    says: &["heap_lock", "vfork"],
    ..HARNESS
};

pub(super) const ROWS: &[Kind] = &[
    Kind { name: "front_jumps", core: Core::Needed, flags: &["-O2"], ..FRONT },
    Kind { name: "front_calls", core: Core::Needed, flags: &["-O0"], ..FRONT },
    Kind { name: "front_opens", core: Core::Opened, flags: &["-O2", "-DOPENED"], ..FRONT },
    Kind {
        name: "front_opens_linker_calls",
        core: Core::Opened,
        flags: &["-O2", "-DOPENED"],
        args: &["create"],
        ..FRONT
    },
    Kind { name: "fork_heap_lock", args: &["heap"], ..INHERITED },
    Kind { name: "fork_table_lock", args: &["table"], verdict: "harness-bug", ..INHERITED },
    Kind { name: "vfork_held", args: &["held"], lock: Some("heap_lock"), owner: Some("starter"), ..VFORK },
    Kind {
        name: "vfork_event",
        args: &["event"],
        lock: Some("heap_lock"),
        owner: Some("holder"),
        confidence: "likely",
        ..VFORK
    },
];
