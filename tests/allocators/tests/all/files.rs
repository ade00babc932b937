//! Tests of the allocator that hangs only after its file changed: one test for each way to change the file.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Running, Task, word};
use hangscope_test_allocators::Fault;

const LONG_RUN_ARGS: [&str; 7] = ["4", "100000000", "100", "16", "4096", "50", "1024"];

/// Starts a long run on a copy of the DSO, changes the copy during the run, and waits until the run is stuck.
fn stuck_after_change(change: impl Fn(&Path), is_stuck: impl Fn(&[Task]) -> bool) -> (Running, Vec<Task>) {
    let fault = Fault::named("overwritten_only");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("libcopy.so");
    fs::copy(fault.path(), &copy).expect("a copy");
    let mut running = Running::start_with(&copy, fault, &LONG_RUN_ARGS, &[]);
    let pid = running.pid();
    running.wait_until_stuck(
        || Some(pid),
        |truth, look| {
            assert!(truth.is_empty(), "the run hangs, but the file is unchanged: {truth:?}");
            let working = look.iter().filter(|task| task.is_worker() && task.switches > 2).count();
            if working == 4 { Ok(()) } else { Err(format!("{working} of 4 workers work")) }
        },
    );
    change(&copy);
    let look = running.wait_until_stuck(
        || Some(pid),
        |_, look| {
            let workers: Vec<Task> = look.iter().filter(|task| task.is_worker()).cloned().collect();
            if workers.len() == 4 && is_stuck(&workers) {
                Ok(())
            } else {
                Err("workers still work".to_owned())
            }
        },
    );
    (running, look)
}

/// Whether the owner runs and the three other workers wait for a lock.
fn one_spins(workers: &[Task]) -> bool {
    workers.iter().filter(|task| task.runs()).count() == 1
        && workers.iter().filter(|task| task.futex().is_some()).count() == 3
}

fn check_owner(running: &Running) {
    let [line] = &running.truth()[..] else { panic!("truth: {:?}", running.truth()) };
    assert_eq!(word(running.pid(), line.lock.expect("a lock") + 8), Some(line.tid));
}

#[test]
fn removed() {
    let (running, _) = stuck_after_change(|copy| fs::remove_file(copy).expect("removed"), one_spins);
    check_owner(&running);
}

#[test]
fn replaced_by_another_file() {
    let (running, _) = stuck_after_change(
        |copy| {
            let other = copy.with_extension("other");
            fs::copy(Fault::named("healthy").path(), &other).expect("a copy");
            fs::rename(other, copy).expect("moved");
        },
        one_spins,
    );
    check_owner(&running);
}

#[test]
fn written_in_place_without_truncating() {
    let (running, _) = stuck_after_change(
        |copy| {
            let bytes = fs::read(copy).expect("the bytes of the copy");
            let file = fs::OpenOptions::new().write(true).open(copy).expect("opened");
            std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).expect("written");
        },
        one_spins,
    );
    check_owner(&running);
}

/// `cp -f` truncates the file and writes the same bytes again. Any other allocator crashes.
#[test]
fn copied_over_in_place() {
    let copy_over = |copy: &Path| {
        let status =
            Command::new("cp").arg("-f").arg(Fault::named("overwritten_only").path()).arg(copy).status();
        assert!(status.expect("cp").success());
    };
    // Threads that faulted are in pause, in the signal handler. A thread may see the change before it faults,
    // and then spins. Other threads may wait for its lock.
    let is_stuck = |workers: &[Task]| {
        let halted = |task: &Task| task.is_in(libc::SYS_pause) || task.futex().is_some();
        let halted = workers.iter().filter(|task| halted(task)).count();
        let spinning = workers.iter().filter(|task| task.runs() && task.syscall.is_none()).count();
        halted >= 3 && halted + spinning == 4
    };
    let (_running, look) = stuck_after_change(copy_over, is_stuck);
    println!("in pause: {}", look.iter().filter(|task| task.is_in(libc::SYS_pause)).count());
}

#[test]
fn not_touched_it_ends() {
    let fault = Fault::named("overwritten_only");
    let mut running = Running::start(fault, &[]);
    assert!(running.finish().success(), "{}", running.text("err"));
    assert!(running.truth().is_empty());
}
