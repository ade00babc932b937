//! One `hangscope hunt` for a test, and what it left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hangscope_test_allocators::Fault;
use serde_json::Value;

use crate::{hangscope, run};

/// A hunt that was made.
pub struct Hunt {
    /// Its folder, which goes with it.
    pub dir: tempfile::TempDir,
    /// What the command said and its exit status.
    pub output: Output,
}

impl Hunt {
    /// Runs `hangscope hunt --out ... --so SO OPTIONS -- COMMAND`, with `env` set for the hunt and so for the
    /// runs.
    ///
    /// # Panics
    /// If it does not end.
    pub fn new(so: &Path, options: &[&str], env: &[(&str, &str)], command: &[&str]) -> Hunt {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut hunt = hangscope();
        hunt.arg("hunt").arg("--so").arg(so).arg("--out").arg(dir.path().join("out")).args(options);
        hunt.envs(env.iter().copied()).arg("--").args(command);
        let output = run(&mut hunt);
        Hunt { dir, output }
    }

    /// OUT.
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Exit status.
    ///
    /// # Panics
    /// If it died by a signal; with what it said.
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or_else(|| panic!("{}", self.said()))
    }

    /// Both outputs, for a failed test.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.stdout(), String::from_utf8_lossy(&self.output.stderr))
    }

    /// What it said on stdout.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// A file of OUT, as text.
    ///
    /// # Panics
    /// If it is not there.
    pub fn text(&self, file: &str) -> String {
        let path = self.out().join(file);
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|e| panic!("{}: {e}; the hunt said:\n{}", path.display(), self.said()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// verdict.json.
    ///
    /// # Panics
    /// If it is not there or no JSON.
    pub fn verdict(&self) -> Value {
        serde_json::from_str(&self.text("verdict.json")).expect("verdict.json is JSON")
    }
}

/// The benchmark's command line with these arguments.
pub fn bench_with(args: &[&str]) -> Vec<String> {
    let bench = crate::bench().to_str().expect("text").to_owned();
    std::iter::once(bench).chain(args.iter().map(|a| (*a).to_owned())).collect()
}

/// A command that `hangscope` itself takes, run to its end.
pub fn hangscope_with(args: &[&str]) -> Output {
    run(hangscope().args(args))
}

/// As [`hangscope_with`], for a command that was put together elsewhere.
pub fn told(command: &mut Command) -> (Option<i32>, String, String) {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Options that make a hunt short.
pub const QUICK: [&str; 6] = ["--hang-after", "2s", "--perf-seconds", "0.5", "--verify-runs", "1"];

/// What is in a folder; nothing if it is not there.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A stuck benchmark's arguments, and the allocator that hangs it in every run.
pub fn stuck() -> (PathBuf, Vec<String>) {
    let fault = hangscope_test_allocators::Fault::named("deadlock_inversion");
    (crate::allocator("deadlock_inversion"), bench_with(fault.workload_args))
}

/// Processes that have this in their environment.
pub fn processes_with(entry: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|e| e.windows(entry.len()).any(|part| part == entry.as_bytes()))
    };
    pids.filter(has).collect()
}

/// Whether the culprit that was named is in the function of the table, at a line of it: itself, or a call that it
/// makes there (a nap, a system call). `threads` is threads.json, `hang` an entry of verdict.json's hangs.
pub fn stands_in(fault: &Fault, function: &str, threads: &Value, hang: &Value) -> bool {
    let lines = fault.culprit_lines();
    let tid = [&hang["hot"]["tid"], &hang["culprit"]["tid"]].into_iter().find(|t| !t.is_null());
    let thread = threads["threads"].as_array().into_iter().flatten().find(|t| Some(&t["tid"]) == tid);
    let frames = thread.and_then(|t| t["frames"].as_array());
    frames.into_iter().flatten().any(|frame| {
        let line = frame["line"].as_u64().and_then(|n| u32::try_from(n).ok());
        frame["function"] == function && lines.as_ref().is_none_or(|l| line.is_some_and(|n| l.contains(&n)))
    })
}
