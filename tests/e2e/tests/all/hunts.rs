//! Complete hunts as a user runs them: the demonstration with its full bundle, sound allocators, DSOs that
//! change during a run, two hunts at once, Ctrl-C.

use std::path::Path;
use std::process::{Command, Stdio};

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::exported;
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{built, debian, hangscope, output_parts, run, send_signal, wait};
use serde_json::Value;

/// Hunts the demonstration allocator. FAULT_ONE_IN makes it hang in the first run.
fn hunt_demonstration(options: &[&str]) -> Hunt {
    let fault = Fault::named("demo");
    let command = bench_with(fault.workload_args);
    let env = [("FAULT_ONE_IN", "1")];
    let options = [&["--name", "demo", "--runs", "5", "--hang-after", "2s"], options].concat();
    Hunt::new(&built(&format!("examples/{}", fault.so)), &options, &env, &command)
}

#[test]
fn the_demonstration_leaves_every_file_and_each_can_be_read() {
    let hunt = hunt_demonstration(&[]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let snap = "hang_run_1";

    let sha1 = hunt.text("demo_so.sha1");
    let (sum, path) = sha1.trim_end().split_once("  ").expect("sha1sum's format");
    assert!(sum.len() == 40 && sum.bytes().all(|b| b.is_ascii_hexdigit()), "{sha1}");
    let check = run(Command::new("sha1sum")
        .arg("-c")
        .arg(hunt.out().join("demo_so.sha1"))
        .current_dir(hunt.dir.path()));
    assert!(check.status.success(), "{path}: {check:?}");

    assert_eq!(hunt.text("runs.tsv"), "run\trc_or_hang\thung\tops\n1\tHANG\t1\tnan\n");
    let run_line: Value =
        serde_json::from_str(hunt.text("runs.jsonl").lines().next().expect("a line")).expect("JSON");
    assert_eq!(run_line["class"], "owner-spinning");
    let progress = hunt.text("progress.log");
    let captured = format!("[HANG] captured at run 1 -> {}/{snap}", hunt.out().display());
    assert_eq!(progress.lines().collect::<Vec<_>>(), ["[RUN] 1", &captured]);
    for file in ["run_1.out", "run_1.err"] {
        assert!(hunt.out().join(file).exists(), "{file}");
    }
    assert!(hunt.text("preload_verify/result.txt").ends_with("[STRICT-PRELOAD] verification passed\n"));

    let verdict = hunt.verdict();
    let pid = verdict["hangs"][0]["pid"].as_u64().expect("a pid");
    assert_eq!(hunt.text(&format!("{snap}/pid.txt")).trim(), pid.to_string());
    let ps = hunt.text(&format!("{snap}/ps_L.txt"));
    let header: Vec<_> = ps.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["PID", "TID", "PSR", "%CPU", "S", "WCHAN", "COMMAND"]);
    let threads = verdict["hangs"][0]["threads"]["all"].as_u64().expect("a count");
    assert!(ps.lines().count() as u64 > threads, "{ps}");
    assert!(hunt.text(&format!("{snap}/environ.txt")).starts_with("LD_PRELOAD="));
    assert!(hunt.text(&format!("{snap}/maps_demo.txt")).lines().all(|l| l.contains("demo")));
    assert!(hunt.text(&format!("{snap}/maps.txt")).contains("libc.so.6"));
    let wchan = hunt.text(&format!("{snap}/wchan_by_tid.tsv"));
    let rows: Vec<(&str, &str)> = wchan.lines().map(|l| l.split_once('\t').expect("two columns")).collect();
    let mut sorted = rows.clone();
    sorted.sort_by_key(|(tid, wchan)| (*wchan, tid.parse::<u32>().expect("a tid")));
    assert_eq!(rows, sorted);
    assert!(hunt.text(&format!("{snap}/perf_hot_tid.txt")).contains("demo_"), "perf names the loop");
    assert!(
        std::fs::metadata(hunt.out().join(snap).join("perf_hot_tid.data")).expect("perf's data").len() > 0
    );
    let dump = std::fs::read(hunt.out().join(snap).join("dump.bin")).expect("dump.bin");
    let dumps = hangscope_collector::session::read_dumps(&dump).expect("dumps");
    assert_eq!(u64::from(dumps[0].identity.fixed.pid), pid);
    let threads_json: Value =
        serde_json::from_str(&hunt.text(&format!("{snap}/threads.json"))).expect("JSON");
    assert!(threads_json.to_string().contains("demo_"));
    assert!(hunt.text(&format!("{snap}/stacks.txt")).contains("bench_worker"));
    let copy = std::fs::read(hunt.out().join(snap).join("demo.so")).expect("the copy");
    assert_eq!(copy, std::fs::read(built("examples/libfault_demo.so")).expect("the DSO"));

    for key in [
        "schema",
        "name",
        "command",
        "hang_after_s",
        "runs",
        "rate",
        "dso",
        "verdict",
        "letter",
        "headline",
        "next_action",
        "evidence",
        "would_change_it",
        "futex_wait_share",
        "hangs",
    ] {
        assert!(!verdict[key].is_null(), "{key}");
    }
    assert_eq!((&verdict["verdict"], &verdict["letter"]), (&"allocator-bug".into(), &"B".into()));
    assert!(hunt.text("report.md").contains("Reproduced: `1 / 1`"));
    assert!(hunt.text("report.ja.md").contains("- 再現回数: `1 / 1`"));
    assert!(hunt.text("report.ja.md").contains("- 次アクション: `コード修正`"));
    let headline = verdict["headline"].as_str().expect("a headline");
    assert!(hunt.stdout().contains(headline), "{}", hunt.outputs());

    exported::check(&hunt.out().join(snap));

    // A new analysis of the recorded dump gives the same class.
    let report = run(hangscope().arg("report").arg(hunt.out().join(snap).join("dump.bin")));
    assert!(report.status.success(), "{report:?}");
    assert!(String::from_utf8_lossy(&report.stdout).contains("owner-spinning"), "{report:?}");
}

