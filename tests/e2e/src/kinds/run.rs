//! Builds the program of a row, hunts it, and compares what the hunt says with the row.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Allocator, Core, Kind};
use crate::hunt::Hunt;
use crate::{GIVE_UP_AFTER, Running};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kinds");

/// Hunts a row once, with one run. Adds its line to the printed table.
pub fn check(name: &str) {
    let kind = Kind::named(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (program, so) = build(kind, folder.path());
    if !is_possible(kind, &program) {
        return;
    }
    let program = program.to_str().expect("text");
    let command: Vec<&str> =
        kind.launcher.iter().copied().chain([program]).chain(kind.args.iter().copied()).collect();
    let options = ["--runs", "1", "--verify-runs", "0", "--hang-after", "3s", "--no-perf"];
    let hunt = Hunt::new(&so, &options, &[], &command);
    let verdict = hunt.verdict();
    report(kind, &verdict);
    let wrong = differences(kind, &hunt, &verdict);
    assert!(
        wrong.is_empty(),
        "{name}:\n{}\nverdict.json: {verdict:#}\n{}",
        wrong.join("\n"),
        std::fs::read_to_string(hunt.out().join("hang_run_1/stacks.txt")).unwrap_or_default()
    );
}

/// Starts the program of a row through its loader, as `ld.so --preload SO PROGRAM`, and looks at it with snap once
/// it hangs. The kernel takes the loader for the program then.
pub fn check_started_through_loader(name: &str) {
    let kind = Kind::named(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (program, so) = build(kind, folder.path());
    wait_until_older(&so);
    let mut command = Command::new("/lib64/ld-linux-x86-64.so.2");
    let running = Running::start(command.arg("--preload").arg(&so).arg(&program).args(kind.args));
    wait_for_hang(running.pid());
    let out = folder.path().join("out");
    let snap = crate::hangscope()
        .args(["snap", &running.pid().to_string(), "--no-perf", "--out"])
        .arg(&out)
        .output()
        .expect("the command");
    let text = std::fs::read_to_string(out.join("verdict.json")).unwrap_or_else(|e| panic!("{e}: {snap:?}"));
    let verdict: Value = serde_json::from_str(&text).expect("JSON");
    let hang = &verdict["hangs"][0];
    assert_eq!(
        (&verdict["verdict"], &hang["class"], &hang["confidence"]),
        (&kind.verdict.into(), &kind.class.into(), &kind.confidence.into()),
        "{verdict:#}"
    );
    let provider = Path::new(verdict["dso"]["path"].as_str().unwrap_or_default()).file_name();
    assert_eq!(provider, so.file_name(), "{verdict:#}");
}

/// Waits until a process that starts now has a later start than the change of a file. The kernel counts
/// starts in ticks of 10 ms.
fn wait_until_older(file: &Path) {
    let changed = std::fs::metadata(file).and_then(|file| file.modified()).expect("a file with times");
    while changed.elapsed().is_ok_and(|age| age < Duration::from_millis(30)) {
        std::thread::yield_now();
    }
}

/// Waits until several threads exist and all of them wait for futexes.
fn wait_for_hang(pid: u32) {
    let end = Instant::now() + GIVE_UP_AFTER;
    let waits = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("syscall")).is_ok_and(|call| call.starts_with("202 "))
    };
    loop {
        assert!(Instant::now() < end, "the program does not hang");
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
        let waiting: Vec<bool> = tasks.filter_map(Result::ok).map(waits).collect();
        if waiting.len() > 1 && waiting.iter().all(|waits| *waits) {
            return;
        }
        // No event reports that a thread began to wait, so this loop polls.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Builds the program of a row, and its allocator.
pub fn build(kind: &Kind, folder: &Path) -> (PathBuf, PathBuf) {
    let program = folder.join(kind.name);
    compile(kind, &program, &[""; 0]);
    if let Allocator::Debian(file) = kind.allocator {
        return (program, crate::debian(file));
    }
    let so = folder.join(format!("lib{}.so", kind.name));
    let core = format!("lib{}_core.so", kind.name);
    let core_file = folder.join(&core);
    let mut arguments = vec!["-DALLOCATOR".to_owned(), "-fPIC".to_owned(), "-shared".to_owned()];
    if kind.core != Core::None {
        compile(kind, &core_file, &["-DCORE", "-fPIC", "-shared", &format!("-Wl,-soname,{core}")]);
        arguments.push("-Wl,-rpath,$ORIGIN".to_owned());
    }
    match kind.core {
        Core::None => {}
        Core::Needed => arguments.push(core_file.display().to_string()),
        Core::Opened => arguments.push(format!("-DCORE_FILE=\"{core}\"")),
    }
    compile(kind, &so, &arguments);
    (program, so)
}

/// Whether a row is possible here. If not, prints a line.
pub fn is_possible(kind: &Kind, program: &Path) -> bool {
    let words = kind.needs.iter().map(|word| if *word == "PROGRAM" { program } else { Path::new(word) });
    let words: Vec<&Path> = words.collect();
    let Some((first, rest)) = words.split_first() else { return true };
    let possible = Command::new(first).args(rest).output().is_ok_and(|output| output.status.success());
    if !possible {
        println!("skipped: {} needs {:?}, which is refused here", kind.name, kind.needs);
    }
    possible
}

fn compile(kind: &Kind, to: &Path, arguments: &[impl AsRef<OsStr>]) {
    let cxx = kind.source.ends_with(".cpp");
    let mut cc = Command::new(if cxx { "c++" } else { "cc" });
    cc.args(["-g", "-O1", "-fno-builtin", "-pthread", "-Wall", "-Wno-unused-function"]);
    cc.arg("-o").arg(to).arg(Path::new(SOURCES).join(kind.source)).args(arguments).args(kind.flags);
    let built = cc.output().expect("a C compiler is installed");
    assert!(built.status.success(), "{cc:?}: {}", String::from_utf8_lossy(&built.stderr));
}

fn differences(kind: &Kind, hunt: &Hunt, verdict: &Value) -> Vec<String> {
    let mut wrong = vec![];
    let mut expect = |what: &str, wanted: Value, got: &Value| {
        if wanted != *got {
            wrong.push(format!("{what}: wanted {wanted}, got {got}"));
        }
    };
    expect("exit status", kind.status.into(), &hunt.code().into());
    expect("verdict", kind.verdict.into(), &verdict["verdict"]);
    let hang = hang_of(verdict);
    expect("class", kind.class.into(), &hang["class"]);
    expect("cause", kind.cause.into(), &hang["cause"]);
    if kind.class.is_some() && kind.confidence != "either" {
        expect("confidence", kind.confidence.into(), &hang["confidence"]);
    }
    if let Some(symbol) = kind.lock {
        expect("lock", symbol.into(), &hang["lock"]["symbol"]);
    }
    if kind.lock.is_some() {
        let snapshot = hang["snapshot"].as_str().unwrap_or_default();
        expect("owner", kind.owner.into(), &comm(hunt, snapshot, &hang["lock"]["owner_tid"]));
    }
    if let Some(function) = kind.culprit {
        expect("culprit", function.into(), &hang["hot"]["function"]);
    }
    let headline = verdict["headline"].as_str().unwrap_or_default();
    for part in kind.says.iter().filter(|part| !headline.contains(**part)) {
        wrong.push(format!("the headline does not say {part:?}: {headline}"));
    }
    let said = format!("{headline}\n{}\n{}", verdict["evidence"], verdict["would_change_it"]);
    for part in kind.never.iter().filter(|part| said.contains(**part)) {
        wrong.push(format!("{part:?} is said: {said}"));
    }
    wrong
}

/// The hang of the verdict, or the run that was past its deadline; null where there is neither.
fn hang_of(verdict: &Value) -> &Value {
    let first = &verdict["hangs"][0];
    if first.is_null() { &verdict["slow"][0] } else { first }
}

/// The name of a thread in threads.json; null without a tid. The tid itself where no thread has it.
fn comm(hunt: &Hunt, snapshot: &str, tid: &Value) -> Value {
    if tid.is_null() {
        return Value::Null;
    }
    let threads: Value =
        serde_json::from_str(&hunt.text(&format!("{snapshot}/threads.json"))).expect("threads.json is JSON");
    let all = threads["threads"].as_array().into_iter().flatten();
    let thread = all.into_iter().find(|thread| thread["tid"] == *tid);
    thread.map_or_else(|| tid.clone(), |thread| thread["comm"].clone())
}

/// Writes the row's line of the printed table: what was said, not what was wanted.
fn report(kind: &Kind, verdict: &Value) {
    let hang = hang_of(verdict);
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = [
        format!("{:02}", kind.kind),
        kind.name.to_owned(),
        kind.source.to_owned(),
        word(&hang["class"]),
        word(&hang["cause"]),
        word(&hang["lock"]["symbol"]),
        hang["lock"]["owner_tid"].as_u64().map_or("-".to_owned(), |_| "known".to_owned()),
        word(&verdict["letter"]),
        word(&verdict["verdict"]),
        word(&hang["confidence"]),
    ];
    let folder = table_folder();
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{}.tsv", kind.name)), line.join("\t") + "\n").expect("a file");
}

/// The folder with one line a row. `scripts/test.sh` prints them.
fn table_folder() -> PathBuf {
    crate::built("hangscope").parent().and_then(Path::parent).expect("target/release").join("kinds")
}
