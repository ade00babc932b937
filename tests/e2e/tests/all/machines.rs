//! Output for programs: `--json` of every command, `--junit`, and the output for GitHub Actions.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use hangscope_test_e2e::hunt::{Hunt, bench_with, run_parts, stuck_benchmark};
use hangscope_test_e2e::{GIVE_UP_AFTER, Running, debian, hangscope, send_signal, wait};
use serde_json::Value;

fn jemalloc() -> String {
    debian("libjemalloc.so.2").display().to_string()
}

/// Parses stdout, which must be one line of JSON with these keys.
fn only_line(stdout: &str, keys: &[&str]) -> Value {
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    with_keys(stdout, keys)
}

fn with_keys(line: &str, keys: &[&str]) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    for key in keys {
        assert!(value.get(key).is_some(), "no key {key} in {line}");
    }
    value
}

/// Runs a command that must succeed, with --json. Returns its JSON.
fn json_of(args: &[&str], keys: &[&str]) -> Value {
    let (status, stdout, stderr) = run_parts(hangscope().args(args).arg("--json"));
    assert_eq!(status, Some(0), "{args:?}: {stderr}");
    only_line(&stdout, keys)
}

fn hunt_of_a_hang(options: &[&str], env: &[(&str, &str)]) -> Hunt {
    let (so, command) = stuck_benchmark();
    let options =
        [&["--runs", "1", "--hang-after", "2s", "--verify-runs", "1", "--no-perf"], options].concat();
    Hunt::new(&so, &options, env, &command)
}

#[test]
fn small_commands_print_one_object() {
    let dir = tempfile::tempdir().unwrap();
    let (so, out) = (jemalloc(), dir.path().display().to_string());
    let plan = json_of(&["plan", "--rate", "0.02"], &["rate", "confidence"]);
    assert_eq!(plan["runs"], 149);
    let pin = json_of(&["pin", &so, "--out", &out], &["name", "source", "build_id", "size"]);
    let sums = std::fs::read_to_string(dir.path().join("jemalloc_so.sha1")).unwrap();
    let line = format!("{}  {}\n", pin["sha1"].as_str().unwrap(), pin["path"].as_str().unwrap());
    assert_eq!(sums, line);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a b");
    let socket = socket.to_str().unwrap();
    let env = json_of(&["env", "--so", &so, "--socket", socket, "--label", "x y"], &["LD_PRELOAD"]);
    assert_eq!((&env["HANGSCOPE_LABEL"], &env["HANGSCOPE_SOCKET"]), (&"x y".into(), &socket.into()));
}

/// `--lang` decides, then `HANGSCOPE_LANG`, then the locale. What is for programs stays English.
#[test]
fn the_language_comes_from_the_option_or_the_environment() {
    let japanese = |options: &[&str], env: &[(&str, &str)]| {
        let mut command = hangscope();
        command.args(["plan", "--runs", "50"]).args(options).env_remove("LC_ALL");
        let (status, stdout, stderr) = run_parts(command.envs(env.iter().copied()));
        assert_eq!(status, Some(0), "{stderr}");
        stdout.contains("ハング率は")
    };
    assert!(japanese(&["--lang", "ja"], &[("LC_ALL", "C")]));
    assert!(japanese(&[], &[("LANG", "ja_JP.UTF-8"), ("LC_MESSAGES", "")]));
    assert!(japanese(&[], &[("LC_ALL", "C"), ("HANGSCOPE_LANG", "ja")]));
    assert!(!japanese(&["--lang", "en"], &[("HANGSCOPE_LANG", "ja")]));
    assert!(!japanese(&["--json"], &[("HANGSCOPE_LANG", "ja")]));
}

#[test]
fn a_verification_passes_or_does_not() {
    let so = jemalloc();
    let verify = |command: &[&str]| {
        let args = ["verify", "--so", &so, "--runs", "1", "--json", "--"];
        run_parts(hangscope().args(args).args(command))
    };
    let (status, stdout, stderr) = verify(&["sleep", "0.1"]);
    assert_eq!(status, Some(0), "{stderr}");
    let passed = only_line(&stdout, &["passed", "error", "program", "sha1", "runs"]);
    assert_eq!((&passed["passed"], &passed["error"]), (&true.into(), &Value::Null));
    let canonical = std::fs::canonicalize(&so).unwrap();
    assert_eq!(passed["runs"][0]["malloc"].as_str(), canonical.to_str());
    assert!(
        stderr.contains("[STRICT-PRELOAD] verification passed"),
        "the lines for people are on stderr: {stderr}"
    );

    let (status, stdout, stderr) = verify(&["/nonexistent/bench"]);
    assert_eq!(status, Some(30), "{stderr}");
    let failed = only_line(&stdout, &["program", "sha1", "runs"]);
    assert_eq!(failed["passed"], false);
    let error = failed["error"].as_str().unwrap();
    assert_eq!(stderr, format!("hangscope: verify: {error}\n"), "the error is also on stderr");
}

