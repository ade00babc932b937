//! The faulty allocators once more, with what is usually read hidden: binaries without symbols, and threads that
//! block every signal. Class and verdict must be those of the table all the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_test_allocators::{FAULTS, Fault, Hangs};
use hangscope_test_e2e::built;
use hangscope_test_e2e::hunt::{Hunt, bench_with};

/// Rows that hang in every run; what is slow is found as well.
fn rows() -> impl Iterator<Item = &'static Fault> {
    FAULTS.iter().filter(|f| f.hangs == Hangs::Always || f.class == Some("slow"))
}

/// What is wrong with the class and the verdict that one run got; nothing if all is right.
fn wrong(fault: &Fault, so: &Path, command: &[String]) -> Option<String> {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options =
        ["--name", fault.name, "--runs", "1", "--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    let hunt = Hunt::new(so, &options, fault.env, &command);
    let verdict = hunt.verdict();
    let list = if fault.class == Some("slow") { "slow" } else { "hangs" };
    let class = verdict[list][0]["class"].as_str();
    let is = class == fault.class && verdict["verdict"] == fault.verdict;
    (!is).then(|| {
        let (wanted, headline) = (fault.class, &verdict["headline"]);
        format!("{}: wanted {wanted:?}, got {class:?}: {headline}\n{verdict:#}", fault.name)
    })
}

fn none_is_wrong(found: impl Iterator<Item = Option<String>>) {
    let all: Vec<Option<String>> = found.collect();
    assert!(all.len() > 10, "the table has more rows than {}", all.len());
    let wrong: Vec<String> = all.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn threads_that_block_every_signal() {
    none_is_wrong(rows().map(|fault| {
        let mut command = bench_with(fault.workload_args);
        command.push("--block-signals".to_owned());
        wrong(fault, &built(&format!("examples/{}", fault.so)), &command)
    }));
}

#[test]
fn binaries_without_symbols() {
    let dir = tempfile::tempdir().expect("a folder");
    let bench = stripped(&built("hangscope-bench"), dir.path());
    none_is_wrong(rows().map(|fault| {
        let so = stripped(&built(&format!("examples/{}", fault.so)), dir.path());
        let mut command = bench_with(fault.workload_args);
        command[0] = bench.to_str().expect("text").to_owned();
        wrong(fault, &so, &command)
    }));
}

/// A copy without symbols and debug information (elfutils).
fn stripped(file: &Path, dir: &Path) -> PathBuf {
    let copy = dir.join(file.file_name().expect("a file"));
    let status = Command::new("eu-strip").arg("-o").arg(&copy).arg(file).status();
    assert!(status.expect("eu-strip is installed by test.sh").success(), "{}", file.display());
    copy
}
