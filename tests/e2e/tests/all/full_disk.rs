//! A disk that is full, or nearly so: what says the most is there, what is not there is said, and nothing is
//! half-written. Each test runs in a mount namespace of its own, on a small tmpfs.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hangscope_test_allocators::Fault;
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hung::start_and_hang;
use hangscope_test_e2e::hunt::{BUNDLE_FILES, bench_with};
use hangscope_test_e2e::{GIVE_UP_AFTER, Running, allocator, hangscope, output_parts, preload, run};
use serde_json::Value;

/// Set where a test already is in its namespace.
const INSIDE: &str = "TEST_IS_IN_ITS_NAMESPACE";
/// The fault that hangs every run.
const FAULT: &str = "deadlock_inversion";

/// A tmpfs at `out` in a folder.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// None if the test is not in its namespace yet: then it was run there, or cannot be.
    fn new(test: &str, size: &str) -> Option<Disk> {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = dir.path().join("out");
        fs::create_dir(&disk).expect("a folder");
        let mount = |command: &mut Command| {
            let mount = command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(&disk);
            mount.output().expect("unshare or mount").status.success()
        };
        if std::env::var_os(INSIDE).is_some() {
            assert!(mount(&mut Command::new("mount")), "a mount, as before");
            return Some(Disk { dir });
        }
        if !mount(Command::new("unshare").args(["-rm", "mount"])) {
            eprintln!("skipped: no mount namespace may be made here");
            return None;
        }
        let mut again = Command::new("unshare");
        again.arg("-rm").arg(std::env::current_exe().expect("a path"));
        again.args(["--exact", &format!("full_disk::{test}"), "--nocapture"]).env(INSIDE, "1");
        let (status, stdout, stderr) = output_parts(&run(&mut again));
        assert_eq!(status, "exit status: 0", "{stdout}\n{stderr}");
        assert!(stdout.contains("1 passed"), "{stdout}");
        None
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Fills the disk until so many bytes are free.
    fn leave(disk: &Path, free: u64) {
        let mut filler = File::create(disk.join("filler")).expect("a file");
        while filler.write_all(&[1; 4096]).is_ok() {}
        let len = filler.metadata().expect("its length").len();
        filler.set_len(len - free).expect("a shorter file");
    }
}

fn make_room(disk: &Path) {
    fs::remove_file(disk.join("filler")).expect("the file that fills the disk");
}

/// The benchmark that hangs, with these variables.
fn hangs(collect: &Collect) -> Running {
    let words = bench_with(Fault::named(FAULT).workload_args);
    let mut bench = Command::new(&words[0]);
    bench.args(&words[1..]).env("LD_PRELOAD", preload(Some(&allocator(FAULT))));
    bench.env("HANGSCOPE_SOCKET", collect.socket()).env("HANGSCOPE_TICK", "200ms");
    Running::start(bench.env("HANGSCOPE_HANG_AFTER", "1s"))
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).expect("whole JSON")
}

/// Asserts that the small files of a bundle are there and whole, and that dump.bin is not.
fn has_all_but_the_large(bundle: &Path) {
    for file in BUNDLE_FILES.iter().filter(|file| **file != "dump.bin") {
        assert!(fs::metadata(bundle.join(file)).is_ok_and(|meta| meta.len() > 0), "{file}");
    }
    assert!(!bundle.join("dump.bin").exists());
    let threads = json(&bundle.join("threads.json"));
    assert_eq!(threads["finding"]["class"], "deadlock");
    assert!(
        threads["notes"].to_string().contains("lacks") && threads["notes"].to_string().contains("dump.bin")
    );
    let gzip = File::open(bundle.join("recording.json.gz")).expect("a recording");
    let recording: Value = serde_json::from_reader(flate2::read::GzDecoder::new(gzip)).expect("it is whole");
    assert_eq!(recording["schema"], 1);
    for command in ["show", "report"] {
        let (status, stdout, stderr) = output_parts(&run(hangscope().arg(command).arg(bundle)));
        assert_eq!((status.as_str(), stderr.as_str()), ("exit status: 0", ""), "{command}");
        assert!(stdout.contains("deadlock") || stdout.contains("wait"), "{command}: {stdout}");
    }
}

fn has_no_temporary_file(dir: &Path) {
    for entry in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file")) {
        let (path, kind) = (entry.path(), entry.file_type().expect("its kind"));
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.starts_with(".hangscope") && !name.starts_with(".perf"), "{}", path.display());
        assert!(!kind.is_fifo() && !name.starts_with(".tmp"), "{}", path.display());
        if kind.is_dir() {
            has_no_temporary_file(&path);
        }
    }
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|name| name.as_str().expect("text")).collect()
}

