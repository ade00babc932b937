//! What hunts, matrices and collectors remember, and what the next ones say of it.

use std::path::Path;
use std::time::Duration;

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{Hunt, bench_with, run_hangscope};
use hangscope_test_e2e::{allocator, debian, hangscope, run};
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

/// Hunts an allocator that hangs in its first run.
fn hunt(so: &Path, history: &str, more: &[&str]) -> Hunt {
    let short =
        ["--name", "self", "--runs", "2", "--hang-after", "5s", "--stall", "500ms", "--verify-runs", "0"];
    let options = [&short[..], &["--no-perf", "--history", history], more].concat();
    Hunt::new(so, &options, &[], &bench_with(Fault::named("deadlock_self").workload_args))
}

fn history(file: &str, options: &[&str]) -> Value {
    let output = run_hangscope(&[&["history", "--history", file, "--json"], options].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_hang_is_known_again_in_another_build() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("data/history.db").display().to_string();
    let first = hunt(&allocator("deadlock_self"), &file, &[]);
    assert_eq!(first.code(), 10, "{}", first.outputs());
    assert!(first.stdout().contains("not seen before: deadlock"), "{}", first.stdout());
    let signature = first.verdict()["hangs"][0]["signature"].as_str().expect("a signature").to_owned();

    // Another build with the same code: bytes after the end of an ELF file mean nothing.
    let other = dir.path().join("libother.so");
    let mut bytes = std::fs::read(allocator("deadlock_self")).expect("a DSO");
    bytes.extend(b"another build");
    std::fs::write(&other, bytes).expect("a DSO");
    let second = hunt(&other, &file, &["--label", "again"]);
    assert_eq!(second.verdict()["hangs"][0]["signature"], signature.as_str());
    let sha1 = |hunt: &Hunt| hunt.verdict()["dso"]["sha1"].as_str().expect("a SHA-1").to_owned();
    let said = format!("first with self {}", &sha1(&first)[..8]);
    for text in [second.stdout(), second.text("report.md")] {
        assert!(text.contains("seen 1 time before (deadlock") && text.contains(&said), "{text}");
    }
    assert!(second.text("report.ja.md").contains("以前に 1 回観測した"), "{}", second.text("report.ja.md"));

    let sound = Hunt::new(
        &debian("libmimalloc.so.2"),
        &["--runs", "3", "--history", &file, "--verify-runs", "1"],
        &[],
        &bench_with(&["2", "1000", "100", "16", "2048", "50", "1024"]),
    );
    assert_eq!(sound.code(), 0, "{}", sound.outputs());

    let all = history(&file, &[]);
    let counts = |trend: &Value, build: usize| {
        let build = &trend["builds"][build];
        (
            build["runs"].clone(),
            build["counted"].clone(),
            build["hung"].clone(),
            build["build"]["sha1"].clone(),
        )
    };
    let trends = all["trends"].as_array().expect("trends");
    assert_eq!(trends.len(), 3, "{all}");
    let of = |name: &str, label: &str| {
        let is = |trend: &&Value| trend["allocator"] == name && trend["workload"]["label"] == label;
        counts(trends.iter().find(is).unwrap_or_else(|| panic!("{name} {label}: {all}")), 0)
    };
    assert_eq!(of("self", ""), (1.into(), 1.into(), 1.into(), sha1(&first).into()));
    assert_eq!(of("self", "again"), (1.into(), 1.into(), 1.into(), sha1(&second).into()));
    let mimalloc = of("mimalloc", "");
    assert_eq!((mimalloc.0, mimalloc.1, mimalloc.2), (3.into(), 3.into(), 0.into()));
    assert_eq!(all["signatures"][0]["times"], 2, "{all}");
    assert_eq!(all["signatures"][0]["id"], signature.as_str());

    let each = history(&file, &["--signature", &signature]);
    let bundles: Vec<&str> =
        each["hangs"].as_array().expect("hangs").iter().filter_map(|hang| hang["bundle"].as_str()).collect();
    // The last first.
    let expected = [&second, &first].map(|hunt| hunt.out().join("hang_run_1").display().to_string());
    assert_eq!(bundles, expected);
    let one = history(&file, &["--so", other.to_str().expect("text")]);
    assert_eq!(one["trends"].as_array().map(Vec::len), Some(1), "{one}");

    let forgotten = hunt(&allocator("deadlock_self"), &file, &[]);
    assert!(forgotten.stdout().contains("seen 2 times before"), "{}", forgotten.stdout());
    let text = run_hangscope(&["history", "--history", &file]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains(&signature) && text.contains("0/3: 0.0 to 63.2 %"), "{text}");
}

#[test]
fn nothing_is_remembered_that_the_user_does_not_want() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let so = debian("libmimalloc.so.2");
    let options = ["--runs", "1", "--verify-runs", "0", "--no-history"];
    let data = dir.path().join("data");
    let env = [("XDG_DATA_HOME", data.to_str().expect("text"))];
    let hunt = Hunt::new(&so, &options, &env, &bench_with(&["1", "1000", "100", "16", "2048", "50", "1024"]));
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    assert!(!data.exists());
}

