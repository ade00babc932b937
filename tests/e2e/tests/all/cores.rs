//! What is left to a person: the process itself (`--on-hang keep`), and its core (`--core`).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hangscope_test_e2e::hunt::{Hunt, run_hangscope, stuck_benchmark};
use hangscope_test_e2e::{GIVE_UP_AFTER, run};

/// Hunts an allocator that hangs in every run.
fn hunt(options: &[&str]) -> Hunt {
    let (so, command) = stuck_benchmark();
    let usual = ["--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    Hunt::new(&so, &[&usual, options].concat(), &[], &command)
}

/// State letter of a process; none if it is gone.
fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[test]
fn a_process_that_is_kept_goes_on_after_the_hunt_until_somebody_ends_it() {
    let hunt = hunt(&["--on-hang", "keep", "--runs", "3"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let pid = hunt.text("hang_run_1/pid.txt").trim().to_owned();
    let end = format!("kill -KILL -{pid}");
    let said = hunt.outputs();
    assert!(said.contains(&format!("gdb -p {pid}")) && said.contains(&end), "{said}");
    assert_eq!(hunt.text("runs.tsv").lines().count(), 2, "no further run: {said}");
    assert!(hunt.text("runs.jsonl").contains("was left alive for a debugger"));
    assert!(state(&pid).is_some_and(|state| "RS".contains(state)), "{:?}", state(&pid));
    let backtrace =
        run(Command::new("gdb").args(["-nx", "-batch", "-p", &pid, "-ex", "thread apply all bt"]));
    let backtrace = String::from_utf8_lossy(&backtrace.stdout).into_owned();
    let killed = run(Command::new("sh").args(["-c", &end]));
    assert!(backtrace.contains("deadlock_inversion_move"), "{backtrace}");
    assert!(killed.status.success(), "{killed:?}");
    let until = Instant::now() + GIVE_UP_AFTER;
    // Whoever is its parent now may not reap it.
    while state(&pid).is_some_and(|state| !"ZX".contains(state)) {
        assert!(Instant::now() < until, "{:?}", state(&pid));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_follow_a_hang_is_refused() {
    let (so, command) = stuck_benchmark();
    let refused = |options: &[&str], word: &str| {
        let hunt = Hunt::new(&so, options, &[], &command);
        assert_eq!(hunt.code(), 2, "{}", hunt.outputs());
        assert!(hunt.outputs().contains(word), "{}", hunt.outputs());
    };
    refused(&["--on-hang", "retry"], "matrix");
    refused(&["--on-hang", "keep", "--arm", "pinned", "--arm", "deleted"], "one arm");
    refused(&["--on-hang", "next", "--until-decided"], "--until-decided");
    refused(&["--core-limit", "2G"], "--core");
}

#[test]
fn a_core_over_its_limit_is_left_out_with_a_line() {
    let hunt = hunt(&["--core", "--core-limit", "1M", "--runs", "1"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let line = "no core: it is larger than 1 MB: give a larger --core-limit";
    assert_eq!(hunt.text("hang_run_1/core.zst"), format!("# {line}\n"));
    assert!(hunt.text("runs.jsonl").contains("hang_run_1 has no core: it is larger than 1 MB"));
    let left = hangscope_test_e2e::hunt::file_names(&hunt.out().join("hang_run_1"));
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
    // The rest of the evidence is there.
    assert_eq!(hunt.verdict()["hangs"][0]["class"], "deadlock");
    assert!(Path::new(&hunt.out().join("hang_run_1/dump.bin")).exists());
    let help = run_hangscope(&["hunt", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("every secret in it"));
}
