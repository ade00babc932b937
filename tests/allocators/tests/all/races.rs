//! The table of the races agrees with the sources and with the built DSO.

use std::collections::BTreeSet;
use std::process::Command;

use hangscope_test_allocators::artifacts::{self, workspace};
use hangscope_test_allocators::races::{RACES, Race};

use crate::table::{CLASSES, symbols};

/// Files of the example that are no races.
const HELPERS: [&str; 4] = ["main", "pace", "pthread", "spans"];

#[test]
fn every_race_is_in_the_table() {
    let folder = workspace().join("tests/allocators/examples/races");
    let files: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("the races")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| !HELPERS.contains(&name.as_str()))
        .collect();
    let rows: BTreeSet<String> = RACES.iter().map(|race| race.name.to_owned()).collect();
    assert_eq!(files, rows);
    assert_eq!(rows.len(), RACES.len(), "a name occurs twice");
    let main = std::fs::read_to_string(folder.join("main.rs")).expect("the list of the allocator");
    for race in RACES {
        assert!(main.contains(&format!("name: c\"{}\"", race.name)), "{}", race.name);
        assert_eq!(race.env, [("RACE", race.name)]);
        assert_eq!(Race::named(race.name).file, race.file);
    }
}

#[test]
fn classes_are_words_of_the_class_table() {
    for race in RACES {
        assert!(!race.classes.is_empty(), "{}", race.name);
        for class in race.classes {
            assert!(CLASSES.contains(class), "{}: {class}", race.name);
        }
    }
}

#[test]
fn the_lines_of_each_race_are_marked() {
    for race in RACES {
        let lines = race.lines();
        assert!(!lines.is_empty(), "{}", race.name);
        for range in lines {
            assert!(!range.is_empty() && *range.end() - *range.start() < 24, "{}: {range:?}", race.name);
        }
    }
}

#[test]
fn each_race_has_functions_in_the_binary() {
    let own = symbols(&Race::path());
    for race in RACES {
        let prefix = format!("{}_", race.name);
        assert!(own.keys().any(|name| name.starts_with(&prefix)), "{}", race.name);
    }
}

#[test]
fn an_unknown_name_is_the_healthy_allocator() {
    for name in ["", "no_such_race"] {
        let output = Command::new(artifacts::workload())
            .args(RACES[0].workload_args)
            .env("LD_PRELOAD", Race::path())
            .env("RACE", name)
            .output()
            .expect("the benchmark starts");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.starts_with("threads=8 "), "{name}: {output:?}");
    }
}
