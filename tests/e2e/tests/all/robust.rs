//! What a look from outside does with a process that is hard to see, and how soon a command ends that is told
//! to.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hangscope_test_e2e::hunt::children;
use hangscope_test_e2e::kinds::{self, Kind};
use hangscope_test_e2e::{GIVE_UP_AFTER, Running, hangscope, kill_group, send_signal, wait};
use serde_json::Value;

/// "Within 2 s", on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(10);

/// A row's program without the shim, and the folder of its files. Drop kills its whole process group.
struct Hung {
    running: Running,
    folder: tempfile::TempDir,
    launched: bool,
}

impl Hung {
    /// None where the row is not possible here.
    fn start(name: &str) -> Option<Hung> {
        let kind = Kind::named(name);
        let folder = tempfile::tempdir().expect("a folder");
        let (program, so) = kinds::build(kind, folder.path());
        if !kinds::is_possible(kind, &program) {
            return None;
        }
        // The kernel tells the start of a process to a tick of 10 ms. A file that may be younger than that is
        // neither intact nor changed.
        let age = || std::fs::metadata(&so)?.modified()?.elapsed().map_err(std::io::Error::other);
        while age().expect("the file's age") < Duration::from_millis(30) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut words = kind.launcher.iter().copied().chain([program.to_str().expect("text")]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).env("LD_PRELOAD", &so);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let running = Running::start(&mut command);
        Some(Hung { running, folder, launched: !kind.launcher.is_empty() })
    }

