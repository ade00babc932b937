//! `hangscope hunt` as a user has it: the demonstration and its bundle, launchers, programs without the shim, Ctrl-C,
//! two hunts at once, a full disk, a file that changes, wrong usage.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hangscope_collector::session::read_dumps;
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{Hunt, bench_with, told};
use hangscope_test_e2e::{Running, allocator, bench, built, debian, hangscope, run};
use serde_json::Value;

const QUICK: [&str; 6] = ["--hang-after", "2s", "--perf-seconds", "0.5", "--verify-runs", "1"];

fn quick<'a>(more: &[&'a str]) -> Vec<&'a str> {
    QUICK.iter().chain(more).copied().collect()
}

fn hunt(so: &Path, options: &[&str], command: &[&str]) -> Hunt {
    Hunt::new(so, &quick(options), &[], command)
}

/// What is in a folder; nothing if it is not there.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A stuck benchmark's arguments, and the allocator that hangs it in every run.
fn stuck() -> (std::path::PathBuf, Vec<String>) {
    let fault = Fault::named("deadlock_inversion");
    (allocator("deadlock_inversion"), bench_with(fault.workload_args))
}

#[test]
fn the_demonstration_leaves_a_full_bundle() {
    let command = bench_with(&["16", "20000", "400", "16", "32768", "90", "65536"]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options =
        ["--name", "demo", "--runs", "60", "--hang-after", "6s", "--env", "HZ4_A=1", "--cpus", "0-15"];
    let profile = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(profile.path(), "name = 'demo'\nenv = ['HZ4_']\n").unwrap();
    let profile = ["--profile", profile.path().to_str().unwrap()];
    let hunt =
        Hunt::new(&allocator("demo"), &[&options[..], &profile].concat(), &[("NOT_RECORDED", "1")], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.said());

    let verdict = hunt.verdict();
    let made = verdict["runs"]["made"].as_u64().unwrap();
    let snapshot = format!("hang_run_{made}");
    assert_eq!(verdict["verdict"], "allocator-bug");
    assert_eq!(verdict["hangs"][0]["class"], "owner-spinning");
    assert_eq!(verdict["hangs"][0]["snapshot"], snapshot);
    assert_eq!(verdict["hangs"][0]["threads"]["all"], 16 + 1);
    assert!(verdict["headline"].as_str().unwrap().contains("15 of 16 workers wait for mutex `g_mid_locks+"));
    assert!(hunt.stdout().contains(verdict["headline"].as_str().unwrap()), "{}", hunt.said());
    assert!(hunt.stdout().contains(hunt.out().to_str().unwrap()));

    // Rows, one a run.
    let rows = hunt.text("runs.tsv");
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows[0], ["run", "rc_or_hang", "hung", "ops"]);
    assert_eq!(rows.len() as u64, made + 1);
    let (hang, good) = rows[1..].split_last().unwrap();
    assert_eq!(*hang, [&made.to_string(), "HANG", "1", "nan"]);
    for (number, row) in (1..).zip(good) {
        assert_eq!(row[..3], [&number.to_string()[..], "0", "0"]);
        assert!(row[3].parse::<f64>().unwrap() > 1000.0);
    }
    let objects: Vec<Value> =
        hunt.text("runs.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len() as u64, made);
    assert!(objects.iter().all(|o| o["hello_seen"] == true && o["integrity_end"] == "intact"));
    assert!(objects.iter().all(|o| o["max_rss_kib"].as_u64().unwrap() > 1000));
    let progress = hunt.text("progress.log");
    assert!(progress.contains("[RUN] 1\n"));
    let line = format!("[HANG] captured at run {made} -> {}", hunt.out().join(&snapshot).display());
    assert_eq!(progress.lines().last().unwrap(), line);

    // The pinned copy and its proof.
    let sums = Command::new("sha1sum").arg("-c").arg(hunt.out().join("demo_so.sha1")).output().unwrap();
    assert!(sums.status.success());
    let result = hunt.text("preload_verify/result.txt");
    assert_eq!(result.lines().last(), Some("[STRICT-PRELOAD] verification passed"));
    assert!(hunt.text("report.md").contains("Reproduced: `1 / "));
    assert!(hunt.text("report.ja.md").contains("再現回数: `1 / "));

    // The evidence.
    let dir = hunt.out().join(&snapshot);
    let text = |file: &str| hunt.text(&format!("{snapshot}/{file}"));
    assert_eq!(
        names(&dir),
        [
            "demo.so",
            "dump.bin",
            "environ.txt",
            "maps.txt",
            "maps_demo.txt",
            "perf_hot_tid.data",
            "perf_hot_tid.txt",
            "pid.txt",
            "ps_L.txt",
            "stacks.txt",
            "threads.json",
            "wchan_by_tid.tsv"
        ]
    );
    let pid = verdict["hangs"][0]["pid"].as_u64().unwrap();
    assert_eq!(text("pid.txt"), format!("{pid}\n"));
    let ps = text("ps_L.txt");
    let header: Vec<&str> = ps.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["PID", "TID", "PSR", "%CPU", "S", "WCHAN", "COMMAND"]);
    assert_eq!(ps.lines().count(), 1 + 17 + 1, "the threads, and the shim's own: {ps}");
    let environ = text("environ.txt");
    assert_eq!(environ.lines().count(), 2, "{environ}");
    assert!(environ.contains("HZ4_A=1\n") && environ.contains("LD_PRELOAD=") && environ.contains("/demo_"));
    assert!(text("maps_demo.txt").lines().all(|line| line.contains("/demo_")));
    let waits: Vec<(String, u32)> = text("wchan_by_tid.tsv")
        .lines()
        .map(|line| {
            line.split_once('\t').map(|(tid, wchan)| (wchan.to_owned(), tid.parse().unwrap())).unwrap()
        })
        .collect();
    assert!(waits.is_sorted() && waits.len() == 18);
    assert!(text("perf_hot_tid.txt").contains("demo_shelf_last"), "{}", text("perf_hot_tid.txt"));
    let dumps = read_dumps(&std::fs::read(dir.join("dump.bin")).unwrap()).unwrap();
    assert_eq!((dumps.len(), dumps[0].threads.len(), dumps[0].second.len()), (1, 17, 17));
    let pinned = std::fs::read(verdict["dso"]["path"].as_str().unwrap()).unwrap();
    assert!(std::fs::read(dir.join("demo.so")).unwrap() == pinned);
    let threads: Value = serde_json::from_str(&text("threads.json")).unwrap();
    assert_eq!(threads["threads"].as_array().unwrap().len(), 17);
    assert!(text("stacks.txt").contains("demo_shelf_last"));
}

