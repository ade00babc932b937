//! `hangscope wrap`: one file that is both, the shim and the allocator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hangscope_collector::listen::What;
use hangscope_protocol::record::dso_flags;
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::carriers::wrap;
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::stuck_benchmark;
use hangscope_test_e2e::runners::{RUNNERS, Runner};
use hangscope_test_e2e::{
    GIVE_UP_AFTER, Running, TestCollector, allocator, bench, debian, hangscope, output_parts, preload, run,
    shim, wait,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A command under what `preload` names, with nothing else in its environment.
fn under(preload: impl AsRef<std::ffi::OsStr>, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("LD_PRELOAD", preload);
    command
}

/// A folder, a collector in this process, and a carrier of the healthy allocator that speaks to it.
fn healthy(options: &[&str]) -> (tempfile::TempDir, TestCollector, PathBuf) {
    let (folder, collector) = (tempfile::tempdir().expect("a folder"), TestCollector::new());
    let socket = collector.listener.path().to_str().expect("UTF-8").to_owned();
    let options = [&["--socket", &socket, "--label", "in the note"], options].concat();
    let carrier = wrap(folder.path(), "x_hs.so", &allocator("healthy"), &options);
    (folder, collector, carrier)
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into()).collect();
    files.sort();
    files
}

/// A command that reads a script, which is written into `folder`.
fn reads(runner: &Runner, folder: &Path, script: &str) -> Command {
    let path = folder.join(format!("runner_{}", runner.name.replace(' ', "_")));
    fs::write(&path, script).expect("a script");
    let mut command = Command::new(runner.interpreter[0]);
    command.args(&runner.interpreter[1..]).arg(path).stdin(Stdio::null());
    command
}

#[test]
fn a_runner_that_is_given_a_carrier_prints_and_ends_as_ever() {
    let collect = Collect::new(&[]);
    let socket = collect.socket().display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let mimalloc = debian("libmimalloc.so.2");
    let carrier = wrap(folder.path(), "x_hs.so", &mimalloc, &["--socket", &socket, "--only", "echo"]);
    for runner in &RUNNERS {
        let seen = |so: &Path| {
            let script = runner.script(so, &["/bin/echo", "one"], &["/bin/echo", "two"]);
            output_parts(&run(&mut reads(runner, folder.path(), &script)))
        };
        let plain = seen(&mimalloc);
        assert_eq!((&*plain.0, &*plain.1), (&*format!("exit status: {}", runner.status()), "one\ntwo\n"));
        assert_eq!(seen(&carrier), plain, "{}", runner.name);
    }
    let all = RUNNERS.len() * 2;
    while collect.sessions().len() < all {
        collect.line_with(&["[END]"]);
    }
    for session in collect.sessions() {
        let allocator = session["allocator"].as_str().expect("a path");
        assert!(allocator.starts_with(&format!("{}/mimalloc_", folder.path().display())), "{allocator}");
        assert_eq!((&session["rc"], &session["command"][0]), (&0.into(), &"/bin/echo".into()));
    }
}

#[test]
fn the_hang_under_each_runner_that_is_given_a_carrier_is_captured() {
    let collect = Collect::new(&["--no-perf"]);
    let socket = collect.socket().display().to_string();
    let (so, stuck) = stuck_benchmark();
    let stuck: Vec<&str> = stuck.iter().map(String::as_str).collect();
    let folder = |runner: &Runner| collect.dir.path().join(runner.name.replace(' ', "_"));
    // A few at a time: the tests beside this one wait for processors, too.
    for some in RUNNERS.chunks(6) {
        let start = |runner: &Runner| {
            let options = ["--socket", &socket, "--label", runner.name, "--hang-after", "1s"];
            let only = ["--tick", "100ms", "--only", "hangscope-bench"];
            let carrier = wrap(&folder(runner), "a_hs.so", &so, &[&options[..], &only].concat());
            let script = runner.script(&carrier, &["/bin/echo", "one"], &stuck);
            let mut command = reads(runner, &folder(runner), &script);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a runner")
        };
        let running: Vec<Child> = some.iter().map(start).collect();
        for _ in some {
            let line = collect.line_with(&["[HANG]"]);
            let pid = line.split(' ').nth(1).and_then(|pid| pid.parse().ok()).expect("a pid");
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it still hangs");
        }
        for (mut child, runner) in running.into_iter().zip(some) {
            let status = wait(&mut child, GIVE_UP_AFTER).expect("the runner ends");
            assert_eq!(status.code(), Some(runner.status()), "{}", runner.name);
        }
    }
    while collect.sessions().len() < RUNNERS.len() {
        collect.line_with(&["[END]"]);
    }
    let sessions = collect.sessions();
    for runner in &RUNNERS {
        let of: Vec<_> = sessions.iter().filter(|s| s["label"] == runner.name).collect();
        let [session] = of[..] else { panic!("{}: {of:#?}", runner.name) };
        assert_eq!((&session["hung"], &session["class"]), (&true.into(), &"deadlock".into()), "{session:#}");
        let pinned = session["allocator"].as_str().expect("a path");
        assert!(Path::new(pinned).starts_with(folder(runner)) && pinned.contains("/fault_"), "{pinned}");
        assert_eq!(session["integrity"], "intact");
    }
}

