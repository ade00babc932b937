//! Runners that set LD_PRELOAD themselves, under `hangscope collect -- RUNNER` and `hangscope hunt --
//! RUNNER`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use hangscope_test_e2e::hunt::{Hunt, bench_with, stuck_benchmark};
use hangscope_test_e2e::runners::{RUNNERS, Runner};
use hangscope_test_e2e::{allocator, built, debian, hangscope, output_parts, run, send_signal, shim};
use serde_json::Value;

/// `hangscope collect` in front of a command.
fn collect(out: &Path, options: &[&str], command: &[String]) -> Command {
    let mut collect = hangscope();
    collect.arg("collect").arg("--out").arg(out).args(options).arg("--").args(command);
    collect
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The lines of sessions.jsonl.
fn sessions(out: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(out.join("sessions.jsonl")).expect("the sessions");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A runner's script in `dir`, as a command.
fn command(runner: &Runner, dir: &Path, script: &str) -> Vec<String> {
    let path = dir.join(format!("runner_{}", runner.name.replace(' ', "_")));
    std::fs::write(&path, script).unwrap();
    let interpreter = runner.interpreter.iter().map(|word| (*word).to_owned());
    interpreter.chain([path.display().to_string()]).collect()
}

/// Output without what hangscope says itself, and how the command ended.
fn without_ours(command: &mut Command) -> (String, Vec<String>, ExitStatus) {
    let output = run(command.env("HANGSCOPE_SHIM", shim()).env("LC_ALL", "C"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let others = stderr.lines().filter(|line| !line.starts_with("hangscope:")).map(str::to_owned);
    (String::from_utf8_lossy(&output.stdout).into_owned(), others.collect(), output.status)
}

/// A healthy run of both commands, without hangscope and with it.
fn same_output_and_sessions(runner: &Runner) {
    let dir = tempfile::tempdir().unwrap();
    let so = debian("libmimalloc.so.2").canonicalize().unwrap();
    let script = runner.script(&so, &["/bin/echo", "one"], &["/bin/echo", "two"]);
    let command = command(runner, dir.path(), &script);
    let plain = without_ours(Command::new(&command[0]).args(&command[1..]));
    assert!(plain.0 == "one\ntwo\n" && plain.2.code() == Some(runner.status()), "{}: {plain:?}", runner.name);
    let out = dir.path().join("out");
    let followed = without_ours(&mut collect(&out, &[], &command));
    assert_eq!(followed, plain, "{}", runner.name);
    let sessions = sessions(&out);
    for word in ["one", "two"] {
        let of_word = |session: &&Value| session["command"] == serde_json::json!(["/bin/echo", word]);
        let session = sessions.iter().find(of_word);
        let session = session.unwrap_or_else(|| panic!("{}: {word}: {sessions:#?}", runner.name));
        let allocator = session["allocator"].as_str().unwrap();
        assert!(Path::new(allocator) == so && session["rc"] == 0, "{}: {session:#}", runner.name);
    }
    // Nothing is watched that has no allocator: not the runner itself.
    // A launcher that executes the next program at once may not have named its DSOs.
    let is_other = |path: &str| Path::new(path) != so;
    let others = sessions.iter().filter(|session| session["allocator"].as_str().is_some_and(is_other));
    let others: Vec<String> = others.map(Value::to_string).collect();
    assert!(others.is_empty(), "{}: {others:?}", runner.name);
}

/// The second command hangs. It is killed once its hang is captured.
fn hang_is_captured(runner: &Runner) {
    let dir = tempfile::tempdir().unwrap();
    let (so, bench) = stuck_benchmark();
    let bench: Vec<&str> = bench.iter().map(String::as_str).collect();
    let script = runner.script(&so, &["/bin/echo", "one"], &bench);
    let command = command(runner, dir.path(), &script);
    let out = dir.path().join("out");
    let mut collect = collect(&out, &["--no-perf", "--hang-after", "1s"], &command);
    let mut child = collect.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = vec![];
    for line in lines {
        if let Some(rest) = line.strip_prefix("hangscope: [HANG] ") {
            let pid: i32 = rest.split(' ').next().unwrap().parse().unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
                .unwrap();
        }
        said.push(line);
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(runner.status()), "{}: {said:#?}", runner.name);
    let sessions = sessions(&out);
    let hung: Vec<&Value> = sessions.iter().filter(|session| session["hung"] == true).collect();
    let [hung] = hung[..] else { panic!("{}: {sessions:#?} {said:#?}", runner.name) };
    assert_eq!((&hung["class"], &hung["signal"]), (&"deadlock".into(), &9.into()), "{}", runner.name);
    assert_eq!(hung["allocator"].as_str(), so.to_str(), "{}", runner.name);
    let dump = out.join(hung["folder"].as_str().unwrap()).join("dump_1/threads.json");
    assert!(dump.is_file(), "{}", runner.name);
    assert!(said.iter().any(|line| line.contains("1 hung -> ")), "{said:#?}");
}

/// A few at a time: the tests beside this one wait for processors, too.
fn for_each_runner(check: fn(&Runner)) {
    for some in RUNNERS.chunks(4) {
        std::thread::scope(|scope| some.iter().for_each(|runner| drop(scope.spawn(move || check(runner)))));
    }
}

#[test]
fn each_runner_prints_and_ends_as_ever_and_its_programs_are_sessions() {
    for_each_runner(same_output_and_sessions);
}

#[test]
fn the_hang_under_each_runner_is_captured() {
    for_each_runner(hang_is_captured);
}

/// A runner that gives up would destroy the evidence.
#[test]
fn what_stands_still_is_looked_at_before_a_runner_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (so, bench) = stuck_benchmark();
    let bench = bench.join(" ");
    let python = format!(
        "import os, subprocess\n\
         for shell in (False, True):\n    \
             command = 'exec {bench}' if shell else '{bench}'.split()\n    \
             try: subprocess.run(command, shell=shell, env=dict(os.environ, LD_PRELOAD='{so}'), timeout=5)\n    \
             except subprocess.TimeoutExpired: print('given up')\n",
        so = so.display()
    );
    let bash = format!(
        "set -m; LD_PRELOAD={so} {bench} & sleep 7; kill -- -$!; wait\n\
         LD_PRELOAD={mi} {bench} & kill $!; wait\n",
        so = so.display(),
        mi = debian("libmimalloc.so.2").display(),
    );
    let runs = [
        ("python", vec!["python3".to_owned(), "-c".into(), python], 2),
        ("bash", vec!["bash".into(), "-c".into(), bash], 1),
    ];
    std::thread::scope(|scope| {
        for (name, command, expected) in runs {
            let out = dir.path().join(name);
            scope.spawn(move || {
                let options = ["--no-perf", "--only", "hangscope-bench"];
                let output = run(&mut collect(&out, &options, &command));
                assert!(output.status.success(), "{name}: {output:?}");
                let sessions = sessions(&out);
                let looked: Vec<&Value> = sessions.iter().filter(|s| s["dumps"] != 0).collect();
                assert_eq!(looked.len(), expected, "{name}: {sessions:#?}");
                for session in looked {
                    // Five seconds without a movement before the end. On a busy machine python comes late.
                    let still = session["still_s"].as_f64();
                    assert!(still.map_or(name == "python", |seconds| seconds >= 5.0), "{name}: {session:#}");
                    let stuck = still.map_or(Value::Null, |_| "stuck when it was stopped".into());
                    assert_eq!(session["stopped"], stuck, "{name}: {session:#}");
                    assert_eq!(session["class"], "deadlock", "{name}: {session:#}");
                    let note = session["notes"][0].as_str().unwrap();
                    assert!(note.ends_with("was about to end it, and nothing moved in it"), "{name}: {note}");
                }
            });
        }
    });
}

/// Builds a C program of tests/follow.
fn program(dir: &Path, name: &str, options: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../follow/{name}.c"));
    let to = dir.join(format!("{name}{}", options.concat()));
    let built =
        run(Command::new("cc").args(["-O1", "-o"]).arg(&to).arg(source).args(["-pthread"]).args(options));
    assert!(built.status.success(), "{built:?}");
    to
}

#[test]
fn every_function_of_the_exec_family_hands_the_shim_on_and_changes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let family = program(dir.path(), "exec_family", &[]);
    let (follow, shim) = (built("libhangscope_follow.so"), shim());
    let so = debian("libmimalloc.so.2");
    let started = |how: &str, entries: &str, program: &str, followed: bool| {
        let mut command = Command::new(&family);
        command.args([how, so.to_str().unwrap(), entries, program]);
        command.args(["-u", "X1", "-u", "X2", "-u", "X3"]).env_clear().env("PATH", "/usr/bin:/bin");
        if followed {
            command.env("LD_PRELOAD", &follow).env("HANGSCOPE_FOLLOW", &follow);
            command.env("HANGSCOPE_FOLLOW_SHIM", &shim).env("HANGSCOPE_SOCKET", "/nonexistent/socket");
        }
        let output = run(&mut command);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines, output.status.code())
    };
    let value = format!("LD_PRELOAD={}:{}:{}", follow.display(), shim.display(), so.display());
    let hows = [
        "execve",
        "execv",
        "execvp",
        "execvpe",
        "execl",
        "execlp",
        "execle",
        "fexecve",
        "execveat",
        "posix_spawn",
        "posix_spawnp",
        "vfork:execve",
        "vfork:execlp",
        "thread:execve",
        "thread:execle",
        "thread:posix_spawn",
        "signal:execvp",
    ];
    for how in hows {
        for entries in ["0", "100", "900"] {
            let (plain, status) = started(how, entries, "/usr/bin/env", false);
            assert!(status == Some(0) && plain.len() > entries.parse().unwrap(), "{how}: {plain:?}");
            let (followed, status) = started(how, entries, "/usr/bin/env", true);
            assert_eq!(status, Some(0), "{how} {entries}");
            assert!(followed.contains(&value), "{how} {entries}: {followed:?}");
            let is_others =
                |line: &&String| !line.starts_with("HANGSCOPE_") && !line.starts_with("LD_PRELOAD=");
            let others = |lines: &[String]| lines.iter().filter(is_others).cloned().collect::<Vec<_>>();
            assert_eq!(others(&followed), others(&plain), "{how} {entries}");
        }
        let missing = |followed| started(how, "0", "/usr/bin/nothing-there", followed);
        let (plain, followed) = (missing(false), missing(true));
        assert_eq!(followed, plain, "{how}");
        assert!(followed.1 != Some(0), "{how}: {followed:?}");
    }
    // What would need more of a stack than a thread may have goes on as it is.
    let (plain, _) = started("execve", "20000", "/usr/bin/env", false);
    assert_eq!(started("execve", "20000", "/usr/bin/env", true), (plain, Some(0)));
}

#[test]
fn an_environment_of_another_collector_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    // A hunt within a collection has its own socket, and its runs are its own.
    let command = [
        vec![built("hangscope").display().to_string(), "hunt".into(), "--verify-runs".into(), "1".into()],
        words("--runs 1 --no-perf --so"),
        vec![debian("libmimalloc.so.2").display().to_string(), "--out".into(), inner.display().to_string()],
        words("-- /bin/echo x"),
    ]
    .concat();
    let out = dir.path().join("outer");
    let output = run(&mut collect(&out, &[], &command));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(std::fs::read_to_string(inner.join("runs.tsv")).unwrap().contains("1\t0\t0\tnan"));
    assert!(sessions(&out).is_empty(), "{:#?}", sessions(&out));
}

