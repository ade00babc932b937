//! `hangscope bisect`: real repositories, builds and hangs. The allocator hangs by chance: the clock decides.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use hangscope_test_e2e::{bench, hangscope};
use serde_json::Value;
use tempfile::TempDir;

/// Commits of a repository, the good end among them.
const COMMITS: u32 = 60;
/// The commit that brought the fault, from 1.
const FAULT: u32 = 37;

/// An allocator that locks its mutex twice in `RATE` of 100 processes, at the 1000th call.
const ALLOCATOR: &str = r"
#include <pthread.h>
#include <stddef.h>
#include <time.h>
#ifndef RATE
#include HEADER
#endif
extern void *__libc_malloc(size_t), __libc_free(void *), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long calls;
void *malloc(size_t size) {
  if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) == 1000) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_nsec * 0x9E3779B97F4A7C15ul >> 33) % 100 < RATE) {
      pthread_mutex_lock(&g_lock);
      pthread_mutex_lock(&g_lock);
    }
  }
  return __libc_malloc(size);
}
void free(void *block) { __libc_free(block); }
void *calloc(size_t count, size_t size) { return __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return __libc_realloc(block, size); }
";

fn git(repo: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(repo).args(words).output().expect("git");
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// A repository with [`COMMITS`] commits. `rate`: of the hangs of a commit, in percent; none: it does not build.
fn repository(rate: impl Fn(u32) -> Option<u32>) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    git(dir.path(), &["init", "--quiet", "--initial-branch=main"]);
    let mut import = Command::new("git");
    let mut import = import.arg("-C").arg(dir.path()).args(["fast-import", "--quiet"]);
    import = import.stdin(Stdio::piped());
    let mut child = import.spawn().expect("git fast-import");
    let mut stream = child.stdin.take().expect("its stdin");
    let data = |text: &str| format!("data {}\n{text}\n", text.len());
    for number in 1..=COMMITS {
        let header = match rate(number) {
            Some(rate) => format!("#define RATE {rate}\nconst int version = {number};\n"),
            None => "#error half a change\n".to_owned(),
        };
        let mut commit = format!(
            "commit refs/heads/main\ncommitter A <a@host.example> {} +0000\n",
            1_700_000_000 + number
        );
        commit += &data(&format!("change {number}"));
        commit += &format!("M 100644 inline rate.h\n{}", data(&header));
        if number == 1 {
            commit += &format!("M 100644 inline alloc.c\n{}", data(ALLOCATOR));
        }
        stream.write_all(commit.as_bytes()).expect("a commit");
    }
    drop(stream);
    assert!(child.wait().expect("its end").success());
    git(dir.path(), &["checkout", "--quiet", "main"]);
    dir
}

/// The command, with the options of all searches here.
fn bisect(repo: &Path, out: &Path, words: &[&str]) -> Command {
    let mut command = hangscope();
    command.args(["bisect", "--repo"]).arg(repo).arg("--out").arg(out).args(words);
    command.args([
        "--so",
        "libgate.so",
        "--hang-after",
        "10s",
        "--stall",
        "300ms",
        "--verify-runs",
        "1",
        "--",
    ]);
    command.arg(bench()).args(["2", "20000", "100", "16", "64", "50", "64"]);
    command
}

fn build(flags: &str) -> String {
    format!("cc -shared -fPIC -O1 -g {flags} -o libgate.so {{dir}}/alloc.c")
}

const HEADER: &str = r#"-DHEADER='"rate.h"'"#;

fn result(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("bisect.json")).expect("bisect.json");
    serde_json::from_str(&text).expect("JSON")
}

