//! `hangscope collect` with the real shim: sessions, how they end, and their hangs.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::BUNDLE_FILES;
use hangscope_test_e2e::{
    GIVE_UP_AFTER, bench, debian, hangscope, kill_group, output_parts, preload, run, wait,
};
use serde_json::Value;

/// A command that runs under the shim and jemalloc, and reports to the collector.
fn watched(collect: &Collect, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("HANGSCOPE_SOCKET", collect.socket());
    command.env("LD_PRELOAD", preload(Some(&debian("libjemalloc.so.2")))).env("HANGSCOPE_TICK", "200ms");
    command
}

/// `hangscope report` of a whole OUT.
fn night(out: &Path) -> Value {
    let (status, stdout, stderr) = output_parts(&run(hangscope().arg("report").arg(out).arg("--json")));
    assert_eq!(status, "exit status: 0", "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// The folder of a session.
fn folder(collect: &Collect, session: &Value) -> PathBuf {
    collect.out().join(session["folder"].as_str().unwrap())
}

#[test]
fn each_end_is_told_from_the_others() {
    let mut collector = Collect::new(&["--keep", "all"]);
    for (words, end, rc, signal) in [
        (&["sleep", "0.1"][..], "exit", 0, Value::Null),
        (&["sh", "-c", ":; sleep 0.1; exit 7"], "exit", 7, Value::Null),
        (&["sh", "-c", "sleep 0.1; kill -SEGV $$"], "signal", 139, 11.into()),
        (&["timeout", "--foreground", "-s", "KILL", "0.3", "sleep", "100"], "exit", 137, Value::Null),
    ] {
        let mut command = watched(&collector, words);
        command.env("HANGSCOPE_LABEL", "here").env("HANGSCOPE_ONLY", words[0]);
        let status = command.status().unwrap();
        let line = collector.line_with(&["[END]"]);
        assert!(line.contains("DSO intact, no hang"), "{line}");
        let session = collector.sessions().pop().unwrap();
        assert_eq!(
            (session["end"].as_str().unwrap(), &session["signal"]),
            (end, &signal),
            "{words:?} {status}"
        );
        assert_eq!((session["rc"].as_i64().unwrap(), session["label"].as_str().unwrap()), (rc, "here"));
        assert!(session["allocator"].as_str().unwrap().contains("libjemalloc"));
        let saved = fs::read(folder(&collector, &session).join("session.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&saved).unwrap(), session);
    }
    // A process that outlives the collector has an open session.
    let mut open = watched(&collector, &["sleep", "1000"]).spawn().unwrap();
    collector.line_with(&["[SESSION]"]);
    assert_eq!(collector.interrupt(), Some(0));
    assert!(open.try_wait().unwrap().is_none(), "the host survives the end of the collector");
    open.kill().unwrap();
    open.wait().unwrap();
    hangscope_test_e2e::pages::keep("night", &collector.out());
    let sessions = collector.sessions();
    assert_eq!(
        (sessions.len(), &sessions[4]["end"], &sessions[4]["ended"]),
        (5, &"open".into(), &Value::Null)
    );
    assert!(!collector.dir.path().join("run/s.sock").exists());
}

#[test]
fn an_exec_is_two_sessions_and_a_forked_child_its_own() {
    let mut collector = Collect::new(&[]);
    watched(&collector, &["sh", "-c", "sleep 0.1; exec sleep 0.1"]).status().unwrap();
    let script = "import os,time\npid = os.fork()\ntime.sleep(0.6)\nif pid: os.waitpid(pid, 0)\nos._exit(0 if pid else 5)";
    let mut python = watched(&collector, &["python3", "-c", script]);
    // The shim watches only the interpreter, because the wrappers of a version manager have many children.
    python.env("HANGSCOPE_ONLY", "python3,python3.11,python3.12,python3.13").status().unwrap();
    while collector.sessions().len() < 5 {
        collector.line_with(&["[END]"]);
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
    let mut collector = Collect::new(&[]);
    let script = "import threading,time\nl=threading.Lock(); l.acquire()\n\
        [threading.Thread(target=l.acquire,daemon=True).start() for i in range(4)]\nwhile 1: pass";
    let mut python = watched(&collector, &["python3", "-c", script]);
    python
        .env("HANGSCOPE_HANG_AFTER", "5s")
        .env("HANGSCOPE_ONLY", "python3,python3.11,python3.12,python3.13");
    // The wrapper of a version manager calls exec. A group of its own lets the test end all processes.
    let mut child = python.process_group(0).spawn().unwrap();
    collector.line_with(&["[LATE]"]);
    let line = collector.line_with(&["[HANG]"]);
    kill_group(&child);
    child.wait().unwrap();
    collector.line_with(&["[END]"]);
    // The report of the night, while the collector is at work.
    let early = night(&collector.out());
    assert_eq!(collector.interrupt(), Some(0));
    let sessions = collector.sessions();
    let session = sessions.iter().find(|s| s["hung"] == true).unwrap();
    let by_collector = fs::read(collector.out().join("report.html")).unwrap();
    let late = night(&collector.out());
    assert_eq!(fs::read(collector.out().join("report.html")).unwrap(), by_collector, "one way to write it");
    for told in [early, late] {
        let bug = &told["signatures"][0];
        assert_eq!(
            (&told["hung"], &bug["count"], &bug["signature"]),
            (&1.into(), &1.into(), &session["signature"])
        );
        assert_eq!((&bug["headline"], &bug["builds"][0]), (&session["headline"]["en"], &session["sha1"]));
        assert_eq!(bug["hangs"][0]["bundles"][0], format!("{}/dump_1", session["folder"].as_str().unwrap()));
    }
    let mut japanese = hangscope();
    let (_, text, _) = output_parts(&run(japanese.args(["--lang", "ja", "report"]).arg(collector.out())));
    let markdown = fs::read_to_string(collector.out().join("report.ja.md")).unwrap();
    for words in [text, markdown] {
        assert!(
            words.contains(session["signature"].as_str().unwrap()) && words.contains("アロケータ"),
            "{words}"
        );
    }
    assert_eq!((&session["signal"], &session["end"]), (&9.into(), &"signal".into()), "{line}");
    let dump = folder(&collector, session).join("dump_1");
    for file in BUNDLE_FILES.into_iter().chain(["maps_jemalloc.txt", "jemalloc.so"]) {
        assert!(fs::metadata(dump.join(file)).is_ok_and(|meta| meta.len() > 0), "{file}");
    }
    assert_eq!(fs::read(dump.join("jemalloc.so")).unwrap(), fs::read(debian("libjemalloc.so.2")).unwrap());
    let threads: Value = serde_json::from_slice(&fs::read(dump.join("threads.json")).unwrap()).unwrap();
    assert_eq!(threads["threads"].as_array().unwrap().len(), 5);

    for path in [dump.clone(), dump.join("dump.bin"), folder(&collector, session)] {
        let (status, stdout, stderr) =
            output_parts(&run(hangscope().arg("report").arg(&path).arg("--all-threads")));
        assert_eq!((status.as_str(), stderr.as_str()), ("exit status: 0", ""));
        for part in ["libjemalloc.so.2", "allocator", "who waits for whom", "futex"] {
            assert!(stdout.contains(part), "{part} in {stdout}");
        }
    }
    // A truncated dump.bin outside of its folder can still be reported. Garbage cannot.
    let alone = collector.dir.path().join("alone.bin");
    let bytes = fs::read(dump.join("dump.bin")).unwrap();
    fs::write(&alone, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let (status, stdout, _) = output_parts(&run(hangscope().arg("report").arg(&alone)));
    assert!(status == "exit status: 0" && stdout.contains("libjemalloc"), "{status} {stdout}");
    fs::write(&alone, "garbage garbage garbage garbage garbage").unwrap();
    let (status, stdout, stderr) = output_parts(&run(hangscope().arg("report").arg(&alone)));
    assert_eq!((status.as_str(), stdout.as_str(), stderr.lines().count()), ("exit status: 1", "", 1));
}

#[test]
fn a_process_that_is_only_slow_is_not_hung() {
    let mut collector = Collect::new(&["--no-perf"]);
    let mut command = watched(&collector, &["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.5; done"]);
    command.env("HANGSCOPE_HANG_AFTER", "1s").env("HANGSCOPE_ONLY", "sh,dash,bash").status().unwrap();
    collector.line_with(&["[SLOW]"]);
    collector.line_with(&["[END]"]);
    collector.interrupt();
    let session = collector.sessions().pop().unwrap();
    assert_eq!(
        (&session["hung"], &session["class"], &session["dumps"]),
        (&false.into(), &"slow".into(), &1.into())
    );
}

#[test]
fn a_copy_in_place_that_kills_is_seen_afterwards() {
    let mut collector = Collect::new(&["--no-perf"]);
    let so = collector.dir.path().join("libhz9.so");
    fs::copy(debian("libjemalloc.so.2"), &so).unwrap();
    let bench = bench().display().to_string();
    let mut command = watched(&collector, &[&bench, "4", "400000000", "400", "16", "32768", "50", "1024"]);
    // The tick is so long that only the check after the process's end can see the change.
    let mut child =
        command.env("LD_PRELOAD", preload(Some(&so))).env("HANGSCOPE_TICK", "1h").spawn().unwrap();
    collector.line_with(&["[SESSION]"]);
    // The collector has the DSO's bytes once a file is in this folder.
    let dso = collector.dir.path().join("out/dso");
    while !fs::read_dir(&dso).is_ok_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with('.')))
    }) {
        std::thread::yield_now();
    }
    assert!(
        Command::new("cp").arg("-f").arg(debian("libmimalloc.so.2.0")).arg(&so).status().unwrap().success()
    );
    let status = wait(&mut child, GIVE_UP_AFTER).expect("the copy in place kills the process");
    assert!(status.code().is_none(), "{status}");
    let line = collector.line_with(&["[END]"]);
    collector.interrupt();
    let session = collector.sessions().pop().unwrap();
    assert_eq!((&session["end"], &session["integrity"]), (&"signal".into(), &"overwritten".into()), "{line}");
}

#[test]
fn a_process_finds_the_next_collector() {
    let mut collector = Collect::new(&["--no-perf"]);
    let mut child = watched(&collector, &["sleep", "1000"]).spawn().unwrap();
    collector.line_with(&["[SESSION]"]);
    assert_eq!(collector.interrupt(), Some(0));
    let dir = std::mem::replace(&mut collector.dir, tempfile::tempdir().unwrap());
    let mut next = Collect::within(dir, &["--no-perf"]);
    next.line_with(&["[SESSION]"]);
    child.kill().unwrap();
    child.wait().unwrap();
    next.line_with(&["[END]"]);
    next.interrupt();
    let ends: Vec<_> = next.sessions().iter().map(|s| s["end"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ends, ["open", "signal"]);
}

/// Runs a `hangscope collect` that must fail. Returns its status and its one line on stderr.
fn refused(socket: &Path, out: &Path) -> (String, String) {
    let (status, _, stderr) =
        output_parts(&run(hangscope().arg("collect").arg("--socket").arg(socket).arg("--out").arg(out)));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    (status, stderr)
}

#[test]
fn what_cannot_be_done_is_one_line_and_leaves_nothing() {
    let collector = Collect::new(&[]);
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
    assert_eq!(left, ["file"], "neither a socket nor OUT is left");
    for args in [&["collect"][..], &["collect", "--out", "x", "--max-dumps", "many"], &["nonsense"], &["pin"]]
    {
        let (status, _, stderr) = output_parts(&run(hangscope().args(args)));
        assert_eq!((status.as_str(), stderr.lines().count()), ("exit status: 2", 1), "{stderr}");
    }
}

#[test]
fn a_full_disk_is_said_and_the_collector_goes_on() {
    // Only root can mount a small file system.
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("out");
    fs::create_dir(&full).unwrap();
    let mount =
        |args: &[&str]| Command::new(args[0]).args(&args[1..]).arg(&full).status().is_ok_and(|s| s.success());
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs"]) {
        return; // A container may not have the right to mount.
    }
    let mut collector = Collect::within(dir, &["--no-perf"]);
    // The allocator's bytes do not fit on the disk.
    watched(&collector, &["sleep", "0.3"]).status().unwrap();
    collector.line_with(&["[END]"]);
    watched(&collector, &["sleep", "0.1"]).status().unwrap();
    collector.line_with(&["[END]"]);
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
