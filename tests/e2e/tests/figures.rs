//! Measures what the shim adds to a process, what the watchdog costs, and how
//! long a dump takes. The tests print the figures and do not check them. They
//! check only that each measurement was complete. `scripts/bench.sh` runs them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hangscope_collector::listen::What;
use hangscope_protocol::record::mark_part;
use hangscope_test_e2e::carriers::wrap;
use hangscope_test_e2e::{Running, TestCollector, bench, debian, hangscope, preload, shim};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs `/bin/true` and returns the time that it took, in microseconds.
fn one_start(socket: Option<&Path>) -> f64 {
    let mut command = Command::new("/bin/true");
    if let Some(socket) = socket {
        command.env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", socket);
    }
    let began = Instant::now();
    assert!(command.status().expect("true").success());
    began.elapsed().as_secs_f64() * 1e6
}

/// A size of a process by the name that `/proc/PID/FILE` gives it, in KiB.
fn kib(pid: u32, file: &str, name: &str) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("a file of the process");
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<i64>().ok()).sum()
}

#[test]
fn start_and_memory() {
    let collector = TestCollector::new();
    let (mut plain, mut watched, mut init) = (vec![], vec![], vec![]);
    for _ in 0..100 {
        plain.push(one_start(None));
        watched.push(one_start(Some(collector.listener.path())));
        init.push(collector.hello().fixed.init_cost_ns as f64 / 1e3);
    }
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    println!("the constructor: least {:.0} us, median {:.0} us (limit 150)", least(&init), median(init));
    println!(
        "/bin/true with the shim: least {:.0} us more, median {:.0} us more (limit 300)",
        least(&watched) - least(&plain),
        median(watched) - median(plain)
    );

    let folder = tempfile::tempdir().expect("a folder");
    let socket = collector.listener.path().to_str().expect("UTF-8").to_owned();
    let carrier = wrap(folder.path(), "x_hs.so", &debian("libmimalloc.so.2"), &["--socket", &socket]);
    let constructor = |name: &str, value: &OsStr| {
        let mut init = vec![];
        for _ in 0..50 {
            let mut command = Command::new("/bin/true");
            command.env("LD_PRELOAD", value).env(name, &socket);
            assert!(command.status().expect("true").success());
            init.push(collector.hello().fixed.init_cost_ns as f64 / 1e3);
        }
        format!("least {:.0} us, median {:.0} us", least(&init), median(init))
    };
    println!(
        "the constructor with an allocator: {}; under its carrier: {}",
        constructor("HANGSCOPE_SOCKET", &preload(Some(&debian("libmimalloc.so.2")))),
        constructor("UNUSED", carrier.as_os_str())
    );

    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    let without = Running::start(command.args(["many", "4", "60"]));
    let with = Running::start(collector.preload(&mut command, None));
    for _ in 0..3 {
        collector.until("a heartbeat", |event| matches!(event.what, What::Heartbeat(_)).then_some(()));
    }
    for (what, file, names, limit) in [
        // Not Private_Clean: that is the code in the page cache, which counts while only one process maps it.
        ("private memory", "smaps_rollup", &["Private_Dirty"][..], 100),
        ("virtual memory", "status", &["VmSize"], 1024),
    ] {
        let of = |pid| names.iter().map(|name| kib(pid, file, name)).sum::<i64>();
        println!("{what} with the shim: {} KiB more (limit {limit})", of(with.pid()) - of(without.pid()));
    }
    let private = |pid| kib(pid, "smaps_rollup", "Private_Dirty");
    let resident = clean_kib(with.pid(), &shim()) + private(with.pid()) - private(without.pid());
    println!("resident set with the shim: {resident} KiB more (limit 200)");
}

/// Resident memory of a file's mappings that is not private, KiB. The resident sets of two processes cannot
/// be compared: the kernel maps what is near a page that is touched, which depends on random addresses.
fn clean_kib(pid: u32, file: &Path) -> i64 {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("its mappings");
    let file = file.to_str().expect("UTF-8");
    let (mut clean, mut is_of_file) = (0, false);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().and_then(|kib| kib.parse::<i64>().ok())) {
            (Some("Rss:"), Some(kib)) if is_of_file => clean += kib,
            (Some("Private_Dirty:"), Some(kib)) if is_of_file => clean -= kib,
            (Some(range), None) if range.contains('-') => is_of_file = line.ends_with(file),
            _ => {}
        }
    }
    assert!(clean > 0, "{file} is not mapped");
    clean
}

/// Runs that the cost of a hunt is spread over, as a user's benchmark series has.
const COST_RUNS: u32 = 30;

/// Milliseconds a run of a short benchmark, in a plain loop of bash.
fn plain_loop(folder: &Path, benchmark: &[String]) -> f64 {
    let so = debian("libmimalloc.so.2");
    let script = r#"runs=$1 so=$2; shift 2
        for i in $(seq "$runs"); do LD_PRELOAD=$so "$@" >out 2>err || exit; done"#;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", &COST_RUNS.to_string()]).arg(so).args(benchmark);
    timed(command.current_dir(folder))
}

/// The same under `hangscope hunt`, from its start to its report.
fn hunted(folder: &Path, verify_runs: &str, benchmark: &[String]) -> f64 {
    let out = tempfile::tempdir_in(folder).expect("a folder");
    let mut command = hangscope();
    command.args(["hunt", "--verify-runs", verify_runs, "--runs", &COST_RUNS.to_string(), "--so"]);
    command.arg(debian("libmimalloc.so.2")).arg("--out").arg(out.path().join("hunt"));
    timed(command.arg("--").args(benchmark))
}

