//! Processes that hang and were never preloaded with the shim, looked at from outside: class, lock, owner and
//! culprit are those of the typed table, as if they had been hunted.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hangscope_test_allocators::{Fault, truth};
use hangscope_test_e2e::hunt::stands_in;
use hangscope_test_e2e::{PATIENCE, Running, bench, built, hangscope};
use serde_json::Value;

/// Threads, and the call that each is in.
type Standing = Vec<(String, String)>;

/// What every thread stands in: the call with its arguments, `running`, or nothing for one that left.
fn stands(pid: u32) -> Standing {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let mut all: Vec<_> = tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            Some((task.display().to_string(), std::fs::read_to_string(task.join("syscall")).ok()?))
        })
        .collect();
    all.sort();
    all
}

/// The benchmark under a faulty allocator, without the shim.
fn started(fault: &Fault, truth_file: &Path) -> Running {
    let mut command = Command::new(bench());
    command.args(fault.workload_args).envs(fault.env.iter().copied());
    command.env("LD_PRELOAD", built(&format!("examples/{}", fault.so))).env("FAULT_TRUTH", truth_file);
    Running::start(&mut command)
}

/// A process that a fault has hung: the allocator has said that it does it, and then nothing moves any more. With where
/// its threads stand.
fn hung(fault: &Fault, truth_file: &Path) -> (Running, Standing) {
    let running = started(fault, truth_file);
    let end = Instant::now() + PATIENCE;
    // The benchmark's own bugs are not written down.
    let says_nothing = fault.verdict == "harness-bug";
    let mut still = 0;
    let mut before = vec![];
    while still < 8 {
        assert!(Instant::now() < end, "{} does not hang", fault.name);
        // There is no event for "nothing happens any more".
        std::thread::sleep(Duration::from_millis(60));
        let said = says_nothing || !truth::read(truth_file).expect("the truth").is_empty();
        let now = stands(running.pid());
        still = if said && now == before { still + 1 } else { 0 };
        before = now;
    }
    (running, before)
}

