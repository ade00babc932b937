//! `hangscope collect` with the real shim: sessions, their ends, their hangs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crossbeam_channel::Receiver;
use hangscope_test_e2e::{PATIENCE, bench, debian, hangscope, preload, run, told, wait};
use serde_json::Value;

/// A standing collector.
struct Collector {
    dir: tempfile::TempDir,
    child: Child,
    lines: Receiver<String>,
}

impl Collector {
    fn new(options: &[&str]) -> Collector {
        Collector::within(tempfile::tempdir().unwrap(), options)
    }

    fn within(dir: tempfile::TempDir, options: &[&str]) -> Collector {
        let mut command = hangscope();
        command.arg("collect").arg("--socket").arg(dir.path().join("run/s.sock"));
        command.arg("--out").arg(dir.path().join("out")).args(options);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("hangscope starts");
        let (sender, lines) = crossbeam_channel::unbounded();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let collector = Collector { dir, child, lines };
        collector.hears("listening on");
        collector
    }

    fn hears(&self, begin: &str) -> String {
        let mut before = vec![];
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(begin) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("{begin} is not said; what was: {before:#?}"),
            }
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("HANGSCOPE_SOCKET", self.dir.path().join("run/s.sock"));
        command.env("LD_PRELOAD", preload(Some(&debian("libjemalloc.so.2")))).env("HANGSCOPE_TICK", "200ms");
        command
    }

    /// Ctrl-C; its exit status.
    fn interrupt(&mut self) -> Option<i32> {
        // SAFETY: kill takes a pid and a signal; the child was not reaped, so the pid is its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        wait(&mut self.child, PATIENCE).expect("it ends").code()
    }

    /// The ended sessions.
    fn sessions(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.dir.path().join("out/sessions.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn folder(&self, session: &Value) -> PathBuf {
        self.dir.path().join("out").join(session["folder"].as_str().unwrap())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_end_is_told_from_the_others() {
    let mut collector = Collector::new(&[]);
    for (words, end, rc, signal) in [
        (&["sleep", "0.1"][..], "exit", 0, Value::Null),
        (&["sh", "-c", ":; sleep 0.1; exit 7"], "exit", 7, Value::Null),
        (&["sh", "-c", "sleep 0.1; kill -SEGV $$"], "signal", 139, 11.into()),
        (&["timeout", "--foreground", "-s", "KILL", "0.3", "sleep", "100"], "exit", 137, Value::Null),
    ] {
        let mut command = collector.command(words);
        command.env("HANGSCOPE_LABEL", "here").env("HANGSCOPE_ONLY", words[0]);
        let status = command.status().unwrap();
        let line = collector.hears("[END]");
        assert!(line.contains("DSO intact, no hang"), "{line}");
        let session = collector.sessions().pop().unwrap();
        assert_eq!(
            (session["end"].as_str().unwrap(), &session["signal"]),
            (end, &signal),
            "{words:?} {status}"
        );
        assert_eq!((session["rc"].as_i64().unwrap(), session["label"].as_str().unwrap()), (rc, "here"));
        assert!(session["allocator"].as_str().unwrap().contains("libjemalloc"));
        let saved = fs::read(collector.folder(&session).join("session.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&saved).unwrap(), session);
    }
    // One that is there at the end is open, and so is its folder.
    let mut open = collector.command(&["sleep", "1000"]).spawn().unwrap();
    collector.hears("[SESSION]");
    assert_eq!(collector.interrupt(), Some(0));
    assert!(open.try_wait().unwrap().is_none(), "the host does not notice");
    open.kill().unwrap();
    open.wait().unwrap();
    let sessions = collector.sessions();
    assert_eq!(
        (sessions.len(), &sessions[4]["end"], &sessions[4]["ended"]),
        (5, &"open".into(), &Value::Null)
    );
    assert!(!collector.dir.path().join("run/s.sock").exists());
}

#[test]
fn an_exec_is_two_sessions_and_a_forked_child_its_own() {
    let mut collector = Collector::new(&[]);
    collector.command(&["sh", "-c", "sleep 0.1; exec sleep 0.1"]).status().unwrap();
    let script = "import os,time\npid = os.fork()\ntime.sleep(0.6)\nif pid: os.waitpid(pid, 0)\nos._exit(0 if pid else 5)";
    let mut python = collector.command(&["python3", "-c", script]);
    // Only the interpreter: a version manager's wrappers are scripts with many children.
    python.env("HANGSCOPE_ONLY", "python3,python3.11,python3.12,python3.13").status().unwrap();
    while collector.sessions().len() < 5 {
        collector.hears("[END]");
    }
    collector.interrupt();
    let sessions = collector.sessions();
    let of = |pid: &Value| sessions.iter().filter(|s| s["pid"] == *pid).collect::<Vec<_>>();
    let shell = sessions.iter().find(|s| s["command"][0] == "sh").unwrap();
    let both = of(&shell["pid"]);
    assert_eq!(both.len(), 2, "{sessions:#?}");
    assert!(both.iter().any(|s| s["why"].as_str().is_some_and(|why| why.contains("exec"))));
    assert!(both.iter().any(|s| s["command"][0] == "sleep" && s["rc"] == 0));
    let forked = sessions.iter().find(|s| s["forked"] == true).unwrap();
    assert_eq!((&forked["rc"], &forked["end"]), (&5.into(), &"exit".into()));
}

#[test]
fn a_hang_leaves_its_folder_and_can_be_reported_again() {
    let mut collector = Collector::new(&[]);
    let script = "import threading,time\nl=threading.Lock(); l.acquire()\n\
        [threading.Thread(target=l.acquire,daemon=True).start() for i in range(4)]\nwhile 1: pass";
    let mut python = collector.command(&["python3", "-c", script]);
    python
        .env("HANGSCOPE_HANG_AFTER", "5s")
        .env("HANGSCOPE_ONLY", "python3,python3.11,python3.12,python3.13");
    // A version manager's wrapper execs: the group is what can be ended.
    let mut child = python.process_group(0).spawn().unwrap();
    collector.hears("[LATE]");
    let line = collector.hears("[HANG]");
    // SAFETY: kill takes a pid and a signal; the child was not reaped, so the group is its own.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    child.wait().unwrap();
    collector.hears("[END]");
    assert_eq!(collector.interrupt(), Some(0));
    let sessions = collector.sessions();
    let session = sessions.iter().find(|s| s["hung"] == true).unwrap();
    assert_eq!((&session["signal"], &session["end"]), (&9.into(), &"signal".into()), "{line}");
    let dump = collector.folder(session).join("dump_1");
    for file in [
        "pid.txt",
        "ps_L.txt",
        "environ.txt",
        "maps_jemalloc.txt",
        "maps.txt",
        "wchan_by_tid.tsv",
        "perf_hot_tid.data",
        "perf_hot_tid.txt",
        "dump.bin",
        "recording.json.gz",
        "threads.json",
        "stacks.txt",
        "jemalloc.so",
    ] {
        assert!(fs::metadata(dump.join(file)).is_ok_and(|meta| meta.len() > 0), "{file}");
    }
    assert_eq!(fs::read(dump.join("jemalloc.so")).unwrap(), fs::read(debian("libjemalloc.so.2")).unwrap());
    let threads: Value = serde_json::from_slice(&fs::read(dump.join("threads.json")).unwrap()).unwrap();
    assert_eq!(threads["threads"].as_array().unwrap().len(), 5);

    for path in [dump.clone(), dump.join("dump.bin"), collector.folder(session)] {
        let (status, stdout, stderr) = told(&run(hangscope().arg("report").arg(&path).arg("--all-threads")));
        assert_eq!((status.as_str(), stderr.as_str()), ("exit status: 0", ""));
        for part in ["libjemalloc.so.2", "allocator", "who waits for whom", "futex"] {
            assert!(stdout.contains(part), "{part} in {stdout}");
        }
    }
    // A dump.bin on its own, cut off, and garbage.
    let alone = collector.dir.path().join("alone.bin");
    let bytes = fs::read(dump.join("dump.bin")).unwrap();
    fs::write(&alone, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let (status, stdout, _) = told(&run(hangscope().arg("report").arg(&alone)));
    assert!(status == "exit status: 0" && stdout.contains("libjemalloc"), "{status} {stdout}");
    fs::write(&alone, "garbage garbage garbage garbage garbage").unwrap();
    let (status, stdout, stderr) = told(&run(hangscope().arg("report").arg(&alone)));
    assert_eq!((status.as_str(), stdout.as_str(), stderr.lines().count()), ("exit status: 1", "", 1));
}

#[test]
fn a_process_that_is_only_slow_is_not_hung() {
    let mut collector = Collector::new(&["--no-perf"]);
    let mut command = collector.command(&["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.5; done"]);
    command.env("HANGSCOPE_HANG_AFTER", "1s").env("HANGSCOPE_ONLY", "sh,dash,bash").status().unwrap();
    collector.hears("[SLOW]");
    collector.hears("[END]");
    collector.interrupt();
    let session = collector.sessions().pop().unwrap();
    assert_eq!(
        (&session["hung"], &session["class"], &session["dumps"]),
        (&false.into(), &"slow".into(), &1.into())
    );
}

#[test]
fn a_copy_in_place_that_kills_is_seen_afterwards() {
    let mut collector = Collector::new(&["--no-perf"]);
    let so = collector.dir.path().join("libhz9.so");
    fs::copy(debian("libjemalloc.so.2"), &so).unwrap();
    let bench = bench().display().to_string();
    let mut command = collector.command(&[&bench, "4", "400000000", "400", "16", "32768", "50", "1024"]);
    // No look in between: only the one after the end can tell.
    let mut child =
        command.env("LD_PRELOAD", preload(Some(&so))).env("HANGSCOPE_TICK", "1h").spawn().unwrap();
    collector.hears("[SESSION]");
    // Its bytes have come when they are on disk.
    let dso = collector.dir.path().join("out/dso");
    while !fs::read_dir(&dso).is_ok_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with('.')))
    }) {
        std::thread::yield_now();
    }
    assert!(
        Command::new("cp").arg("-f").arg(debian("libmimalloc.so.2.0")).arg(&so).status().unwrap().success()
    );
    let status = wait(&mut child, PATIENCE).expect("the copy in place kills it");
    assert!(status.code().is_none(), "{status}");
    let line = collector.hears("[END]");
    collector.interrupt();
    let session = collector.sessions().pop().unwrap();
    assert_eq!((&session["end"], &session["integrity"]), (&"signal".into(), &"overwritten".into()), "{line}");
}

#[test]
fn a_process_finds_the_next_collector() {
    let mut collector = Collector::new(&["--no-perf"]);
    let mut child = collector.command(&["sleep", "1000"]).spawn().unwrap();
    collector.hears("[SESSION]");
    assert_eq!(collector.interrupt(), Some(0));
    let dir = std::mem::replace(&mut collector.dir, tempfile::tempdir().unwrap());
    let mut next = Collector::within(dir, &["--no-perf"]);
    next.hears("[SESSION]");
    child.kill().unwrap();
    child.wait().unwrap();
    next.hears("[END]");
    next.interrupt();
    let ends: Vec<_> = next.sessions().iter().map(|s| s["end"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ends, ["open", "signal"]);
}

/// Status and the one line on stderr of `hangscope collect`.
fn refused(socket: &Path, out: &Path) -> (String, String) {
    let (status, _, stderr) =
        told(&run(hangscope().arg("collect").arg("--socket").arg(socket).arg("--out").arg(out)));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    (status, stderr)
}

#[test]
fn what_cannot_be_done_is_one_line_and_leaves_nothing() {
    let collector = Collector::new(&[]);
    let dir = tempfile::tempdir().unwrap();
    let (socket, out) = (dir.path().join("s.sock"), dir.path().join("out"));
    let (status, line) = refused(&collector.dir.path().join("run/s.sock"), &out);
    assert!(status == "exit status: 1" && line.contains("socket in use"), "{status} {line}");
    let (status, line) = refused(&dir.path().join("x".repeat(108)), &out);
    assert!(status == "exit status: 1" && line.contains("the system takes at most 107"), "{status} {line}");
    fs::write(dir.path().join("file"), "kept").unwrap();
    let (_, line) = refused(&dir.path().join("file"), &out);
    assert!(line.contains("not a socket"), "{line}");
    let (status, line) = refused(&socket, &dir.path().join("file/out"));
    assert!(status == "exit status: 1" && line.contains("file/out"), "{status} {line}");
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"kept");
    let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file"], "neither a socket nor an OUT is left");
    for args in [&["collect"][..], &["collect", "--out", "x", "--max-dumps", "many"], &["nonsense"], &["pin"]]
    {
        let (status, _, stderr) = told(&run(hangscope().args(args)));
        assert_eq!((status.as_str(), stderr.lines().count()), ("exit status: 2", 1), "{stderr}");
    }
}

#[test]
fn a_full_disk_is_said_and_the_collector_goes_on() {
    // A small file system needs root.
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("out");
    fs::create_dir(&full).unwrap();
    let mount =
        |args: &[&str]| Command::new(args[0]).args(&args[1..]).arg(&full).status().is_ok_and(|s| s.success());
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs"]) {
        return; // A container without the right to mount.
    }
    let mut collector = Collector::within(dir, &["--no-perf"]);
    // The allocator's bytes do not fit.
    collector.command(&["sleep", "0.3"]).status().unwrap();
    collector.hears("[END]");
    collector.command(&["sleep", "0.1"]).status().unwrap();
    collector.hears("[END]");
    assert_eq!(collector.interrupt(), Some(1), "something could not be written");
    let sessions = collector.sessions();
    let left: Vec<_> = walk(&full).into_iter().filter(|path| path.contains(".hangscope-")).collect();
    assert!(mount(&["umount"]));
    assert_eq!(sessions.len(), 2);
    assert_eq!(left, Vec::<String>::new(), "nothing half-written");
}

fn walk(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => walk(&path),
            path => vec![path.display().to_string()],
        })
        .collect()
}