fn timed(command: &mut Command) -> f64 {
    let began = Instant::now();
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("its end").success());
    began.elapsed().as_secs_f64() * 1e3 / f64::from(COST_RUNS)
}

#[test]
fn cost_of_a_hunt() {
    let folder = tempfile::tempdir().expect("a folder");
    let numbers = ["2", "60000", "100", "16", "256", "50", "64"].map(str::to_owned);
    let benchmark = [&[bench().display().to_string()][..], &numbers].concat();
    // In turns: what else the machine does falls on all of them.
    let rounds: Vec<[f64; 3]> = (0..3)
        .map(|_| {
            let plain = plain_loop(folder.path(), &benchmark);
            [plain, hunted(folder.path(), "0", &benchmark), hunted(folder.path(), "3", &benchmark)]
        })
        .collect();
    let [plain, hunt, verified] = [0, 1, 2].map(|i| median(rounds.iter().map(|round| round[i]).collect()));
    println!(
        "a run of a benchmark of {plain:.1} ms: {:.1} ms more under a hunt of {COST_RUNS}, {:.1} ms more with its \
         verification (limit 5)",
        hunt - plain,
        verified - plain
    );
}

#[test]
fn watchdog_cpu() {
    let collector = TestCollector::new();
    let mut command = Command::new(bench());
    command.args(["16", "100000000", "400", "16", "8192", "90", "65536"]);
    let _running = Running::start(collector.preload(&mut command, None).env("HANGSCOPE_HANG_AFTER", "off"));
    let mut beats = vec![];
    while beats.len() < 6 {
        beats.push(collector.until("a heartbeat", |event| match &event.what {
            What::Heartbeat(beat) => Some((beat.t_ns, beat.record.watchdog_cpu_ns, beat.record.threads)),
            _ => None,
        }));
    }
    let (first, last) = (beats[0], beats[5]);
    let share = (last.1 - first.1) as f64 / (last.0 - first.0) as f64;
    assert_eq!(last.2, 17);
    println!("watchdog, 17 threads, one look per second: {:.3} % of a core", share * 100.0);
}

/// A host of `n` waiting threads and one that spins, and the lines that it prints.
fn start_host(n: u32, collector: Option<&TestCollector>) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    // Much longer than it takes: the host is ended.
    command.args(["many", &n.to_string(), "60"]).stdout(Stdio::piped());
    if let Some(collector) = collector {
        collector.preload(&mut command, None).env("HANGSCOPE_HANG_AFTER", "off");
    }
    let mut child = command.spawn().expect("a host");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    (child, lines)
}

/// Ends a host, and returns what it says of its gaps.
fn end_host((mut child, mut lines): (Child, Lines<BufReader<ChildStdout>>)) -> String {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("a signal");
    let gaps = lines.next().expect("a line").expect("text");
    assert!(child.wait().expect("its end").success());
    gaps
}

/// Measures a dump of `n` waiting threads and one spinning
/// thread, and the longest gap of the spinning thread.
fn measure_dump(n: u32) {
    let collector = TestCollector::new();
    let host = start_host(n, Some(&collector));
    let began = Instant::now();
    let conn = collector.until("a hello", |event| matches!(event.what, What::Hello(_)).then_some(event.conn));
    let ask = hangscope_protocol::record::AskRecord {
        what: hangscope_protocol::record::ask_what::DUMP,
        request: 1,
        arg0: 0,
        arg1: 0,
        reserved: 0,
    };
    collector.listener.ask(conn, &ask, &[]).expect("a request");
    let asked = Instant::now();
    let mut stacks_mark = None;
    let recorded = collector.until("a dump", |event| match &event.what {
        What::Mark(mark) if mark.part == mark_part::STACKS => {
            stacks_mark = Some((event.at - asked, mark.records, mark.took_ns, mark.cpu_ns));
            None
        }
        What::Dump(dump) => Some(dump.read().expect("a dump that can be read")),
        _ => None,
    });
    let with = end_host(host);
    // The same time without the shim: a longer one would have longer gaps.
    let (lasted, host) = (began.elapsed(), start_host(n, None));
    std::thread::sleep(lasted);
    let without = end_host(host);
    let (received, stacks, took, cpu) = stacks_mark.expect("the mark after the stacks");
    assert_eq!(recorded.dump.threads.len(), n as usize + 1, "every thread is in the dump");
    assert_eq!(stacks, n, "every stack of a waiting thread is in the dump");
    assert_eq!(recorded.dump.end.expect("an end").flags, 0, "nothing was left out");
    let ms = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1e3;
    println!(
        "{n} threads: request to last byte of the first look {:.1} ms (the shim's part {:.1} ms, {:.1} ms CPU), {:.1} MB; \
         a spinning thread's {with}, without a dump {without}",
        received.as_secs_f64() * 1e3,
        ms(took),
        ms(cpu),
        recorded.raw.len() as f64 / 1e6,
    );
    let began = Instant::now();
    let traces = hangscope_collector::symbolize::symbolize(&recorded.dump, &Default::default());
    let frames: usize = traces.threads.values().map(|t| t.frames.len()).sum();
    assert!(frames > n as usize, "{frames} frames");
    println!("  unwound and named: {frames} frames in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
}

#[test]
fn dump_of_16_threads() {
    measure_dump(16);
}

#[test]
fn dump_of_1000_threads() {
    measure_dump(1000);
}

#[test]
fn dump_of_8000_threads() {
    measure_dump(8000);
}
