//! Ways in which a hunt can end, and what it leaves: SIGKILL, a
//! closed stdout, wrong usage, processes that a run left behind.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use hangscope_test_e2e::hunt::{Hunt, bench_with, file_names, processes_with, run_parts, stuck_benchmark};
use hangscope_test_e2e::{GIVE_UP_AFTER, ProcessEnd, Running, debian, hangscope};
use serde_json::Value;

/// Starts a hunt, and waits until its second run has ended.
fn start_two_runs(
    out: &Path,
    so: &Path,
    command: &[impl AsRef<std::ffi::OsStr>],
) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let mut child = hangscope()
        .args(["hunt", "--runs", "1000", "--verify-runs", "0", "--so"])
        .arg(so)
        .arg("--out")
        .arg(out)
        .arg("--")
        .args(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("run 2/") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the hunt ended");
    }
    (child, lines)
}

#[test]
fn a_killed_hunt_leaves_whole_rows_and_no_benchmark() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let command = bench_with(&["2", "400000", "400", "16", "4096", "50", "1024"]);
    let (mut child, lines) = start_two_runs(&out, &debian("libmimalloc.so.2"), &command);
    let running: Vec<ProcessEnd> =
        processes_with(out.to_str().unwrap()).into_iter().filter_map(ProcessEnd::of).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    let rows = std::fs::read_to_string(out.join("runs.tsv")).unwrap();
    assert!(rows.ends_with('\n') && rows.lines().count() >= 3);
    // The kernel kills the benchmark with the hunt. The benchmark ends as soon as it gets a processor.
    assert!(
        running.iter().all(|process| process.ends_within(GIVE_UP_AFTER)),
        "a process of the hunt still runs"
    );
}

#[test]
fn wrong_usage_is_one_line_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let so = debian("libmimalloc.so.2");
    let typo = dir.path().join("typo.toml");
    std::fs::write(&typo, "name = 'x'\nenf = ['A_']\n").unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (so, typo, file) = (so.to_str().unwrap(), typo.to_str().unwrap(), file.to_str().unwrap());
    let under_a_file = format!("{file}/out");
    let long = format!("/tmp/{}", "x".repeat(100));
    let good = ["--so", so];
    let table: &[(&[&str], &str, i32, &str)] = &[
        (&[], "ls", 2, "no allocator: give its .so with --so"),
        (&["--so", "/nonexistent.so"], "ls", 2, "cannot read /nonexistent.so: No such file"),
        (&["--so", file], "ls", 2, "not a shared object"),
        (&["--so", "/bin/sh"], "ls", 2, "not a shared object"),
        (&good, "/nonexistent/bench", 2, "benchmark not found: /nonexistent/bench; build it"),
        (&good, file, 2, "benchmark is not executable"),
        (&["--so", so, "--runs", "0"], "ls", 2, "'--runs"),
        (&["--so", so, "--cpus", "3-1"], "ls", 2, "--cpus 3-1"),
        (&["--so", so, "--cpus", "1000"], "ls", 2, "none of them is here"),
        (&["--so", so, "--name", "a/b"], "ls", 2, "not a usable name"),
        (&["--so", so, "--hang-after", "off"], "ls", 2, "needs --stall"),
        (&["--so", so, "--hang-after", "soon"], "ls", 2, "--hang-after"),
        (&["--so", so, "--until-decided", "--rate", "2 percent"], "ls", 2, "as 0.02, 2% or 1/50"),
        (&["--so", so, "--env", "LD_PRELOAD=x"], "ls", 2, "is set by hangscope"),
        (&["--so", so, "--profile", typo], "ls", 2, "typo.toml:2: unknown key `enf`: did you mean `env`?"),
        (&["--so", so, "--profile", "/nonexistent"], "ls", 2, "cannot read the profile"),
        (&["--so", so, "--stats-so", "/nonexistent"], "ls", 2, "cannot read /nonexistent"),
        (&["--so", so, "--sockets", &long], "ls", 2, "the system takes at most 107"),
        (&["--so", so, "--out", &under_a_file], "ls", 1, "cannot write"),
    ];
    for (options, program, code, wanted) in table {
        let out = dir.path().join("out");
        let mut command = hangscope();
        command.arg("hunt").args(*options).env_remove("LD_PRELOAD");
        if !options.contains(&"--out") {
            command.arg("--out").arg(&out);
        }
        let (status, stdout, stderr) = run_parts(command.arg("--").arg(program));
        assert_eq!(status, Some(*code), "{options:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{options:?}: {stderr}");
        assert!(stderr.starts_with("hangscope: ") && stderr.contains(wanted), "{options:?}: {stderr}");
        assert_eq!(stdout, "", "{options:?}");
        assert!(!out.exists(), "{options:?} left {:?}", file_names(&out));
    }
}

#[test]
fn a_run_leaves_no_process_behind() {
    let mark = format!("HANGSCOPE_TEST_BEHIND={}", std::process::id());
    // The shell ends too early for a hello. This test is only about the processes that it leaves.
    let hunt = Hunt::new(
        &debian("libmimalloc.so.2"),
        &["--verify-runs", "0", "--runs", "2", "--env", &mark],
        &[],
        &["sh", "-c", "setsid sleep 1000 & sleep 1000 & true"],
    );
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    assert!(hunt.stdout().contains("left 2 processes behind (stopped by hangscope)"), "{}", hunt.outputs());
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
}

