//! A user's mistakes: each gives one clear line on stderr and the
//! documented exit status, and leaves no file that is half written.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_test_e2e::hunt::{bench_with, run_parts};
use hangscope_test_e2e::{built, hangscope};

struct Case {
    dir: tempfile::TempDir,
    command: Command,
}

/// A `hangscope hunt` of the healthy allocator. `options` or `benchmark` contain the mistake.
fn hunt(options: &[&str], benchmark: &[impl AsRef<OsStr>]) -> Case {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = hangscope();
    command.arg("hunt").args(options);
    if !options.contains(&"--so") {
        command.arg("--so").arg(built("examples/libfault_healthy.so"));
    }
    if !options.contains(&"--out") {
        command.arg("--out").arg(dir.path().join("out"));
    }
    command.arg("--").args(benchmark);
    Case { dir, command }
}

fn small() -> Vec<String> {
    bench_with(&["2", "1000", "100", "16", "4096", "50", "1024"])
}

/// Checks that the command exits with `code` and writes one line with
/// all of `words` to stderr, and that OUT has no half-written file.
fn fails(mut case: Case, code: i32, words: &[&str]) {
    let (status, stdout, stderr) = run_parts(&mut case.command);
    assert_eq!(status, Some(code), "{stdout}\n{stderr}");
    // An error of usage comes from clap, which adds the usage to its line.
    let lines: Vec<&str> = stderr.lines().filter(|l| !l.trim().is_empty()).collect();
    assert!(!lines.is_empty(), "there is a line on stderr");
    if code != 2 {
        assert_eq!(lines.len(), 1, "more than one line: {stderr}");
    }
    for word in words {
        assert!(lines[0].contains(word), "{word:?} in {stderr:?}");
    }
    let left = everything(&case.dir.path().join("out"));
    let half: Vec<_> = left.iter().filter(|p| is_half(p)).collect();
    assert!(half.is_empty(), "half-written: {half:?}");
}

/// Whether the file has the temporary name that it has until it is written completely.
fn is_half(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tmp"))
}

fn everything(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return vec![] };
    entries.flatten().flat_map(|e| [vec![e.path()], everything(&e.path())].concat()).collect()
}

#[test]
fn a_dso_that_is_not_there() {
    fails(hunt(&["--so", "/nowhere/libx.so"], &small()), 2, &["/nowhere/libx.so"]);
}

#[test]
fn a_dso_that_is_no_dso() {
    fails(hunt(&["--so", "/etc/passwd"], &small()), 2, &["/etc/passwd"]);
}

#[test]
fn a_benchmark_that_is_not_there() {
    fails(hunt(&[], &["/nowhere/bench", "1"]), 2, &["/nowhere/bench"]);
}

#[test]
fn a_static_benchmark() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, program) = (dir.path().join("s.c"), dir.path().join("static_one"));
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("a source");
    let gcc = Command::new("gcc").args(["-static", "-o"]).arg(&program).arg(&source).status().expect("gcc");
    assert!(gcc.success());
    fails(hunt(&[], &[program.to_str().expect("text")]), 30, &["static"]);
}

#[test]
fn an_out_that_cannot_be_written() {
    fails(hunt(&["--out", "/proc/nowhere/out"], &small()), 1, &["/proc/nowhere/out"]);
}

#[test]
fn an_out_that_holds_an_earlier_hunt() {
    let first = hunt(&["--runs", "1", "--no-perf"], &small());
    let mut case = first;
    let (status, stdout, stderr) = run_parts(&mut case.command);
    assert_eq!(status, Some(0), "{stdout}\n{stderr}");
    let before = std::fs::read(case.dir.path().join("out/verdict.json")).expect("a verdict");
    let dir = case.dir.path().to_owned();
    fails(case, 2, &["out"]);
    assert!(!dir.exists() || std::fs::read(dir.join("out/verdict.json")).expect("still there") == before);
}

#[test]
fn no_runs() {
    fails(hunt(&["--runs", "0"], &small()), 2, &["runs"]);
}

#[test]
fn a_duration_that_is_none() {
    fails(hunt(&["--hang-after", "soon"], &small()), 2, &["hang-after"]);
}

#[test]
fn a_profile_with_a_typo() {
    let dir = tempfile::tempdir().expect("a folder");
    let profile = dir.path().join("mine.toml");
    std::fs::write(&profile, "name = \"mine\"\nenv_prefixs = [\"MINE_\"]\n").expect("a profile");
    fails(hunt(&["--profile", profile.to_str().expect("text")], &small()), 2, &["mine.toml", "env_prefixs"]);
}

#[test]
fn a_socket_path_over_107_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = hangscope();
    command
        .arg("collect")
        .arg("--socket")
        .arg(dir.path().join("x".repeat(120)))
        .arg("--out")
        .arg(dir.path().join("out"));
    fails(Case { dir, command }, 1, &["107"]);
}

#[test]
fn a_disk_that_is_full() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        println!("not tried: only root can mount a small tmpfs");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "none"])
        .arg(&disk)
        .status()
        .expect("mount");
    if !mount.success() {
        println!("not tried: a tmpfs cannot be mounted here");
        return;
    }
    let mut case =
        hunt(&["--runs", "3", "--no-perf", "--out", disk.join("out").to_str().expect("text")], &small());
    let (status, stdout, stderr) = run_parts(&mut case.command);
    let left = everything(&disk);
    let unmount = Command::new("umount").arg(&disk).status().expect("umount");
    assert!(unmount.success(), "nothing keeps the disk in use");
    assert_eq!(status, Some(1), "{stdout}\n{stderr}");
    assert_eq!(stderr.lines().filter(|l| !l.trim().is_empty()).count(), 1, "{stderr}");
    assert!(stderr.contains("space"), "{stderr}");
    assert!(!left.iter().any(|p| is_half(p)), "{left:?}");
}

#[test]
fn help_lists_the_exit_statuses() {
    let (status, stdout, _) = run_parts(hangscope().arg("--help"));
    assert_eq!(status, Some(0));
    for word in ["10", "20", "30", "hunt", "collect", "verify", "env", "pin"] {
        assert!(stdout.contains(word), "{word} in:\n{stdout}");
    }
}
