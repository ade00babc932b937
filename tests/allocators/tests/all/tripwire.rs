//! The tripwire aborts the process when the shim calls the allocator: directly, through libc, or on its own
//! thread. It ignores all other calls.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use crate::support::Running;
use hangscope_test_allocators::{Fault, artifacts};

/// Runs the benchmark under the naughty shim. Returns the signal that ended the benchmark, and its stderr.
fn run(fault: &str, naughty: &str, scan: &str) -> (Option<i32>, String) {
    let fault = Fault::named(fault);
    let folder = tempfile::tempdir().expect("a folder");
    let shim = folder.path().join("libhangscope.so");
    fs::copy(artifacts::allocator("libnaughty_shim.so"), &shim).expect("a copy");
    let preload = format!("{}:{}", shim.display(), fault.path().display());
    let environment =
        [("NAUGHTY", naughty), ("FAULT_SCAN_WORDS", scan), ("FAULT_EXPECT_SHIM", "1"), ("FAULT_ONE_IN", "0")];
    let mut running = Running::start_with(preload.as_ref(), fault, fault.workload_args, &environment);
    let status = running.finish();
    (status.signal(), running.text("err"))
}

#[test]
fn it_trips_on_every_way_to_call() {
    for fault in ["tripwire", "owner_stopped"] {
        for (naughty, scan, what) in [
            ("1", "0", "the shim called malloc from its code: tid "),
            ("2", "64", "the shim called malloc from its code, by way of another library: tid "),
            ("3", "0", "the shim called malloc from its thread: tid "),
        ] {
            let (signal, stderr) = run(fault, naughty, scan);
            assert_eq!(signal, Some(libc::SIGABRT), "{fault} {naughty}: {stderr}");
            assert!(stderr.starts_with(&format!("tripwire: {what}")), "{fault} {naughty}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    }
}

#[test]
fn it_leaves_a_shim_alone_that_does_not_call() {
    for scan in ["0", "64"] {
        let (signal, stderr) = run("tripwire", "0", scan);
        assert_eq!((signal, stderr.as_str()), (None, ""));
    }
}

#[test]
fn it_can_insist_on_a_shim() {
    let mut running = Running::start(Fault::named("tripwire"), &[("FAULT_EXPECT_SHIM", "1")]);
    assert_eq!(running.finish().signal(), Some(libc::SIGABRT));
    assert_eq!(running.text("err"), "tripwire: no libhangscope.so in this process\n");
}