#[test]
fn the_script_ends_with_headline_report_and_bundle() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/hunt.sh");
    let elsewhere = tempfile::tempdir().unwrap();
    let output = run(Command::new(script).current_dir(elsewhere.path()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let end = said
        .split_once("\nB, allocator bug, reproduced 1/")
        .unwrap_or_else(|| panic!("no headline: {said}"))
        .1;
    for line in ["- Reproduced: `1 / ", "- Reproduced with the pinned DSO: `yes`", "- `(deleted)` seen: `no`"]
    {
        assert!(end.contains(line), "{said}");
    }
    assert!(end.contains("- Top wait: `futex_wait_queue` share 93.8 %"), "{said}");
    assert!(end.contains("- Next action: `fix the code`"), "{said}");
    let bundle = Path::new(end.trim_end().rsplit(' ').next().unwrap());
    assert!(bundle.join("verdict.json").exists(), "{said}");
    std::fs::remove_dir_all(bundle).unwrap();
    assert_eq!(names(elsewhere.path()), Vec::<String>::new());
}

#[test]
fn debians_allocators_do_not_hang() {
    let command = bench_with(&["4", "20000", "400", "16", "32768", "90", "65536"]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    for file in ["libjemalloc.so.2", "libmimalloc.so.2", "libtcmalloc_minimal.so.4"] {
        let hunt = Hunt::new(&debian(file), &["--runs", "20", "--hang-after", "60s"], &[], &command);
        assert_eq!(hunt.code(), 0, "{file}: {}", hunt.said());
        let verdict = hunt.verdict();
        assert_eq!((&verdict["runs"]["ok"], &verdict["verdict"]), (&20.into(), &"not-reproduced".into()));
        assert_eq!(verdict["rate"]["high"], 0.1391, "one-sided: 1 - 0.05^(1/20)");
        for run in 1..=20 {
            assert!(hunt.text(&format!("run_{run}.out")).starts_with("threads=4 "));
            assert_eq!(hunt.text(&format!("run_{run}.err")), "");
        }
    }
}

#[test]
fn behind_launchers_it_is_the_benchmark_that_is_looked_at() {
    let (so, bench) = stuck();
    let words = bench.join(" ");
    for launcher in [
        format!("env HZ4_A=1 taskset -c 0 timeout 60 {words}"),
        format!("sh -c|sleep 0.5; {words}; true"),
        format!("sh -c|{words} & {words} & wait"),
    ] {
        let (front, script) =
            launcher.split_once('|').map_or((launcher.as_str(), None), |(f, s)| (f, Some(s)));
        let command: Vec<&str> = front.split(' ').chain(script).collect();
        let hunt = hunt(&so, &["--runs", "1"], &command);
        assert_eq!(hunt.code(), 10, "{launcher}: {}", hunt.said());
        let hang = &hunt.verdict()["hangs"][0];
        assert_eq!(hang["class"], "deadlock", "{launcher}: {hang}");
        let ps = hunt.text("hang_run_1/ps_L.txt");
        assert!(ps.contains("hangscope-bench") && !ps.contains(" sh\n"), "{launcher}: {ps}");
        let first = hunt.text("hang_run_1/pid.txt");
        assert!(!Path::new(&format!("/proc/{}", first.trim())).exists(), "it was stopped");
    }
}

#[test]
fn what_says_nothing_is_captured_from_outside() {
    // `env -i` takes the preload away, and `env` itself is not to be watched.
    let options = ["--runs", "1", "--name", "mi", "--verify-runs", "0", "--only", "nobody"];
    let command = ["env", "-i", "sh", "-c", "while :; do :; done"];
    let hunt = Hunt::new(&debian("libmimalloc.so.2"), &[&QUICK[..4], &options].concat(), &[], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.said());
    let object: Value = serde_json::from_str(hunt.text("runs.jsonl").trim()).unwrap();
    assert_eq!((&object["hello_seen"], &object["class"]), (&false.into(), &Value::Null));
    let note = object["note"].as_str().unwrap();
    assert!(note.contains("captured from outside only: no hello came from it"), "{note}");
    assert!(note.contains("its malloc came from /"), "{note}");
    let text = |file: &str| hunt.text(&format!("hang_run_1/{file}"));
    let dumps = read_dumps(&std::fs::read(hunt.out().join("hang_run_1/dump.bin")).unwrap()).unwrap();
    assert_eq!(dumps[0].threads.len(), 1);
    let threads: Value = serde_json::from_str(&text("threads.json")).unwrap();
    assert_eq!(threads["threads"].as_array().unwrap().len(), 1);
    assert_eq!(text("environ.txt"), "# no variable that the profile records is set\n");
    assert_eq!(text("maps_mi.txt"), "# no line of maps names mi; maps.txt has all of them\n");
    assert!(text("ps_L.txt").contains(" R -  "), "{}", text("ps_L.txt"));
    assert!(text("perf_hot_tid.txt").contains("# Samples: "), "{}", text("perf_hot_tid.txt"));
    assert_ne!(hunt.verdict()["verdict"], "allocator-bug", "nothing proves that the DSO was there");
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
    while pids().is_empty() {
        std::thread::yield_now();
    }
    for pid in pids() {
        // SAFETY: kill takes a pid and a signal.
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

#[test]
fn a_preload_that_does_not_arrive_is_no_hunt() {
    let hunt = hunt(&debian("libmimalloc.so.2"), &[], &["env", "-i", bench().to_str().unwrap(), "1", "1000"]);
    assert_eq!(hunt.code(), 30, "{}", hunt.said());
    assert!(!hunt.out().join("runs.tsv").exists());
    let result = hunt.text("preload_verify/result.txt");
    assert!(result.lines().last().unwrap().starts_with("[STRICT-PRELOAD] verification failed: "), "{result}");
}

#[test]
fn counters_are_collected_whether_anything_hung_or_not() {
    let profile = tempfile::NamedTempFile::new().unwrap();
    let text = "name = 'x'\nops = 'rate (\\d+)'\n\
        [[counters]]\nprefix = '[X_STATS'\nfile = 'x_stats.log'\n[[counters]]\nprefix = '[NONE]'\nfile = 'none.log'\n";
    std::fs::write(profile.path(), text).unwrap();
    let so = debian("libmimalloc.so.2");
    let options = [
        "--profile",
        profile.path().to_str().unwrap(),
        "--runs",
        "2",
        "--verify-runs",
        "0",
        "--stats-so",
        so.to_str().unwrap(),
        "--stats-runs",
        "3",
    ];
    let script =
        "echo rate 1234; echo '[X_STATS_B6] a=1' >&2; echo '[X_STATS] b=2'; echo ' [X_STATS] no' >&2";
    let hunt = Hunt::new(&so, &options, &[], &["sh", "-c", script]);
    assert_eq!(hunt.code(), 0, "{}", hunt.said());
    assert_eq!(hunt.text("runs.tsv").lines().nth(1), Some("1\t0\t0\t1234"));
    assert_eq!(hunt.text("x_stats.log").lines().count(), 6);
    assert_eq!(hunt.text("x_stats.log").lines().next(), Some("[X_STATS] b=2"));
    assert_eq!(hunt.text("none.log"), "# no line begins with [NONE] in 6 files\n");
    let sums = Command::new("sha1sum").arg("-c").arg(hunt.out().join("x_so_stats.sha1")).output().unwrap();
    assert!(sums.status.success());
    assert_eq!(hunt.text("stats_run_3.err").lines().count(), 2);
    assert_eq!(hunt.text("runs.tsv").lines().count(), 3, "the lane's runs are not the hunt's");
}

/// Starts a hunt, and lets it get to its third run.
fn begun(
    out: &Path,
    so: &Path,
    command: &[&str],
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

/// Processes that have this in their environment.
fn processes_with(entry: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|e| e.windows(entry.len()).any(|part| part == entry.as_bytes()))
    };
    pids.filter(has).collect()
}

#[test]
fn ctrl_c_ends_it_with_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let command = bench_with(&["2", "400000", "400", "16", "4096", "50", "1024"]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let out = out.with_extension(signal.to_string());
        let (child, _lines) = begun(&out, &debian("libmimalloc.so.2"), &command);
        // SAFETY: kill takes a pid and a signal; the child was not reaped, so its pid is its own.
        unsafe { libc::kill(child.id() as i32, signal) };
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let rows = std::fs::read_to_string(out.join("runs.tsv")).unwrap();
        assert!(rows.ends_with('\n') && rows.lines().skip(1).all(|row| row.split('\t').nth(1) == Some("0")));
        let verdict: Value =
            serde_json::from_slice(&std::fs::read(out.join("verdict.json")).unwrap()).unwrap();
        assert_eq!(
            verdict["runs"]["made"],
            rows.lines().count() - 1,
            "the one that was stopped is not counted"
        );
        assert!(out.join("report.md").exists());
        assert_eq!(processes_with(out.to_str().unwrap()), Vec::<u32>::new());
    }
}

#[test]
fn a_killed_hunt_leaves_whole_rows_and_no_benchmark() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let command = bench_with(&["2", "400000", "400", "16", "4096", "50", "1024"]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let (mut child, lines) = begun(&out, &debian("libmimalloc.so.2"), &command);
    let running = processes_with(out.to_str().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    let rows = std::fs::read_to_string(out.join("runs.tsv")).unwrap();
    assert!(rows.ends_with('\n') && rows.lines().count() >= 3);
    for pid in running {
        // It is killed with the hunt: what is left of it is not run any more.
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = state.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
        assert!(matches!(state, None | Some('Z' | 'X')), "{pid}: {state:?}");
    }
}

#[test]
fn two_hunts_at_once_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let (so, command) = stuck();
    let start = |out: &Path| {
        let mut command_line = hangscope();
        command_line.arg("hunt").args(QUICK).args(["--runs", "1", "--name", "x", "--so"]).arg(&so);
        command_line.arg("--out").arg(out).arg("--").args(&command);
        command_line.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let outs = ["a", "b", "c"].map(|name| dir.path().join(name));
    let children = outs.each_ref().map(|out| start(out));
    for (child, out) in children.into_iter().zip(&outs) {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(10), "{output:?}");
        let verdict: Value =
            serde_json::from_slice(&std::fs::read(out.join("verdict.json")).unwrap()).unwrap();
        assert_eq!(
            (&verdict["runs"]["hung"], &verdict["hangs"][0]["class"]),
            (&1.into(), &"deadlock".into())
        );
    }
    // The same folder again: what is there stays.
    let before = std::fs::read(outs[0].join("verdict.json")).unwrap();
    let output = start(&outs[0]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("holds an earlier hunt (runs.tsv): give another --out")
    );
    assert_eq!(std::fs::read(outs[0].join("verdict.json")).unwrap(), before);
}

#[test]
fn a_file_that_changes_under_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let so = dir.path().join("libmine.so");
    std::fs::copy(debian("libmimalloc.so.2"), &so).unwrap();
    let command = bench_with(&["2", "400000", "400", "16", "4096", "50", "1024"]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();

    // The user's own file: the pinned copy does not feel it.
    let (child, mut lines) = begun(&dir.path().join("a"), &so, &command);
    std::fs::copy(debian("libjemalloc.so.2"), &so).unwrap();
    let mut line = String::new();
    while !line.starts_with("[DSO] ") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the hunt ended");
    }
    assert!(line.contains("overwritten during run"), "{line}");
    // SAFETY: kill takes a pid and a signal; the child was not reaped, so its pid is its own.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let output = child.wait_with_output().unwrap();
    let verdict: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("a/verdict.json")).unwrap()).unwrap();
    assert_eq!(verdict["dso"]["original_integrity"], "overwritten", "{output:?}");
    assert_eq!(verdict["dso"]["integrity"], "intact");
    assert_eq!(verdict["runs"]["crashed"], 0);

    // The pinned copy itself: a run that dies of it is not merely a crash.
    let out = dir.path().join("b");
    let (child, mut lines) = begun(&out, &debian("libmimalloc.so.2"), &command);
    let pinned = out.join(names(&out).into_iter().find(|name| name.ends_with(".so")).unwrap());
    let bytes = std::fs::read(&pinned).unwrap();
    std::fs::set_permissions(&pinned, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut line = String::new();
    while !line.contains("died by signal") {
        // In the middle of a run: once one has its threads, written over with the same bytes.
        let threads = |pid: &u32| names(Path::new(&format!("/proc/{pid}/task"))).len();
        while !processes_with(pinned.to_str().unwrap()).iter().any(|pid| threads(pid) > 3) {
            std::thread::yield_now();
        }
        std::fs::write(&pinned, &bytes).unwrap();
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the hunt ended");
    }
    // SAFETY: as above.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(20), "{output:?}");
    let verdict: Value = serde_json::from_slice(&std::fs::read(out.join("verdict.json")).unwrap()).unwrap();
    assert_eq!(verdict["dso"]["integrity"], "overwritten");
}

