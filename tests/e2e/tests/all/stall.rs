//! HANGSCOPE_STALL: a process that stands still is a hang only if it is stuck. Real servers and thread pools
//! that wait for work are not stuck. The same programs under an allocator that deadlocks are.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{allocator, debian, kill_group, preload};
use serde_json::Value;

/// A `hangscope collect`, and a program that it watches.
struct Watched {
    collect: Collect,
    program: Child,
}

impl Watched {
    /// Starts both. A process that stands still for one second is reported.
    fn new(program: &str, args: &[&str], only: &str, so: &Path) -> Watched {
        let collect = Collect::new(&["--no-perf"]);
        let mut command = Command::new(program);
        command.args(args).current_dir(collect.dir.path()).env("LD_PRELOAD", preload(Some(so)));
        command.env("HANGSCOPE_SOCKET", collect.socket()).env("HANGSCOPE_STALL", "1s");
        command.env("HANGSCOPE_HANG_AFTER", "off").env("HANGSCOPE_TICK", "200ms").env("HANGSCOPE_ONLY", only);
        // The program may be a wrapper of a version manager, which calls exec or forks. A group of its own
        // lets the test end all of its processes.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let program = command.spawn().expect("the program starts");
        Watched { collect, program }
    }

    /// Ends the collector and returns the sessions that it recorded.
    fn sessions(&mut self) -> Vec<Value> {
        assert_eq!(self.collect.interrupt(), Some(0));
        self.collect.sessions()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        kill_group(&self.program);
        let _ = self.program.wait();
    }
}

/// Checks that the collector reports the program as idle, and that the session has no hang.
fn is_idle(mut watched: Watched) {
    let line = watched.collect.line_with(&["[IDLE]", "[HANG]", "[SLOW]"]);
    assert!(line.starts_with("[IDLE]"), "{line}");
    let sessions = watched.sessions();
    for session in &sessions {
        assert_eq!(session["hung"], false);
        let out = watched.collect.out().join(session["folder"].as_str().unwrap());
        for folder in session["dump_folders"].as_array().unwrap() {
            // The end of the collector asks for one, and cuts off another that has begun.
            let threads = std::fs::read(out.join(folder.as_str().unwrap()).join("threads.json")).unwrap();
            let threads: Value = serde_json::from_slice(&threads).unwrap();
            assert!(threads["reason"] == "asked" || threads["between_looks_s"].is_null(), "{threads}");
        }
    }
    let notes = sessions.iter().filter_map(|s| s["notes"].as_array()).flatten();
    assert!(notes.filter_map(Value::as_str).any(|n| n.starts_with("stood still ")), "{sessions:#?}");
}

const PYTHONS: &str = "python3,python3.11,python3.12,python3.13";

const REDIS: [&str; 6] = ["--port", "0", "--unixsocket", "redis.sock", "--save", ""];

/// A thread pool that has done some work and waits for more.
/// The barrier makes all eight threads start and allocate.
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

/// Checks that one session has hung because a thread took a lock of the allocator twice.
fn is_dead_locked(mut watched: Watched) {
    // Other lines may come first, while the program still works.
    let line = watched.collect.line_with(&["[HANG]"]);
    assert!(line.contains("deadlock (proven)"), "{line}");
    let sessions = watched.sessions();
    let hung: Vec<&Value> = sessions.iter().filter(|s| s["hung"] == true).collect();
    assert_eq!(hung.len(), 1, "{sessions:#?}");
    assert_eq!(hung[0]["class"], "deadlock", "{sessions:#?}");
    // On a busy machine a thread may wait more than a second for a processor. When that thread moves on, the
    // shim sends another dump of the standstill after it. Each of them must show the deadlock.
    let dumps = hung[0]["dump_folders"].as_array().expect("an array");
    assert!(!dumps.is_empty(), "{sessions:#?}");
    for dump in dumps {
        let folder = watched.collect.out().join(hung[0]["folder"].as_str().expect("text"));
        let file = folder.join(dump.as_str().expect("text")).join("threads.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let threads: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(threads["finding"]["class"], "deadlock", "{}", file.display());
        assert_eq!(threads["finding"]["confidence"], "proven", "{}", file.display());
    }
}

#[test]
fn a_redis_server_under_a_dead_locked_allocator_is() {
    let watched = Watched::new("redis-server", &REDIS, "redis-server", &allocator("deadlock_self"));
    // The client sends work until the server no longer reads it.
    let socket = watched.collect.dir.path().join("redis.sock");
    let mut client = loop {
        match UnixStream::connect(&socket) {
            Ok(client) => break client,
            Err(_) => std::thread::yield_now(),
        }
    };
    client.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    // The values have all sizes that the allocator has a shelf for.
    let value = "x".repeat(16_000);
    let set = |i: usize| {
        let value = &value[..1500 + i * 500 % 14_500];
        format!("*3\r\n$3\r\nSET\r\n$4\r\n{:04}\r\n${}\r\n{value}\r\n", i % 1000, value.len())
    };
    // A busy machine may delay the server's reads. A server that sleeps in a futex call has stopped, and so
    // has one that reads nothing for a minute.
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
    assert!(taken.count() < 20_000, "the server has never stopped");
    is_dead_locked(watched);
}

#[test]
fn a_thread_pool_under_a_dead_locked_allocator_is() {
    is_dead_locked(Watched::new("python3", &["-c", POOL], PYTHONS, &allocator("deadlock_self")));
}

/// A hunt that looks for processes that stand still, and has no deadline.
fn hunt(so: &Path, args: &[&str]) -> Hunt {
    let command = bench_with(args);
    let options = ["--runs", "1", "--hang-after", "off", "--stall", "1s", "--tick", "200ms", "--no-perf"];
    Hunt::new(so, &[&options[..], &["--verify-runs", "0"]].concat(), &[], &command)
}

#[test]
fn a_stuck_benchmark_is_captured_without_a_deadline() {
    for (name, class) in [("owner_spinning", "owner-spinning"), ("deadlock_inversion", "deadlock")] {
        let fault = hangscope_test_allocators::Fault::named(name);
        let hunt = hunt(&allocator(name), fault.workload_args);
        assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
        let verdict = hunt.verdict();
        assert_eq!((&verdict["hangs"][0]["class"], &verdict["letter"]), (&class.into(), &"B".into()));
        let threads: Value = serde_json::from_str(&hunt.text("hang_run_1/threads.json")).expect("JSON");
        assert_eq!(threads["reason"], "stall");
    }
}

#[test]
fn a_healthy_run_that_is_longer_than_the_stall_is_none() {
    let hunt = hunt(&debian("libjemalloc.so.2"), &["4", "12000000", "400", "16", "4096", "50", "1024"]);
    assert_eq!(hunt.code(), 0, "{}", hunt.outputs());
    let run: Value = serde_json::from_str(&hunt.text("runs.jsonl")).expect("one line of JSON");
    assert!(run["seconds"].as_f64().is_some_and(|s| s > 1.5), "too short to prove anything: {run}");
    assert_eq!(run["rc"], 0);
}
