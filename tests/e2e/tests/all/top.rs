//! `hangscope top` in a real terminal, its socket, and `--metrics`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::{run_parts, stuck_benchmark};
use hangscope_test_e2e::tmux::Terminal;
use hangscope_test_e2e::{GIVE_UP_AFTER, Running, allocator, bench, built, hangscope, preload};
use serde_json::Value;

/// A process under a collector, with its label.
fn watched(
    collect: &Collect,
    label: &str,
    hang_after: &str,
    so: Option<&Path>,
    command: &mut Command,
) -> Running {
    command.env("LD_PRELOAD", preload(so)).env("HANGSCOPE_SOCKET", collect.socket());
    command.env("HANGSCOPE_LABEL", label).env("HANGSCOPE_HANG_AFTER", hang_after);
    Running::start(command.env("HANGSCOPE_TICK", "500ms"))
}

/// The script that a terminal runs: the view, then whether it left the terminal as it was.
fn view(out: &Path, variables: &str) -> String {
    format!(
        "before=$(stty -g); env LC_ALL=C {variables} {} top {}; echo status $?; \
         [ \"$before\" = \"$(stty -g)\" ] && echo restored; exec cat",
        built("hangscope").display(),
        out.display()
    )
}

/// The table without what differs from run to run: process ids, times, CPU and memory.
fn steady(screen: &str, out: &Path) -> String {
    let mut lines: Vec<String> = screen.lines().map(str::to_owned).collect();
    let path = out.display().to_string();
    let (head, _) = lines[0].split_once(&path).expect("the folder of the job");
    lines[0] = format!("{head}OUT  for #");
    let heads = lines[2].clone();
    let end = |name: &str| heads.find(name).map(|at| at + name.len()).expect("a column");
    let varies = [
        (end("PID") - 7, end("PID")),
        (end("AGE") - 8, end("AGE")),
        (end("CPU%") - 4, heads.find("STATE").expect("a column") - 1),
    ];
    for line in lines.iter_mut().skip(3).filter(|line| line.len() > end("CPU%")) {
        let mut bytes = line.clone().into_bytes();
        varies.iter().for_each(|(from, to)| bytes[*from..*to].fill(b'#'));
        // It has the path of the build.
        bytes.truncate(heads.find("COMMAND").unwrap_or(bytes.len()));
        *line = String::from_utf8(bytes).expect("ASCII").trim_end().to_owned();
    }
    lines.join("\n")
}

/// The totals that a port serves: name and labels to value.
fn metrics(address: &str) -> Vec<(String, u64)> {
    let mut stream = TcpStream::connect(address).expect("the port");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0") && body.ends_with("# EOF\n"),
        "{answer}"
    );
    let samples = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[test]
fn a_collector_that_follows_another_shows_and_counts_what_that_one_has_seen() {
    let collect = Collect::new(&["--no-perf"]);
    let (fault, so) = (Fault::named("deadlock_inversion"), allocator("deadlock_inversion"));
    let stuck = watched(&collect, "stuck", "2s", Some(&so), Command::new(bench()).args(fault.workload_args));
    collect.line_with(&["[HANG]"]);
    // It waits for what will come, as a hunt says, too.
    let sleeps = watched(&collect, "sleeps", "2s", None, Command::new("sleep").arg("1000"));
    collect.line_with(&["[WAITS]"]);
    let next = collect.again(&["--no-perf", "--metrics", "127.0.0.1:0"]);
    let address = next.first_line("metrics: http://").trim_end_matches("/metrics").to_owned();
    next.line_with(&["[SESSION]"]);
    next.line_with(&["[SESSION]"]);
    let output = hangscope().args(["top", "--json"]).arg(next.out()).output().expect("hangscope top");
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let processes = status["processes"].as_array().expect("a list");
    let of = |label: &str| processes.iter().find(|process| process["label"] == label).expect("a process");
    assert_eq!((&of("stuck")["hung"], &of("stuck")["class"]), (&true.into(), &"deadlock".into()), "{status}");
    assert_eq!(of("sleeps")["hung"], false, "{status}");
    let hangs: Vec<_> =
        metrics(&address).into_iter().filter(|(name, _)| name.starts_with("hangscope_hangs_total")).collect();
    let name =
        "hangscope_hangs_total{allocator=\"fault_deadlock_inversion\",label=\"stuck\",class=\"deadlock\"}";
    assert_eq!(hangs, [(name.to_owned(), 1)]);
    drop((stuck, sleeps));
}

