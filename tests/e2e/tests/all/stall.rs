//! HANGSCOPE_STALL: what stands still is a hang only if it is stuck. Real servers and pools that wait for work are
//! not; the same under an allocator that locks itself up are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::Receiver;
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{PATIENCE, allocator, debian, hangscope, preload, wait};
use serde_json::Value;

/// `hangscope collect`, and a program that it watches.
struct Watched {
    dir: tempfile::TempDir,
    collector: Child,
    lines: Receiver<String>,
    program: Child,
}

impl Watched {
    /// Starts both; a stall is one second.
    fn new(program: &str, args: &[&str], only: &str, so: &Path) -> Watched {
        let dir = tempfile::tempdir().expect("a folder");
        let socket = dir.path().join("run/s.sock");
        let mut collect = hangscope();
        collect.arg("collect").arg("--no-perf").arg("--socket").arg(&socket);
        collect.arg("--out").arg(dir.path().join("out")).stdout(Stdio::piped());
        let mut collector = collect.spawn().expect("hangscope starts");
        let (sender, lines) = crossbeam_channel::unbounded();
        let stdout = BufReader::new(collector.stdout.take().expect("a pipe"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
        hears(&lines, &["listening on"]);
        let mut command = Command::new(program);
        command.args(args).current_dir(dir.path()).env("LD_PRELOAD", preload(Some(so)));
        command.env("HANGSCOPE_SOCKET", &socket).env("HANGSCOPE_STALL", "1s");
        command.env("HANGSCOPE_HANG_AFTER", "off").env("HANGSCOPE_TICK", "200ms").env("HANGSCOPE_ONLY", only);
        // A version manager's wrapper execs or forks: the group is what can be ended.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let program = command.spawn().expect("the program starts");
        Watched { dir, collector, lines, program }
    }

    /// The first that is said of idling or hanging.
    fn verdict(&self) -> String {
        hears(&self.lines, &["[IDLE]", "[HANG]", "[SLOW]"])
    }

    /// Ends the collector; the sessions that it leaves.
    fn sessions(mut self) -> Vec<Value> {
        // SAFETY: kill takes a pid and a signal; the child was not reaped, so the pid is its own.
        unsafe { libc::kill(self.collector.id() as i32, libc::SIGINT) };
        let ended = wait(&mut self.collector, PATIENCE).expect("it ends");
        assert_eq!(ended.code(), Some(0));
        let lines =
            std::fs::read_to_string(self.dir.path().join("out/sessions.jsonl")).expect("the sessions");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: kill takes a pid and a signal; the child was not reaped, so the group is its own.
        unsafe { libc::kill(-(self.program.id() as i32), libc::SIGKILL) };
        let _ = self.program.wait();
        let _ = self.collector.kill();
        let _ = self.collector.wait();
    }
}

fn hears(lines: &Receiver<String>, begins: &[&str]) -> String {
    let mut before = vec![];
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if begins.iter().any(|begin| line.starts_with(begin)) => return line,
            Ok(line) => before.push(line),
            Err(_) => panic!("none of {begins:?} is said; what was: {before:#?}"),
        }
    }
}

/// The line says idle, and the session has no hang.
fn is_idle(watched: Watched) {
    let line = watched.verdict();
    assert!(line.starts_with("[IDLE]"), "{line}");
    let sessions = watched.sessions();
    for session in &sessions {
        assert_eq!((&session["hung"], &session["dump_folders"]), (&false.into(), &Value::Array(vec![])));
    }
    let notes = sessions.iter().filter_map(|s| s["notes"].as_array()).flatten();
    assert!(notes.filter_map(Value::as_str).any(|n| n.starts_with("stood still at ")), "{sessions:#?}");
}

const PYTHONS: &str = "python3,python3.11,python3.12,python3.13";

const REDIS: [&str; 6] = ["--port", "0", "--unixsocket", "redis.sock", "--save", ""];

/// A pool that did some work and waits for more; its threads are started, and allocate, one and all.
const POOL: &str = "\
import concurrent.futures, threading\n\
pool = concurrent.futures.ThreadPoolExecutor(8)\n\
gate = threading.Barrier(8)\n\
def job(n):\n    gate.wait()\n    return sum(len(bytearray(2000 + i % 20000)) for i in range(20000))\n\
list(pool.map(job, range(8)))\n\
threading.Event().wait()\n";

