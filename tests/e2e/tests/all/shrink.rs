//! `hangscope shrink`: to the smallest numbers that still hang, killed on the way, gone on with where it stood.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::{bench_with, names, told};
use hangscope_test_e2e::{allocator, bench, debian, hangscope};
use serde_json::Value;

/// A `hangscope shrink` that runs; killed when the test is over.
struct Shrink {
    child: Child,
    lines: BufReader<ChildStdout>,
    said: String,
}

impl Shrink {
    fn start(command: &mut Command) -> Shrink {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("hangscope shrink");
        let lines = BufReader::new(child.stdout.take().expect("its stdout"));
        Shrink { child, lines, said: String::new() }
    }

    /// Reads what it says until a line begins so.
    fn until(&mut self, beginning: &str) {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("text") > 0, "it ended:\n{}", self.said);
            self.said += &line;
            if line.starts_with(beginning) {
                return;
            }
        }
    }

    /// Kills it, as a crash would, and waits for its end.
    fn kill(mut self) {
        self.child.kill().expect("a living process");
        self.child.wait().expect("its end");
    }

    /// Reads to the end; its exit status, and all that it said.
    fn end(mut self) -> (Option<i32>, String) {
        self.lines.read_to_string(&mut self.said).expect("text");
        (self.child.wait().expect("its end").code(), std::mem::take(&mut self.said))
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
        .unwrap_or_else(|e| panic!("{file}: {e}; there is {:?}", names(out)))
}

fn runs(out: &Path) -> Vec<Value> {
    read(out, "shrink_runs.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn result(out: &Path) -> Value {
    serde_json::from_str(&read(out, "shrink.json")).expect("JSON")
}

/// Under this allocator a thread locks itself out after 50,000 operations on the central part, of which an iteration with
/// blocks of these sizes is two: whether a command hangs follows from its numbers alone.
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
        // Hardly anything is left to chance here, so that two hangs, or one run without, say enough.
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

    // In the second run; its line is torn on the way to the disk.
    let mut first = Shrink::start(&mut shrink());
    first.until("run 1  HANG deadlock");
    first.kill();
    let before = read(&out, "shrink_runs.jsonl");
    assert_eq!(before.lines().count(), 1);
    std::fs::write(out.join("shrink_runs.jsonl"), format!("{before}{{\"run\":2,\"values\":[3,20")).unwrap();

    // In the search, by --resume from another folder and without the variable of the shell.
    let mut resumed = hangscope();
    let mut second = Shrink::start(resumed.current_dir("/").args(["shrink", "--resume"]).arg(&out));
    second.until("going on after run 1 ");
    second.until("run 2  HANG deadlock");
    second.until("not taken");
    second.kill();
    let middle = read(&out, "shrink_runs.jsonl");
    assert!(middle.starts_with(&before) && middle.lines().count() >= 3, "{middle}");

    // By the same --out.
    let (status, said) = Shrink::start(&mut shrink()).end();
    assert_eq!(status, Some(10), "{said}");
    let whole = read(&out, "shrink_runs.jsonl");
    assert!(whole.starts_with(&middle), "what was run stays");
    let numbers: Vec<u64> = runs(&out).iter().map(|run| run["run"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");

    let bench = bench();
    let smallest = format!("{} 3 10000 100 2048 2048 50 1024", bench.display());
    assert!(said.contains(&format!("\n\n{smallest}\n\n")), "{said}");
    assert!(said.contains("smallest numbers that still hang (deadlock): 2 of 2 fresh runs"), "{said}");
    let result = result(&out);
    assert_eq!((&result["end"], &result["class"]), (&"minimal".into(), &fault.class.unwrap().into()));
    assert_eq!(result["after"]["line"], smallest);
    assert_eq!((&result["after"]["rate"]["hung"], &result["after"]["rate"]["of"]), (&2.into(), &2.into()));
    assert_eq!(result["after"]["fresh"], true);
    assert!(result["catch"].as_str().unwrap().contains("--env 'FAULT_AFTER=50000'"), "{}", result["catch"]);
    // What the benchmark does not take is no hang, and is told.
    let refused = result["errors"].as_array().unwrap();
    assert!(
        refused.iter().any(|e| e["note"].as_str().unwrap().contains("MIN-SIZE 2048 is more than MAX-SIZE"))
    );
    assert!(said.contains("- Not taken by the benchmark: "), "{said}");

    // The evidence of the first hang and of the smallest one is there, that of the others is not.
    let kept = [&result["before"]["snapshot"], &result["after"]["snapshot"]].map(|s| s.as_str().unwrap());
    let mut expected = kept.map(str::to_owned).to_vec();
    expected.sort();
    let there: Vec<String> = names(&out).into_iter().filter(|name| name.contains("_run_")).collect();
    assert_eq!(there.iter().filter(|name| name.starts_with("hang")).cloned().collect::<Vec<_>>(), expected);
    assert!(read(&out, &format!("{}/stacks.txt", kept[1])).contains("deadlock_self_refill"));

    let report = read(&out, "shrink.md");
    assert!(
        report.contains("| 2 | 20000 | 10000 | 1 |") && report.contains("| 3 | 100 | 100 | - |"),
        "{report}"
    );
    assert!(read(&out, "shrink.ja.md").contains("ハングする最小の数値 (deadlock)"));

    // It is done: nothing more is run.
    let (status, _, _) = told(hangscope().args(["shrink", "--resume"]).arg(&out));
    assert_eq!((status, read(&out, "shrink_runs.jsonl") == whole), (Some(10), true));
    let (status, _, err) = told(shrink().args(["--fork-child"]));
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
    shrink.until("run 2  ok");
    // SAFETY: kill takes a pid and a signal; the child was not reaped yet.
    unsafe { libc::kill(shrink.child.id() as i32, libc::SIGINT) };
    let (status, said) = shrink.end();
    assert_eq!(status, Some(1), "{said}");
    let go_on = format!("- To go on: `hangscope shrink --resume {}`", out.display());
    assert!(said.contains("not finished") && said.contains(&go_on), "{said}");
    assert_eq!(result(&out)["end"], "interrupted");
    let made = runs(&out).len();
    assert!((2..24).contains(&made), "{made}");

    let (status, said, _) = told(hangscope().args(["shrink", "--max-time", "1ms", "--resume"]).arg(&out));
    assert_eq!((status, &result(&out)["end"]), (Some(0), &"out-of-time".into()), "{said}");
    // Its time may begin with a run, and no further one.
    let after = runs(&out).len();
    assert!(said.contains(&go_on) && (made..=made + 1).contains(&after), "{after} after {made}: {said}");
    let made = after;

    // A sound allocator does not hang: that takes 25 runs to say at a rate of a fifth, also in three sittings.
    let (status, said, _) = told(hangscope().args(["shrink", "--resume"]).arg(&out));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(&format!("going on after run {made} in ")), "{said}");
    assert!(said.contains("nothing to shrink: the command itself hung in 0 of 25 runs"), "{said}");
    assert_eq!(runs(&out).len(), 25);
    assert!(!names(&out).iter().any(|name| name.starts_with("run_")), "{:?}", names(&out));
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
        let (status, _, err) = told(hangscope().arg("shrink").args(*options).arg("--").args(*command));
        assert!(
            status == Some(2) && err.lines().count() == 1 && err.contains(wanted),
            "{options:?}: {status:?} {err}"
        );
        assert!(!Path::new(out).exists(), "{options:?}");
    }
}