#[test]
fn a_collector_on_the_screen_in_two_sizes_with_and_without_colour() {
    let mut collect = Collect::new(&["--no-perf", "--metrics", "127.0.0.1:0"]);
    let address = collect.first_line("metrics: http://").trim_end_matches("/metrics").to_owned();
    let fault = Fault::named("deadlock_inversion");
    let so = allocator("deadlock_inversion");
    let stuck = watched(&collect, "stuck", "2s", Some(&so), Command::new(bench()).args(fault.workload_args));
    collect.line_with(&["[HANG]"]);
    let sleeps = watched(&collect, "sleeps", "10min", None, Command::new("sleep").arg("1000"));
    // The older one is above on the screen.
    collect.line_with(&["[SESSION]"]);
    let ends = watched(&collect, "ends", "10min", None, Command::new("sleep").arg("1000"));
    let out = collect.out();

    // Another user's view needs no terminal of its own: four of them look at once.
    let dir = collect.dir.path();
    let sizes = [(80, 24), (160, 50)];
    let started =
        |variables: &'static str| sizes.map(|size| Terminal::start(dir, size, &view(&out, variables)));
    let (plain, coloured) = (started("NO_COLOR=1"), started(""));
    for (at, size) in sizes.iter().enumerate() {
        let table = |terminal: &Terminal| {
            // Each has its first look: the two that sleep have one thread.
            let is_whole = |screen: &str| {
                let texts = ["HUNG", "hangs 1/1", "q quit"].iter().all(|text| screen.contains(text));
                texts && screen.matches(" 1 1s ").count() == 2 && screen.matches(" intact ").count() == 3
            };
            terminal.until_that("the table", is_whole)
        };
        let (without, with) = (steady(&table(&plain[at]), &out), steady(&table(&coloured[at]), &out));
        assert_eq!(without, with);
        insta::assert_snapshot!(format!("top_{}x{}", size.0, size.1), without);
        assert!(!plain[at].coloured().contains("\x1b["), "not even bold");
        assert!(coloured[at].coloured().contains("\x1b["));
    }

    let small = &plain[0];
    small.keys(&["Home", "Enter"]);
    let screen = small.until(&["process ", "stacks of dump", "holds `g_mid_locks", "bundle: "]);
    assert!(screen.contains("last dump: deadlock"), "{screen}");
    small.keys(&["?"]);
    small.until(&["Keys", "any key goes back"]);
    small.keys(&["Escape"]);
    small.until(&["last dump: deadlock"]);
    small.keys(&["m"]);
    small.until(&["Enter writes"]);
    small.keys(&["-l", "look here q"]);
    small.keys(&["Enter"]);
    small.until(&["marked process"]);
    let marks = std::fs::read_to_string(out.join("marks.jsonl")).expect("the marks");
    let mark: Value = serde_json::from_str(marks.trim()).expect("JSON");
    assert_eq!((&mark["text"], &mark["label"]), (&"look here q".into(), &"stuck".into()));
    assert_eq!(mark["pid"], stuck.pid());
    small.keys(&["d"]);
    small.until(&[&format!("process {}: deadlock -> ", stuck.pid())]);
    small.resize((60, 12));
    small.until(&["look here q"]);
    small.resize((80, 24));
    drop(stuck);
    small.until(&["It has ended: SIGKILL.", "look here q"]);
    small.keys(&["Escape"]);
    small.until(&["ended!", "STATE"]);
    small.keys(&["q"]);
    small.until(&["status 0", "restored"]);

    // A thousand connections on each, a hundred at a time, that ask and read nothing.
    let pointer: Value =
        serde_json::from_slice(&std::fs::read(out.join("status.json")).expect("the file")).expect("JSON");
    let socket = pointer["socket"].as_str().expect("a path").to_owned();
    let hundred = || -> Vec<(TcpStream, UnixStream)> {
        let one = || Some((TcpStream::connect(&address).ok()?, UnixStream::connect(&socket).ok()?));
        let all: Vec<_> = (0..100).filter_map(|_| one()).collect();
        all.iter().for_each(|(_, stream)| drop((&mut &*stream).write_all(b"status\n")));
        all
    };
    let mut idle = vec![];
    for _ in 0..10 {
        idle = hundred();
    }
    let began = Instant::now();
    drop(ends);
    collect.line_with(&["[END]"]);
    collect.line_with(&["[END]"]);
    assert!(began.elapsed() < GIVE_UP_AFTER / 2, "{:?}", began.elapsed());
    drop(idle);

    let of = |name: &str| metrics(&address).iter().find(|(of, _)| of == name).map(|(_, value)| *value);
    assert_eq!(of("hangscope_sessions_total"), Some(3));
    assert_eq!(of("hangscope_sessions_open"), Some(1));
    let hang =
        "hangscope_hangs_total{allocator=\"fault_deadlock_inversion\",label=\"stuck\",class=\"deadlock\"}";
    assert_eq!(of(hang), Some(1));
    assert!(of("hangscope_received_bytes_total").is_some_and(|bytes| bytes > 1000));
    assert_eq!(of("hangscope_dropped_frames_total"), Some(0));

    // The other views see the end of the job, and a signal ends them well.
    assert_eq!(collect.interrupt(), Some(0));
    plain[1].until(&["The job has ended."]);
    coloured[0].until(&["The job has ended.", "sleeps"]);
    coloured[0].keys(&["C-c"]);
    coloured[0].until(&["status 0", "restored"]);
    let (code, _, stderr) = run_parts(hangscope().arg("top").arg(&out));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no job works in") && stderr.lines().count() == 1, "{stderr}");
    drop(sleeps);
}

