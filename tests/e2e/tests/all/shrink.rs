//! `hangscope shrink`: finds the smallest numbers that still hang. After a kill, it resumes where it was.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{bench_with, file_names, run_parts};
use hangscope_test_e2e::{allocator, bench, debian, hangscope, send_signal};
use serde_json::Value;

/// A running `hangscope shrink`. Dropping the value kills it.
struct Shrink {
    child: Child,
    lines: BufReader<ChildStdout>,
    stdout: String,
}

impl Shrink {
    fn start(command: &mut Command) -> Shrink {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("hangscope shrink");
        let lines = BufReader::new(child.stdout.take().expect("its stdout"));
        Shrink { child, lines, stdout: String::new() }
    }

    /// Reads stdout up to a line that starts with `beginning`.
    fn read_until(&mut self, beginning: &str) {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).expect("text") > 0,
                "the command ended:\n{}",
                self.stdout
            );
            self.stdout += &line;
            if line.starts_with(beginning) {
                return;
            }
        }
    }

    /// Kills the command, like a crash, and waits for its end.
    fn kill(mut self) {
        self.child.kill().expect("a living process");
        self.child.wait().expect("its end");
    }

    /// Reads stdout to its end. Returns the exit status and all of stdout.
    fn end(mut self) -> (Option<i32>, String) {
        self.lines.read_to_string(&mut self.stdout).expect("text");
        (self.child.wait().expect("its end").code(), std::mem::take(&mut self.stdout))
    }
}

impl Drop for Shrink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(out: &Path, file: &str) -> String {
    std::fs::read_to_string(out.join(file))
        .unwrap_or_else(|e| panic!("{file}: {e}; there is {:?}", file_names(out)))
}

