//! `hangscope timeout` beside coreutils' own: the same status, the same output, and the same signals for the
//! command; and what it captures.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use hangscope_test_allocators::{Fault, truth};
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::BUNDLE_FILES;
use hangscope_test_e2e::{
    GIVE_UP_AFTER, allocator, bench, built, debian, hangscope, output_parts, preload, run, send_signal, shim,
};
use serde_json::Value;

const COREUTILS: &str = "/usr/bin/timeout";

/// Prints the signals that it gets, sorted, once its input has ended and none has come for a while.
const LOGGER: &str = r#"$| = 1; my (%seen, $last);
for my $s (qw(HUP INT QUIT USR1 USR2 TERM CONT ALRM)) { $SIG{$s} = sub { $seen{$s} = 1; $last = time } }
use Time::HiRes qw(time sleep); print "ready\n";
until (defined(sysread STDIN, my $end, 1)) {}
$last = time; sleep 0.05 while time < $last + 0.2;
print join(" ", sort keys %seen), "\n"; exit 3"#;

/// What both programs do with a command.
struct Case {
    /// Options, DURATION and the command.
    words: &'static [&'static str],
    /// A signal for `timeout` once the command has printed its first line.
    signal: Option<i32>,
    /// Options of `env` for how `timeout` is started.
    env: &'static [&'static str],
}

const fn case(words: &'static [&'static str]) -> Case {
    Case { words, signal: None, env: &[] }
}

const fn sent(signal: i32, words: &'static [&'static str]) -> Case {
    Case { words, signal: Some(signal), env: &[] }
}

const STATUS: &[&str] = &["5", "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"];
const IS_LEADER: &str = "read -r _ _ _ parent group _ < /proc/$$/stat; test $parent = $group";