#[test]
fn a_hang_under_a_carrier_is_named_as_with_a_plain_preload() {
    let collect = Collect::new(&["--no-perf"]);
    let socket = collect.socket().display().to_string();
    let fault = Fault::named("owner_spinning");
    let options = ["--socket", &socket, "--hang-after", "1s", "--tick", "100ms"];
    let carrier = wrap(collect.dir.path(), "a_hs.so", &allocator("owner_spinning"), &options);
    let bench = bench().display().to_string();
    let stuck = Running::start(&mut under(&carrier, &[&[bench.as_str()], fault.workload_args].concat()));
    let line = collect.line_with(&["[HANG]"]);
    assert!(line.contains(" owner-spinning (proven)"), "{line}");
    drop(stuck);
    collect.line_with(&["[END]"]);
    let session = &collect.sessions()[0];
    let dump = collect.out().join(session["folder"].as_str().expect("a folder")).join("dump_1");
    // The names of files are those of an allocator that is preloaded by itself.
    let maps = fs::read_to_string(dump.join("maps_fault_owner_spinning.txt")).expect("maps");
    let pinned = session["allocator"].as_str().expect("a path");
    assert!(maps.lines().count() > 1 && maps.lines().all(|line| line.ends_with(pinned)), "{maps}");
    assert!(dump.join("fault_owner_spinning.so").is_file());
    let stacks = fs::read_to_string(dump.join("stacks.txt")).expect("stacks");
    let (function, file) = (fault.culprit_function.expect("one"), fault.culprit_file.expect("one"));
    let file = Path::new(file).file_name().expect("a name").to_str().expect("UTF-8");
    assert!(stacks.contains(function) && stacks.contains(&format!("{file}:")), "{stacks}");
    let report = run(hangscope().arg("report").arg(&dump));
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains(function) && report.contains(fault.lock_symbol.expect("one")), "{report}");
}

#[test]
fn a_missing_allocator_stops_the_program_and_a_missing_shim_does_not() {
    let (folder, collector, carrier) = healthy(&["--portable"]);
    let kept = folder.path().join("x_hs.so.d");
    fs::rename(kept.join("libhangscope.so"), kept.join("away")).expect("a rename");
    assert!(run(&mut under(&carrier, &["/bin/true"])).status.success());
    let pinned = files(&kept).into_iter().find(|file| file.ends_with(".so")).expect("the allocator");
    fs::remove_file(kept.join(&pinned)).expect("a file");
    let (status, stdout, stderr) = output_parts(&run(&mut under(&carrier, &["/bin/true"])));
    assert_eq!((status.as_str(), stdout.as_str()), ("exit status: 127", ""));
    assert!(stderr.contains("error while loading shared libraries") && stderr.contains(&pinned), "{stderr}");
    let verify = run(hangscope().args(["verify", "--so"]).arg(&carrier).args(["--", "/bin/true"]));
    let (status, _, stderr) = output_parts(&verify);
    assert_eq!(status, "exit status: 2");
    assert!(stderr.contains(&pinned) && stderr.ends_with("make the carrier again with hangscope wrap\n"));
    assert!(collector.listener.events().is_empty(), "nothing was watched");
}

