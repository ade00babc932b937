//! `hangscope snap` of hung processes without the shim. Class, lock,
//! owner and culprit must be those of the table, as in a hunt.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hangscope_test_allocators::{Fault, truth};
use hangscope_test_e2e::hung::{Calls, calls, start, start_and_hang};
use hangscope_test_e2e::hunt::{BUNDLE_FILES, culprit_is_in};
use hangscope_test_e2e::{GIVE_UP_AFTER, Running, built, hangscope};
use serde_json::Value;

/// Waits until all threads are in the same system calls as before.
/// A thread that makes short sleeps may be awake at first.
fn check_same_calls(pid: u32, before: &Calls) {
    let end = Instant::now() + GIVE_UP_AFTER;
    while calls(pid) != *before {
        assert!(Instant::now() < end, "snap has changed the process: {:?}, before {before:?}", calls(pid));
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
    let (running, before) = start_and_hang(fault, &dir.path().join("truth"));
    let out = dir.path().join("out");
    let output = snap(running.pid(), &out, &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    check_same_calls(running.pid(), &before);

    let verdict = json(&out.join("verdict.json"));
    let hang = &verdict["hangs"][0];
    let context = format!("{stdout}\n{hang}");
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
    // If several threads wrote that they are the culprit, the finding may name any of them. In a lost
    // wakeup, all threads wait alike, and no thread is the culprit.
    if let [culprit] = &tids("culprit")[..]
        && fault.class != Some("lost-wakeup")
    {
        assert_eq!(&hang["hot"]["tid"], culprit, "{context}");
    }
    if let Some(function) = fault.culprit_function {
        let threads = json(&out.join("hang_snap/threads.json"));
        assert!(culprit_is_in(fault, function, &threads, hang), "{context}");
    }
    // The bundle has the files of a hunt's bundle, and can be analysed again.
    let bundle = out.join("hang_snap");
    let so = fault.so.trim_start_matches("lib");
    let maps = format!("maps_{}.txt", so.trim_end_matches(".so"));
    for file in BUNDLE_FILES.into_iter().chain([&*maps, so]) {
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

/// Threads that sleep in every operation still leave the allocator again and again, so this is not a hang.
#[test]
fn slow() {
    let fault = Fault::named("slow");
    let dir = tempfile::tempdir().expect("a folder");
    let (truth_file, out) = (dir.path().join("truth"), dir.path().join("out"));
    let running = start(fault, &truth_file);
    let end = Instant::now() + GIVE_UP_AFTER;
    while truth::read(&truth_file).expect("the truth").is_empty() {
        assert!(Instant::now() < end, "the fault does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = snap(running.pid(), &out, &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let finding = &json(&out.join("hang_snap/threads.json"))["finding"];
    assert_eq!((&finding["class"], &finding["confidence"]), (&"slow".into(), &"proven".into()), "{stdout}");
    // The row of the table is about a hunt, which ends such a run. snap ends nothing, so its verdict differs.
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
    // Outside of containers, pid 2 is the kernel thread kthreadd.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n") {
        assert!(line(2, &[]).contains("kernel thread"));
    }
    let sleeper = Running::start(Command::new("sleep").arg("1000"));
    let text = line(sleeper.pid(), &["--target", "hz4"]);
    assert!(text.contains("no DSO \"hz4\" mapped"), "{text}");

    // Another user runs snap. The command must be in a folder where that user may execute it.
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc")) == 0;
    if root {
        let shared = tempfile::Builder::new().prefix("hangscope").tempdir_in("/tmp").expect("a folder");
        let command = shared.path().join("hangscope");
        // Another process (install) makes the copy. If this process wrote the file, a fork in another test
        // could keep the file open for writing, and its execution would fail.
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