/// The folder of the only session.
fn session(out: &Path) -> PathBuf {
    let sessions = fs::read_dir(out.join("sessions")).expect("the sessions");
    let sessions: Vec<PathBuf> = sessions.map(|entry| entry.expect("a session").path()).collect();
    let [session] = &sessions[..] else { panic!("one session: {sessions:?}") };
    session.clone()
}

fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + GIVE_UP_AFTER;
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_small_files_of_a_hang_are_there_and_the_next_dump_is_whole() {
    let test = "the_small_files_of_a_hang_are_there_and_the_next_dump_is_whole";
    let Some(disk) = Disk::new(test, "24m") else { return };
    let out = disk.path();
    Disk::leave(&out, 300 << 10);
    let collect = Collect::within(disk.dir, &["--no-perf"]);
    let bench = hangs(&collect);
    let line = collect.line_with(&["[HANG]"]);
    assert!(line.contains("deadlock"), "{line}");
    let dump = session(&out).join("dump_1");
    has_all_but_the_large(&dump);
    has_no_temporary_file(&out);
    until("the record of the session", || {
        names(&json(&session(&out).join("session.json"))["not_written"]).contains(&"dump_1/dump.bin")
    });
    let said = collect.errors_with("no room for");
    assert!(said.len() == 1 && said[0].contains("make room"), "{said:?}");

    // Another collector takes the folder for what it is.
    let mut collect = collect.again(&["--no-perf"]);
    collect.line_with(&["[SESSION]"]);
    has_all_but_the_large(&dump);

    make_room(&out);
    let (status, stdout, stderr) =
        output_parts(&run(hangscope().arg("dump").arg(bench.pid().to_string()).arg("--json")));
    assert_eq!(status, "exit status: 0", "{stderr}");
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    let second = PathBuf::from(answer["dumps"][0]["folder"].as_str().expect("a folder"));
    for file in BUNDLE_FILES {
        assert!(fs::metadata(second.join(file)).is_ok_and(|meta| meta.len() > 0), "{file}");
    }
    let so = second
        .join(format!("{}.so", allocator(FAULT).file_stem().unwrap().to_str().unwrap()[3..].to_owned()));
    assert_eq!(fs::read(so).expect("the allocator"), fs::read(allocator(FAULT)).expect("the same"));
    drop(bench);
    collect.line_with(&["[END]"]);
    collect.interrupt();
    let [line] = &collect.sessions()[..] else { panic!("one session") };
    assert!(names(&line["not_written"]).contains(&"dump_1/dump.bin"), "{line:#}");
    assert!(names(&line["notes"]).iter().any(|note| note.contains("dump_1 lacks")), "{line:#}");
    assert_eq!(line["dump_folders"].as_array().map(Vec::len), Some(2), "{line:#}");
    has_no_temporary_file(&out);
}

#[test]
fn a_hang_without_room_for_any_file_is_in_its_line() {
    let Some(disk) = Disk::new("a_hang_without_room_for_any_file_is_in_its_line", "6m") else { return };
    let out = disk.path();
    let mut collect = Collect::within(disk.dir, &["--no-perf"]);
    let bench = hangs(&collect);
    collect.line_with(&["[LATE]"]);
    Disk::leave(&out, 0);
    let line = collect.line_with(&["[HANG]"]);
    assert!(line.contains("deadlock (proven)"), "{line}");
    drop(bench);
    collect.line_with(&["[END]"]);
    make_room(&out);
    until("the line is written", || collect.sessions().len() == 1);
    assert_eq!(collect.interrupt(), Some(1));
    let [line] = &collect.sessions()[..] else { panic!("one session") };
    assert_eq!((&line["hung"], &line["class"]), (&true.into(), &"deadlock".into()), "{line:#}");
    for file in ["threads.json", "recording.json.gz", "dump.bin"] {
        assert!(names(&line["not_written"]).contains(&&*format!("dump_1/{file}")), "{file}: {line:#}");
    }
    has_no_temporary_file(&out);
}