/// The behaviours. Where the time runs out, nothing is captured here, so that the output can be the same.
const CASES: &[Case] = &[
    // The command ends in time.
    case(&["5", "sh", "-c", "echo out; echo err >&2; exit 7"]),
    case(&["0", "sh", "-c", "sleep 0.2; exit 4"]),
    case(&["5", "sh", "-c", "ulimit -c 0; kill -SEGV $$"]),
    case(&["5", "sh", "-c", "kill -KILL $$"]),
    case(&["5", "sh", "-c", "kill -TERM $$"]),
    case(&["5", "sh", "-c", "kill -42 $$"]),
    case(&["5", "ls", "-d", "--", "/"]),
    case(&["--", "5", "echo", "-s", "--help"]),
    case(&["5", "cat"]),
    // The time runs out.
    case(&["0.1", "sleep", "9"]),
    case(&["1e-9", "sleep", "9"]),
    case(&["--preserve-status", "0.1", "sleep", "9"]),
    case(&["--preserve-status", "-s", "INT", "0.1", "sleep", "9"]),
    case(&["--preserve-status", "-s", "rtmin+1", "0.1", "sleep", "9"]),
    case(&["-s", "KILL", "0.1", "sleep", "9"]),
    case(&["--foreground", "-s9", "0.1", "sleep", "9"]),
    case(&["-s", "0", "0.1", "sleep", "0.3"]),
    case(&["-v", "0.1", "sleep", "9"]),
    case(&["-v", "-s", "HUP", "0.1", "sleep", "9"]),
    sent(libc::SIGALRM, &["-vk0.1", "9", "sh", "-c", "trap '' TERM; echo ready; exec sleep 9"]),
    sent(
        libc::SIGALRM,
        &[
            "-v",
            "--foreground",
            "--kill-after=0.1",
            "9",
            "sh",
            "-c",
            "trap '' TERM; echo ready; exec sleep 9",
        ],
    ),
    case(&["0.2", "sh", "-c", "kill -STOP $$; echo went on"]),
    sent(
        libc::SIGALRM,
        &["9", "sh", "-c", "trap 'echo ended; exit 9' TERM; echo begun; sleep 9 >/dev/null 2>&1 & wait"],
    ),
    sent(
        libc::SIGALRM,
        &[
            "--preserve-status",
            "9",
            "sh",
            "-c",
            "trap 'exit 9' TERM; echo begun; sleep 9 >/dev/null 2>&1 & wait",
        ],
    ),
    // What the command sees of signals. An ALRM from outside is the end of the time. A shell gives what
    // runs in the background no input, unless by another descriptor.
    sent(libc::SIGALRM, &["9", "perl", "-e", LOGGER]),
    sent(libc::SIGALRM, &["--foreground", "9", "perl", "-e", LOGGER]),
    sent(libc::SIGALRM, &["-s", "USR1", "9", "perl", "-e", LOGGER]),
    sent(libc::SIGALRM, &["-s", "CONT", "9", "perl", "-e", LOGGER]),
    sent(libc::SIGALRM, &["9", "sh", "-c", "trap '' TERM; exec 3<&0; perl -e \"$0\" <&3 & wait", LOGGER]),
    sent(
        libc::SIGALRM,
        &["--foreground", "9", "sh", "-c", "trap '' TERM; exec 3<&0; perl -e \"$0\" <&3 & wait", LOGGER],
    ),
    sent(libc::SIGTERM, &["9", "perl", "-e", LOGGER]),
    sent(libc::SIGINT, &["9", "perl", "-e", LOGGER]),
    sent(libc::SIGHUP, &["9", "perl", "-e", LOGGER]),
    sent(libc::SIGQUIT, &["9", "perl", "-e", LOGGER]),
    sent(libc::SIGTERM, &["--foreground", "9", "perl", "-e", LOGGER]),
    sent(libc::SIGUSR1, &["-s", "USR1", "9", "perl", "-e", LOGGER]),
    sent(libc::SIGUSR2, &["-s", "USR1", "9", "perl", "-e", LOGGER]),
    sent(libc::SIGTERM, &["-vk", "0.1", "9", "sh", "-c", "trap '' TERM; echo ready; exec sleep 9"]),
    sent(libc::SIGTERM, &["-v", "9", "sh", "-c", "echo ready; exec sleep 9"]),
    // What the command inherits.
    case(STATUS),
    Case {
        words: STATUS,
        signal: None,
        env: &["--ignore-signal=HUP,INT,QUIT,PIPE,CHLD,TERM,TTIN,TTOU,USR2"],
    },
    Case {
        words: STATUS,
        signal: None,
        env: &["--block-signal=HUP,ALRM,CHLD,TERM,USR1,PIPE", "--default-signal"],
    },
    case(&["5", "sh", "-c", IS_LEADER]),
    case(&["--foreground", "5", "sh", "-c", IS_LEADER]),
    case(&["5", "sh", "-c", "ls /proc/$$/fd"]),
    // What cannot be run, and wrong usage.
    case(&["5", "/nonexistent/program"]),
    case(&["5", "hangscope-no-such-program"]),
    case(&["5", "a'b\\ \u{e9}\n"]),
    case(&["5", ""]),
    case(&["5", "/etc/passwd"]),
    case(&["5", "/"]),
    case(&[]),
    case(&["5"]),
    case(&["x", "true"]),
    case(&["1ms", "true"]),
    case(&["-1", "true"]),
    case(&["--", "-1", "true"]),
    case(&["-k", "x", "5", "true"]),
    case(&["-s", "nonsense", "5", "true"]),
    case(&["-s", "99", "5", "true"]),
    case(&["-x", "5", "true"]),
    case(&["--v", "5", "true"]),
    case(&["--nonsense=3", "5", "true"]),
    case(&["--foreground=1", "5", "true"]),
    case(&["--signal"]),
    case(&["-k"]),
];

/// A folder with hangscope by the name `timeout`.
struct Ours(tempfile::TempDir);

impl Ours {
    fn new() -> Ours {
        let dir = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(built("hangscope"), dir.path().join("timeout")).expect("a link");
        Ours(dir)
    }

    /// The command, called `timeout`, in this folder.
    fn command(&self) -> Command {
        let mut command = Command::new(self.0.path().join("timeout"));
        command.arg0("timeout").current_dir(self.0.path()).env("LC_ALL", "C");
        command
    }

    /// What is in the folder beside the link.
    fn left(&self) -> Vec<String> {
        let all = fs::read_dir(self.0.path()).expect("a folder").flatten();
        all.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|n| n != "timeout").collect()
    }
}