/// What a command takes when its race is switched off, seconds: the median of three runs.
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

/// The natural race, from the numbers of the incident to a fifth or less of its run time, through a kill. Takes a quarter
/// of an hour or more: `./scripts/soak.sh shrink`.
#[test]
#[ignore = "minutes: ./scripts/soak.sh shrink"]
fn the_natural_race_to_a_fifth_of_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let fault = Fault::named("natural_race");
    let so = allocator("natural_race");
    let original = bench_with(&["16", "2000000", "400", "16", "32768", "90", "65536"]);
    let mut command = hangscope();
    // By chance a run hangs the more often the longer it takes: to a fifth of the time is to fewer hangs in a run.
    command.args(["shrink", "--rate", "0.2", "--hang-after", "60s", "--class", fault.class.unwrap(), "--so"]);
    command.arg(&so).arg("--out").arg(&out);
    let mut first = Shrink::start(command.arg("--").args(&original));
    first.until("try 3:");
    first.until("run ");
    first.kill();
    let before = read(&out, "shrink_runs.jsonl");
    println!("killed after {} runs", before.lines().count());

    let (status, said) = Shrink::start(hangscope().args(["shrink", "--resume"]).arg(&out)).end();
    println!("{said}");
    assert_eq!(status, Some(10), "{said}");
    assert!(read(&out, "shrink_runs.jsonl").starts_with(&before), "what was run stays");
    let result = result(&out);
    assert_eq!((&result["end"], &result["class"]), (&"minimal".into(), &fault.class.unwrap().into()));
    let words = result["after"]["command"].as_array().unwrap().iter();
    let smallest: Vec<String> = words.map(|word| word.as_str().unwrap().to_owned()).collect();
    let [before, after] = [&original, &smallest].map(|command| seconds_without_the_race(&so, command));
    println!("without its race: {before:.2} s before, {after:.3} s after, 1/{:.0}", before / after);
    assert!(after <= before / 5.0, "{before} s before, {after} s after");
}