/// Sends a request to the socket that a job has named in its folder.
fn ask(out: &Path, request: &str) -> Value {
    let pointer: Value =
        serde_json::from_slice(&std::fs::read(out.join("status.json")).expect("the file")).expect("JSON");
    let mut stream = UnixStream::connect(pointer["socket"].as_str().expect("a path")).expect("the socket");
    stream.write_all(format!("{request}\n").as_bytes()).expect("a request");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).expect("JSON")
}

#[test]
fn a_hunt_tells_of_its_runs_and_one_that_is_killed_is_told_as_that() {
    let (so, command) = stuck_benchmark();
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    // Its own list of jobs.
    let run = dir.path().join("run");
    std::fs::create_dir(&run).expect("a folder");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("its mode");
    let mut hunt = hangscope();
    hunt.env("XDG_RUNTIME_DIR", &run);
    hunt.args(["hunt", "--runs", "3", "--verify-runs", "0", "--hang-after", "10min", "--so"]).arg(&so);
    let mut hunt =
        hunt.arg("--out").arg(&out).arg("--").args(&command).stdout(Stdio::null()).spawn().expect("a hunt");
    let end = Instant::now() + GIVE_UP_AFTER;
    let status = loop {
        let (_, stdout, _) = run_parts(hangscope().arg("top").arg(&out).arg("--json"));
        let status: Value = serde_json::from_str(&stdout).unwrap_or_default();
        if status["processes"][0]["threads"]["futex"].as_u64() > Some(2) {
            break status;
        }
        assert!(Instant::now() < end, "{status}");
    };
    assert_eq!((&status["schema"], &status["job"]["kind"]), (&"hangscope/status/1".into(), &"hunt".into()));
    assert_eq!((&status["job"]["planned"], &status["job"]["running"][0]["name"]), (&3.into(), &"1".into()));
    let process = &status["processes"][0];
    assert_eq!((&process["integrity"], &process["run"]), (&"intact".into(), &"1".into()));
    let dumped = ask(&out, &format!("dump {}", process["pid"]));
    assert!(
        dumped["dumps"][0]["folder"].as_str().is_some_and(|path| path.ends_with("dump_run_1_1")),
        "{dumped}"
    );
    let one = ask(&out, &format!("process {}", process["pid"]));
    assert!(one["dump"]["stacks"][0]["frames"].as_array().is_some_and(|frames| !frames.is_empty()), "{one}");
    let (code, stdout, _) = run_parts(hangscope().args(["top", "--once"]).arg(&out));
    assert!(code == Some(0) && stdout.contains("hunt") && stdout.contains("run 0/3  now 1"), "{stdout}");

    let only = |option: &str| run_parts(hangscope().args(["top", option]).env("XDG_RUNTIME_DIR", &run));
    let (code, stdout, stderr) = only("--json");
    let found: Value = serde_json::from_str(&stdout).unwrap_or_default();
    assert!(code == Some(0) && found["job"]["pid"] == hunt.id(), "{stdout}{stderr}");
    let (code, _, stderr) = run_parts(hangscope().arg("top").arg(&out));
    assert!(code == Some(2) && stderr.contains("stdout is no terminal; give --once"), "{stderr}");
    hunt.kill().expect("the hunt is there");
    hunt.wait().expect("its end");
    let (code, _, stderr) = run_parts(hangscope().arg("top").arg(&out));
    assert!(code == Some(1) && stderr.contains("was killed") && stderr.lines().count() == 1, "{stderr}");
    let (code, _, stderr) = only("--once");
    assert!(code == Some(1) && stderr.contains("no job of yours runs now"), "{stderr}");
    let left = std::fs::read_dir(run.join("hangscope/jobs")).expect("the folder").count();
    assert_eq!(left, 0, "what a killed job has left is removed");
}
