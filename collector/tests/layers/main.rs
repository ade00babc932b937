//! Imports run one way: between the rooms of a crate, and between the files of a room. The test reads the
//! text of the sources. Test code does not count.

mod check;
mod source;

use std::path::Path;

use check::{Crate, check};

/// The collector's rooms, lowest first. A room may import rooms of earlier lines only.
const COLLECTOR: &[&[&str]] = &[
    &["text"],
    &["files", "proc", "console"],
    &["session"],
    &["listen", "symbolize"],
    &["analysis"],
    &["profile"],
    &["capture"],
    &["evidence"],
    &["stir"],
    &["launch", "shard"],
    &["history", "live"],
    &["report"],
    &["snap"],
    &["timeout"],
    &["verify"],
    &["hunt"],
    &["collect"],
    &["matrix"],
    &["shrink", "bisect"],
    &["night", "merge", "top"],
    &["cli"],
];

/// The shim's rooms.
const SHIM: &[&[&str]] = &[
    &["arch", "limits", "text"],
    &["sys"],
    &["host", "config"],
    &["link"],
    &["signal"],
    &["stir"],
    &["arena"],
    &["watchdog"],
    &["init"],
];

/// Files below a folder: path and text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder).expect("below it").to_str().expect("UTF-8").to_owned();
                found.push((name, std::fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    found.sort();
    found
}

fn assert_one_way(of: &Crate<'_>) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let files = files(&workspace.join(of.root));
    assert!(files.len() > 20, "{} has {} files", of.root, files.len());
    let faults = check(of, &files);
    assert!(faults.is_empty(), "imports that run back:\n{}\n", faults.join("\n"));
}

#[test]
fn the_collectors_imports_run_one_way() {
    assert_one_way(&Crate { root: "collector/src", layers: COLLECTOR, most_at_root: 6 });
}

#[test]
fn the_shims_imports_run_one_way() {
    assert_one_way(&Crate { root: "shim/src", layers: SHIM, most_at_root: 8 });
}

/// What is wrong in a made-up tree with the rooms `low`, `middle` and `side` (one layer), and `high`.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let of = Crate { root: "src", layers: &[&["low"], &["middle", "side"], &["high"]], most_at_root: 2 };
    let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    check(&of, &files)
}

#[test]
fn a_room_may_import_earlier_rooms_only() {
    let rooms = |middle: &str| {
        let rest = [
            ("low/mod.rs", "pub struct L;"),
            ("side/mod.rs", ""),
            ("high/mod.rs", "pub mod x;"),
            ("high/x.rs", ""),
        ];
        faults(&[&rest[..], &[("middle/mod.rs", "mod y;"), ("middle/y.rs", middle)]].concat())
    };
    assert_eq!(
        rooms("use crate::low::L;\nuse std::io;\nuse serde::Serialize;\nuse crate::middle::y;"),
        [""; 0]
    );
    let back = "src/middle/y.rs:2: middle may not import high (high is a later layer); move what both need into an \
                earlier room, or this code into a later one";
    assert_eq!(rooms("\nuse crate::high::x::X;"), [back]);
    assert_eq!(rooms("\nfn f() -> crate::high::x::X { todo!() }"), [back]);
    assert_eq!(rooms("\nfn f() { super::super::high::x::f() }"), [back]);
    assert_eq!(rooms("\npub(super) use crate::high as h;"), [back]);
    assert_eq!(rooms("\nmacro_rules! m { () => { $crate::high::x::f() } }"), [back]);
    let side = rooms("use crate::side;");
    assert!(
        side[0].starts_with("src/middle/y.rs:1: middle may not import side (they are in one layer)"),
        "{side:?}"
    );
}

#[test]
fn a_room_without_a_layer_and_a_full_root_are_named() {
    let of = faults(&[("lib.rs", ""), ("low/mod.rs", "use crate::new::X;"), ("new.rs", "")]);
    assert_eq!(
        of,
        ["src/low/mod.rs:1: new has no layer; give it one in the table of collector/tests/layers/main.rs"]
    );
    let root = faults(&[("a.rs", ""), ("b.rs", ""), ("lib.rs", "mod a; mod b;"), ("tests.rs", "")]);
    assert_eq!(
        root,
        ["src: 3 files at the root, at most 2 may be (a.rs, b.rs, lib.rs); move some into rooms"]
    );
}