#[test]
fn a_collector_remembers_its_sessions() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("history.db").display().to_string();
    let out = dir.path().join("out").display().to_string();
    let so = debian("libmimalloc.so.2");
    let program = bench_with(&["1", "1000", "100", "16", "2048", "50", "1024"]).join(" ");
    let script = format!("for i in 1 2; do LD_PRELOAD={} {program}; done", so.display());
    let command = ["collect", "--out", &out, "--history", &file, "--", "sh", "-c", &script];
    let collect = run_hangscope(&command);
    assert!(collect.status.success(), "{collect:?}");
    let all = history(&file, &["--name", "mimalloc"]);
    let [trend] = &all["trends"].as_array().expect("trends")[..] else { panic!("{all}") };
    let builds = trend["builds"].as_array().expect("builds");
    let sum = |key: &str| builds.iter().filter_map(|build| build[key].as_u64()).sum::<u64>();
    assert_eq!((sum("runs"), sum("counted"), sum("hung")), (2, 2, 0), "{all}");
    let summed = hangscope_test_e2e::run(std::process::Command::new("sha1sum").arg(&so));
    let sha1 = String::from_utf8_lossy(&summed.stdout)[..40].to_owned();
    // The copy of the DSO of a process that ends at once may come too late. Its build-id always comes.
    let known = |build: &&Value| build["build"]["sha1"].is_string();
    assert!(builds.iter().filter(known).all(|build| build["build"]["sha1"] == sha1.as_str()), "{all}");
    assert!(builds.iter().all(|build| build["build"]["build_id"].is_string()), "{all}");
}

#[test]
fn the_files_in_out_do_not_wait_for_a_lock_of_the_history() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let [file, out] = ["history.db", "out"].map(|name| dir.path().join(name));
    let lock = std::fs::File::create(dir.path().join("history.db.lock")).expect("a file");
    let held = Flock::lock(lock, FlockArg::LockExclusive).expect("a lock");
    let mut hunt = hangscope();
    hunt.arg("hunt").arg("--so").arg(allocator("deadlock_self")).arg("--out").arg(&out);
    hunt.args(["--name", "self", "--runs", "1", "--hang-after", "5s", "--stall", "500ms"]);
    hunt.args(["--verify-runs", "0", "--no-perf", "--history"]).arg(&file).arg("--");
    hunt.args(bench_with(Fault::named("deadlock_self").workload_args));
    let running = std::thread::spawn(move || run(&mut hunt));
    // The hunt waits 20 s for the lock from its start, and once more at its end.
    let report = out.join("report.md");
    while !report.exists() {
        assert!(!running.is_finished(), "{:?}", running.join());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(held);
    let output = running.join().expect("an output");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("not seen before"), "{output:?}");
    assert!(std::fs::read_to_string(report).expect("a report").contains("not seen before"), "{output:?}");
}

#[test]
fn a_file_that_is_no_history_is_refused_before_the_first_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("my.csv");
    std::fs::write(&file, "run,ops_s\n").expect("a file");
    let name = file.to_str().expect("text");
    let hunt = Hunt::new(&debian("libmimalloc.so.2"), &["--history", name], &[], &["true"]);
    assert_eq!(hunt.code(), 2, "{}", hunt.outputs());
    assert!(hunt.outputs().contains("give another file with --history FILE"), "{}", hunt.outputs());
    let read = run_hangscope(&["history", "--history", name]);
    assert_eq!(read.status.code(), Some(1), "{read:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "run,ops_s\n");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
}