#[test]
fn names_are_those_of_the_code_that_ran_when_the_file_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let fault = Fault::named("owner_spinning");
    let mut hunt = hangscope();
    hunt.args(["hunt", "--hang-after", "4s", "--verify-runs", "0", "--runs", "1", "--name", "os", "--so"]);
    hunt.arg(allocator("owner_spinning"))
        .arg("--out")
        .arg(&out)
        .arg("--")
        .args(bench_with(fault.workload_args));
    let hunt = Running::start(&mut hunt);
    let text = |file: &str| std::fs::read_to_string(out.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let runs = || processes_with(&format!("{}:", built("libhangscope.so").display()));
    let in_it = |pid: &u32| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        maps.contains(out.to_str().unwrap()) && names(Path::new(&format!("/proc/{pid}/task"))).len() > 3
    };
    while !runs().iter().any(in_it) {
        std::thread::yield_now();
    }
    let pinned = names(&out).into_iter().find(|name| name.ends_with(".so")).unwrap();
    std::fs::remove_file(out.join(pinned)).unwrap();
    assert_eq!(hunt.wait().code(), Some(20));
    assert!(text("hang_run_1/maps_os.txt").lines().all(|line| line.ends_with(".so (deleted)")));
    let function = fault.culprit_function.unwrap();
    assert!(
        text("hang_run_1/perf_hot_tid.txt").contains(function),
        "{}",
        text("hang_run_1/perf_hot_tid.txt")
    );
    assert!(text("hang_run_1/stacks.txt").contains(function), "{}", text("hang_run_1/stacks.txt"));
    let verdict: Value = serde_json::from_str(&text("verdict.json")).unwrap();
    assert_eq!(
        (&verdict["dso"]["integrity"], &verdict["dso"]["deleted_seen"]),
        (&"deleted".into(), &true.into())
    );
    assert_eq!(verdict["hangs"][0]["hot"]["function"], function);
}