fn start(program: &Path, case: &Case, cwd: &Path) -> Child {
    let mut command = match case.env {
        [] => Command::new(program),
        options => {
            let mut env = Command::new("env");
            env.args(options).arg(program);
            env
        }
    };
    if case.env.is_empty() {
        command.arg0("timeout");
    }
    command.args(case.words).env("LC_ALL", "C").env("HANGSCOPE_CAPTURE", "0").current_dir(cwd);
    command.stdin(if case.signal.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("a child")
}

/// Until a process sleeps and no signal is left that would wake it, or it has ended.
fn until_it_waits(child: &Child) {
    let waits = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it is not reaped");
        let line = |name: &str| {
            let of = status.lines().find_map(|line| line.strip_prefix(name));
            of.unwrap_or_else(|| panic!("{name}: {status}")).trim()
        };
        let pending = ["SigPnd:", "ShdPnd:"].map(|name| u64::from_str_radix(line(name), 16).expect("a mask"));
        line("State:").starts_with('Z') || line("State:").starts_with('S') && pending == [0; 2]
    };
    while !waits() {
        std::thread::yield_now();
    }
}

/// Sends the signal of the case when its command is ready, and ends the command's input when all is sent that
/// this leads to. Gives status and output.
fn finish(mut child: Child, signal: Option<i32>) -> (String, String, String) {
    let mut first = vec![];
    if let Some(signal) = signal {
        let stdout = child.stdout.as_mut().expect("a pipe");
        while !first.ends_with(b"\n") {
            let mut byte = [0];
            std::io::Read::read_exact(stdout, &mut byte).expect("the first line");
            first.push(byte[0]);
        }
        // Before its fork has returned, coreutils' does not know its command yet, and only ends.
        until_it_waits(&child);
        send_signal(&child, signal);
        until_it_waits(&child);
        drop(child.stdin.take());
    }
    let output = child.wait_with_output().expect("its output");
    output_parts(&Output { stdout: [first, output.stdout].concat(), ..output })
}

#[test]
fn it_behaves_as_coreutils_does() {
    let ours = Ours::new();
    let link = ours.0.path().join("timeout");
    // Most of them only wait, so some run at a time.
    for cases in CASES.chunks(24) {
        std::thread::scope(|scope| {
            for case in cases {
                let started = |program| finish(start(program, case, ours.0.path()), case.signal);
                let theirs = scope.spawn(move || started(Path::new(COREUTILS)));
                let link = &link;
                scope.spawn(move || {
                    let (own, theirs) = (started(link), theirs.join().expect("coreutils"));
                    assert_eq!(own, theirs, "{:?} {:?} {:?}", case.env, case.words, case.signal);
                });
            }
        });
    }
    assert_eq!(ours.left(), [""; 0], "nothing is written");
}