/// Waits until all threads stand where they did: one that naps may just be awake.
fn stands_again(pid: u32, before: &Standing) {
    let end = Instant::now() + PATIENCE;
    while stands(pid) != *before {
        assert!(Instant::now() < end, "the process goes on as it was: {:?}, before {before:?}", stands(pid));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn snap(pid: u32, out: &Path, more: &[&str]) -> Output {
    let pid = pid.to_string();
    hangscope().args(["snap", &pid, "--no-perf", "--out"]).arg(out).args(more).output().expect("the command")
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn check(name: &str) {
    let fault = Fault::named(name);
    let dir = tempfile::tempdir().expect("a folder");
    let (running, before) = hung(fault, &dir.path().join("truth"));
    let out = dir.path().join("out");
    let output = snap(running.pid(), &out, &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{said}{}", String::from_utf8_lossy(&output.stderr));
    stands_again(running.pid(), &before);

    let verdict = json(&out.join("verdict.json"));
    let hang = &verdict["hangs"][0];
    let context = format!("{said}\n{hang}");
    assert_eq!(hang["class"], fault.class.expect("a class"), "{context}");
    assert_eq!(verdict["verdict"], fault.verdict, "{context}");
    assert_eq!(verdict["dso"]["integrity"], "intact", "{context}");
    if let Some(symbol) = fault.lock_symbol {
        let mut symbols = std::iter::once(symbol).chain(fault.also_locks.iter().copied());
        assert!(symbols.any(|s| hang["lock"]["symbol"] == s), "{context}");
    }
    let truths = truth::read(&dir.path().join("truth")).expect("the truth");
    let tids =
        |role: &str| truths.iter().filter(|l| l.role == role).map(|l| Value::from(l.tid)).collect::<Vec<_>>();
    if fault.owner_known && fault.also_locks.is_empty() {
        assert!(tids("owner").contains(&hang["lock"]["owner_tid"]), "{truths:?} {context}");
    }
    // Where several threads wrote that they are it, any of them is; where all wait alike, none is.
    if let [culprit] = &tids("culprit")[..]
        && fault.class != Some("lost-wakeup")
    {
        assert_eq!(&hang["hot"]["tid"], culprit, "{context}");
    }
    if let Some(function) = fault.culprit_function {
        let threads = json(&out.join("hang_snap/threads.json"));
        assert!(stands_in(fault, function, &threads, hang), "{context}");
    }
    // The files of a hunt's hang, and one that can be looked at again.
    let bundle = out.join("hang_snap");
    let so = fault.so.trim_start_matches("lib");
    let maps = format!("maps_{}.txt", so.trim_end_matches(".so"));
    for file in [
        "pid.txt",
        "ps_L.txt",
        "environ.txt",
        &maps,
        "maps.txt",
        "wchan_by_tid.tsv",
        "perf_hot_tid.data",
        "perf_hot_tid.txt",
        "dump.bin",
        "recording.json.gz",
        "threads.json",
        "stacks.txt",
        so,
    ] {
        let size = std::fs::metadata(bundle.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")).len();
        assert!(size > 0, "{file}");
    }
    assert!(
        std::fs::read(bundle.join(so)).expect("the copy")
            == std::fs::read(built(&format!("examples/{}", fault.so))).expect("the DSO")
    );
    drop(running);
    let again = hangscope().arg("report").arg(&bundle).output().expect("the command");
    let again = String::from_utf8_lossy(&again.stdout);
    assert!(again.contains(fault.class.expect("a class")), "{again}");
}

macro_rules! snaps {
    ($($name:ident)*) => { $(#[test] fn $name() { check(stringify!($name)); })* };
}

snaps! {
    owner_spinning owner_blocked owner_gone deadlock_inversion deadlock_self lost_wakeup cond_never_signalled
    spin_wait livelock runaway runaway_while_others_spin barrier_short stuck_loop
}

/// Threads that nap under their lock at every operation come out of the allocator again and again: no hang.
#[test]
fn slow() {
    let fault = Fault::named("slow");
    let dir = tempfile::tempdir().expect("a folder");
    let (truth_file, out) = (dir.path().join("truth"), dir.path().join("out"));
    let running = started(fault, &truth_file);
    let end = Instant::now() + PATIENCE;
    while truth::read(&truth_file).expect("the truth").is_empty() {
        assert!(Instant::now() < end, "it never gets slow");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = snap(running.pid(), &out, &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let finding = &json(&out.join("hang_snap/threads.json"))["finding"];
    assert_eq!((&finding["class"], &finding["confidence"]), (&"slow".into(), &"proven".into()), "{said}");
    // The table's row is of a hunt, which stops such a run; a look stops nothing.
    assert_eq!(json(&out.join("verdict.json"))["verdict"], "not-reproduced");
}

#[test]
fn what_cannot_be_looked_at_is_said_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let line = |pid: u32, more: &[&str]| {
        let output = snap(pid, &out, more);
        assert_eq!(output.status.code(), Some(1));
        assert!(!out.exists(), "nothing is written");
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    let mut gone = Command::new("true").spawn().expect("true");
    gone.wait().expect("its end");
    assert!(line(gone.id(), &[]).contains("there is no process"));
    // 2 is kthreadd, outside of containers.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n") {
        assert!(line(2, &[]).contains("kernel thread"));
    }
    let sleeper = Running::start(Command::new("sleep").arg("1000"));
    let text = line(sleeper.pid(), &["--target", "hz4"]);
    assert!(text.contains("no DSO \"hz4\" mapped"), "{text}");

    // As another user. The command must be where that user may execute it.
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc")) == 0;
    if root {
        let shared = tempfile::Builder::new().prefix("hangscope").tempdir_in("/tmp").expect("a folder");
        let command = shared.path().join("hangscope");
        // By another process: a test beside this one that forks would hold our descriptor open for writing.
        let install = Command::new("install").arg("-m755").arg(built("hangscope")).arg(&command).status();
        assert!(install.expect("install").success());
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(shared.path(), open).expect("a mode");
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&command)
            .args(["snap", &sleeper.pid().to_string(), "--out", "/tmp/hangscope-never"])
            .output()
            .expect("setpriv");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("runs as user 0") && text.contains("CAP_SYS_PTRACE"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
