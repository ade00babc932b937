//! A hunt as an array job of a real Slurm: the same counts and the same verdict as in one piece, also with tasks
//! that are cancelled and requeued.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_test_e2e::hunt::{bench_with, file_names};
use hangscope_test_e2e::slurm::{Cluster, until};
use hangscope_test_e2e::{allocator, hangscope, run};
use serde_json::Value;

const RUNS: &str = "10";

/// Decides by the number of the run: 3 and 6 hang.
const HANGS: &str =
    "case $HANGSCOPE_LABEL in *_run_3|*_run_6) FAULT_ONE_IN=1;; esac; export FAULT_ONE_IN; exec \"$@\"";

/// Runs 3 and 4 do not come to an end until `go` is there.
const BLOCKS: &str = "dir=$1; shift
case $HANGSCOPE_LABEL in *_run_3|*_run_4) [ -e \"$dir/go\" ] || { : >\"$dir/at_${HANGSCOPE_LABEL##*_}\"; read -r _ <\"$dir/never\"; };; esac
exec \"$@\"";

/// The arguments of a hunt of the demonstration, whose runs do what the script says.
fn hunt(script: &Path, own: &[&str], options: &[&str]) -> Vec<String> {
    let so = allocator("demo").display().to_string();
    let mut args: Vec<&str> =
        vec!["--name", "demo", "--so", &so, "--runs", RUNS, "--no-perf", "--verify-runs", "0"];
    args.extend(["--env", "FAULT_ONE_IN=0"].iter().chain(options));
    let script = script.display().to_string();
    args.extend(["--", "/bin/sh", &script]);
    args.extend(own);
    let bench = bench_with(&["2", "20000", "200", "16", "8192", "70", "1024"]);
    args.iter().map(|arg| (*arg).to_owned()).chain(bench).collect()
}

fn sbatch() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/hunt.sbatch");
    script.canonicalize().expect("the script").display().to_string()
}