#[test]
fn files_of_a_room_may_not_import_each_other() {
    let circle = faults(&[
        ("low/mod.rs", "mod a; mod b; mod c; mod d;\npub use a::A;"),
        ("low/a.rs", "use super::b::B;"),
        ("low/b.rs", "\nuse std::fs;\nuse crate::low::c::{\n    deep::C,\n};"),
        ("low/c/mod.rs", "pub mod deep;"),
        // Through the re-export.
        ("low/c/deep.rs", "use crate::low::A;"),
        ("low/d.rs", "use super::{a::A, b, c::deep};"),
    ]);
    assert_eq!(circle.len(), 3, "{circle:#?}");
    assert_eq!(
        circle[0],
        "src/low/a.rs:1: a circle: a imports b, b imports c, c imports a; move what they share into a file of its own \
         that imports none of them"
    );
    assert!(circle[1].starts_with("src/low/b.rs:4: a circle: b imports c"), "{circle:#?}");
    assert!(circle[2].starts_with("src/low/c/deep.rs:1: a circle: c imports a"), "{circle:#?}");
}

#[test]
fn a_file_may_not_import_what_its_mod_rs_defines() {
    let room = |child: &str| {
        let own = "mod child; mod other;\npub struct Thing;\npub use other::{Other, Second as Renamed};";
        faults(&[("low/mod.rs", own), ("low/child.rs", child), ("low/other.rs", "")])
    };
    let up = "src/low/child.rs:1: child may not import Thing from the mod.rs of low, which stands above it; move Thing into \
              a file of its own in low and re-export it from mod.rs";
    assert_eq!(room("use super::Thing;"), [up]);
    assert_eq!(room("use crate::low::{Other, Thing};"), [up]);
    assert_eq!(room("fn f(_: super::Thing) {}"), [up]);
    assert_eq!(room("const T: u8 = super::Thing::LEN;"), [up]);
    // Of a module inside the file, `super` is the file.
    assert_eq!(room("struct Own;\nmod inner {\n    use super::Own;\n}"), [""; 0]);
    assert_eq!(room("mod inner { use super::super::Thing; }"), [up]);
    assert_eq!(room("use super::{Other, Renamed, other::Third};"), [""; 0]);
    assert_eq!(room("pub(in super::super) struct X;\npub(super) struct Y;"), [""; 0]);
}

#[test]
fn groups_are_read_over_several_lines() {
    let of = faults(&[
        (
            "low/mod.rs",
            "mod x;\nuse crate::{\n    low::{self as own, x::{A, B}},\n    // A comment.\n    high::{\n        y::Y,\n        z::*,\n    },\n};",
        ),
        ("low/x.rs", ""),
        ("high/mod.rs", ""),
        ("high/y.rs", ""),
        ("high/z.rs", ""),
    ]);
    let lines: Vec<&str> = of.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(lines, ["src/low/mod.rs:6", "src/low/mod.rs:7"]);
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    let low = r##"
        //! use crate::high::A; [`crate::high::B`]
        /* use crate::high::C; /* nested */ use crate::high::D; */
        const A: &str = "use crate::high::E; \" crate::high::F";
        const B: &str = r#"" use crate::high::G;"#;
        const C: [char; 3] = ['"', '\'', '\u{2764}'];
        const D: &[u8] = b"crate::high::H";
        fn life<'a>(text: &'a str) -> impl Sized + use<'a> { text }
        #[cfg(test)]
        use crate::high::I;
        #[cfg(test)]
        mod tests {
            use crate::high::J;
            fn f() { crate::high::k() }
        }
        #[cfg(test)]
        #[must_use]
        fn g() -> u8 { crate::high::l([1; 2]) }
    "##;
    let nothing: &[&str] = &[];
    let tests = [
        ("low/tests.rs", "use crate::high::X;"),
        ("low/tests/a.rs", "use crate::high::X;"),
        ("testkit/mod.rs", "use crate::high::X;"),
    ];
    let rooms = |end: &str| {
        let low = format!("{low}{end}");
        faults(&[&tests[..], &[("low/mod.rs", &*low), ("high/mod.rs", "")]].concat())
    };
    assert_eq!(rooms(""), nothing);
    // And it was read to its end.
    assert_eq!(rooms("use crate::high::Z;").len(), 1);
}
