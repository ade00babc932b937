//! `hangscope hunt` as a user runs it: the script, launchers,
//! programs without the shim, counters, names of a file that is gone.

use std::path::Path;
use std::process::Command;

use hangscope_collector::session::read_dumps;
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{Hunt, QUICK, bench_with, children, file_names, has_mapped, stuck_benchmark};
use hangscope_test_e2e::{Running, allocator, bench, debian, hangscope, run};
use serde_json::Value;

fn hunt(so: &Path, options: &[&str], command: &[&str]) -> Hunt {
    Hunt::new(so, &[&QUICK[..], options].concat(), &[], command)
}

#[test]
fn the_script_ends_with_headline_report_and_bundle() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/hunt.sh");
    let elsewhere = tempfile::tempdir().unwrap();
    let output = run(Command::new(script).current_dir(elsewhere.path()).env("FAULT_ONE_IN", "1"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    let end = stdout
        .split_once("\nB, allocator bug, reproduced 1/")
        .unwrap_or_else(|| panic!("no headline: {stdout}"))
        .1;
    for line in ["- Reproduced: `1 / ", "- Reproduced with the pinned DSO: `yes`", "- `(deleted)` seen: `no`"]
    {
        assert!(end.contains(line), "{stdout}");
    }
    assert!(end.contains("- Top wait: `futex_wait_queue` share 93.8 %"), "{stdout}");
    assert!(end.contains("- Next action: `fix the code`"), "{stdout}");
    let bundle = Path::new(end.trim_end().rsplit(' ').next().unwrap());
    assert!(bundle.join("verdict.json").exists(), "{stdout}");
    std::fs::remove_dir_all(bundle).unwrap();
    assert_eq!(file_names(elsewhere.path()), Vec::<String>::new());
}

#[test]
fn behind_launchers_it_is_the_benchmark_that_is_looked_at() {
    let (so, bench) = stuck_benchmark();
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
        assert_eq!(hunt.code(), 10, "{launcher}: {}", hunt.outputs());
        let hang = &hunt.verdict()["hangs"][0];
        assert_eq!(hang["class"], "deadlock", "{launcher}: {hang}");
        let ps = hunt.text("hang_run_1/ps_L.txt");
        assert!(ps.contains("hangscope-bench") && !ps.contains(" sh\n"), "{launcher}: {ps}");
        let first = hunt.text("hang_run_1/pid.txt");
        assert!(!Path::new(&format!("/proc/{}", first.trim())).exists(), "the run was ended");
    }
}

#[test]
fn what_says_nothing_is_captured_from_outside() {
    // `env -i` clears LD_PRELOAD, and --only keeps the shim from watching `env` itself.
    let options = ["--runs", "1", "--name", "mi", "--verify-runs", "0", "--only", "nobody"];
    let command = ["env", "-i", "sh", "-c", "while :; do :; done"];
    let hunt = Hunt::new(&debian("libmimalloc.so.2"), &[&QUICK[..4], &options].concat(), &[], &command);
    assert_eq!(hunt.code(), 30, "{}", hunt.outputs());
    let object: Value = serde_json::from_str(hunt.text("runs.jsonl").trim()).unwrap();
    assert_eq!((&object["hello_seen"], &object["class"]), (&false.into(), &Value::Null));
    let note = object["note"].as_str().unwrap();
    assert!(note.contains("captured from outside only: it sent no hello"), "{note}");
    assert!(note.contains("its malloc came from /"), "{note}");
    let text = |file: &str| hunt.text(&format!("hang_run_1/{file}"));
    let dumps = read_dumps(&std::fs::read(hunt.out().join("hang_run_1/dump.bin")).unwrap()).unwrap();
    assert_eq!(dumps[0].threads.len(), 1);
    let threads: Value = serde_json::from_str(&text("threads.json")).unwrap();
    assert_eq!(threads["threads"].as_array().unwrap().len(), 1);
    // What follows is in it, and the shim is not: nothing else is preloaded.
    let environ = text("environ.txt");
    assert!(
        environ.starts_with("LD_PRELOAD=/") && environ.ends_with("/libhangscope_follow.so\n"),
        "{environ}"
    );
    assert_eq!(text("maps_mi.txt"), "# no line of maps names mi; maps.txt has all of them\n");
    assert!(text("ps_L.txt").contains(" R -  "), "{}", text("ps_L.txt"));
    assert!(text("perf_hot_tid.txt").contains("# Samples: "), "{}", text("perf_hot_tid.txt"));
    assert_eq!(hunt.verdict()["verdict"], "inconclusive", "nothing proves that the DSO was there");
}

#[test]
fn a_preload_that_does_not_arrive_is_no_hunt() {
    let hunt = hunt(&debian("libmimalloc.so.2"), &[], &["env", "-i", bench().to_str().unwrap(), "1", "1000"]);
    assert_eq!(hunt.code(), 30, "{}", hunt.outputs());
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
    // The run lives long enough for its hello to arrive, on a busy machine too.
    let script = "echo rate 1234; echo '[X_STATS_B6] a=1' >&2; echo '[X_STATS] b=2'; echo ' [X_STATS] no' >&2; sleep 0.5";
    let hunt = Hunt::new(&so, &options, &[], &["sh", "-c", script]);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    assert_eq!(hunt.text("runs.tsv").lines().nth(1), Some("1\t0\t0\t1234"));
    assert_eq!(hunt.text("x_stats.log").lines().count(), 6);
    assert_eq!(hunt.text("x_stats.log").lines().next(), Some("[X_STATS] b=2"));
    assert_eq!(hunt.text("none.log"), "# no line begins with [NONE] in 6 files\n");
    let sums = Command::new("sha1sum").arg("-c").arg(hunt.out().join("x_so_stats.sha1")).output().unwrap();
    assert!(sums.status.success());
    assert_eq!(hunt.text("stats_run_3.err").lines().count(), 2);
    assert_eq!(
        hunt.text("runs.tsv").lines().count(),
        3,
        "the runs of the counter lane are not runs of the hunt"
    );
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
    // At any moment, also before the shim has looked at it. Not a search of all processes: to read of one
    // whose memory never comes may take seconds.
    while !children(hunt.pid()).iter().any(|pid| has_mapped(*pid, &out)) {
        std::thread::yield_now();
    }
    let pinned = file_names(&out).into_iter().find(|name| name.ends_with(".so")).unwrap();
    std::fs::remove_file(out.join(pinned)).unwrap();
    let ended = hunt.wait();
    assert_eq!(ended.code(), Some(20), "{}\n{}", text("verdict.json"), text("runs.jsonl"));
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
    let (so, command) = stuck_benchmark();
    let options = ["--hang-after", "1s", "--no-perf", "--runs", "3", "--verify-runs", "0", "--keep-going"];
    let hunt = Hunt::new(&so, &options, &[], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    assert_eq!(hunt.verdict()["runs"]["hung"], 3);
    for run in 1..=3 {
        let perf = hunt.text(&format!("hang_run_{run}/perf_hot_tid.txt"));
        assert_eq!(perf, "# perf: not asked for (--no-perf)\n");
    }
}