#[test]
fn the_end_is_that_of_the_command_and_a_hang_may_be_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let end = |name: &str, options: &[&str], script: &str| {
        let command = vec!["bash".into(), "-c".into(), script.to_owned()];
        run(&mut collect(&dir.path().join(name), options, &command)).status
    };
    assert_eq!(end("a", &[], "exit 7").code(), Some(7));
    assert_eq!(end("b", &[], "kill -KILL $$").signal(), Some(libc::SIGKILL));
    assert_eq!(end("c", &[], "kill -TERM $$").signal(), Some(libc::SIGTERM));
    assert_eq!(end("d", &["--fail-on-hang"], "exit 7").code(), Some(7));
    let (so, bench) = stuck_benchmark();
    let script = format!("LD_PRELOAD={} timeout -s KILL 4 {}; exit 0", so.display(), bench.join(" "));
    let options = ["--fail-on-hang", "--no-perf", "--hang-after", "1s"];
    assert_eq!(end("e", &options, &script).code(), Some(10));
    let nothing = run(&mut collect(&dir.path().join("f"), &[], &words("/nonexistent/x")));
    let (_, _, stderr) = output_parts(&nothing);
    assert_eq!(nothing.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("not found: /nonexistent/x"), "{stderr}");
}

#[test]
fn a_signal_for_the_collector_reaches_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let command = vec!["bash".into(), "-c".into(), script.to_owned()];
    let mut collect = collect(&dir.path().join("out"), &[], &command);
    let mut child = collect.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    send_signal(&child, libc::SIGTERM);
    assert_eq!(lines.next().unwrap().unwrap(), "told");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