#[test]
fn a_portable_carrier_works_wherever_it_is_moved() {
    let (folder, collector, carrier) = healthy(&["--portable"]);
    let moved = folder.path().join("other/place");
    fs::create_dir_all(&moved).expect("a folder");
    for file in ["x_hs.so", "x_hs.so.d", "x_hs.so.txt"] {
        fs::rename(folder.path().join(file), moved.join(file)).expect("a rename");
    }
    assert!(!carrier.exists() && files(folder.path()) == ["other"]);
    // By an absolute path, and by one from the folder.
    for preload in [moved.join("x_hs.so"), PathBuf::from("./x_hs.so")] {
        let mut command = under(&preload, &["/bin/false"]);
        assert_eq!(run(command.current_dir(&moved)).status.code(), Some(1));
        let identity = collector.hello();
        assert_eq!(
            (identity.label.as_str(), identity.ld_preload.as_str()),
            ("in the note", preload.to_str().unwrap())
        );
        collector.until("its DSOs", |event| match &event.what {
            What::Dsos(dsos) => {
                let of = |flag| dsos.iter().find(|dso| dso.init.flags & flag != 0).expect("one").path.clone();
                let folder = moved.join("x_hs.so.d");
                assert_eq!(Path::new(&of(dso_flags::SHIM)), folder.join("libhangscope.so"));
                assert!(Path::new(&of(dso_flags::PROVIDES_MALLOC)).starts_with(&folder));
                Some(())
            }
            _ => None,
        });
    }
}

#[test]
fn a_variable_of_the_environment_counts_more_than_the_carrier() {
    let (_folder, collector, carrier) =
        healthy(&["--hang-after", "7s", "--tick", "300ms", "--only", "true,env"]);
    let hello = |variables: &[(&str, &str)]| {
        let mut command = under(&carrier, &["/bin/true"]);
        assert!(run(command.envs(variables.iter().copied())).status.success());
    };
    hello(&[("HANGSCOPE_SOCKET", "")]);
    hello(&[("HANGSCOPE_ONLY", "bench")]);
    assert!(run(&mut under(&carrier, &["/bin/echo"])).status.success());
    hello(&[("HANGSCOPE_LABEL", "mine"), ("HANGSCOPE_TICK", "2s")]);
    // Those before it said nothing.
    let identity = collector.hello();
    let times = [identity.fixed.hang_after_ns, identity.fixed.tick_ns].map(|ns| ns / 1_000_000);
    assert_eq!((identity.label.as_str(), times), ("mine", [7000, 2000]));
    let other = TestCollector::new();
    hello(&[("HANGSCOPE_SOCKET", other.listener.path().to_str().expect("UTF-8"))]);
    assert_eq!(other.hello().label, "in the note");
}

#[test]
fn one_shim_watches_also_where_two_are_named() {
    let (folder, collector, portable) = healthy(&["--portable"]);
    let socket = collector.listener.path().to_str().expect("UTF-8").to_owned();
    let plain = wrap(folder.path(), "plain_hs.so", &allocator("healthy"), &["--socket", &socket]);
    for carrier in [portable, plain] {
        // The file that the carrier names, and another copy of it.
        let sleeping = Running::start(&mut under(preload(Some(&carrier)), &["/bin/sleep", "1000"]));
        let identity = collector.hello();
        assert_eq!(identity.fixed.pid, sleeping.pid());
        let tasks = fs::read_dir(format!("/proc/{}/task", sleeping.pid())).expect("tasks").count();
        assert_eq!(tasks, 2, "sleep, and one watchdog");
        collector.until("its DSOs", |event| match &event.what {
            What::Dsos(dsos) => {
                let own = dsos.iter().find(|dso| dso.init.flags & dso_flags::SHIM != 0).expect("the shim");
                assert_eq!(Path::new(&own.path), shim());
                Some(())
            }
            _ => None,
        });
    }
}