#[test]
fn the_line_of_a_session_waits_for_room() {
    let Some(disk) = Disk::new("the_line_of_a_session_waits_for_room", "1m") else { return };
    let out = disk.path();
    let mut collect = Collect::within(disk.dir, &["--no-perf", "--keep", "all"]);
    let sleeps = || {
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", collect.socket());
        Running::start(sleep.env("HANGSCOPE_TICK", "50ms").env("HANGSCOPE_HANG_AFTER", "off"))
    };
    let (one, others) = (sleeps(), [(); 5].map(|()| sleeps()));
    (0..6).for_each(|_| drop(collect.line_with(&["[SESSION]"])));
    // A file that is being replaced gives its room back: so all that comes with the hellos is written first,
    // and the heartbeats come after that.
    let beats = |session: fs::DirEntry| session.path().join("heartbeats.jsonl").exists();
    let sessions = || fs::read_dir(out.join("sessions")).expect("the sessions").map_while(Result::ok);
    until("all have heartbeats", || sessions().map(beats).filter(|has| *has).count() == 6);
    Disk::leave(&out, 0);
    let pid = one.pid();
    drop(one);
    collect.line_with(&["[END]"]);
    until("the wait is said", || collect.errors_with("wait in memory").len() == 1);
    assert_eq!(collect.sessions().len(), 0);
    make_room(&out);
    until("the line is written", || collect.sessions().len() == 1);
    assert_eq!(collect.sessions()[0]["pid"], pid);
    until("that is said", || collect.errors_with("1 line of sessions had to wait").len() == 1);
    // At the end there is no room, and the lines go elsewhere.
    Disk::leave(&out, 0);
    drop(others);
    (0..5).for_each(|_| drop(collect.line_with(&["[END]"])));
    collect.interrupt();
    let said = collect.errors_with("could not be written to OUT");
    let path = said[0].rsplit(' ').next().expect("a path");
    let elsewhere = fs::read_to_string(path).expect("the lines").lines().count();
    assert!(elsewhere > 0 && elsewhere + collect.sessions().len() == 6, "{elsewhere}: {said:?}");
    fs::remove_file(path).expect("the file");
}

#[test]
fn a_look_from_outside_and_a_hunt_come_to_their_verdicts() {
    let Some(disk) = Disk::new("a_look_from_outside_and_a_hunt_come_to_their_verdicts", "24m") else {
        return;
    };
    let out = disk.path();
    let fault = Fault::named(FAULT);
    let truth = tempfile::tempdir().expect("a folder");
    let (bench, _) = start_and_hang(fault, &truth.path().join("truth"));
    Disk::leave(&out, 290 << 10);
    let snap = out.join("snap");
    let pid = bench.pid().to_string();
    let mut command = hangscope();
    command.args(["snap", &pid, "--no-perf", "--out"]).arg(&snap);
    let (status, stdout, stderr) = output_parts(&run(&mut command));
    assert_eq!(status, "exit status: 10", "{stdout}{stderr}");
    assert!(stderr.contains("hang_snap lacks") && stderr.contains("make room"), "{stderr}");
    has_all_but_the_large(&snap.join("hang_snap"));
    assert_eq!(json(&snap.join("verdict.json"))["verdict"], "allocator-bug");
    let report = fs::read_to_string(snap.join("report.md")).expect("the report");
    assert!(report.contains("hang_snap lacks"), "{report}");
    has_no_temporary_file(&out);
    fs::remove_dir_all(&snap).expect("it can be removed");
    make_room(&out);

    // Its pinned copy takes what the allocator takes.
    let so = fs::metadata(allocator(FAULT)).expect("the allocator").len();
    Disk::leave(&out, so + (340 << 10));
    let hunt = out.join("hunt");
    let mut command = hangscope();
    command.args(["hunt", "--runs", "1", "--verify-runs", "0", "--no-perf", "--hang-after", "2s", "--so"]);
    command.arg(allocator(FAULT)).arg("--out").arg(&hunt).arg("--").args(bench_with(fault.workload_args));
    let (status, stdout, stderr) = output_parts(&run(&mut command));
    assert_eq!(status, "exit status: 10", "{stdout}{stderr}");
    assert!(format!("{stdout}{stderr}").contains("hang_run_1 lacks"), "{stdout}{stderr}");
    has_all_but_the_large(&hunt.join("hang_run_1"));
    assert_eq!(json(&hunt.join("verdict.json"))["verdict"], "allocator-bug");
    let runs = fs::read_to_string(hunt.join("runs.jsonl")).expect("the runs");
    assert!(runs.contains("hang_run_1 lacks"), "{runs}");
    // A page says nothing that the small files do not, and leaves the last room to them.
    assert!(stderr.contains("report.html: No space left"), "{stderr}");
    assert!(!hunt.join("report.html").exists() && !hunt.join("hang_run_1/report.html").exists());
    make_room(&out);
    let (status, _, stderr) = output_parts(&run(hangscope().arg("report").arg(&hunt)));
    assert_eq!(status, "exit status: 0", "{stderr}");
    assert!(fs::metadata(hunt.join("report.html")).is_ok_and(|meta| meta.len() > 0));
    has_no_temporary_file(&out);
}