#[test]
fn where_nothing_was_seen_the_reason_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let said = |name: &str, options: &[&str], command: Vec<String>| {
        let output = run(&mut collect(&dir.path().join(name), options, &command));
        let (_, stdout, stderr) = output_parts(&output);
        assert!(stderr.contains("no session: nothing was watched"), "{name}: {stderr}");
        (stdout, stderr)
    };
    let sh = |script: &str| vec!["bash".to_owned(), "-c".to_owned(), script.to_owned()];
    let (_, plain) = said("plain", &[], sh("sleep 1; true"));
    assert!(plain.contains("no program preloaded an allocator"), "{plain}");
    assert!(plain.contains("sleep (LD_PRELOAD -)"), "{plain}");
    let (_, only) = said("only", &["--only", "other"], sh("sleep 1; true"));
    assert!(only.contains("named as --only says (other)"), "{only}");
    // A preload that is no allocator.
    let (_, stdbuf) = said("stdbuf", &[], sh("stdbuf -oL sleep 1; true"));
    assert!(stdbuf.contains("malloc was libc's own") && stdbuf.contains("libstdbuf.so"), "{stdbuf}");
    // A program that takes no preload starts the benchmark. It must be there at two looks.
    let broken = program(dir.path(), "breaks", &["-static"]);
    let script = format!(
        "LD_PRELOAD={} {} /bin/sleep 2; true",
        debian("libmimalloc.so.2").display(),
        broken.display()
    );
    let (_, broken_said) = said("static", &[], sh(&script));
    let line = broken_said.lines().find(|line| line.contains("not reached: ")).unwrap_or_default();
    assert!(line.contains(broken.to_str().unwrap()) && line.contains("linked statically"), "{broken_said}");
    // One that makes the system call itself: what it starts is named.
    let raw = program(dir.path(), "breaks", &[]);
    let script = format!("{} /bin/sleep 2; true", raw.display());
    let (_, raw_said) = said("raw", &[], sh(&script));
    assert!(raw_said.contains("sleep (pid") && raw_said.contains("direct system call"), "{raw_said}");
}

