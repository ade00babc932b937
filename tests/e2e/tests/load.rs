//! Measures the collector under load: many idle sessions, many sessions, connections that do harm, many
//! processes that hang at once. Prints a table with the limits beside the figures. The test checks that
//! nothing was lost; it does not check times. `scripts/bench.sh` runs it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hangscope_protocol::record::HeartbeatRecord;
use hangscope_protocol::{Kind, VERSION};
use hangscope_test_e2e::client::{Client, hello, hello_of_program, of_record, zero};
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::{Running, preload};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Threads of a process that hangs, beside its first.
const THREADS: usize = 16;

struct Table(Vec<[String; 3]>);

impl Table {
    /// Adds a row. No limit: the figure is only shown.
    fn row(&mut self, what: &str, figure: String, limit: &str) {
        println!("{what}: {figure} {limit}");
        self.0.push([what.to_owned(), figure, limit.to_owned()]);
    }

    fn print(&self) {
        println!("\n{:<66}{:>12}{:>10}", "collector under load", "figure", "limit");
        self.0.iter().for_each(|[what, figure, limit]| println!("{what:<66}{figure:>12}{limit:>10}"));
    }
}

/// A value of `/proc/PID/status`, MB.
fn megabytes(pid: u32, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).expect("the key");
    let kib: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    format!("{:.1} MB", kib / 1024.0)
}

/// CPU time of all threads of a process so far, seconds.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

/// A command under the shim that reports to the collector.
fn watched(command: &mut Command, socket: &Path, hang_after: &str) -> Running {
    command.env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", socket);
    Running::start(command.env("HANGSCOPE_HANG_AFTER", hang_after))
}

fn idle(table: &mut Table) {
    const SESSIONS: usize = 1000;
    const SECONDS: u64 = 10;
    let mut collect = Collect::new(&["--no-perf"]);
    let hosts: Vec<Running> =
        (0..SESSIONS).map(|_| watched(Command::new("sleep").arg("600"), &collect.socket(), "off")).collect();
    (0..SESSIONS).for_each(|_| _ = collect.line_with(&["[SESSION]"]));
    // The first second of a session is not idle.
    std::thread::sleep(Duration::from_secs(3));
    let (before, began) = (cpu(collect.pid()), Instant::now());
    std::thread::sleep(Duration::from_secs(SECONDS));
    let share = (cpu(collect.pid()) - before) / began.elapsed().as_secs_f64() * 100.0;
    table.row("1,000 idle sessions, a heartbeat a second: % of a core", format!("{share:.1} %"), "3 %");
    table.row("  resident set", megabytes(collect.pid(), "VmRSS"), "64 MB");
    drop(hosts);
    (0..SESSIONS).for_each(|_| _ = collect.line_with(&["[END]"]));
    collect.interrupt();
    let sessions = collect.sessions();
    assert_eq!(sessions.len(), SESSIONS);
    let beats = sessions.iter().filter_map(|session| session["heartbeats"].as_u64());
    assert!(beats.sum::<u64>() >= SESSIONS as u64 * SECONDS / 2, "the sessions were not idle but silent");
}

fn many(table: &mut Table) {
    const SESSIONS: u64 = 10_000;
    const BEATS: u32 = 3;
    let mut collect = Collect::new(&["--no-perf"]);
    let began = Instant::now();
    let clients: Vec<Client> = (1..=SESSIONS)
        .map(|program| {
            let client = Client::new(&collect.socket());
            assert!(client.send(&hello_of_program(program)));
            client
        })
        .collect();
    for beat in 1..=BEATS {
        let record = HeartbeatRecord { tick: beat, last: 1, ..zero() };
        let beat = of_record(Kind::Heartbeat, beat, 0, &record, &[]);
        assert!(clients.iter().all(|client| client.send(&beat)));
    }
    (0..SESSIONS).for_each(|_| _ = collect.line_with(&["[SESSION]"]));
    let took = began.elapsed().as_secs_f64();
    table.row(
        "10,000 sessions at once: from the first connect to the last session",
        format!("{took:.1} s"),
        "",
    );
    table.row("  sessions a second", format!("{:.0}", SESSIONS as f64 / took), "");
    table.row("  resident set", megabytes(collect.pid(), "VmRSS"), "");
    let ended = Instant::now();
    collect.interrupt();
    table.row("  Ctrl-C to the last line", format!("{:.1} s", ended.elapsed().as_secs_f64()), "");
    let sessions = collect.sessions();
    assert_eq!(sessions.len() as u64, SESSIONS, "all are recorded");
    assert!(sessions.iter().all(|session| session["heartbeats"] == BEATS), "with all that they said");
    drop(clients);
}