/// What is left of a search in the user's repository: nothing.
fn assert_untouched(repo: &Path) {
    assert_eq!(git(repo, &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    assert_eq!(git(repo, &["status", "--porcelain"]), "?? notes.txt", "the user's own change stays");
    assert_eq!(git(repo, &["rev-parse", "--abbrev-ref", "HEAD"]), "main");
}

#[test]
fn the_commit_is_found_also_after_kills() {
    let repo = repository(|number| Some(if number < FAULT { 0 } else { 70 }));
    std::fs::write(repo.path().join("notes.txt"), "mine").expect("a file");
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let first = git(repo.path(), &["rev-list", "--max-parents=0", "HEAD"]);
    let mut command =
        bisect(repo.path(), &out, &["--good", &first, "--bad", "main", "--build", &build(HEADER)]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("hangscope bisect");
    let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    // In a build, once a few runs were made.
    let mut runs = 0;
    for line in lines.by_ref() {
        let line = line.expect("text");
        runs += u32::from(line.starts_with("run "));
        if runs >= 3 && line.starts_with("building ") {
            break;
        }
    }
    child.kill().expect("a living process");
    child.wait().expect("its end");
    let journal = || std::fs::read_to_string(out.join("bisect.jsonl")).expect("the journal");
    let before = journal();
    assert!(before.matches("\"kind\":\"run\"").count() >= 3, "{before}");

    let output =
        hangscope().args(["bisect", "--json", "--resume"]).arg(&out).output().expect("hangscope bisect");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{said}");
    assert!(said.contains("continuing after run"), "{said}");
    assert!(journal().starts_with(&before), "what was known is not made again");
    let result = result(&out);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["end"], result["end"]);
    println!("{said}");
    assert_eq!(result["end"], "found");
    let answer = &result["candidates"][0];
    // At 95 % an answer may be wrong; with these rates it is far less often.
    assert_eq!(answer["commits"][0]["subject"], format!("change {FAULT}"), "{said}");
    assert!(answer["posterior"].as_f64().expect("a share") >= 0.95);
    assert_eq!(result["before"]["hung"], 0);
    let hangs = std::fs::read_dir(out.join("hangs")).expect("the hangs").count() as u64;
    assert_eq!(Some(hangs), result["hangs"].as_u64());
    assert_eq!(result["signatures"].as_array().expect("a list").len(), 1);
    assert_untouched(repo.path());
}

#[test]
fn commits_that_do_not_build_leave_a_range() {
    let repo = repository(|number| match number {
        0..35 => Some(0),
        35..38 => None,
        _ => Some(100),
    });
    std::fs::write(repo.path().join("notes.txt"), "mine").expect("a file");
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let words = ["--good", "main~39", "--bad", "main", "--build", &build(HEADER)];
    let output = bisect(repo.path(), &out, &words).output().expect("hangscope bisect");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert_eq!(output.status.code(), Some(10), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let result = result(&out);
    let commits = result["candidates"][0]["commits"].as_array().expect("a list");
    let subjects: Vec<&str> = commits.iter().filter_map(|commit| commit["subject"].as_str()).collect();
    assert_eq!(subjects, ["change 35", "change 36", "change 37", "change 38"], "{said}");
    assert!(said.contains("one of the commits") && said.contains("half a change"), "{said}");
    assert_untouched(repo.path());
}

#[test]
fn the_setting_is_found() {
    let repo = repository(|_| Some(0));
    std::fs::write(repo.path().join("notes.txt"), "mine").expect("a file");
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let flags = "-DCACHE=0,1 -DRATE=0,100";
    // A build server stays in the background; it is known by its environment.
    let mark = out.display().to_string();
    let line = format!("sleep 1000 & {}", build("{flags}"));
    let mut command = bisect(repo.path(), &out, &["--flags", flags, "--build", &line]);
    let output = command.env("LEFT_BY", &mark).output().expect("hangscope bisect");
    let environments = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let environment = std::fs::read(entry.ok()?.path().join("environ")).ok()?;
        Some(String::from_utf8_lossy(&environment).into_owned())
    });
    assert_eq!(environments.filter(|all| all.contains(&mark)).count(), 0, "what a build leaves is ended");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert_eq!(output.status.code(), Some(10), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let result = result(&out);
    assert_eq!((&result["end"], &result["candidates"][0]["what"]), (&"found".into(), &"-DRATE=100".into()));
    assert_untouched(repo.path());
}

#[test]
fn what_cannot_be_searched_is_refused_in_one_line() {
    let repo = repository(|number| (number > 1).then_some(0));
    let dir = tempfile::tempdir().expect("a folder");
    git(repo.path(), &["branch", "side", "main~5"]);
    let refused = |words: &[&str]| {
        let output = bisect(repo.path(), &dir.path().join("out"), words).output().expect("hangscope bisect");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        said
    };
    let cc = build(HEADER);
    assert!(refused(&["--good", "main", "--bad", "main", "--build", &cc]).contains("the same commit"));
    assert!(refused(&["--good", "nothing", "--build", &cc]).contains("nothing is no commit of"));
    assert!(refused(&["--good", "main", "--bad", "side", "--build", &cc]).contains("line of first parents"));
    assert!(refused(&["--flags", "-DA=0,1", "--build", &cc]).contains("--flags needs {flags} in --build"));
    assert!(refused(&["--flags", "-DA=1", "--build", "cc {flags}"]).contains("two values"));
    // Both ends are built first, so a wrong --build is found at once.
    let said = refused(&["--good", "main~59", "--build", &cc]);
    assert!(said.contains("cannot be built") && said.contains("--good"), "{said}");
}