/// Checks that 20 runs do not hang, and that the output is
/// the same as without the shim, except for the numbers.
fn check_20_runs(file: &str) {
    let args = ["4", "50000", "200", "16", "8192", "70", "1024"];
    let command = bench_with(&args);
    let dso = debian(file);
    let words = |text: &str| text.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    let plain = run(Command::new(&command[0]).args(&command[1..]).env("LD_PRELOAD", &dso));
    let plain = (output_parts(&plain).0, words(&output_parts(&plain).1), output_parts(&plain).2);
    let hunt = Hunt::new(&dso, &["--runs", "20", "--hang-after", "30s", "--no-perf"], &[], &command);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    let verdict = hunt.verdict();
    assert_eq!((&verdict["runs"]["ok"], &verdict["runs"]["hung"]), (&20.into(), &0.into()));
    assert_eq!(verdict["verdict"], "not-reproduced");
    for n in 1..=20 {
        assert_eq!(words(&hunt.text(&format!("run_{n}.out"))), plain.1, "{file}, run {n}");
        assert_eq!(hunt.text(&format!("run_{n}.err")), plain.2, "{file}, run {n}");
    }
    let rows = hunt.text("runs.tsv");
    assert_eq!(rows.lines().filter(|l| l.split('\t').nth(1) == Some("0")).count(), 20, "{rows}");
}

#[test]
fn jemalloc_20_runs() {
    check_20_runs("libjemalloc.so.2");
}

#[test]
fn mimalloc_20_runs() {
    check_20_runs("libmimalloc.so.2.0");
}

#[test]
fn tcmalloc_20_runs() {
    check_20_runs("libtcmalloc_minimal.so.4");
}