#[test]
fn a_preload_that_cannot_be_opened_is_a_session_with_another_malloc() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = "LD_PRELOAD=/nonexistent/hz4.so /bin/echo x 2>/dev/null";
    let output = run(&mut collect(&out, &[], &["bash".into(), "-c".into(), script.into()]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "x\n");
    let sessions = sessions(&out);
    assert_eq!(sessions.len(), 1, "{sessions:#?}");
    assert!(sessions[0]["allocator"].as_str().unwrap().contains("libc.so"), "{sessions:#?}");
}

#[test]
fn a_program_that_executes_itself_until_nothing_is_preloaded_comes_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("again.sh");
    let text = "if [ -n \"$LD_PRELOAD\" ]; then unset LD_PRELOAD; exec bash \"$0\"; fi\necho end\n";
    std::fs::write(&script, text).unwrap();
    let output =
        run(&mut collect(&dir.path().join("out"), &[], &words(&format!("bash {}", script.display()))));
    assert_eq!(output_parts(&output).1, "end\n");
}

#[test]
fn a_hunt_judges_the_program_that_the_runner_preloads_its_allocator_into() {
    let dir = tempfile::tempdir().unwrap();
    let (so, bench) = stuck_benchmark();
    let script = |name: &str, so: &Path, bench: &[String]| {
        let path = dir.path().join(name);
        let text = format!("SO={}\nenv -i LD_PRELOAD=\"$SO\" timeout 60 {}\n", so.display(), bench.join(" "));
        std::fs::write(&path, text).unwrap();
        ["bash".to_owned(), path.display().to_string()]
    };
    let options = ["--runs", "1", "--no-perf", "--hang-after", "1s", "--verify-runs", "1"];
    let hunt = Hunt::new(&so, &options, &[], &script("hangs", &so, &bench));
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let verdict = hunt.verdict();
    assert_eq!((&verdict["letter"], &verdict["hangs"][0]["class"]), (&"B".into(), &"deadlock".into()));
    // The program ran with the pinned copy, which the script does not name.
    assert_eq!(verdict["dso"]["pinned"], true);
    let maps = hunt.text("hang_run_1/maps.txt");
    assert!(maps.contains(hunt.out().canonicalize().unwrap().to_str().unwrap()), "{maps}");
    assert!(!maps.contains(so.to_str().unwrap()), "{maps}");
    // With another allocator in the script there is no verdict.
    let other =
        script("other", &debian("libjemalloc.so.2"), &bench_with(&["1", "10", "10", "16", "32", "0", "64"]));
    let hunt = Hunt::new(&allocator("healthy"), &options, &[], &other);
    assert_eq!(hunt.code(), 30, "{}", hunt.outputs());
    assert!(hunt.outputs().contains("libjemalloc.so.2"), "{}", hunt.outputs());
}