fn runs(out: &Path) -> Vec<Value> {
    read(out, "shrink_runs.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn result(out: &Path) -> Value {
    serde_json::from_str(&read(out, "shrink.json")).expect("JSON")
}

/// Arguments for the benchmark. Under the test's allocator, a thread deadlocks
/// after 50,000 operations on the central part. One iteration with blocks of these
/// sizes is two operations, so the numbers alone decide whether a command hangs.
const NUMBERS: [&str; 7] = ["3", "20000", "100", "2048", "4096", "50", "1024"];

#[test]
fn to_the_smallest_numbers_through_kills() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let fault = Fault::named("deadlock_self");
    let shrink = || {
        let mut shrink = hangscope();
        shrink.args(["shrink", "--hang-after", "1s", "--verify-runs", "1", "--keep", "3,4,6,7", "--so"]);
        shrink.arg(allocator("deadlock_self")).arg("--out").arg(&out);
        // Chance has almost no influence here, so two hangs, or one run without a hang, are enough.
        shrink.args([
            "--rate",
            "0.95",
            "--confidence",
            "0.75",
            "--confirm",
            "2",
            "--env",
            "FAULT_AFTER=50000",
            "--",
        ]);
        shrink.args(bench_with(&NUMBERS));
        shrink
    };

    // The first kill comes in the second run. The line of that run is then written only in part.
    let mut first = Shrink::start(&mut shrink());
    first.read_until("run 1  HANG deadlock");
    first.kill();
    let before = read(&out, "shrink_runs.jsonl");
    assert_eq!(before.lines().count(), 1);
    std::fs::write(out.join("shrink_runs.jsonl"), format!("{before}{{\"run\":2,\"values\":[3,20")).unwrap();

    // --resume runs in another folder and without the shell's variable. The second kill comes in the search.
    let mut resumed = hangscope();
    let mut second = Shrink::start(resumed.current_dir("/").args(["shrink", "--resume"]).arg(&out));
    second.read_until("continuing after run 1 ");
    second.read_until("run 2  HANG deadlock");
    second.read_until("rejected");
    second.kill();
    let middle = read(&out, "shrink_runs.jsonl");
    assert!(middle.starts_with(&before) && middle.lines().count() >= 3, "{middle}");

    // The same command with the same --out also resumes.
    let (status, stdout) = Shrink::start(&mut shrink()).end();
    assert_eq!(status, Some(10), "{stdout}");
    let whole = read(&out, "shrink_runs.jsonl");
    assert!(whole.starts_with(&middle), "earlier runs stay in the file");
    let numbers: Vec<u64> = runs(&out).iter().map(|run| run["run"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");

    let bench = bench();
    let smallest = format!("{} 3 10000 100 2048 2048 50 1024", bench.display());
    assert!(stdout.contains(&format!("\n\n{smallest}\n\n")), "{stdout}");
    assert!(
        stdout.contains("smallest numbers that still hang (deadlock): 2 of 2 fresh runs hung"),
        "{stdout}"
    );
    let result = result(&out);
    assert_eq!((&result["end"], &result["class"]), (&"minimal".into(), &fault.class.unwrap().into()));
    assert_eq!(result["after"]["line"], smallest);
    assert_eq!((&result["after"]["rate"]["hung"], &result["after"]["rate"]["of"]), (&2.into(), &2.into()));
    assert_eq!(result["after"]["fresh"], true);
    assert!(result["catch"].as_str().unwrap().contains("--env 'FAULT_AFTER=50000'"), "{}", result["catch"]);
    // A command that the benchmark rejects is not a hang. The report lists such commands.
    let refused = result["errors"].as_array().unwrap();
    assert!(
        refused.iter().any(|e| e["note"].as_str().unwrap().contains("MIN-SIZE 2048 is more than MAX-SIZE"))
    );
    assert!(stdout.contains("- Refused by the benchmark: "), "{stdout}");

    // Only the evidence of the first hang and of the smallest hang is kept.
    let kept = [&result["before"]["snapshot"], &result["after"]["snapshot"]].map(|s| s.as_str().unwrap());
    let mut expected = kept.map(str::to_owned).to_vec();
    expected.sort();
    let there: Vec<String> = file_names(&out).into_iter().filter(|name| name.contains("_run_")).collect();
    assert_eq!(there.iter().filter(|name| name.starts_with("hang")).cloned().collect::<Vec<_>>(), expected);
    assert!(read(&out, &format!("{}/stacks.txt", kept[1])).contains("deadlock_self_refill"));

    let report = read(&out, "shrink.md");
    assert!(
        report.contains("| 2 | 20000 | 10000 | 1 |") && report.contains("| 3 | 100 | 100 | - |"),
        "{report}"
    );
    assert!(read(&out, "shrink.ja.md").contains("ハングする最小の数値 (deadlock)"));

    // The shrink is complete, so --resume runs nothing more.
    let (status, _, _) = run_parts(hangscope().args(["shrink", "--resume"]).arg(&out));
    assert_eq!((status, read(&out, "shrink_runs.jsonl") == whole), (Some(10), true));
    let (status, _, err) = run_parts(shrink().args(["--fork-child"]));
    assert!(status == Some(2) && err.contains("is of another shrink"), "{err}");
}

#[test]
fn ctrl_c_ends_it_and_says_how_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut command = hangscope();
    command
        .args(["shrink", "--verify-runs", "0", "--rate", "0.2", "--so"])
        .arg(debian("libmimalloc.so.2"))
        .arg("--out")
        .arg(&out);
    command.arg("--").args(bench_with(&["2", "200000", "400", "16", "4096", "50", "1024"]));
    let mut shrink = Shrink::start(&mut command);
    shrink.read_until("run 2  ok");
    send_signal(&shrink.child, libc::SIGINT);
    let (status, stdout) = shrink.end();
    assert_eq!(status, Some(1), "{stdout}");
    let go_on = format!("- To continue: `hangscope shrink --resume {}`", out.display());
    assert!(stdout.contains("not finished") && stdout.contains(&go_on), "{stdout}");
    assert_eq!(result(&out)["end"], "interrupted");
    let made = runs(&out).len();
    assert!((2..24).contains(&made), "{made}");

    let (status, stdout, _) =
        run_parts(hangscope().args(["shrink", "--max-time", "1ms", "--resume"]).arg(&out));
    assert_eq!((status, &result(&out)["end"]), (Some(0), &"out-of-time".into()), "{stdout}");
    // Within its time, the command may make one run, and no further one.
    let after = runs(&out).len();
    assert!(stdout.contains(&go_on) && (made..=made + 1).contains(&after), "{after} after {made}: {stdout}");
    let made = after;

    // A sound allocator does not hang. At a rate of a fifth, this
    // conclusion needs 25 runs, also when they are made in three parts.
    let (status, stdout, _) = run_parts(hangscope().args(["shrink", "--resume"]).arg(&out));
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.contains(&format!("continuing after run {made} in ")), "{stdout}");
    assert!(stdout.contains("nothing to shrink: the original command hung in 0 of 25 runs"), "{stdout}");
    assert_eq!(runs(&out).len(), 25);
    assert!(!file_names(&out).iter().any(|name| name.starts_with("run_")), "{:?}", file_names(&out));
}

#[test]
fn wrong_usage_is_one_line_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let so = allocator("healthy");
    let so = so.to_str().unwrap();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let good = ["--so", so, "--out", out];
    let table: &[(&[&str], &[&str], &str)] = &[
        (&["--out", out], &["ls", "5"], "--so"),
        (&good, &[], "no benchmark"),
        (&good, &["/nonexistent/bench", "5"], "benchmark not found"),
        (&good, &["ls", "-l"], "no number to reduce"),
        (&["--so", so, "--out", out, "--keep", "1"], &["ls", "5"], "no number to reduce"),
        (
            &["--so", so, "--out", out, "--keep", "2"],
            &["ls", "5"],
            "argument 2 is no whole number; these are: 1",
        ),
        (&["--so", so, "--out", out, "--min", "1=6"], &["ls", "5"], "argument 1 is 5, which is less"),
        (&["--so", so, "--out", out, "--min", "x"], &["ls", "5"], "as in 1=2"),
        (&["--so", so, "--out", out, "--rate", "1"], &["ls", "5"], "between 0 and 1"),
        (&["--so", so, "--out", out, "--confidence", "0.5"], &["ls", "5"], "more than 0.5"),
        (&["--so", so, "--out", out, "--class", "slow"], &["ls", "5"], "give one of deadlock, "),
        (&["--so", so, "--out", out, "--hang-after", "off", "--stall", "off"], &["ls", "5"], "needs --stall"),
        (&["--so", "/nonexistent.so", "--out", out], &["ls", "5"], "cannot read /nonexistent.so"),
        (&["--resume", empty.to_str().unwrap()], &[], "holds no shrink"),
        (&["--resume", out, "--rate", "0.5"], &[], "cannot be used with"),
    ];
    for (options, command, wanted) in table {
        let (status, _, err) = run_parts(hangscope().arg("shrink").args(*options).arg("--").args(*command));
        assert!(
            status == Some(2) && err.lines().count() == 1 && err.contains(wanted),
            "{options:?}: {status:?} {err}"
        );
        assert!(!Path::new(out).exists(), "{options:?}");
    }
}