#[test]
fn an_error_is_one_line_on_stderr_and_nothing_on_stdout() {
    let so = jemalloc();
    let table: &[(&[&str], i32)] = &[
        (&["hunt", "--so", "/nonexistent.so", "--json", "--", "ls"], 2),
        (&["hunt", "--so", &so, "--junit", "/nonexistent/junit.xml", "--json", "--", "ls"], 2),
        (&["pin", "/nonexistent.so", "--out", "/tmp", "--json"], 1),
        (&["show", "/nonexistent", "--json"], 1),
        (&["report", "/nonexistent", "--json"], 1),
        (&["snap", "4194304", "--json"], 1),
        (&["env", "--so", "/nonexistent.so", "--json"], 1),
        (&["plan", "--json"], 2),
    ];
    for (args, code) in table {
        let (status, stdout, stderr) = run_parts(hangscope().args(*args));
        assert_eq!((status, stdout.as_str()), (Some(*code), ""), "{args:?}: {stderr}");
        assert!(stderr.lines().count() == 1 && stderr.starts_with("hangscope: "), "{args:?}: {stderr}");
    }
}

#[test]
fn a_hunt_and_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let hunt = hunt_of_a_hang(&["--json", "--junit", junit.to_str().unwrap()], &[]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let mut printed =
        only_line(&hunt.stdout(), &["schema", "verdict", "headline", "rate", "hangs", "evidence"]);
    let out = printed.as_object_mut().unwrap().remove("out").unwrap();
    assert_eq!(out.as_str(), hunt.out().to_str());
    assert_eq!(printed, hunt.verdict(), "stdout is verdict.json");
    let stderr = String::from_utf8_lossy(&hunt.output.stderr).into_owned();
    assert!(stderr.contains("run 1/1  HANG") && stderr.contains("- Reproduced: `1 / 1`"), "{stderr}");

    let report =
        quick_junit::Report::deserialize_from_str(&std::fs::read_to_string(&junit).unwrap()).unwrap();
    let case = &report.test_suites[0].test_cases[0];
    let quick_junit::TestCaseStatus::NonSuccess { message, ty, .. } = &case.status else {
        panic!("{case:?}")
    };
    assert_eq!(message.as_ref().map(|m| m.as_str()), printed["headline"].as_str());
    assert_eq!(ty.as_ref().map(|t| t.as_str()), printed["hangs"][0]["class"].as_str());
    assert!(case.timestamp.is_some() && case.time.is_some_and(|time| time.as_secs() >= 2), "{case:?}");
    for file in case.system_out.as_ref().unwrap().as_str().lines().filter(|line| line.starts_with('/')) {
        assert!(Path::new(file).exists(), "{file}");
    }

    let (out, again) = (hunt.out().display().to_string(), folder.path().join("again.xml"));
    let (status, stdout, stderr) = run_parts(hangscope().args(["report", &out, "--junit"]).arg(&again));
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&again), read(&junit), "a new report of an ended hunt is the same");
    let snapshot = format!("{out}/hang_run_1");
    let shown = json_of(&["show", &out], &["verdict", "snapshots"]);
    assert_eq!(shown["verdict"], printed);
    assert_eq!(shown["snapshots"]["hang_run_1"]["finding"]["class"], printed["hangs"][0]["class"]);
    let shown = json_of(&["show", &snapshot], &["verdict"]);
    assert_eq!(
        (&shown["verdict"], &shown["snapshots"]["."]["pid"]),
        (&Value::Null, &printed["hangs"][0]["pid"])
    );
    let again = json_of(&["report", &snapshot], &["schema", "threads", "dsos", "notes"]);
    assert_eq!(again["finding"]["class"], printed["hangs"][0]["class"]);
}

#[test]
fn a_look_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let sleeps = Running::start(Command::new("sleep").arg("1000"));
    let (pid, out) = (sleeps.pid().to_string(), dir.path().join("out"));
    let mut snap = hangscope();
    snap.args(["snap", &pid, "--second-look", "200ms", "--no-perf", "--json", "--out"]).arg(&out);
    let (_, stdout, stderr) = run_parts(&mut snap);
    let printed = only_line(&stdout, &["schema", "verdict", "hangs"]);
    assert_eq!(printed["out"].as_str(), out.to_str(), "{stderr}");
    assert!(stderr.contains("The evidence is in"), "{stderr}");
}

