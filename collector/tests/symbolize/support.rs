//! Programs that stand still, and dumps of them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hangscope_collector::session::Dump;
use hangscope_collector::snap;
use hangscope_collector::symbolize::Sources;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// From the Debian package libjemalloc2.
pub(crate) const JEMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
/// From the Debian package libmimalloc2.0.
pub(crate) const MIMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0";

/// How long the threads stay where they are before they are looked at.
const SETTLED: Duration = Duration::from_millis(300);

/// A process that stands still. It is killed on drop.
pub(crate) struct Stuck {
    child: Child,
    threads: usize,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stuck {
    /// Starts a fixture, and waits until all of its threads stand: blocked, or in loops that never end.
    pub(crate) fn start(program: &Path, preload: Option<&str>, loops: usize) -> Stuck {
        Stuck::start_with(program, preload, loops, &[])
    }

    /// As [`Stuck::start`], with further variables.
    pub(crate) fn start_with(
        program: &Path,
        preload: Option<&str>,
        loops: usize,
        variables: &[(&str, &str)],
    ) -> Stuck {
        let stuck = Stuck::spawn_with(program, preload, variables);
        // The same threads run, and all others are blocked at the same places for a while: a busy machine
        // lets a holder of a lock wait for a processor, and those behind it are not at their places yet.
        let mut since = Instant::now();
        let mut before = stuck.calls();
        loop {
            std::thread::sleep(Duration::from_millis(10));
            let now = stuck.calls();
            let running = now.iter().filter(|(_, call)| call.starts_with("running")).count();
            if now.len() < stuck.threads || running != loops || now != before {
                (since, before) = (Instant::now(), now);
            } else if since.elapsed() > SETTLED {
                return stuck;
            }
        }
    }

    /// The call that each thread is in, as `/proc/PID/task/TID/syscall` has it.
    pub(crate) fn calls(&self) -> Vec<(PathBuf, String)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let call = |task: PathBuf| {
            let call = std::fs::read_to_string(task.join("syscall")).unwrap();
            (task, call)
        };
        let mut calls: Vec<_> = tasks.map(|task| call(task.unwrap().path())).collect();
        calls.sort();
        calls
    }

    /// Starts a fixture, and waits until it reports that all of its threads exist.
    pub(crate) fn spawn(program: &Path, preload: Option<&str>) -> Stuck {
        Stuck::spawn_with(program, preload, &[])
    }

    fn spawn_with(program: &Path, preload: Option<&str>, variables: &[(&str, &str)]) -> Stuck {
        // Its loops give way to those who look at them.
        let mut command = Command::new("nice");
        command.args(["-n", "5"]).arg(program);
        command.envs(variables.iter().copied());
        if let Some(preload) = preload {
            command.env("LD_PRELOAD", preload);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let threads = line.trim().strip_prefix("ready ").unwrap().parse().unwrap();
        Stuck { child, threads }
    }

    /// Waits until every thread is in a state.
    fn wait_until(&self, wanted: impl Fn(char) -> bool) {
        let state = |task: PathBuf| {
            let stat = std::fs::read_to_string(task.join("stat")).unwrap();
            stat.rsplit(") ").next().unwrap().chars().next().unwrap()
        };
        let tasks = || std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        while !tasks().all(|task| wanted(state(task.unwrap().path()))) {
            std::thread::yield_now();
        }
    }

    /// Stops all threads, wherever they are.
    pub(crate) fn stop(&self) {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGSTOP).unwrap();
        self.wait_until(|state| state == 'T' || state == 't');
    }

    pub(crate) fn go_on(&self) {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGCONT).unwrap();
    }

    /// Sources of names for the live process.
    pub(crate) fn sources(&self) -> Sources {
        Sources { live_pid: Some(self.pid()), same_boot: true, ..Sources::default() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn snap(&self, stop_blocked: bool) -> Dump {
        let options = snap::Options {
            second_look_after: Duration::ZERO,
            sample_hz: 0,
            stop_blocked,
            ..snap::Options::default()
        };
        snap::take(self.pid(), &options).unwrap()
    }
}

pub(crate) fn build(dir: &Path, compiler: &str, source: &str, name: &str, flags: &[&str]) -> PathBuf {
    let program = dir.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(source);
    let output = Command::new(compiler).arg(source).args(flags).arg("-o").arg(&program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}
