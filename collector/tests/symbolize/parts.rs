//! The DSOs that make up an allocator, and those that do not.

use std::collections::BTreeMap;

use super::support::{Stuck, build};
use hangscope_collector::session::trace::{Frame, Membership, Traces};
use hangscope_collector::symbolize::symbolize;

/// The frame of a function, on the stack that also has `outward`.
fn frame<'t>(traces: &'t Traces, function: &str, outward: &str) -> &'t Frame {
    let is = |name: &str, f: &Frame| f.function.as_deref() == Some(name);
    let stack = traces
        .threads
        .values()
        .find(|t| t.frames.iter().any(|f| is(function, f)) && t.frames.iter().any(|f| is(outward, f)));
    let frames = &stack.unwrap_or_else(|| panic!("{function} under {outward}: {traces:#?}")).frames;
    frames.iter().find(|f| is(function, f)).expect("found above")
}

#[test]
fn parts_of_an_allocator_are_known_by_need_and_by_call() {
    let dir = tempfile::tempdir().unwrap();
    let here = format!("-Wl,-rpath,{}", dir.path().display());
    let library = |name: &str, part: &str, more: &[&str]| {
        let flags = [&["-g", "-O1", "-fno-builtin", "-fPIC", "-shared", "-pthread", part][..], more].concat();
        build(dir.path(), "gcc", "parts.c", name, &flags)
    };
    let text = |path: &std::path::Path| path.display().to_string();
    let common = text(&library("libcommon.so", "-DCOMMON", &[]));
    let core = text(&library("libcore.so", "-DCORE", &[&common, &here]));
    let front = text(&library("libfront.so", "-DFRONT", &[&core, &here]));
    let plugin = text(&library("libplugin.so", "-DPLUGIN", &[]));
    let interposer = text(&library("libinterposer.so", "-DINTERPOSER", &[]));
    let flags = ["-g", "-O1", "-fno-builtin", "-pthread", &common, &interposer, &here];
    let program = build(dir.path(), "gcc", "parts.c", "program", &flags);
    let stuck = Stuck::start_with(&program, Some(&front), 0, &[("PLUGIN", &plugin)]);
    let dump = stuck.snap(false);
    let traces = symbolize(&dump, &stuck.sources());

    let parts: BTreeMap<&str, Membership> =
        traces.allocator.iter().map(|dso| (&*dso.path, dso.membership)).collect();
    let expected = BTreeMap::from([
        (&*front, Membership::Whole),
        (&*core, Membership::Whole),
        (&*common, Membership::Shared),
        (&*plugin, Membership::Unproven),
    ]);
    assert_eq!(parts, expected);
    assert_eq!(traces.allocator[0].path, front, "the one with malloc comes first");
    assert!(frame(&traces, "core_alloc", "ask").in_allocator);
    assert!(frame(&traces, "common_wait", "core_alloc").in_allocator);
    assert!(!frame(&traces, "common_wait", "wait_too").in_allocator);
    assert!(!frame(&traces, "plugin_wait", "ask").in_allocator);
}
