//! The benchmark under a faulty allocator, without the shim, until it hangs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hangscope_test_allocators::{Fault, truth};

use crate::{GIVE_UP_AFTER, Running, bench, built};

/// The path of each thread in /proc, and the kernel's line about its system call.
pub type Calls = Vec<(String, String)>;

/// Reads the system call of every thread. A thread that runs has the text `running`.
pub fn calls(pid: u32) -> Calls {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let mut all: Vec<_> = tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            Some((task.display().to_string(), std::fs::read_to_string(task.join("syscall")).ok()?))
        })
        .collect();
    all.sort();
    all
}

/// Starts the benchmark under a faulty allocator, without the shim.
pub fn start(fault: &Fault, truth_file: &Path) -> Running {
    let mut command = Command::new(bench());
    command.args(fault.workload_args).envs(fault.env.iter().copied());
    command.env("LD_PRELOAD", built(&format!("examples/{}", fault.so))).env("FAULT_TRUTH", truth_file);
    Running::start(&mut command)
}

/// Starts a process and waits until it hangs: the allocator has written its truth, and no thread changes its
/// system call any more. Returns the process and its system calls.
pub fn start_and_hang(fault: &Fault, truth_file: &Path) -> (Running, Calls) {
    let running = start(fault, truth_file);
    let end = Instant::now() + GIVE_UP_AFTER;
    // For the benchmark's own bugs, no allocator writes a truth.
    let writes_no_truth = fault.verdict == "harness-bug";
    let mut same_looks = 0;
    let mut before = vec![];
    while same_looks < 8 {
        assert!(Instant::now() < end, "{} does not hang", fault.name);
        // No event reports that nothing happens any more, so this loop polls.
        std::thread::sleep(Duration::from_millis(60));
        let fault_began = writes_no_truth || !truth::read(truth_file).expect("the truth").is_empty();
        let now = calls(running.pid());
        same_looks = if fault_began && now == before { same_looks + 1 } else { 0 };
        before = now;
    }
    (running, before)
}