    /// The program: the only child of its launcher.
    fn pid(&self) -> u32 {
        let pid = self.running.pid();
        if !self.launched {
            return pid;
        }
        let end = Instant::now() + GIVE_UP_AFTER;
        loop {
            assert!(Instant::now() < end, "the launcher starts nothing");
            if let [child] = children(pid)[..] {
                return child;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until so many threads wait in a futex.
    fn waits_for(&self, waiters: usize) {
        let pid = self.pid();
        let end = Instant::now() + GIVE_UP_AFTER;
        let waits = || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let calls = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("syscall")).ok());
            // 202 and 98: futex on x86-64 and aarch64.
            calls.filter(|call| call.starts_with("202 ") || call.starts_with("98 ")).count()
        };
        while waits() < waiters {
            assert!(Instant::now() < end, "it does not hang");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn snap(&self, more: &[&str]) -> (Output, Value) {
        let out = self.folder.path().join("out");
        let pid = self.pid().to_string();
        let output = hangscope().args(["snap", &pid, "--no-perf", "--out"]).arg(&out).args(more).output();
        let output = output.expect("the command");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let verdict =
            std::fs::read_to_string(out.join("verdict.json")).unwrap_or_else(|e| panic!("{e}: {said}"));
        (output, serde_json::from_str(&verdict).expect("JSON"))
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("out").join(file)).expect("a file of the snap")
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        kill_group(&self.running.0);
    }
}

fn a_ring_seen_from_outside(name: &str) -> Option<Hung> {
    let hung = Hung::start(name)?;
    hung.waits_for(2);
    let (_, verdict) = hung.snap(&[]);
    let hang = &verdict["hangs"][0];
    assert_eq!((&hang["class"], &hang["confidence"]), (&"deadlock".into(), &"proven".into()), "{verdict:#}");
    assert_eq!(verdict["verdict"], "allocator-bug", "{verdict:#}");
    Some(hung)
}

#[test]
fn owners_are_found_in_another_pid_namespace() {
    for name in ["other_namespace", "proc_of_another_namespace"] {
        let Some(hung) = a_ring_seen_from_outside(name) else { return };
        let (pid, report) = (hung.pid(), hung.text("report.md"));
        assert!(
            report.contains("another PID namespace") && report.contains(&format!("1 = {pid}")),
            "{report}"
        );
        let threads: Value = serde_json::from_str(&hung.text("hang_snap/threads.json")).expect("JSON");
        assert_eq!(threads["threads"][0]["tid"], 1, "the id that the program has");
        assert!(hung.text("hang_snap/ps_L.txt").contains(&pid.to_string()));
    }
}

#[test]
fn a_process_whose_main_thread_ended_is_seen_by_another_thread() {
    a_ring_seen_from_outside("main_left").expect("possible everywhere");
}

#[test]
fn a_lock_in_a_page_that_never_comes_does_not_hold_the_look() {
    let Some(hung) = Hung::start("page_never_served") else { return };
    hung.waits_for(4);
    let begun = Instant::now();
    let (_, verdict) = hung.snap(&[]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let hang = &verdict["hangs"][0];
    assert_ne!(hang["confidence"], "proven", "nobody can read who holds the lock: {verdict:#}");
    assert_eq!(hang["hot"]["function"], "find_span", "{verdict:#}");
}

#[test]
fn a_file_that_was_deleted_or_replaced_is_a_finding_of_a_look_from_outside() {
    let change = |integrity: &str, change: fn(&Path)| {
        let hung = Hung::start("abba").expect("possible everywhere");
        hung.waits_for(2);
        change(&hung.folder.path().join("libabba.so"));
        let (_, verdict) = hung.snap(&["--second-look", "100ms"]);
        assert_eq!(verdict["dso"]["integrity"], integrity, "{verdict:#}");
        let said = verdict.to_string() + &hung.text("hang_snap/threads.json");
        assert!(!said.contains("errno 61"), "{said}");
    };
    change("deleted", |so| std::fs::remove_file(so).expect("rm"));
    change("replaced", |so| {
        let beside = so.with_extension("new");
        std::fs::copy(so, &beside).expect("a copy");
        std::fs::rename(&beside, so).expect("mv");
    });
    // Nobody looked at the start, and the file is younger than that: neither intact nor overwritten.
    change("unknown", |so| {
        let file = std::fs::File::options().write(true).open(so).expect("the file");
        file.set_modified(std::time::SystemTime::now()).expect("touch");
    });
}

/// TERM ends a command within the time, and whatever it was waiting for.
fn ends_soon(command: &mut Command, ready: impl Fn() -> bool) {
    let mut running = Running::start(command);
    let end = Instant::now() + GIVE_UP_AFTER;
    while !ready() {
        assert!(Instant::now() < end, "{command:?} does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    send_signal(&running.0, libc::SIGTERM);
    let begun = Instant::now();
    let status = wait(&mut running.0, SOON);
    assert!(status.is_some(), "{command:?} still runs {:?} after TERM", begun.elapsed());
}

#[test]
fn term_ends_a_look_whose_second_look_is_far_away() {
    let hung = Hung::start("abba").expect("possible everywhere");
    hung.waits_for(2);
    let pid = hung.pid();
    let mut command = hangscope();
    command.args(["snap", &pid.to_string(), "--no-perf", "--second-look", "10min", "--out"]);
    command.arg(hung.folder.path().join("out"));
    // The handler is there when the command reads the memory of the process.
    let begun = Instant::now();
    ends_soon(&mut command, || begun.elapsed() > Duration::from_secs(1));
}

#[test]
fn term_ends_a_hunt_of_a_program_that_ignores_term() {
    let dir = tempfile::tempdir().expect("a folder");
    let (out, started) = (dir.path().join("out"), dir.path().join("started"));
    let script = "trap '' TERM INT; echo > \"$0\"; while :; do sleep 1; done";
    let mut command = hangscope();
    command.args(["hunt", "--runs", "1", "--verify-runs", "0", "--no-perf", "--hang-after", "60s", "--so"]);
    command.arg(hangscope_test_e2e::debian("libjemalloc.so.2")).arg("--out").arg(&out);
    command.args(["--", "sh", "-c", script]).arg(&started);
    ends_soon(&mut command, || started.exists());
}
