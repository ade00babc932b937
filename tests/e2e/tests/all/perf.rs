//! perf, and the samples that the shim takes: both name the code that
//! ran, even after its file was removed or replaced by another build.

use std::borrow::Cow;
use std::path::Path;
use std::process::{Command, Stdio};

use hangscope_collector::analysis::History;
use hangscope_collector::capture::{self, PerfOptions};
use hangscope_collector::console::cancel::Cancel;
use hangscope_collector::evidence::bundle::{Allocator, AllocatorBytes, Bundle, Contents, DumpFrames};
use hangscope_collector::listen::What;
use hangscope_collector::profile::Profile;
use hangscope_collector::{session, snap};
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::{Running, TestCollector, allocator, bench, output_parts, run};

/// Makes the bundle of a hang. `change` changes the file of the DSO
/// during the run. Returns perf's report and the folded samples.
fn bundle(change: impl FnOnce(&Path)) -> (String, String) {
    let fault = Fault::named("owner_spinning");
    let collector = TestCollector::new();
    let so = collector.dir.path().join("libhz9.so");
    std::fs::copy(allocator(fault.name), &so).expect("a copy");
    let mut command = Command::new(bench());
    command.args(fault.workload_args).env("HANGSCOPE_HANG_AFTER", "2s").stdin(Stdio::null());
    let bench = Running::start(collector.preload(&mut command, Some(&so)));
    let mut dsos = vec![];
    let copy = collector.until("the allocator's bytes", |event| match &event.what {
        What::Dsos(all) => {
            dsos = all.iter().map(|dso| dso.init).collect();
            None
        }
        What::Copy { record, fd } => {
            Some(session::copy::take(fd, record, dsos.iter().copied()).expect("its bytes"))
        }
        _ => None,
    });
    change(&so);
    let kept = collector.dir.path().join("kept.so");
    std::fs::write(&kept, &copy.bytes).expect("the copy");
    let dump = collector.dump();
    let dir = collector.dir.path().join("bundle");
    let profile = Profile::plain("hz9");
    let options = capture::Options { name: "hz9", profile: &profile, dso: vec![so.clone()], shim_tid: None };
    let made = Bundle::begin(&dir, bench.pid(), &options);
    let perf = PerfOptions { time: std::time::Duration::from_secs(1), ..PerfOptions::default() };
    let contents = Contents {
        dump: Ok(DumpFrames { frames: Cow::Borrowed(&dump.raw), dump: &dump.dump }),
        other_dumps: vec![],
        history: &History::default(),
        allocator: Allocator { path: Some(so.clone()), bytes: Ok(AllocatorBytes::InFile(&kept)) },
        copies: vec![],
        kept: Default::default(),
        alive: true,
        supplement: Some(snap::supplement),
        full: false,
        perf: Ok(&perf),
    };
    made.finish(&contents, &Cancel::never()).expect("the rest of the bundle");
    // A reader who gets only the folder, at another path, can use perf's own command.
    let moved = collector.dir.path().join("moved");
    std::fs::rename(&dir, &moved).expect("the bundle is moved");
    std::fs::remove_file(&kept).expect("the copy is removed");
    let dir = moved;
    let by_hand =
        ["--buildid-dir", ".", "report", "-i", "perf_hot_tid.data", "--stdio", "--no-children", "-g", "none"];
    let report = run(Command::new("perf").args(by_hand).env("PERF_CONFIG", "/dev/null").current_dir(&dir));
    let (_, stdout, stderr) = output_parts(&report);
    let function = fault.culprit_function.expect("a culprit");
    assert!(stdout.lines().any(|l| l.contains("[.]") && l.contains(function)), "{stdout}{stderr}");
    let read = |file: &str| std::fs::read_to_string(dir.join(file)).expect("a file of the bundle");
    assert!(!read("stacks.txt").contains("disagree"), "{}", read("stacks.txt"));
    (read("perf_hot_tid.txt"), read("samples.folded"))
}

fn check_that_both_name_the_loop((perf, folded): (String, String)) {
    let function = Fault::named("owner_spinning").culprit_function.expect("a culprit");
    let hottest = perf.lines().find(|l| l.contains("[.]")).unwrap_or_else(|| panic!("no symbol in:\n{perf}"));
    assert!(hottest.contains(function), "{hottest}");
    let (mut all, mut inside) = (0, 0);
    for line in folded.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a stack and its count");
        let count: usize = count.parse().expect("a count");
        let frames: Vec<&str> = stack.split(';').collect();
        assert!(frames[0].rsplit_once('-').is_some_and(|(_, tid)| tid.parse::<u32>().is_ok()), "{line}");
        all += count;
        inside += if frames.contains(&function) { count } else { 0 };
    }
    assert!(all > 20 && inside * 10 > all * 8, "{inside} of {all} in {function}:\n{folded}");
}

#[test]
fn a_removed_dso_has_names_in_perf_and_in_the_samples() {
    check_that_both_name_the_loop(bundle(|so| std::fs::remove_file(so).expect("the file is removed")));
}

#[test]
fn a_replaced_dso_has_the_names_of_the_code_that_ran() {
    check_that_both_name_the_loop(bundle(|so| {
        let other = so.with_extension("new");
        std::fs::copy(allocator("healthy"), &other).expect("another build");
        std::fs::rename(other, so).expect("the other build replaces the file");
    }));
}