/// The longest of some new sessions from start to `[SESSION]`.
fn new_session(collect: &Collect) -> String {
    let delay = |_| {
        let began = Instant::now();
        let host = watched(Command::new("sleep").arg("600"), &collect.socket(), "off");
        collect.line_with(&[&format!("[SESSION] {} ", host.pid())]);
        began.elapsed()
    };
    format!("{:.3} s", (0..10).map(delay).max().unwrap_or_default().as_secs_f64())
}

fn harm(table: &mut Table) {
    const SILENT: usize = 5000;
    const HELLOS: u32 = 15_000;
    let collect = Collect::new(&["--no-perf"]);
    table.row("a new session, nothing else there", new_session(&collect), "");
    let silent: Vec<Client> = (0..SILENT).map(|_| Client::new(&collect.socket())).collect();
    table.row("a new session beside 5,000 silent connections", new_session(&collect), "1 s");
    let socket = collect.socket();
    let flood = std::thread::spawn(move || {
        let client = Client::new(&socket);
        (0..HELLOS).take_while(|seq| client.send(&hello(*seq, VERSION, "flood"))).count()
    });
    table.row("  and a connection that says 15,000 hellos", new_session(&collect), "1 s");
    assert!(flood.join().expect("no panic") < HELLOS as usize, "a flood ends");
    drop(silent);
}

fn hundred(table: &mut Table) {
    const HOSTS: usize = 100;
    const HANG_AFTER: Duration = Duration::from_secs(10);
    let mut collect = Collect::new(&["--no-perf"]);
    let began = Instant::now();
    let host = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
        watched(command.arg("stuck").arg(THREADS.to_string()).stdout(Stdio::null()), &collect.socket(), "10s")
    };
    let hosts: Vec<Running> = std::iter::repeat_with(host).take(HOSTS).collect();
    let spread = began.elapsed();
    (0..HOSTS).for_each(|_| _ = collect.line_with(&["[HANG]"]));
    let took = began.elapsed().saturating_sub(HANG_AFTER);
    table.row("100 processes that hang: first deadline to last dump on disk", secs(took), "6 s");
    table.row("  their starts were apart", secs(spread), "1 s");
    table.row("  dumps a second", format!("{:.0}", HOSTS as f64 / took.as_secs_f64()), "");
    table.row("  most memory (VmHWM)", megabytes(collect.pid(), "VmHWM"), "512 MB");
    drop(hosts);
    collect.interrupt();
    let sessions = collect.sessions();
    assert_eq!(sessions.len(), HOSTS);
    for session in sessions {
        let folder = session["folder"].as_str().expect("a folder");
        let dump = collect.out().join(folder).join("dump_1");
        let threads = std::fs::read(dump.join("threads.json")).expect("the threads");
        let threads: serde_json::Value = serde_json::from_slice(&threads).expect("JSON");
        assert_eq!(threads["whole"], true, "{folder}");
        assert_eq!(threads["threads"].as_array().expect("a list").len(), THREADS + 1, "{folder}");
        assert!(dump.join("dump.bin").exists(), "{folder}");
    }
}

fn secs(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[test]
fn load() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("more descriptors");
    let mut table = Table(vec![]);
    let parts: [(&str, fn(&mut Table)); 4] =
        [("idle", idle), ("many", many), ("harm", harm), ("hundred", hundred)];
    let only = std::env::var("HANGSCOPE_LOAD").unwrap_or_default();
    parts.iter().filter(|(name, _)| only.is_empty() || only == *name).for_each(|(_, part)| part(&mut table));
    table.print();
}