#[test]
fn other_commands_know_a_carrier() {
    let (folder, _collector, carrier) = healthy(&[]);
    let text = |output: std::process::Output| {
        let (status, stdout, stderr) = output_parts(&output);
        assert_eq!(status, "exit status: 0", "{stdout}{stderr}");
        (stdout, stderr)
    };
    let pinned =
        folder.path().join(files(folder.path()).into_iter().find(|f| f.starts_with("fault_")).unwrap());
    let said = format!("{} is a carrier: its allocator is {}\n", carrier.display(), pinned.display());
    let with = |words: &[&str], rest: &[&str]| text(run(hangscope().args(words).arg(&carrier).args(rest)));
    let (stdout, _) = with(&["verify", "--runs", "1", "--so"], &["--", "/bin/true"]);
    assert!(
        stdout.starts_with(&said) && stdout.ends_with("[STRICT-PRELOAD] verification passed\n"),
        "{stdout}"
    );
    let socket = folder.path().join("s").display().to_string();
    let (stdout, stderr) = with(&["env", "--socket", &socket, "--so"], &[]);
    assert!(stdout.contains(&format!("{}:{} ", shim().display(), pinned.display())), "{stdout}");
    assert_eq!(stderr, said);
    let out = folder.path().join("pins").display().to_string();
    let (stdout, stderr) = with(&["pin", "--out", &out], &[]);
    assert!(stdout.starts_with(&format!("{out}/fault_healthy_")) && stderr == said, "{stdout}{stderr}");
    // A runner that names the carrier gets the pinned copy of the allocator.
    let (out, script) = (folder.path().join("hunt"), format!("LD_PRELOAD={} /bin/echo x", carrier.display()));
    let options = ["--runs", "1", "--verify-runs", "1", "--no-perf", "--out", out.to_str().unwrap()];
    let rest = [&options[..], &["--", "bash", "-c", &script]].concat();
    let (stdout, _) = with(&["hunt", "--so"], &rest);
    assert!(stdout.starts_with(&format!("note: {said}")), "{stdout}");
    let verdict = fs::read(out.join("verdict.json")).expect("a verdict");
    let verdict: serde_json::Value = serde_json::from_slice(&verdict).expect("JSON");
    assert_eq!((&verdict["name"], &verdict["runs"]["ok"]), (&"fault_healthy".into(), &1.into()));
    let copy = out.join(pinned.file_name().expect("a name"));
    let exe = verdict["dso"]["proven_in"]["exe"].as_str().unwrap_or_default();
    assert!(verdict["dso"]["path"] == *copy.to_str().unwrap() && exe.ends_with("/echo"), "{verdict:#}");
    // In a runner that is followed, the collector of the environment hears it.
    let (out, script) =
        (folder.path().join("out"), format!("env -i LD_PRELOAD={} /bin/echo x", carrier.display()));
    let mut followed = hangscope();
    text(run(followed.arg("collect").arg("--out").arg(&out).args(["--", "bash", "-c", &script])));
    let sessions = fs::read_to_string(out.join("sessions.jsonl")).expect("the sessions");
    let session: serde_json::Value = serde_json::from_str(&sessions).expect("one session");
    let (allocator, label) = (&session["allocator"], &session["label"]);
    assert!(*allocator == *pinned.to_str().unwrap() && *label == "in the note", "{session:#}");
    // An allocator that is not the one that was wrapped proves nothing.
    fs::remove_file(&pinned).expect("a file");
    fs::copy(debian("libjemalloc.so.2"), &pinned).expect("another allocator");
    let (status, _, stderr) = output_parts(&run(hangscope().args(["env", "--so"]).arg(&carrier)));
    assert_eq!(status, "exit status: 2");
    assert!(
        stderr.contains("is not the allocator that the carrier") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn what_cannot_be_wrapped_is_refused_in_one_line() {
    let (folder, _collector, carrier) = healthy(&[]);
    let text = folder.path().join("notes.txt");
    fs::write(&text, "a text\n").expect("a file");
    let before = files(folder.path());
    let so = allocator("healthy");
    let at = |file: &str| folder.path().join(file).display().to_string();
    let healthy = so.display().to_string();
    for (so, out, options, why) in [
        (&*at("notes.txt"), at("y.so"), &[][..], "not a shared object"),
        (&at("none.so"), at("y.so"), &[], "cannot read"),
        ("/bin/sh", at("y.so"), &[], "a program"),
        (&at("x_hs.so"), at("y.so"), &[], "is a carrier itself: wrap its allocator, "),
        (&healthy, at("notes.txt"), &[], "exists and is no carrier; give another -o, or --force"),
        (&healthy, healthy.clone(), &["--force"], "is the allocator itself"),
        (&healthy, at(""), &[], "is a folder"),
        (&healthy, at("a b.so"), &[], "cannot be in LD_PRELOAD"),
        (&healthy, at("y.so"), &["--socket", &format!("{}/{}", at(""), "s".repeat(108))], "at most 107"),
        (&healthy, at("y.so"), &["--only", &"n".repeat(4000)], "a carrier holds 3072"),
        (&healthy, at("y.so"), &["--shim", "/bin/sh"], "no usable shim"),
    ] {
        let command = &mut hangscope();
        let output = run(command.args(["wrap", "--so", so, "-o", &out]).args(options));
        let (status, stdout, stderr) = output_parts(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{why}: {status}");
        assert!(stderr.contains(why) && stderr.lines().count() == 1 && stdout.is_empty(), "{why}: {stderr}");
    }
    assert_eq!(files(folder.path()), before, "nothing was written");
    assert_eq!(fs::read_to_string(&text).expect("the text"), "a text\n");
    wrap(folder.path(), "notes.txt", &so, &["--force"]);
    // A carrier takes the place of another one without --force, also under a process that runs with that one.
    let mut sleeping = Running::start(&mut under(&carrier, &["/bin/sleep", "1000"]));
    wrap(folder.path(), "x_hs.so", &debian("libjemalloc.so.2"), &[]);
    let mut next = under(&carrier, &["/bin/cat", "/proc/self/maps"]);
    assert!(String::from_utf8_lossy(&run(&mut next).stdout).contains("/jemalloc_"));
    assert!(sleeping.0.try_wait().expect("a status").is_none(), "it runs on");
}

#[test]
fn tools_read_a_carrier_without_a_complaint() {
    let (_folder, collector, carrier) = healthy(&[]);
    let readelf = output_parts(&run(Command::new("readelf").args(["-Wa"]).arg(&carrier)));
    assert_eq!((readelf.0.as_str(), readelf.2.as_str()), ("exit status: 0", ""));
    for part in ["(AUXILIARY)", "(FILTER)", "Library soname: [x_hs.so]", "Build ID: ", "hangscope  "] {
        assert!(readelf.1.contains(part), "{part}: {}", readelf.1);
    }
    assert!(!readelf.1.to_lowercase().contains("warning"), "{}", readelf.1);
    let lint = output_parts(&run(Command::new("eu-elflint").arg("--gnu-ld").arg(&carrier)));
    // It knows no notes but those of the GNU tools.
    let unknown = "unknown object file note type";
    assert!(lint.2.is_empty() && lint.1.lines().all(|line| line.contains(unknown)), "{lint:?}");
    let mut listed = under(&carrier, &["/bin/true"]);
    let (status, _, stderr) = output_parts(&run(listed.env("LD_DEBUG", "libs")));
    assert_eq!(status, "exit status: 0");
    let ran = ["fault_healthy_", "libhangscope.so", "x_hs.so"].map(|file| {
        stderr.lines().filter(|line| line.contains("calling init: ") && line.contains(file)).count()
    });
    assert_eq!(ran, [1, 1, 1], "{stderr}");
    assert_eq!(collector.hello().label, "in the note");
    // dlopen of a carrier, and dlclose.
    let script = "import ctypes, sys, _ctypes\n\
        for i in range(3): _ctypes.dlclose(ctypes.CDLL(sys.argv[1])._handle)\nprint('fine')";
    let mut python = Command::new("python3");
    let output = output_parts(&run(python.args(["-c", script]).arg(&carrier)));
    assert_eq!(output, ("exit status: 0".into(), "fine\n".into(), String::new()));
}

#[test]
fn real_allocators_run_under_a_carrier() {
    let collector = TestCollector::new();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = collector.listener.path().to_str().expect("UTF-8").to_owned();
    for (file, name) in [("libjemalloc.so.2", "jemalloc"), ("libmimalloc.so.2", "mimalloc")] {
        let carrier = wrap(folder.path(), &format!("{name}_hs.so"), &debian(file), &["--socket", &socket]);
        let program = bench().display().to_string();
        let words = [&program, "16", "20000", "400", "16", "32768", "90", "65536"];
        let (status, stdout, stderr) = output_parts(&run(&mut under(&carrier, &words)));
        assert_eq!((status.as_str(), stderr.as_str()), ("exit status: 0", ""));
        assert!(stdout.contains("ops/s="), "{stdout}");
        let pinned = folder.path().join(format!("{name}_"));
        assert_eq!(collector.hello().ld_preload, carrier.to_str().expect("UTF-8"));
        collector.until("its DSOs", |event| match &event.what {
            What::Dsos(dsos) => {
                let provider = dsos.iter().find(|dso| dso.init.flags & dso_flags::PROVIDES_MALLOC != 0);
                let path = &provider.expect("malloc").path;
                assert!(path.starts_with(pinned.to_str().expect("UTF-8")), "{path}");
                Some(())
            }
            _ => None,
        });
    }
}