#[test]
fn it_goes_on_and_counts_if_it_is_told_to() {
    let (so, command) = stuck();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options = ["--hang-after", "1s", "--no-perf", "--runs", "3", "--verify-runs", "0", "--keep-going"];
    let hunt = Hunt::new(&so, &options, &[], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.said());
    assert_eq!(hunt.verdict()["runs"]["hung"], 3);
    for run in 1..=3 {
        let perf = hunt.text(&format!("hang_run_{run}/perf_hot_tid.txt"));
        assert_eq!(perf, "# perf: not asked for (--no-perf)\n");
    }
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
        (&["--so", so, "--env", "LD_PRELOAD=x"], "ls", 2, "is what the hunt sets"),
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
        let (status, stdout, stderr) = told(command.arg("--").arg(program));
        assert_eq!(status, Some(*code), "{options:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{options:?}: {stderr}");
        assert!(stderr.starts_with("hangscope: ") && stderr.contains(wanted), "{options:?}: {stderr}");
        assert_eq!(stdout, "", "{options:?}");
        assert!(!out.exists(), "{options:?} left {:?}", names(&out));
    }
}

#[test]
fn a_full_disk_ends_it_with_one_line() {
    // A small disk of its own, in a namespace of its own.
    let (so, command) = stuck();
    let dir = tempfile::tempdir().unwrap();
    let size = std::fs::metadata(&so).unwrap().len() * 3 / 2;
    // Namespaces of its own: the disk is full for nobody else, and what it holds is copied out to be looked at.
    let script = format!(
        "mount -t tmpfs -o size={size} none {disk}/small || exit 99\n\
         \"$@\"\ncode=$?\ncp -r {disk}/small/out {disk}/kept\nexit $code",
        disk = dir.path().display()
    );
    std::fs::create_dir(dir.path().join("small")).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    let hunt = hangscope();
    unshare.arg(hunt.get_program());
    unshare.envs(hunt.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare.args(["hunt", "--no-perf", "--hang-after", "2s", "--verify-runs", "0", "--name", "x", "--so"]);
    unshare.arg(&so).arg("--out").arg(dir.path().join("small/out")).arg("--").args(&command);
    let output = run(&mut unshare);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("No space left on device") && stderr.contains("make room"), "{stderr}");
    assert!(stderr.contains("its evidence is not complete"), "{stderr}");
    let kept = dir.path().join("kept");
    assert_eq!(std::fs::read_to_string(kept.join("runs.tsv")).unwrap(), "run\trc_or_hang\thung\tops\n");
    for name in names(&kept.join("hang_run_1")) {
        assert!(!name.starts_with('.'), "half-written: {name}");
    }
    assert_eq!(processes_with(dir.path().to_str().unwrap()), Vec::<u32>::new());
}

#[test]
fn a_run_leaves_no_process_behind() {
    let mark = format!("HANGSCOPE_TEST_BEHIND={}", std::process::id());
    let hunt = hunt(
        &debian("libmimalloc.so.2"),
        &["--runs", "2", "--env", &mark],
        &["sh", "-c", "setsid sleep 1000 & sleep 1000 & true"],
    );
    assert_eq!(hunt.code(), 0, "{}", hunt.said());
    assert!(hunt.stdout().contains("left 2 processes behind, which were stopped"), "{}", hunt.said());
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
}

#[test]
fn a_stall_is_a_hang_without_a_deadline() {
    let (so, command) = stuck();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options = ["--hang-after", "off", "--stall", "2s", "--no-perf", "--runs", "1", "--verify-runs", "0"];
    let hunt = Hunt::new(&so, &options, &[], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.said());
    assert_eq!(hunt.verdict()["hangs"][0]["class"], "deadlock");
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