#[test]
fn an_idle_redis_server_is_not_stalled() {
    is_idle(Watched::new("redis-server", &REDIS, "redis-server", &debian("libjemalloc.so.2")));
}

#[test]
fn an_idle_thread_pool_is_not_stalled() {
    is_idle(Watched::new("python3", &["-c", POOL], PYTHONS, &debian("libjemalloc.so.2")));
}

/// The session has hung, in a lock of the allocator that a thread takes twice.
fn is_dead_locked(watched: Watched) {
    // It may be found at work first.
    let line = hears(&watched.lines, &["[HANG]"]);
    assert!(line.contains("deadlock (proven)"), "{line}");
    let sessions = watched.sessions();
    let hung: Vec<&Value> = sessions.iter().filter(|s| s["hung"] == true).collect();
    assert_eq!(hung.len(), 1, "{sessions:#?}");
    assert_eq!(
        (&hung[0]["class"], &hung[0]["dump_folders"].as_array().map(Vec::len)),
        (&"deadlock".into(), &Some(1))
    );
}

#[test]
fn a_redis_server_under_a_dead_locked_allocator_is() {
    let watched = Watched::new("redis-server", &REDIS, "redis-server", &allocator("deadlock_self"));
    // Something to do, until it takes no more of it.
    let socket = watched.dir.path().join("redis.sock");
    let mut client = loop {
        match UnixStream::connect(&socket) {
            Ok(client) => break client,
            Err(_) => std::thread::yield_now(),
        }
    };
    client.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    // Of all sizes that the allocator has a shelf for.
    let value = "x".repeat(16_000);
    let set = |i: usize| {
        let value = &value[..1500 + i * 500 % 14_500];
        format!("*3\r\n$3\r\nSET\r\n$4\r\n{:04}\r\n${}\r\n{value}\r\n", i % 1000, value.len())
    };
    // A machine that is busy elsewhere may keep it from reading for some time: until then, and so for a minute in all.
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let is_in_futex = || {
        let pid = watched.program.id();
        std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with("202 "))
    };
    let taken = (0..20_000).take_while(|i| {
        let whole = set(*i);
        let mut left = whole.as_bytes();
        while !left.is_empty() {
            match client.write(left) {
                Ok(n) => left = &left[n..],
                Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => return false,
                Err(_) if is_in_futex() || std::time::Instant::now() > end => return false,
                Err(_) => {}
            }
        }
        true
    });
    assert!(taken.count() < 20_000, "it has never stopped");
    is_dead_locked(watched);
}

#[test]
fn a_thread_pool_under_a_dead_locked_allocator_is() {
    is_dead_locked(Watched::new("python3", &["-c", POOL], PYTHONS, &allocator("deadlock_self")));
}

/// A hunt without a deadline.
fn hunt(so: &Path, args: &[&str]) -> Hunt {
    let command = bench_with(args);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options = ["--runs", "1", "--hang-after", "off", "--stall", "1s", "--tick", "200ms", "--no-perf"];
    Hunt::new(so, &[&options[..], &["--verify-runs", "0"]].concat(), &[], &command)
}

#[test]
fn a_stuck_benchmark_is_captured_without_a_deadline() {
    for (name, class) in [("owner_spinning", "owner-spinning"), ("deadlock_inversion", "deadlock")] {
        let fault = hangscope_test_allocators::Fault::named(name);
        let hunt = hunt(&allocator(name), fault.workload_args);
        assert_eq!(hunt.code(), 10, "{}", hunt.said());
        let verdict = hunt.verdict();
        assert_eq!((&verdict["hangs"][0]["class"], &verdict["letter"]), (&class.into(), &"B".into()));
        let threads: Value = serde_json::from_str(&hunt.text("hang_run_1/threads.json")).expect("JSON");
        assert_eq!(threads["reason"], "stall");
    }
}

#[test]
fn a_healthy_run_that_is_longer_than_the_stall_is_none() {
    let hunt = hunt(&debian("libjemalloc.so.2"), &["4", "12000000", "400", "16", "4096", "50", "1024"]);
    assert_eq!(hunt.code(), 0, "{}", hunt.said());
    let run: Value = serde_json::from_str(&hunt.text("runs.jsonl")).expect("one line of JSON");
    assert!(run["seconds"].as_f64().is_some_and(|s| s > 1.5), "too short to prove anything: {run}");
    assert_eq!(run["rc"], 0);
}
