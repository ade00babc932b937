//! A process that goes on without its main thread. What `/proc/PID` no longer shows is read through
//! another thread.

use std::collections::BTreeSet;

use super::support::{JEMALLOC, Stuck, build};
use hangscope_collector::capture;
use hangscope_collector::profile::Profile;
use hangscope_collector::snap;
use hangscope_collector::symbolize::symbolize;
use hangscope_protocol::record::RangeRecord;

#[test]
fn a_process_whose_main_thread_has_left_is_seen_whole() {
    let dir = tempfile::tempdir().unwrap();
    let program = build(dir.path(), "gcc", "main_left.c", "main_left", &["-O1", "-g", "-pthread"]);
    let stuck = Stuck::start(&program, Some(JEMALLOC), 0);

    let dump = stuck.snap(false);
    let identity = &dump.identity;
    assert_eq!(
        (&identity.exe, &identity.command),
        (&program.display().to_string(), &vec![identity.exe.clone()])
    );
    assert_eq!((identity.fixed.pid, &*identity.ld_preload), (stuck.pid(), JEMALLOC));
    assert_eq!(dump.allocator().unwrap().path, JEMALLOC);
    assert!(dump.begin.rss_kib > 0);
    let states: Vec<_> = dump.threads.iter().map(|t| (t.tid == stuck.pid(), char::from(t.state))).collect();
    assert_eq!(states, [(true, 'Z'), (false, 'S')]);
    let range = RangeRecord { address: identity.fixed.malloc, len: 16, reserved: 0 };
    assert_eq!(snap::read(stuck.pid(), &[range])[0].bytes.len(), 16);

    let traces = symbolize(&dump, &stuck.sources());
    let functions: BTreeSet<_> =
        traces.threads[&dump.threads[1].tid].frames.iter().filter_map(|f| f.function.as_deref()).collect();
    assert!(functions.contains("stays"), "{functions:?}");

    let profile = Profile::plain("jemalloc");
    let options =
        capture::Options { name: "jemalloc", profile: &profile, dso: vec![JEMALLOC.into()], shim_tid: None };
    let outside = capture::outside(stuck.pid(), &options);
    assert_eq!((outside.threads.len(), outside.maps), (2, Ok(dump.maps.clone())));
    let environ = outside.files.iter().find(|(name, _)| name == "environ.txt").unwrap();
    assert_eq!(environ.1, Ok(format!("LD_PRELOAD={JEMALLOC}\n").into_bytes()));
}