#[test]
fn sessions_are_a_line_each() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s.sock");
    let mut collect = hangscope();
    collect
        .arg("collect")
        .arg("--socket")
        .arg(&socket)
        .arg("--out")
        .arg(dir.path().join("out"))
        .arg("--json");
    let mut collect = Running(collect.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    // The collector listens once it prints this line.
    let mut first_line = String::new();
    BufReader::new(collect.0.stderr.take().unwrap()).read_line(&mut first_line).unwrap();
    assert!(first_line.starts_with("listening on "), "{first_line}");
    let (sender, lines) = crossbeam_channel::unbounded();
    let stdout = BufReader::new(collect.0.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let env =
        json_of(&["env", "--so", &jemalloc(), "--socket", socket.to_str().unwrap(), "--label", "n 1"], &[]);
    for _ in 0..2 {
        let mut run = Command::new("sleep");
        for (name, value) in env.as_object().unwrap() {
            run.env(name, value.as_str().unwrap());
        }
        assert_eq!(run_parts(run.arg("0.1")).0, Some(0));
        let line = lines.recv_timeout(GIVE_UP_AFTER).expect("a line when a session ends");
        let session = with_keys(&line, &["schema", "pid", "command", "integrity", "dumps", "folder"]);
        let got = (&session["label"], &session["end"], &session["hung"]);
        assert_eq!(got, (&"n 1".into(), &"exit".into(), &false.into()), "{line}");
    }
    send_signal(&collect.0, libc::SIGINT);
    assert_eq!(collect.wait().code(), Some(0));
    assert_eq!(lines.iter().count(), 0, "nothing else is on stdout");
}

#[test]
fn ctrl_c_leaves_a_report_of_the_runs_that_were_made() {
    let dir = tempfile::tempdir().unwrap();
    let junit = dir.path().join("junit.xml");
    let mut hunt = hangscope();
    hunt.args(["hunt", "--runs", "1000", "--verify-runs", "0", "--no-perf", "--so", &jemalloc()]);
    hunt.arg("--out").arg(dir.path().join("out")).arg("--junit").arg(&junit).arg("--");
    hunt.args(bench_with(&["2", "20000", "100", "16", "4096", "50", "1024"])).stdout(Stdio::piped());
    let mut child = hunt.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("run 2/")));
    send_signal(&child, libc::SIGINT);
    assert!(lines.map_while(Result::ok).count() > 0, "more lines follow");
    assert_eq!(wait(&mut child, GIVE_UP_AFTER).expect("an end").code(), Some(1));
    let report =
        quick_junit::Report::deserialize_from_str(&std::fs::read_to_string(&junit).unwrap()).unwrap();
    let verdict = std::fs::read_to_string(dir.path().join("out/verdict.json")).unwrap();
    let made = with_keys(&verdict, &[])["runs"]["made"].as_u64().unwrap() as usize;
    let suite = &report.test_suites[0];
    assert_eq!(suite.tests - suite.disabled, made, "all runs but the one that Ctrl-C ended");
    assert!(made >= 2 && suite.failures + suite.errors == 0, "{suite:?}");
}

#[test]
fn github_gets_annotations_and_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let summary = dir.path().join("summary.md");
    std::fs::write(&summary, "before\n").unwrap();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let env = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("GITHUB_WORKSPACE", workspace.to_str().unwrap()),
    ];
    let hunt = hunt_of_a_hang(&[], &env);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let stdout = hunt.stdout();
    let errors: Vec<&str> = stdout.lines().filter(|line| line.starts_with("::")).collect();
    let [error] = errors[..] else { panic!("{stdout}") };
    let (head, message) = error.strip_prefix("::error ").unwrap().split_once("::").unwrap();
    let headline = hunt.verdict()["headline"].as_str().unwrap().to_owned();
    assert_eq!(message.replace("%25", "%"), headline);
    assert!(head.contains("title=Hang in run 1%3A deadlock"), "{head}");
    let file = head.split(',').find_map(|pair| pair.strip_prefix("file=")).expect(head);
    assert!(file.starts_with("tests/allocators/") && workspace.join(file).exists(), "{file}");
    let summary_text = std::fs::read_to_string(&summary).unwrap();
    assert_eq!(summary_text, format!("before\n{}\n", hunt.text("report.md")));

    // With --json, stdout has nothing but JSON. A summary that cannot be written does not change the result.
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", dir.path().to_str().unwrap())];
    let hunt = hunt_of_a_hang(&["--json", "--lang", "ja"], &env);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    only_line(&hunt.stdout(), &["verdict"]);
    let stderr = String::from_utf8_lossy(&hunt.output.stderr).into_owned();
    assert!(stderr.contains("\n::error title=実行 1 でハング%3A deadlock::B: "), "{stderr}");
    assert!(stderr.contains("cannot add the report to"), "{stderr}");
}
