//! Captures that a person asks for: Ctrl-C, USR1 and `hangscope dump`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::{bench_with, run_parts, stuck_benchmark};
use hangscope_test_e2e::{GIVE_UP_AFTER, debian, hangscope, preload, send_signal, wait};
use serde_json::Value;

/// A command of a person must end within this time. It is two seconds on a machine that does nothing else.
const SOON: Duration = Duration::from_secs(6);

/// A hunt whose deadline is far away. Dropping the value kills it.
struct Hunt {
    dir: tempfile::TempDir,
    child: Child,
}

impl Hunt {
    fn start(so: &Path, command: &[String]) -> Hunt {
        let dir = tempfile::tempdir().unwrap();
        let mut hunt = hangscope();
        hunt.args(["hunt", "--runs", "3", "--verify-runs", "0", "--hang-after", "10min", "--so"]);
        hunt.arg(so).arg("--out").arg(dir.path().join("out")).arg("--").args(command);
        Hunt { child: hunt.stdout(Stdio::piped()).spawn().unwrap(), dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Asks for dumps until one shows this class, and gives its folder and the process.
    fn until(&self, class: &str) -> (PathBuf, u32) {
        let end = Instant::now() + GIVE_UP_AFTER;
        while Instant::now() < end {
            let answer = dump(self.child.id());
            if let Some(dump) =
                answer["dumps"].as_array().and_then(|d| d.iter().find(|d| d["class"] == class))
            {
                let pid = dump["pid"].as_u64().unwrap().try_into().unwrap();
                return (dump["folder"].as_str().unwrap().into(), pid);
            }
        }
        panic!("no dump shows {class}");
    }

    /// Sends a signal, and gives the exit status and what the hunt printed.
    fn end(&mut self, signal: i32) -> (Option<i32>, String) {
        let began = Instant::now();
        send_signal(&self.child, signal);
        let status = wait(&mut self.child, GIVE_UP_AFTER).expect("the hunt ends");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        let mut text = String::new();
        let mut lines = BufReader::new(self.child.stdout.take().unwrap());
        while lines.read_line(&mut text).unwrap() > 0 {}
        (status.code(), text)
    }
}

impl Drop for Hunt {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of `hangscope dump --json`; null where it has none yet.
fn dump(pid: u32) -> Value {
    let (_, stdout, _) = run_parts(hangscope().args(["dump", "--json", &pid.to_string()]));
    serde_json::from_str(&stdout).unwrap_or_default()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn ctrl_c_during_a_hang_captures_it_long_before_the_deadline() {
    let (so, command) = stuck_benchmark();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut hunt = Hunt::start(&so, &command);
        hunt.until("deadlock");
        let (code, text) = hunt.end(signal);
        assert_eq!(code, Some(10), "{text}");
        assert!(
            text.contains("captured at Ctrl-C") && text.contains("B, allocator bug, reproduced 1/1"),
            "{text}"
        );
        let threads = json(&hunt.out().join("hang_run_1/threads.json"));
        assert_eq!(threads["finding"]["class"], "deadlock");
        assert!(threads["between_looks_s"].as_f64().unwrap() < 2.0, "{}", threads["between_looks_s"]);
        let verdict = json(&hunt.out().join("verdict.json"));
        assert_eq!((&verdict["letter"], &verdict["hangs"][0]["confidence"]), (&"B".into(), &"proven".into()));
        let perf = std::fs::read_to_string(hunt.out().join("hang_run_1/perf_hot_tid.txt")).unwrap();
        assert!(perf.contains("interrupted"), "{perf}");
    }
}

#[test]
fn ctrl_c_during_work_keeps_what_was_done_and_calls_it_no_hang() {
    let work = bench_with(&["2", "2000000000", "400", "16", "4096", "50", "1024"]);
    let mut hunt = Hunt::start(&debian("libmimalloc.so.2"), &work);
    while dump(hunt.child.id())["dumps"][0]["folder"].is_null() {}
    let (code, text) = hunt.end(libc::SIGINT);
    assert_eq!(code, Some(1), "an interrupted hunt proves nothing: {text}");
    assert!(
        text.contains("interrupted_run_1") && !text.contains("HANG") && !text.contains("deadline"),
        "{text}"
    );
    assert!(hunt.out().join("interrupted_run_1/threads.json").exists());
    assert_eq!(json(&hunt.out().join("verdict.json"))["runs"]["hung"], 0);
}

#[test]
fn a_dump_of_a_run_is_kept_and_the_run_goes_on() {
    let (so, command) = stuck_benchmark();
    let mut hunt = Hunt::start(&so, &command);
    let (folder, pid) = hunt.until("deadlock");
    assert!(folder.starts_with(std::fs::canonicalize(hunt.out()).unwrap()), "{}", folder.display());
    // By the program's own id, too, and as a person reads it.
    let (code, stdout, stderr) = run_parts(hangscope().args(["dump", &pid.to_string()]));
    assert!(code == Some(0) && stdout.contains("who waits for whom"), "{code:?} {stdout}{stderr}");
    // USR1 is the same without an answer: the next folder appears.
    let before = folders(&hunt.out());
    send_signal(&hunt.child, libc::SIGUSR1);
    let end = Instant::now() + GIVE_UP_AFTER;
    while folders(&hunt.out()) == before {
        assert!(Instant::now() < end, "USR1 leaves no dump");
        std::thread::yield_now();
    }
    assert!(hunt.child.try_wait().unwrap().is_none(), "the hunt goes on");
    let (_, text) = hunt.end(libc::SIGINT);
    assert!(text.contains("[DUMP] run 1"), "{text}");
}

/// Number of dumps that were asked for.
fn folders(out: &Path) -> usize {
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    entries.filter(|e| e.file_name().to_string_lossy().starts_with("dump_run_1_")).count()
}

#[test]
fn a_program_without_a_collector_is_left_to_snap() {
    let mut child = Command::new("sleep").arg("1000").env("HANGSCOPE_SOCKET", "/nowhere/s").spawn().unwrap();
    let (pid, own) = (child.id().to_string(), std::process::id().to_string());
    for (pid, says) in [(&pid, "is gone"), (&own, "has no collector")] {
        let (code, stdout, stderr) = run_parts(hangscope().args(["dump", pid]));
        assert_eq!((code, &*stdout), (Some(1), ""));
        assert!(stderr.contains(says) && stderr.contains(&format!("hangscope snap {pid}")), "{stderr}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, _, stderr) = run_parts(hangscope().args(["dump", &pid]));
    assert_eq!(code, Some(2), "{stderr}");
}

/// The shim's thread is in no table, by its tid: a thread of the program may have its name.
#[test]
fn a_collector_dumps_a_session_and_every_one_at_its_end() {
    let mut collect = Collect::new(&["--no-perf"]);
    let script = "import threading\nl = threading.Lock(); l.acquire()\ndef work():\n \
        open(f'/proc/self/task/{threading.get_native_id()}/comm', 'w').write('hangscope')\n l.acquire()\n\
        t = threading.Thread(target=work); t.start(); t.join()";
    let mut command = Command::new("python3");
    command.args(["-c", script]).env("HANGSCOPE_SOCKET", collect.socket());
    command.env("LD_PRELOAD", preload(Some(&debian("libjemalloc.so.2")))).env("HANGSCOPE_TICK", "200ms");
    command.env("HANGSCOPE_ONLY", "python3,python3.11,python3.12,python3.13");
    let mut python = command.spawn().unwrap();
    collect.line_with(&["[SESSION]"]);
    let named = |folder: &Path| {
        let ps = std::fs::read_to_string(folder.join("ps_L.txt")).unwrap();
        (ps.lines().filter(|line| line.ends_with(" hangscope")).count(), ps.lines().count() - 1)
    };
    let end = Instant::now() + GIVE_UP_AFTER;
    let folder = loop {
        let answer = dump(python.id());
        let folder = answer["dumps"][0]["folder"].as_str().map(PathBuf::from);
        // The program may not have come so far.
        if let Some(folder) = folder.filter(|folder| named(folder).0 == 1) {
            break folder;
        }
        assert!(Instant::now() < end, "{answer}");
    };
    let threads = json(&folder.join("threads.json"));
    assert_eq!((named(&folder).1, threads["threads"].as_array().unwrap().len()), (2, 2));
    let wchan = std::fs::read_to_string(folder.join("wchan_by_tid.tsv")).unwrap();
    assert_eq!(wchan.lines().count(), 2, "{wchan}");

    let began = Instant::now();
    assert_eq!(collect.interrupt(), Some(0));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let session = collect.sessions().pop().unwrap();
    let folders: Vec<&str> =
        session["dump_folders"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(folders.len() >= 2, "{folders:?}: one was asked for, and one is made at the end");
    assert_eq!((&session["end"], &session["hung"]), (&"open".into(), &false.into()));
    assert!(python.try_wait().unwrap().is_none(), "the program goes on");
    python.kill().unwrap();
    python.wait().unwrap();
}