fn verdict(out: &Path) -> Value {
    let path = out.join("verdict.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// What must not depend on how the runs were cut: the numbers of the hangs with what each of them is.
fn hangs(verdict: &Value) -> Vec<String> {
    let hangs = verdict["hangs"].as_array().expect("hangs").iter();
    hangs
        .map(|hang| {
            format!("{} {} {} {}", hang["run"], hang["class"], hang["signature"], hang["lock"]["symbol"])
        })
        .collect()
}

/// Submits a job that joins the shards after `job`, waits for it, and returns its exit status.
fn merge(cluster: &Cluster, job: &str, night: &Path, whole: &Path) -> Option<i32> {
    let wrap = format!("\"$HANGSCOPE\" merge '{}' --out '{}'", night.display(), whole.display());
    let after = format!("--dependency=afterany:{job}");
    cluster.submit_and_wait(&[&after, "--output=merge.log", "--wrap", &wrap])
}

fn an_array_has_the_verdict_of_one_piece(cluster: &Cluster, piece: &Value) {
    let (night, whole) = (cluster.dir().join("night"), cluster.dir().join("whole"));
    let options = ["--hang-after", "0.7s", "--on-hang", "next", "--out", night.to_str().expect("text")];
    let mut args = vec!["--array=1-4".to_owned(), sbatch()];
    args.extend(hunt(&script(cluster, HANGS), &[], &options));
    let job = cluster.submit(&args);
    let status = merge(cluster, &job, &night, &whole);
    assert_eq!(status, Some(10), "{}", cluster.logs());
    let joined = verdict(&whole);
    for key in ["runs", "rate", "verdict", "letter", "next_action", "stopped"] {
        assert_eq!(joined[key], piece[key], "{key}\n{}", cluster.logs());
    }
    assert_eq!(hangs(&joined), hangs(piece));
    assert_eq!(joined["runs"]["hung"], 2, "{}", joined["runs"]);
    assert_eq!((&joined["shards"]["of"], &joined["shards"]["missing"]), (&4.into(), &Value::Array(vec![])));
    // A hang is a result: no task failed.
    let states = cluster.text("scontrol", &["-o", "show", "job", &job]);
    assert_eq!(states.matches("JobState=COMPLETED").count(), 4, "{states}");
    let log = cluster.logs();
    assert!(log.contains("shard 3/4, from SLURM_ARRAY_TASK_ID: 2 runs of 10 (3, 7)"), "{log}");
    assert!(log.contains("10 runs of the shards added to the history"), "{log}");
    for file in
        ["hang_run_3/stacks.txt", "hang_run_6/stacks.txt", "shards/shard_3_of_4/shard.json", "report.ja.md"]
    {
        assert!(whole.join(file).exists(), "{file}");
    }
}

fn tasks_that_are_cancelled_or_requeued_go_on(cluster: &Cluster) {
    let (night, whole, own) =
        (cluster.dir().join("night2"), cluster.dir().join("whole2"), cluster.dir().join("own"));
    fs::create_dir(&own).expect("a folder");
    nix::unistd::mkfifo(&own.join("never"), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let options = ["--hang-after", "50s", "--out", night.to_str().expect("text")];
    let mut args = vec!["--array=1-2".to_owned(), sbatch()];
    args.extend(hunt(&script(cluster, BLOCKS), &[own.to_str().expect("text")], &options));
    let job = cluster.submit(&args);
    until("both tasks are in their second run", || own.join("at_3").exists() && own.join("at_4").exists());
    let task = |index: u32| format!("{job}_{index}");
    cluster.must("scancel", &[&task(1)]);
    cluster.must("scontrol", &["requeue", &task(2)]);
    let is = |index: u32, state: &str| {
        cluster.text("scontrol", &["-o", "show", "job", &task(index)]).contains(&format!("JobState={state}"))
    };
    until("one is cancelled, the other waits again", || is(1, "CANCELLED") && is(2, "PENDING"));
    // The run under way was closed, and counts nowhere.
    for shard in [1, 2] {
        let folder = night.join(format!("shard_{shard}_of_2"));
        let verdict = verdict(&folder);
        assert_eq!((&verdict["runs"]["made"], &verdict["stopped"]), (&1.into(), &"interrupted".into()));
    }
    fs::write(own.join("go"), "").expect("a file");
    cluster.must("scontrol", &["requeue", &task(1)]);
    // Slurm begins a requeued task two minutes later, unless it is told otherwise. The node takes none that was
    // started in the second in which it was ended.
    for index in [1, 2] {
        until("the task waits", || is(index, "PENDING") || is(index, "RUNNING") || is(index, "COMPLETED"));
        run(cluster
            .command("scontrol")
            .arg("update")
            .arg(format!("JobId={}", task(index)))
            .arg("StartTime=now+2seconds"));
    }
    cluster.wait_for_all();
    assert_eq!(merge(cluster, &job, &night, &whole), Some(0), "{}", cluster.logs());
    let joined = verdict(&whole);
    assert_eq!(
        (&joined["runs"]["made"], &joined["runs"]["ok"]),
        (&10.into(), &10.into()),
        "{}",
        cluster.logs()
    );
    let tsv = fs::read_to_string(whole.join("runs.tsv")).expect("runs.tsv");
    let numbers: Vec<&str> = tsv.lines().skip(1).filter_map(|row| row.split('\t').next()).collect();
    assert_eq!(numbers.join(" "), "1 2 3 4 5 6 7 8 9 10", "every run once, in order");
    for shard in [1, 2] {
        let folder = night.join(format!("shard_{shard}_of_2"));
        let record: Value =
            serde_json::from_str(&fs::read_to_string(folder.join("shard.json")).expect("shard.json"))
                .expect("JSON");
        assert_eq!(
            (&record["end"], &record["earlier"][0]["end"]),
            (&"all-made".into(), &"interrupted".into())
        );
        // What was captured of the run that was broken off is kept.
        let left = file_names(&folder.join("left"));
        assert!(left.iter().all(|name| name.starts_with("interrupted_run_")), "{left:?}");
    }
}

fn script(cluster: &Cluster, text: &str) -> PathBuf {
    let path = cluster.dir().join(format!("{}.sh", text.len()));
    fs::write(&path, text).expect("a script");
    path
}

#[test]
fn an_array_job_is_one_hunt_whatever_happens_to_its_tasks() {
    let own = tempfile::tempdir().expect("a folder");
    let (script, out) = (own.path().join("hangs.sh"), own.path().join("piece"));
    fs::write(&script, HANGS).expect("a script");
    let options = ["--hang-after", "0.7s", "--on-hang", "next", "--out", out.to_str().expect("text")];
    let mut piece: Command = hangscope();
    piece.arg("hunt").args(hunt(&script, &[], &options));
    // The daemons take some seconds to find each other.
    let piece = std::thread::spawn(move || run(&mut piece));
    let cluster = Cluster::start();
    let output = piece.join().expect("the hunt in one piece");
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    an_array_has_the_verdict_of_one_piece(&cluster, &verdict(&out));
    tasks_that_are_cancelled_or_requeued_go_on(&cluster);
}

#[test]
fn a_shard_goes_on_only_as_it_was_begun() {
    let dir = tempfile::tempdir().expect("a folder");
    let (so, out) = (dir.path().join("liballoc.so"), dir.path().join("night"));
    fs::copy(allocator("healthy"), &so).expect("a copy");
    let hunt = |options: &[&str]| {
        let mut hunt = hangscope();
        hunt.args(["hunt", "--name", "alloc", "--so"]).arg(&so).arg("--out").arg(&out);
        hunt.args(["--runs", "4", "--verify-runs", "0"]).args(options).arg("--");
        run(hunt.args(bench_with(&["1", "100", "10", "16", "64", "0", "16"])))
    };
    let first = hunt(&["--shard", "2/2"]);
    assert!(first.status.success(), "{first:?}");
    let again = hunt(&["--shard", "2/2"]);
    let stdout = String::from_utf8_lossy(&again.stdout);
    assert!(
        stdout.contains("shard 2/2 goes on: 2 runs are there") && !stdout.contains("run 2/4"),
        "{stdout}"
    );
    let refused = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let line = refused(hunt(&["--shard", "2/2", "--hang-after", "5s"]));
    assert!(line.contains("was begun with another hang_after: 15s then, 5s now"), "{line}");
    let line = refused(hunt(&["--shard", "2/2", "--until-decided"]));
    assert!(line.contains("--until-decided looks at all runs in their order"), "{line}");
    fs::copy(allocator("demo"), &so).expect("another build");
    let line = refused(hunt(&["--shard", "2/2"]));
    assert!(line.contains("was begun with another dso alloc: "), "{line}");
    // One shard is missing: without a hang that proves nothing.
    let whole = dir.path().join("whole");
    let merged = run(hangscope().arg("merge").arg(&out).arg("--out").arg(&whole).arg("--json"));
    assert_eq!(merged.status.code(), Some(1), "{merged:?}");
    let stderr = String::from_utf8_lossy(&merged.stderr);
    assert!(stderr.contains("1 of 2 shards; missing: 1. Their runs are in no count"), "{stderr}");
    let json: Value = serde_json::from_slice(&merged.stdout).expect("one line of JSON");
    assert_eq!((&json["runs"]["made"], &json["shards"]["missing"][0]), (&2.into(), &1.into()));
}
