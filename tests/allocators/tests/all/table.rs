//! The table is consistent, and agrees with the sources and with the built DSOs.

use std::collections::{BTreeSet, HashMap};

use hangscope_test_allocators::artifacts::{self, workspace};
use hangscope_test_allocators::{FAULTS, Fault, Hangs};
use object::{Object, ObjectSymbol, SymbolKind};

/// Every class that an analysis can find, as the analysis writes it.
pub(crate) const CLASSES: [&str; 12] = [
    "deadlock",
    "owner-spinning",
    "owner-blocked",
    "owner-gone",
    "lost-wakeup",
    "spin-wait",
    "livelock",
    "runaway",
    "kernel-wait",
    "outside-allocator",
    "slow",
    "unknown",
];
/// Every verdict that a hunt can have, with its letter.
const VERDICTS: [(&str, Option<&str>); 6] = [
    ("allocator-bug", Some("B")),
    ("dso-mixup", Some("A")),
    ("harness-bug", None),
    ("environment", None),
    ("not-reproduced", None),
    ("inconclusive", None),
];

#[test]
fn every_class_but_unknown_has_a_fault() {
    let have: BTreeSet<_> = FAULTS.iter().filter_map(|fault| fault.class).collect();
    let want: BTreeSet<_> = CLASSES.into_iter().filter(|class| *class != "unknown").collect();
    assert_eq!(have, want);
}

#[test]
fn rows_agree_with_themselves() {
    let names: BTreeSet<_> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(names.len(), FAULTS.len(), "a name occurs twice");
    for fault in FAULTS {
        let name = fault.name;
        assert!(
            VERDICTS.contains(&(fault.verdict, fault.letter)),
            "{name}: {} {:?}",
            fault.verdict,
            fault.letter
        );
        assert_eq!(fault.culprit_function.is_some(), fault.culprit_file.is_some(), "{name}");
        assert!(!fault.owner_known || fault.lock_symbol.is_some(), "{name}: an owner without a lock");
        match fault.hangs {
            // The deadline stops a slow run, so the run shows neither a hang nor an end.
            Hangs::Never if fault.class == Some("slow") => {
                assert_eq!(fault.verdict, "inconclusive", "{name}")
            }
            Hangs::Never => assert_eq!(fault.verdict, "not-reproduced", "{name}"),
            _ => assert!(fault.class.is_some() && fault.verdict != "not-reproduced", "{name}"),
        }
        assert_eq!(Fault::named(name).so, fault.so);
    }
}

#[test]
fn every_allocator_is_in_the_table() {
    let folder = workspace().join("tests/allocators/examples");
    let sources: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the examples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter_map(|name| name.strip_suffix(".rs").map(|stem| format!("lib{stem}.so")))
        .filter(|so| so.starts_with("libfault_"))
        .collect();
    let rows: BTreeSet<String> = FAULTS.iter().map(|fault| fault.so.to_owned()).collect();
    assert_eq!(sources, rows);
}

#[test]
fn culprits_are_marked_in_their_sources() {
    for fault in FAULTS {
        assert_eq!(fault.culprit_lines().is_some(), fault.culprit_function.is_some(), "{}", fault.name);
        if let Some(lines) = fault.culprit_lines() {
            assert!(!lines.is_empty() && *lines.end() - *lines.start() < 12, "{}: {lines:?}", fault.name);
        }
    }
}

#[test]
fn the_names_are_in_the_binaries() {
    for fault in FAULTS {
        let own = symbols(&fault.path());
        for function in
            ["malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "mid_malloc"]
        {
            assert_eq!(
                own.get(function).map(|symbol| symbol.kind),
                Some(SymbolKind::Text),
                "{}: {function}",
                fault.so
            );
        }
        let workload = symbols(&artifacts::workload());
        for function in fault.culprit_function.into_iter().chain(fault.waiter_function) {
            let symbol = own.get(function).or_else(|| workload.get(function));
            assert_eq!(
                symbol.map(|symbol| symbol.kind),
                Some(SymbolKind::Text),
                "{}: {function}",
                fault.name
            );
        }
        for lock in fault.lock_symbol.iter().chain(fault.also_locks) {
            let (name, offset) = lock.split_once('+').unwrap_or((lock, "0"));
            let symbol = &own[name];
            assert_eq!(symbol.kind, SymbolKind::Data, "{}: {name}", fault.name);
            assert!(offset.parse::<u64>().expect("an offset") < symbol.size, "{}: {lock}", fault.name);
        }
    }
}

pub(crate) struct Symbol {
    kind: SymbolKind,
    size: u64,
}

pub(crate) fn symbols(path: &std::path::Path) -> HashMap<String, Symbol> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = object::File::parse(&*bytes).expect("ELF");
    file.symbols()
        .filter(|symbol| symbol.is_definition())
        .map(|symbol| {
            let name = symbol.name().expect("a name").to_owned();
            (name, Symbol { kind: symbol.kind(), size: symbol.size() })
        })
        .collect()
}