/// Rust's runtime opens /dev/null for a descriptor that is closed. The command must not see that.
#[test]
fn a_closed_descriptor_stays_closed() {
    let ours = Ours::new();
    let link = ours.0.path().join("timeout");
    for closed in ["<&-", ">&-", "<&- >&- 2>&-"] {
        let started = |program: &Path| {
            let script = format!(
                "\"$0\" 5 sh -c 'exec 9>fds; ls -l /proc/self/fd >&9 2>/dev/null; true' {closed}; \
                echo $?; cut -d: -f2 fds | cut -c4- | sort | sed 's:/proc/[0-9]*/fd:FD:; s/al [0-9]*/al/'"
            );
            let mut shell = Command::new("sh");
            output_parts(
                &shell.args(["-c", &script]).arg(program).current_dir(ours.0.path()).output().expect("sh"),
            )
        };
        assert_eq!(started(&link), started(Path::new(COREUTILS)), "{closed}");
    }
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

/// Starts a command under `timeout`, waits until the allocator's fault is there, and lets the time run out.
/// Gives status, stdout, stderr and the file of `--json`.
fn let_hang(ours: &Ours, words: &[&str], truth_file: &Path) -> (Output, Value) {
    let file = ours.0.path().join("capture.json");
    let mut command = ours.command();
    command.arg("--json").arg(&file).args(words).env("FAULT_TRUTH", truth_file);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("a child");
    let end = Instant::now() + GIVE_UP_AFTER;
    while truth::read(truth_file).expect("the truth").is_empty() {
        assert!(Instant::now() < end, "{words:?} does not hang");
        std::thread::sleep(Duration::from_millis(20));
    }
    // An ALRM is the end of the time, for coreutils, too.
    send_signal(&child, libc::SIGALRM);
    let output = child.wait_with_output().expect("its output");
    (output, json(&file))
}

fn check_bundle(bundle: &Path) {
    for file in BUNDLE_FILES {
        assert!(fs::metadata(bundle.join(file)).is_ok_and(|meta| meta.len() > 0), "{file}");
    }
}

/// The one line on stderr.
fn headline(output: &Output) -> String {
    let (_, _, stderr) = output_parts(output);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

#[test]
fn a_stuck_command_is_captured_from_outside_before_it_is_ended() {
    let (ours, fault) = (Ours::new(), Fault::named("owner_spinning"));
    let (bench, so) = (bench().display().to_string(), allocator("owner_spinning").display().to_string());
    let chain = format!(
        "echo begun; env LD_PRELOAD={so} taskset -c 0 {bench} {}; echo ended",
        fault.workload_args.join(" ")
    );
    let out = ours.0.path().join("evidence").display().to_string();
    let words = ["--out", &out, "-v", "-s", "INT", "1h", "sh", "-c", &chain];
    let (output, file) = let_hang(&ours, &words, &ours.0.path().join("truth"));
    let (status, stdout, stderr) = output_parts(&output);
    assert_eq!((status.as_str(), stdout.as_str()), ("exit status: 124", "begun\n"), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].starts_with("timeout: hangscope-bench (pid ") && lines[0].contains("1h"), "{stderr}");
    assert!(lines[0].contains("B, allocator bug") && lines[0].contains(&out), "{stderr}");
    assert_eq!(lines[1], "timeout: sending signal INT to command 'sh'");
    assert_eq!((&file["status"], &file["timed_out"]), (&124.into(), &true.into()));
    let capture = &file["capture"];
    assert_eq!(
        (&capture["from"], &capture["class"]),
        (&"outside".into(), &"owner-spinning".into()),
        "{file}"
    );
    assert_eq!(json(&Path::new(&out).join("verdict.json"))["verdict"], "allocator-bug");
    check_bundle(&Path::new(&out).join("hang_snap"));
}

#[test]
fn a_stuck_command_is_captured_from_inside_where_a_collector_listens() {
    let collect = Collect::new(&["--no-perf"]);
    let (ours, fault) = (Ours::new(), Fault::named("deadlock_self"));
    let so = allocator("deadlock_self");
    let preload = format!("LD_PRELOAD={}:{}", shim().display(), so.display());
    let socket = format!("HANGSCOPE_SOCKET={}", collect.socket().display());
    let bench = bench().display().to_string();
    // The runner itself knows nothing of the collector. The program's own environment names it.
    let words = ["-s", "KILL", "1h", "env", &preload, &socket, "HANGSCOPE_HANG_AFTER=off", &bench];
    let words = [&words[..], fault.workload_args].concat();
    let (output, file) = let_hang(&ours, &words, &ours.0.path().join("truth"));
    // KILL goes to the whole group, as with coreutils.
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(libc::SIGKILL));
    let line = headline(&output);
    assert!(line.contains("hangscope-bench") && line.contains("deadlock"), "{line}");
    let capture = &file["capture"];
    assert_eq!((&capture["from"], &capture["class"]), (&"inside".into(), &"deadlock".into()), "{file}");
    let folder = Path::new(capture["folders"][0].as_str().expect("a folder"));
    assert!(
        folder.starts_with(collect.out()) && line.contains(capture["folders"][0].as_str().unwrap()),
        "{file}"
    );
    check_bundle(folder);
    assert_eq!(ours.left().iter().filter(|name| name.starts_with("hangscope-timeout")).count(), 0);
}

