//! A DSO that is removed or replaced while its program starts: between the loader's mapping of it and the
//! shim's first look at the file. The program is stopped at some moment there, so each run is another case.

use std::path::Path;

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{bench_with, children, file_names, has_mapped};
use hangscope_test_e2e::{Running, allocator, hangscope};
use serde_json::Value;

const FAULT: &str = "owner_spinning";

/// Hunts, stops the program as soon as `is_time` says so of its pid, changes the pinned file, and lets it go
/// on. Gives verdict.json.
fn hunt(out: &Path, is_time: impl Fn(u32) -> bool, change: fn(&Path)) -> Value {
    let mut hunt = hangscope();
    hunt.args(["hunt", "--hang-after", "1s", "--no-perf", "--verify-runs", "0", "--runs", "1", "--so"]);
    hunt.arg(allocator(FAULT))
        .arg("--out")
        .arg(out)
        .arg("--")
        .args(bench_with(Fault::named(FAULT).workload_args));
    let hunt = Running::start(&mut hunt);
    let program = loop {
        if let Some(pid) = children(hunt.pid()).into_iter().find(|pid| is_time(*pid)) {
            break pid;
        }
    };
    // SAFETY: kill takes two numbers. The program waits for nothing and stays: it hangs.
    let send = |signal| unsafe { libc::kill(program as i32, signal) };
    assert_eq!(send(libc::SIGSTOP), 0);
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    while !is_stopped() {
        std::thread::yield_now();
    }
    let pinned = file_names(out).into_iter().find(|name| name.ends_with(".so")).unwrap();
    change(&out.join(pinned));
    assert_eq!(send(libc::SIGCONT), 0);
    assert_eq!(hunt.wait().code(), Some(20));
    serde_json::from_slice(&std::fs::read(out.join("verdict.json")).unwrap()).unwrap()
}

fn remove(file: &Path) {
    std::fs::remove_file(file).unwrap();
}

/// The bytes stay the same: only maps tells.
fn replace(file: &Path) {
    let new = file.with_extension("new");
    std::fs::copy(file, &new).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[test]
fn it_is_seen_and_the_frames_have_names() {
    // The second one is the shim's. It starts before the snapshot is taken.
    let has_two_threads = |pid| file_names(Path::new(&format!("/proc/{pid}/task"))).len() > 1;
    for (change, integrity) in [(remove as fn(&Path), "deleted"), (replace, "replaced")] {
        for by_threads in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("out");
            let is_time = |pid| if by_threads { has_two_threads(pid) } else { has_mapped(pid, &out) };
            let verdict = hunt(&out, is_time, change);
            let seen = (&verdict["dso"]["integrity"], &verdict["dso"]["deleted_seen"]);
            assert_eq!(seen, (&integrity.into(), &true.into()), "by threads: {by_threads}");
            let function = Fault::named(FAULT).culprit_function.unwrap();
            assert_eq!(verdict["hangs"][0]["hot"]["function"], function, "{integrity}, {by_threads}");
        }
    }
}
