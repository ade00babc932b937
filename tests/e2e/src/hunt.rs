//! Runs one `hangscope hunt` for a test, and reads the files that the hunt wrote.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hangscope_test_allocators::Fault;
use serde_json::Value;

use crate::{hangscope, run};

pub struct Hunt {
    /// The folder that holds OUT. Dropping the value removes it.
    pub dir: tempfile::TempDir,
    pub output: Output,
}

impl Hunt {
    /// Runs `hangscope hunt --out OUT --so SO OPTIONS -- COMMAND`. The hunt and its runs inherit `env`.
    pub fn new(so: &Path, options: &[&str], env: &[(&str, &str)], command: &[impl AsRef<OsStr>]) -> Hunt {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut hunt = hangscope();
        hunt.arg("hunt").arg("--so").arg(so).arg("--out").arg(dir.path().join("out")).args(options);
        hunt.envs(env.iter().copied()).arg("--").args(command);
        let output = run(&mut hunt);
        Hunt { dir, output }
    }

    /// The folder OUT of the hunt.
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or_else(|| panic!("{}", self.outputs()))
    }

    /// Stdout and stderr, for the message of a failed test.
    pub fn outputs(&self) -> String {
        format!("{}\n{}", self.stdout(), String::from_utf8_lossy(&self.output.stderr))
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Reads a file of OUT as text.
    pub fn text(&self, file: &str) -> String {
        let path = self.out().join(file);
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|e| panic!("{}: {e}; the hunt's output:\n{}", path.display(), self.outputs()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn verdict(&self) -> Value {
        serde_json::from_str(&self.text("verdict.json")).expect("verdict.json is JSON")
    }
}

/// The benchmark's command line: its path and these arguments.
pub fn bench_with(args: &[&str]) -> Vec<String> {
    let bench = crate::bench().to_str().expect("text").to_owned();
    std::iter::once(bench).chain(args.iter().map(|a| (*a).to_owned())).collect()
}

/// Runs `hangscope ARGS` to its end.
pub fn run_hangscope(args: &[&str]) -> Output {
    run(hangscope().args(args))
}

/// Runs a command to its end. Returns its exit status (None after a signal), stdout and stderr.
pub fn run_parts(command: &mut Command) -> (Option<i32>, String, String) {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Options that keep a hunt short.
pub const QUICK: [&str; 6] = ["--hang-after", "2s", "--perf-seconds", "0.5", "--verify-runs", "1"];

/// The sorted names in a folder. Empty if the folder cannot be read.
pub fn file_names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The files in the bundle of every hang. The file names of the DSO and of its maps contain the DSO's name.
pub const BUNDLE_FILES: [&str; 11] = [
    "pid.txt",
    "ps_L.txt",
    "environ.txt",
    "maps.txt",
    "wchan_by_tid.tsv",
    "perf_hot_tid.data",
    "perf_hot_tid.txt",
    "dump.bin",
    "recording.json.gz",
    "threads.json",
    "stacks.txt",
];

/// An allocator that hangs in every run, and the benchmark's command line for it.
pub fn stuck_benchmark() -> (PathBuf, Vec<String>) {
    let fault = Fault::named("deadlock_inversion");
    (crate::allocator("deadlock_inversion"), bench_with(fault.workload_args))
}

/// The processes that the threads of a process have started.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = file_names(Path::new(&format!("/proc/{pid}/task")));
    let of = |thread: &String| std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).ok();
    let lists: Vec<String> = threads.iter().filter_map(of).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a process has mapped a file in this folder.
pub fn has_mapped(pid: u32, dir: &Path) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.contains(dir.to_str().expect("text"))
}

/// The pids of all processes whose environment contains the text `entry`.
pub fn processes_with(entry: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|e| e.windows(entry.len()).any(|part| part == entry.as_bytes()))
    };
    pids.filter(has).collect()
}

/// Whether any frame of the named culprit is in `function`, at one of the lines in the table. The innermost
/// frame may be a call that the function makes there, such as a sleep or a system call. `threads` is
/// threads.json. `hang` is one entry of `hangs` in verdict.json.
pub fn culprit_is_in(fault: &Fault, function: &str, threads: &Value, hang: &Value) -> bool {
    let lines = fault.culprit_lines();
    let tid = [&hang["hot"]["tid"], &hang["culprit"]["tid"]].into_iter().find(|t| !t.is_null());
    let thread = threads["threads"].as_array().into_iter().flatten().find(|t| Some(&t["tid"]) == tid);
    let frames = thread.and_then(|t| t["frames"].as_array());
    frames.into_iter().flatten().any(|frame| {
        let line = frame["line"].as_u64().and_then(|n| u32::try_from(n).ok());
        frame["function"] == function && lines.as_ref().is_none_or(|l| line.is_some_and(|n| l.contains(&n)))
    })
}