/// The runner calls `timeout`, and sets LD_PRELOAD itself. No line of it is edited.
#[test]
fn a_timeout_of_a_runner_captures_under_collect() {
    let (ours, fault) = (Ours::new(), Fault::named("owner_spinning"));
    let (bench, so) = (bench().display().to_string(), allocator("owner_spinning").display().to_string());
    let program = format!("env LD_PRELOAD={so} {bench} {}", fault.workload_args.join(" "));
    // ALRM as soon as it hangs: the end of the time.
    let script = format!(
        "timeout -v 1h {program} & until test -s truth; do sleep 0.02; done; kill -ALRM $!; wait $!; echo status $?"
    );
    let mut command = hangscope();
    command.args(["collect", "--out", "night", "--", "bash", "-c", &script]).current_dir(ours.0.path());
    let (status, stdout, stderr) =
        output_parts(&run(command.env("FAULT_TRUTH", ours.0.path().join("truth"))));
    assert_eq!((status.as_str(), stdout.as_str()), ("exit status: 0", "status 124\n"), "{stderr}");
    let line = stderr.lines().find(|line| line.starts_with("timeout: hangscope-bench")).expect(&stderr);
    assert!(line.contains("owner-spinning (proven)") && line.contains("night/sessions/"), "{line}");
    let signal = "timeout: sending signal TERM to command 'env'";
    assert!(stderr.find(line) < stderr.find(signal), "{stderr}");
    assert_eq!(ours.left().iter().filter(|name| name.starts_with("hangscope-timeout")).count(), 0);
}

#[test]
fn a_shim_without_a_collector_is_looked_at_from_outside() {
    let ours = Ours::new();
    let mut command = ours.command();
    command.args(["--capture", "30s", "0.2", "sleep", "99"]);
    command
        .env("LD_PRELOAD", preload(Some(&debian("libjemalloc.so.2"))))
        .env("HANGSCOPE_SOCKET", "/nonexistent/s");
    let output = command.output().expect("a child");
    assert_eq!(output.status.code(), Some(124));
    let line = headline(&output);
    assert!(line.starts_with("timeout: sleep (pid ") && line.contains("nothing here hangs"), "{line}");
    let left = ours.left();
    assert!(
        left.len() == 1 && left[0].starts_with("hangscope-timeout_") && line.contains(&left[0]),
        "{left:?} {line}"
    );
    let verdict = json(&ours.0.path().join(&left[0]).join("verdict.json"));
    assert_eq!(verdict["verdict"], "not-hung");
}

#[test]
fn the_signal_goes_out_when_the_budget_is_used_up_or_nothing_can_be_captured() {
    let ours = Ours::new();
    // A collector that takes the request and never answers it.
    let collect = Collect::new(&["--no-perf"]);
    collect.stop();
    let begun = Instant::now();
    let mut command = ours.command();
    command.args(["--capture", "1ms", "0.1", "sleep", "99"]).env("HANGSCOPE_SOCKET", collect.socket());
    let output = command.output().expect("a child");
    assert_eq!(output.status.code(), Some(124));
    let line = headline(&output);
    assert!(line.contains("nothing could be captured") || line.contains("the capture was cut off"), "{line}");
    assert_eq!(ours.left(), [""; 0], "no evidence");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // A TERM from outside does not wait for the capture either.
    let mut child = ours
        .command()
        .args(["--out", "x", "1h", "sh", "-c", "echo ready; exec sleep 99"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut first = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut first).expect("the first line");
    send_signal(&child, libc::SIGALRM);
    send_signal(&child, libc::SIGTERM);
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert_eq!(headline(&output).matches("timeout: ").count(), 1);
}

#[test]
fn it_is_a_subcommand_too() {
    let ours = Ours::new();
    let started = |words: &[&str]| {
        let mut command = Command::new(built("hangscope"));
        output_parts(
            &command.args(words).env("LC_ALL", "C").current_dir(ours.0.path()).output().expect("a child"),
        )
    };
    let (status, stdout, stderr) = started(&["timeout", "5", "sh", "-c", "echo x; exit 6"]);
    assert_eq!((status.as_str(), stdout.as_str(), stderr.as_str()), ("exit status: 6", "x\n", ""));
    let (status, _, stderr) = started(&["--lang", "ja", "timeout", "0.1", "sleep", "9"]);
    assert_eq!(status, "exit status: 124");
    assert!(
        stderr.starts_with("hangscope timeout: sleep") && stderr.contains("以内に終わらなかった"),
        "{stderr}"
    );
    let (status, stdout, _) = started(&["timeout", "--help"]);
    assert!(
        status == "exit status: 0" && stdout.contains("--kill-after") && stdout.contains("Example"),
        "{stdout}"
    );
    let (status, _, stderr) = started(&["timeout", "5"]);
    assert_eq!(
        (status.as_str(), stderr.as_str()),
        ("exit status: 125", "Try 'hangscope timeout --help' for more information.\n")
    );
}