/// Hunts with one long run. After the run has begun, `change` changes
/// the pinned copy of the DSO, or the original if `copy` is false.
fn change_during_run(copy: bool, change: impl FnOnce(&Path)) -> Hunt {
    let folder = tempfile::tempdir().expect("a folder");
    let original = folder.path().join("libh.so");
    std::fs::copy(built("examples/libfault_healthy.so"), &original).expect("a copy");
    let out = folder.path().join("out");
    let mut command = hangscope();
    command.args([
        "hunt",
        "--runs",
        "1",
        "--hang-after",
        "20s",
        "--tick",
        "20ms",
        "--no-perf",
        "--name",
        "h",
        "--so",
    ]);
    command.arg(&original).arg("--out").arg(&out);
    command.arg("--").args(bench_with(&["4", "6000000", "200", "16", "8192", "70", "1024"]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a hunt");
    let target = poll_until(|| running_dso(&out));
    change(if copy { &target } else { &original });
    let output = child.wait_with_output().expect("its end");
    Hunt { dir: folder, output }
}

/// The path of the pinned copy. None until a benchmark has mapped the copy and its watchdog has sent its
/// hello: before that, the shim has no snapshot to compare with.
fn running_dso(out: &Path) -> Option<std::path::PathBuf> {
    let prefix = out.join("h_").to_str().expect("text").to_owned();
    let processes = std::fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|p| {
        let exe = std::fs::read_link(p.path().join("exe")).ok()?;
        if !exe.ends_with("hangscope-bench") || !out.join("run_1.out").exists() {
            return None;
        }
        if !watchdog_waits(&p.path()) {
            return None;
        }
        let maps = std::fs::read_to_string(p.path().join("maps")).ok()?;
        let line = maps.lines().find(|l| l.contains(&prefix))?;
        Some(line.get(line.find('/')?..)?.into())
    })
}

/// Whether the watchdog of a process waits for its next look. It does so once it has sent its hello.
fn watchdog_waits(process: &Path) -> bool {
    let waits = format!("{} ", libc::SYS_ppoll);
    let reads = |task: &Path, file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
    let tasks =
        std::fs::read_dir(process.join("task")).into_iter().flatten().flatten().map(|task| task.path());
    let mut watchdogs = tasks.filter(|task| reads(task, "comm") == "hangscope\n");
    watchdogs.any(|task| reads(&task, "syscall").starts_with(&waits))
}

/// Polls until `look` returns a value, for changes that no event reports (another process's maps).
fn poll_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + hangscope_test_e2e::GIVE_UP_AFTER;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "the time limit is over");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn integrity_of_run(hunt: &Hunt) -> String {
    let line: Value =
        serde_json::from_str(hunt.text("runs.jsonl").lines().next().expect("a run")).expect("JSON");
    line["integrity_end"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_copy_that_runs_is_removed() {
    let hunt = change_during_run(true, |dso| std::fs::remove_file(dso).expect("rm"));
    assert_eq!(integrity_of_run(&hunt), "deleted", "{}", hunt.outputs());
    assert_eq!(hunt.code(), 20, "{}", hunt.outputs());
}

#[test]
fn the_copy_that_runs_is_replaced() {
    let hunt = change_during_run(true, |dso| {
        let beside = dso.with_extension("new");
        std::fs::copy(built("examples/libfault_demo.so"), &beside).expect("a copy");
        std::fs::rename(beside, dso).expect("mv");
    });
    assert_eq!(integrity_of_run(&hunt), "replaced", "{}", hunt.outputs());
    assert_eq!(hunt.code(), 20, "{}", hunt.outputs());
}

fn check_copy_over(from: &str) {
    let hunt = change_during_run(true, |dso| {
        // The pinned copy is read-only. A build would also make the copy writable first.
        let mut mode = std::fs::metadata(dso).expect("metadata").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
        std::fs::set_permissions(dso, mode).expect("chmod");
        std::fs::write(dso, std::fs::read(built(from)).expect("bytes")).expect("a copy in place");
    });
    assert_eq!(integrity_of_run(&hunt), "overwritten", "{}\n{}", hunt.outputs(), hunt.text("runs.jsonl"));
    assert_eq!(hunt.code(), 20, "{}", hunt.outputs());
}

#[test]
fn the_identical_file_is_copied_over_the_one_that_runs() {
    check_copy_over("examples/libfault_healthy.so");
}

#[test]
fn another_build_is_copied_over_the_one_that_runs() {
    check_copy_over("examples/libfault_demo.so");
}

#[test]
fn a_build_that_changes_the_original_is_told_though_the_run_does_not_feel_it() {
    let hunt = change_during_run(false, |original| {
        std::fs::write(original, std::fs::read(built("examples/libfault_demo.so")).expect("bytes"))
            .expect("a build");
    });
    assert_eq!(integrity_of_run(&hunt), "intact", "{}", hunt.outputs());
    assert_eq!(hunt.verdict()["dso"]["original_integrity"], "overwritten", "{}", hunt.outputs());
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
}

#[test]
fn two_hunts_at_once_do_not_meet() {
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| hunt_demonstration(&["--no-perf"]));
        let b = scope.spawn(|| hunt_demonstration(&["--no-perf"]));
        (a.join().expect("a hunt"), b.join().expect("a hunt"))
    });
    for hunt in [a, b] {
        assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
        assert_eq!(hunt.verdict()["runs"]["made"], 1);
    }
}

#[test]
fn ctrl_c_ends_with_what_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let mut command = hangscope();
    command
        .args(["hunt", "--runs", "1000", "--no-perf", "--name", "h", "--so"])
        .arg(built("examples/libfault_healthy.so"));
    command
        .arg("--out")
        .arg(&out)
        .arg("--")
        .args(bench_with(&["2", "20000", "100", "16", "4096", "50", "1024"]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a hunt");
    poll_until(|| {
        let rows = std::fs::read_to_string(out.join("runs.tsv")).ok()?;
        (rows.lines().count() > 3).then_some(())
    });
    send_signal(&child, libc::SIGINT);
    let status = wait(&mut child, hangscope_test_e2e::GIVE_UP_AFTER).expect("an end");
    let verdict: Value =
        serde_json::from_slice(&std::fs::read(out.join("verdict.json")).expect("a verdict")).expect("JSON");
    let rows = std::fs::read_to_string(out.join("runs.tsv")).expect("rows");
    assert_eq!(verdict["runs"]["made"].as_u64(), Some(rows.lines().count() as u64 - 1), "{rows}");
    assert_eq!(verdict["runs"]["planned"], 1000);
    assert!(out.join("report.md").exists());
    assert_eq!(status.code(), Some(1), "neither all runs nor a hang, so no other status fits");
}
