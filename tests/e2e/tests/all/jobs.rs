//! `hangscope hunt --jobs`: several runs at a time, each on CPUs of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hangscope_test_e2e::hunt::{
    Hunt, QUICK, bench_with, file_names, processes_with, run_parts, stuck_benchmark,
};
use hangscope_test_e2e::{GIVE_UP_AFTER, Running, debian, hangscope, run, send_signal, wait};
use serde_json::Value;

/// Two runs at a time need two processors.
fn is_possible() -> bool {
    let possible = std::thread::available_parallelism().is_ok_and(|n| n.get() >= 2);
    if !possible {
        println!("skipped: there is one processor");
    }
    possible
}

fn hunt(so: &Path, options: &[&str], command: &[impl AsRef<std::ffi::OsStr>]) -> Hunt {
    Hunt::new(so, &[&QUICK[..4], &["--verify-runs", "0", "--jobs", "2"], options].concat(), &[], command)
}

/// The objects of `runs.jsonl`.
fn runs(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("runs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers in the rows of a `runs.tsv`.
fn rows(path: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with("run\trc_or_hang\thung\tops\n"), "{text}");
    text.lines().skip(1).map(|row| row.split('\t').next().unwrap().parse().unwrap()).collect()
}

/// A command that becomes the stuck benchmark in its first `stuck` runs, and else executes `other`.
fn stuck_first(dir: &Path, stuck: u32, other: &str) -> (PathBuf, Vec<String>) {
    let (so, bench) = stuck_benchmark();
    let turns: Vec<String> = (0..stuck).map(|n| format!("mkdir {}/{n} 2>/dev/null", dir.display())).collect();
    let script = format!("if {}; then exec {}; fi; exec {other}", turns.join(" || "), bench.join(" "));
    (so, ["bash", "-c", &script].map(str::to_owned).to_vec())
}

#[test]
fn each_run_is_made_once_on_cpus_of_its_own_and_its_ops_are_no_figures() {
    if !is_possible() {
        return;
    }
    let bench = bench_with(&["2", "100000", "400", "16", "4096", "50", "1024"]).join(" ");
    // Odd runs take longer, so runs end in another order than they began.
    let script =
        format!("grep Cpus_allowed_list /proc/self/status; mkdir slow 2>/dev/null && sleep 1; {bench}");
    let dir = tempfile::tempdir().unwrap();
    let script = format!("cd {}; {script}", dir.path().display());
    let hunt = hunt(&debian("libmimalloc.so.2"), &["--runs", "7"], &["sh", "-c", &script]);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    let made = runs(&hunt.out());
    let numbers: Vec<u64> = made.iter().map(|run| run["run"].as_u64().unwrap()).collect();
    assert_eq!((numbers, rows(&hunt.out().join("runs.tsv"))), ((1..=7).collect(), (1..=7).collect()));
    let mut sets = BTreeSet::new();
    for run in &made {
        let set = run["cpus"].as_str().unwrap();
        let output = hunt.text(&format!("run_{}.out", run["run"]));
        assert_eq!(output.lines().next().unwrap(), format!("Cpus_allowed_list:\t{set}"), "{run}");
        assert!(run["ops"].as_f64() > Some(0.0), "{run}");
        sets.insert(set.to_owned());
    }
    let verdict = hunt.verdict();
    assert_eq!(sets.len(), 2, "both sets were used: {}", hunt.outputs());
    let told = verdict["side_by_side"]["cpus"].as_array().unwrap().iter();
    assert_eq!(told.map(|set| set.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), sets);
    assert_eq!((&verdict["ops"], &verdict["runs"]["ok"]), (&Value::Null, &7.into()));
    let (shown, log) = (hunt.stdout(), hunt.text("progress.log"));
    assert!(
        !shown.contains("M ops/s") && shown.contains("2 runs at a time (--jobs): ops/s of these runs"),
        "{shown}"
    );
    assert!(log.starts_with("[JOBS] 2 runs at a time"), "{log}");
    assert!(hunt.text("report.md").contains("so their ops/s are no figures (runs.jsonl)"));
    assert!(hunt.text("report.ja.md").contains("ops/s は測定値として使えない (runs.jsonl)"));
    // The report is that of the same facts later on.
    let again = run(hangscope().arg("show").arg("--lang").arg("en").arg(hunt.out()));
    assert!(String::from_utf8_lossy(&again.stdout).contains("ops/s are no figures"), "{again:?}");
}

#[test]
fn a_hang_is_captured_while_the_other_runs_go_on() {
    if !is_possible() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (so, command) = stuck_first(dir.path(), 1, "sleep 0.3");
    let hunt = hunt(&so, &["--runs", "8", "--keep-going"], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let made = runs(&hunt.out());
    let hung: Vec<&Value> = made.iter().filter(|run| run["outcome"] == "hung").collect();
    let [hang] = hung[..] else { panic!("{}", hunt.outputs()) };
    assert!(made.iter().filter(|run| run["outcome"] == "ok").count() == 7, "{}", hunt.outputs());
    assert_eq!(rows(&hunt.out().join("runs.tsv")), (1..=8).collect::<Vec<_>>());
    // All others were made beside it.
    let shown = hunt.stdout();
    let place = |line: &str| shown.lines().position(|shown| shown.starts_with(line)).unwrap();
    assert!(place("[HANG] captured at run") > place("run 7/8  ok") || hang["run"] == 7, "{shown}");
    // It is the dump of that run.
    let snapshot = hang["hang"]["snapshot"].as_str().unwrap();
    assert_eq!(snapshot, format!("hang_run_{}", hang["run"]));
    let pid = hunt.text(&format!("{snapshot}/pid.txt"));
    assert_eq!(pid.trim(), hang["pid"].to_string());
    assert!(hunt.text(&format!("{snapshot}/maps.txt")).contains("hangscope-bench"));
    let verdict = hunt.verdict();
    assert_eq!((&verdict["runs"]["hung"], &verdict["runs"]["ok"]), (&1.into(), &7.into()));
    assert_eq!((&verdict["hangs"][0]["class"], &verdict["letter"]), (&"deadlock".into(), &"B".into()));
}

#[test]
fn a_run_that_is_ended_beside_a_hang_is_neither_good_nor_hung() {
    if !is_possible() {
        return;
    }
    let mark = format!("HANGSCOPE_TEST_JOBS={}", std::process::id());
    let dir = tempfile::tempdir().unwrap();
    let (so, command) = stuck_first(dir.path(), 1, "bash -c 'while sleep 0.1; do :; done'");
    // Nothing moves in the first run. The second works until it is ended.
    let options = ["--hang-after", "off", "--stall", "2s", "--no-perf", "--runs", "50", "--env", &mark];
    let options = [&["--verify-runs", "0", "--jobs", "2"], &options[..]].concat();
    let hunt = Hunt::new(&so, &options, &[], &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let made = runs(&hunt.out());
    let mut outcomes: Vec<&str> = made.iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["hung", "interrupted"], "{}", hunt.outputs());
    let ended = made.iter().find(|run| run["outcome"] == "interrupted").unwrap();
    assert_eq!(ended["hang"], Value::Null, "nobody has asked for evidence of it");
    assert!(ended["note"].as_str().unwrap().contains("because another run hung"), "{ended}");
    assert_eq!(rows(&hunt.out().join("runs.tsv")).len(), 1);
    let verdict = hunt.verdict();
    assert_eq!(
        (&verdict["runs"]["made"], &verdict["runs"]["hung"], &verdict["stopped"]),
        (&1.into(), &1.into(), &"first-hang".into())
    );
    assert!(hunt.text("report.md").contains("1 run beside the hang was ended early"));
    assert!(hunt.text("progress.log").contains("the runs beside it are ended"));
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
    let bundles: Vec<String> = file_names(&hunt.out())
        .into_iter()
        .filter(|name| hunt.out().join(name).is_dir() && name.contains("_run_"))
        .collect();
    assert_eq!(
        bundles,
        [made.iter().find(|run| run["outcome"] == "hung").unwrap()["hang"]["snapshot"].as_str().unwrap()]
    );
}

/// The answer of `hangscope dump --json`; null where it has none yet.
fn dump(pid: u32) -> Value {
    let (_, stdout, _) = run_parts(hangscope().args(["dump", "--json", &pid.to_string()]));
    serde_json::from_str(&stdout).unwrap_or_default()
}

#[test]
fn a_dump_is_one_of_each_run_and_ctrl_c_captures_them_all() {
    if !is_possible() {
        return;
    }
    let (so, command) = stuck_benchmark();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut hunt = hangscope();
    hunt.args(["hunt", "--runs", "9", "--jobs", "2", "--verify-runs", "0", "--hang-after", "10min", "--so"]);
    let mut hunt = Running(
        hunt.arg(so).arg("--out").arg(&out).arg("--").args(&command).stdout(Stdio::null()).spawn().unwrap(),
    );
    let end = Instant::now() + GIVE_UP_AFTER;
    loop {
        let answer = dump(hunt.0.id());
        let dumps = answer["dumps"].as_array().cloned().unwrap_or_default();
        let stuck: BTreeSet<u64> = dumps
            .iter()
            .filter(|dump| dump["class"] == "deadlock")
            .filter_map(|dump| dump["pid"].as_u64())
            .collect();
        if stuck.len() == 2 {
            break;
        }
        assert!(Instant::now() < end, "{answer}");
    }
    let began = Instant::now();
    send_signal(&hunt.0, libc::SIGINT);
    let status = wait(&mut hunt.0, GIVE_UP_AFTER).expect("the hunt ends");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(10));
    let made = runs(&out);
    assert_eq!(made.len(), 2);
    for run in &made {
        assert_eq!((&run["outcome"], &run["class"]), (&"hung".into(), &"deadlock".into()), "{run}");
        let snapshot = out.join(run["hang"]["snapshot"].as_str().unwrap());
        let pid = std::fs::read_to_string(snapshot.join("pid.txt")).unwrap();
        assert_eq!(pid.trim(), run["pid"].to_string());
    }
    let verdict: Value = serde_json::from_slice(&std::fs::read(out.join("verdict.json")).unwrap()).unwrap();
    assert_eq!((&verdict["runs"]["hung"], &verdict["stopped"]), (&2.into(), &"interrupted".into()));
}

#[test]
fn arms_take_turns_side_by_side_and_have_their_own_rows() {
    if !is_possible() {
        return;
    }
    let work = bench_with(&["2", "400000", "400", "16", "4096", "50", "1024"]);
    let options = ["--runs", "4", "--arm", "pinned", "--arm", "deleted", "--seed", "3"];
    let hunt = hunt(&debian("libmimalloc.so.2"), &options, &work);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    for file in ["runs.tsv", "arms/deleted/runs.tsv"] {
        assert_eq!(rows(&hunt.out().join(file)), [1, 2, 3, 4], "{file}");
    }
    let made = runs(&hunt.out());
    let round = |at: usize| {
        made[2 * at..2 * at + 2].iter().map(|run| run["run"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((0..4).map(round).collect::<Vec<_>>(), [[1, 1], [2, 2], [3, 3], [4, 4]]);
    let verdict = hunt.verdict();
    assert!(
        verdict["arms"].as_array().unwrap().iter().all(|arm| arm["ops_s"].is_null()),
        "{}",
        verdict["arms"]
    );
}

#[test]
fn too_few_processors_are_wrong_usage_and_one_job_leaves_no_word_of_it() {
    let so = debian("libmimalloc.so.2");
    let none = Hunt::new(&so, &["--jobs", "2", "--cpus", "0"], &[], &["true"]);
    assert_eq!(none.code(), 2, "{}", none.outputs());
    let said = "--jobs 2 needs a processor for each run, and the runs may use only 1 (0): give --cpus with more processors, or leave --jobs out";
    assert!(none.outputs().contains(said), "{}", none.outputs());
    let work = bench_with(&["2", "20000", "400", "16", "4096", "50", "1024"]);
    let one = Hunt::new(&so, &["--jobs", "1", "--runs", "2", "--verify-runs", "0"], &[], &work);
    assert_eq!(one.code(), 0, "{}", one.outputs());
    assert!(
        !one.text("verdict.json").contains("side_by_side") && !one.text("runs.jsonl").contains("\"cpus\"")
    );
    assert!(one.stdout().contains("ops/s") && !one.outputs().contains("--jobs"), "{}", one.outputs());
}
