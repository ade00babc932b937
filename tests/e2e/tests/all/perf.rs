//! perf and the samples from inside: both name the code that ran, also after its file was removed or another build came
//! in its place.

use std::path::Path;
use std::process::{Command, Stdio};

use hangscope_collector::analysis::History;
use hangscope_collector::capture::PerfOptions;
use hangscope_collector::collect::bundle::Bundle;
use hangscope_collector::console::cancel::Cancel;
use hangscope_collector::listen::What;
use hangscope_collector::profile::Profile;
use hangscope_collector::session;
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::{Ears, Running, allocator, bench, run, told};

/// The bundle of a hang whose DSO's file was changed by `change` while it ran: perf's report and the folded samples.
fn bundle(change: impl FnOnce(&Path)) -> (String, String) {
    let fault = Fault::named("owner_spinning");
    let ears = Ears::new();
    let so = ears.dir.path().join("libhz9.so");
    std::fs::copy(allocator(fault.name), &so).expect("a copy");
    let mut command = Command::new(bench());
    command.args(fault.workload_args).env("HANGSCOPE_HANG_AFTER", "2s").stdin(Stdio::null());
    let bench = Running::start(ears.preload(&mut command, Some(&so)));
    let copy = ears.until("the allocator's bytes", |event| match &event.what {
        What::Copy { record, fd } => Some(session::copy::read(fd, record).expect("its bytes")),
        _ => None,
    });
    change(&so);
    let kept = ears.dir.path().join("kept.so");
    std::fs::write(&kept, copy).expect("the copy");
    let dump = ears.dump();
    let dir = ears.dir.path().join("bundle");
    let path = so.to_str().expect("text");
    let made = Bundle::begin(&dir, bench.pid(), &Profile::plain("hz9"), Some(path)).expect("a bundle");
    let perf = PerfOptions { time: std::time::Duration::from_secs(1), ..PerfOptions::default() };
    made.finish(&dump, Some(&kept), &History::default(), Some(&perf), &Cancel::never())
        .expect("the rest of it");
    // Also for who gets the folder alone, at another place, with perf's own command.
    let moved = ears.dir.path().join("moved");
    std::fs::rename(&dir, &moved).expect("it is moved");
    std::fs::remove_file(&kept).expect("it is removed");
    let dir = moved;
    let by_hand =
        ["--buildid-dir", ".", "report", "-i", "perf_hot_tid.data", "--stdio", "--no-children", "-g", "none"];
    let said = run(Command::new("perf").args(by_hand).env("PERF_CONFIG", "/dev/null").current_dir(&dir));
    let (_, stdout, stderr) = told(&said);
    let function = fault.culprit_function.expect("a culprit");
    assert!(stdout.lines().any(|l| l.contains("[.]") && l.contains(function)), "{stdout}{stderr}");
    let read = |file: &str| std::fs::read_to_string(dir.join(file)).expect("a file of the bundle");
    assert!(!read("stacks.txt").contains("disagree"), "{}", read("stacks.txt"));
    (read("perf_hot_tid.txt"), read("samples.folded"))
}

fn names_the_loop((perf, folded): (String, String)) {
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
    names_the_loop(bundle(|so| std::fs::remove_file(so).expect("it is removed")));
}

#[test]
fn a_replaced_dso_has_the_names_of_the_code_that_ran() {
    names_the_loop(bundle(|so| {
        let other = so.with_extension("new");
        std::fs::copy(allocator("healthy"), &other).expect("another build");
        std::fs::rename(other, so).expect("it comes in its place");
    }));
}