/// Median time of three runs of the command with its fault switched off, in seconds.
fn seconds_without_the_race(so: &Path, command: &[String]) -> f64 {
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let began = Instant::now();
            let mut run = Command::new(&command[0]);
            run.args(&command[1..]).env("LD_PRELOAD", so).env("FAULT_ONE_IN", "0").stdout(Stdio::null());
            assert!(run.status().expect("the benchmark").success());
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[1]
}

/// Shrinks the natural race from the numbers of the incident to at most a fifth of its run time, with one
/// kill. Takes a quarter of an hour or more: `./scripts/soak.sh shrink`.
#[test]
#[ignore = "takes minutes: ./scripts/soak.sh shrink"]
fn the_natural_race_to_a_fifth_of_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let fault = Fault::named("natural_race");
    let so = allocator("natural_race");
    let original = bench_with(&["16", "2000000", "400", "16", "32768", "90", "65536"]);
    let mut command = hangscope();
    // A longer run has more chances to hang. A run of a fifth
    // of the time hangs less often, so the rate is low.
    command.args(["shrink", "--rate", "0.2", "--hang-after", "60s", "--class", fault.class.unwrap(), "--so"]);
    command.arg(&so).arg("--out").arg(&out);
    let mut first = Shrink::start(command.arg("--").args(&original));
    first.read_until("try 3:");
    first.read_until("run ");
    first.kill();
    let before = read(&out, "shrink_runs.jsonl");
    println!("killed after {} runs", before.lines().count());

    let (status, stdout) = Shrink::start(hangscope().args(["shrink", "--resume"]).arg(&out)).end();
    println!("{stdout}");
    assert_eq!(status, Some(10), "{stdout}");
    assert!(read(&out, "shrink_runs.jsonl").starts_with(&before), "earlier runs stay in the file");
    let result = result(&out);
    assert_eq!((&result["end"], &result["class"]), (&"minimal".into(), &fault.class.unwrap().into()));
    let words = result["after"]["command"].as_array().unwrap().iter();
    let smallest: Vec<String> = words.map(|word| word.as_str().unwrap().to_owned()).collect();
    let [before, after] = [&original, &smallest].map(|command| seconds_without_the_race(&so, command));
    println!("without its race: {before:.2} s before, {after:.3} s after, 1/{:.0}", before / after);
    assert!(after <= before / 5.0, "{before} s before, {after} s after");
}

/// The strategy is chosen by runs of the original command. All others have that one.
#[test]
fn under_stir_auto_everything_is_compared_under_one_strategy() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut command = hangscope();
    command.args(["shrink", "--stir", "auto", "--hang-after", "1s", "--verify-runs", "0", "--so"]);
    command.arg(allocator("deadlock_self")).arg("--out").arg(&out);
    command.args(["--rate", "0.95", "--confidence", "0.75", "--confirm", "1", "--keep", "1,3,4,5,6,7"]);
    command.args(["--min", "2=15000", "--env", "FAULT_AFTER=50000", "--"]).args(bench_with(&NUMBERS));
    let (status, stdout) = Shrink::start(&mut command).end();
    assert_eq!(status, Some(10), "{stdout}");
    let runs = runs(&out);
    let of =
        |chooses: bool| runs.iter().filter(move |run| run["chooses"].as_bool().unwrap_or(false) == chooses);
    // Each run hangs, so the first strategy is as good as any.
    assert_eq!(of(true).count(), 3, "{stdout}");
    assert!(of(false).count() > 2 && runs.iter().all(|run| run["strategy"] == "both:2"), "{runs:?}");
    let result = result(&out);
    assert_eq!((&result["class"], &result["strategy"]), (&"deadlock".into(), &"both:2".into()), "{stdout}");
    assert_eq!(result["strategies"], serde_json::json!([{"strategy": "both:2", "hung": 3, "of": 3}]));
    assert!(result["catch"].as_str().unwrap().contains("--stir both:2"), "{result}");
    assert!(stdout.contains("- Stirred: all runs that count had --stir both:2"), "{stdout}");
}