#[test]
fn a_hunt_whose_runs_all_fail_ends_with_3_and_quotes_them() {
    let script = "echo starting >&2; echo '[X_FAIL] no memory' >&2; exit 1";
    let hunt = Hunt::new(
        &debian("libmimalloc.so.2"),
        &["--verify-runs", "0", "--runs", "3", "--only", "sh"],
        &[],
        &["sh", "-c", script],
    );
    assert_eq!(hunt.code(), 3, "{}", hunt.outputs());
    let headline = "all 3 runs failed with exit status 1, last line on stderr: \"[X_FAIL] no memory\".";
    assert!(hunt.stdout().contains(headline), "{}", hunt.outputs());
    assert_eq!(hunt.verdict()["headline"], headline);
}

#[test]
fn a_daemon_of_the_benchmarks_own_is_neither_a_good_run_nor_a_hang() {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("daemon.c"), dir.path().join("daemon"));
    let code =
        "#include <unistd.h>\nint main(void) { if (fork()) _exit(0); setsid(); sleep(1000); return 0; }\n";
    std::fs::write(&source, code).unwrap();
    let compiled = std::process::Command::new("gcc").arg("-o").arg(&program).arg(&source).status().unwrap();
    assert!(compiled.success());
    let mark = format!("HANGSCOPE_TEST_DAEMON={}", std::process::id());
    let options = ["--verify-runs", "0", "--runs", "2", "--env", &mark];
    let hunt = Hunt::new(&debian("libmimalloc.so.2"), &options, &[], &[&program]);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    assert!(hunt.stdout().contains("run 1/2  left a daemon at work"), "{}", hunt.outputs());
    let verdict = hunt.verdict();
    assert_eq!(
        (&verdict["verdict"], &verdict["rate"]["of"]),
        (&"inconclusive".into(), &0.into()),
        "{verdict:#}"
    );
    assert!(hunt.text("runs.tsv").contains("1\tDAEMON\t0\tnan\n"), "{}", hunt.text("runs.tsv"));
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
}

#[test]
fn a_hang_of_the_counter_lane_is_a_hang_of_the_hunt() {
    let (so, command) = stuck_benchmark();
    let options = [
        &[
            "--hang-after",
            "3s",
            "--no-perf",
            "--verify-runs",
            "0",
            "--runs",
            "1",
            "--stats-runs",
            "1",
            "--stats-so",
        ][..],
        &[so.to_str().unwrap()],
    ];
    let hunt = Hunt::new(&debian("libmimalloc.so.2"), &options.concat(), &[], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let verdict = hunt.verdict();
    let headline = verdict["headline"].as_str().unwrap();
    let begin = "B, allocator bug of the counter build, reproduced 1/1 in the counter lane (the pinned DSO hung 0/1): ";
    assert!(headline.starts_with(begin), "{headline}");
    assert_eq!((&verdict["runs"]["hung"], &verdict["hangs"][0]["arm"]), (&0.into(), &"stats".into()));
    assert!(hunt.out().join("hang_stats_run_1/threads.json").exists());
}

#[test]
fn the_readers_end_does_not_end_the_hunt() {
    let dir = tempfile::tempdir().unwrap();
    let command = bench_with(&["2", "20000", "400", "16", "4096", "50", "1024"]);
    let mut hunt = hangscope();
    hunt.args(["hunt", "--runs", "5", "--verify-runs", "0", "--so"]).arg(debian("libmimalloc.so.2"));
    hunt.arg("--out").arg(dir.path().join("out")).arg("--").args(&command).stdout(Stdio::piped());
    let mut child = Running(hunt.spawn().unwrap());
    drop(child.0.stdout.take());
    assert_eq!(child.wait().code(), Some(0));
    assert_eq!(std::fs::read_to_string(dir.path().join("out/runs.tsv")).unwrap().lines().count(), 6);
}

#[test]
fn a_benchmark_that_somebody_stopped_is_no_bug() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut hunt = hangscope();
    hunt.args(["hunt", "--hang-after", "3s", "--verify-runs", "0", "--runs", "1", "--no-perf", "--so"]);
    hunt.arg(debian("libmimalloc.so.2")).arg("--out").arg(&out).args(["--", "sleep", "1000"]);
    let hunt = Running::start(&mut hunt);
    let pids = || processes_with(&format!(":{}", out.display()));
    // The watchdog of the process has sent its hello, and waits for its next look.
    let watchdog_waits = |pid: &u32| {
        let task = format!("/proc/{pid}/task");
        file_names(Path::new(&task)).iter().any(|tid| {
            let read =
                |file: &str| std::fs::read_to_string(format!("{task}/{tid}/{file}")).unwrap_or_default();
            read("comm") == "hangscope\n" && read("wchan").contains("poll")
        })
    };
    while !pids().iter().any(watchdog_waits) {
        std::thread::yield_now();
    }
    for pid in pids() {
        // SAFETY: kill touches no memory. The test started this process, and it runs for 1000 seconds.
        unsafe { libc::kill(pid as i32, libc::SIGSTOP) };
    }
    assert_eq!(hunt.wait().code(), Some(10));
    let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
    let verdict: Value = serde_json::from_str(&read("verdict.json")).unwrap();
    assert_eq!(verdict["verdict"], "environment", "{verdict:#}");
    assert!(read("hang_run_1/ps_L.txt").contains(" T "));
    assert!(read("runs.jsonl").contains("captured from outside only: process "), "{}", read("runs.jsonl"));
    assert_eq!(pids(), Vec::<u32>::new());
}
