//! Runs a benchmark under an allocator, and reads `/proc` about it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hangscope_test_allocators::truth::{self, Line};
use hangscope_test_allocators::{Fault, artifacts};

/// Time limit of each wait. Every run needs much less, but the machine may be busy.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// A benchmark under an allocator. Dropping the value kills its process group.
pub(crate) struct Running {
    child: Child,
    ended: bool,
    folder: tempfile::TempDir,
}

/// A thread, as `/proc` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) tid: u32,
    pub(crate) comm: String,
    pub(crate) state: char,
    /// Number and six arguments of the system call. None if the thread runs outside of the kernel.
    pub(crate) syscall: Option<(i64, [u64; 6])>,
    /// Voluntary and involuntary context switches.
    pub(crate) switches: u64,
}

impl Task {
    pub(crate) fn is_worker(&self) -> bool {
        self.comm.starts_with("worker-")
    }

    pub(crate) fn runs(&self) -> bool {
        self.state == 'R'
    }

    pub(crate) fn is_in(&self, number: libc::c_long) -> bool {
        self.syscall.is_some_and(|(call, _)| call == number)
    }

    /// Address of the word, and the operation, if the thread is in a futex call.
    pub(crate) fn futex(&self) -> Option<(u64, u64)> {
        self.syscall
            .filter(|_| self.is_in(libc::SYS_futex))
            .map(|(_, arguments)| (arguments[0], arguments[1]))
    }
}

impl Running {
    pub(crate) fn start(fault: &Fault, environment: &[(&str, &str)]) -> Self {
        Running::start_with(&fault.path(), fault, fault.workload_args, environment)
    }

    pub(crate) fn start_with(
        preload: &Path,
        fault: &Fault,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let output = |name| fs::File::create(folder.path().join(name)).expect("a file");
        let child = Command::new(artifacts::workload())
            .args(arguments)
            .env("LD_PRELOAD", preload)
            .env("FAULT_TRUTH", folder.path().join("truth"))
            .envs(fault.env.iter().chain(environment).copied())
            .stdin(Stdio::null())
            .stdout(output("out"))
            .stderr(output("err"))
            .process_group(0)
            .spawn()
            .expect("the benchmark starts");
        Running { child, ended: false, folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn truth(&self) -> Vec<Line> {
        truth::read(&self.folder.path().join("truth")).expect("a truth that can be read")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect("text")
    }

    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("the child is ours");
        self.ended |= status.is_some();
        status
    }

    /// Waits until the benchmark ends, and returns its status.
    pub(crate) fn finish(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.try_wait() {
                return status;
            }
            assert!(start.elapsed() < GIVE_UP_AFTER, "the run does not end: {:#?}", tasks(self.pid()));
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Waits until `is_stuck` returns Ok for two looks in a row, and returns the second look.
    pub(crate) fn wait_until_stuck(
        &mut self,
        pid: impl Fn() -> Option<u32>,
        is_stuck: impl Fn(&[Line], &[Task]) -> Result<(), String>,
    ) -> Vec<Task> {
        let start = Instant::now();
        let mut stuck_before = false;
        loop {
            if let Some(status) = self.try_wait() {
                panic!("the run ended with {status}: {}{}", self.text("out"), self.text("err"));
            }
            let look = pid().map(tasks).unwrap_or_default();
            match is_stuck(&self.truth(), &look) {
                Ok(()) if stuck_before => return look,
                Ok(()) => stuck_before = true,
                Err(why) => {
                    stuck_before = false;
                    assert!(start.elapsed() < GIVE_UP_AFTER, "not stuck: {why}; {look:#?}");
                }
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let group = libc::pid_t::try_from(self.child.id()).expect("a pid");
        // SAFETY: kill touches no memory. The group is the child's own, and its number cannot have been
        // reused, because nothing has waited for the child yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

/// The threads of a process, sorted by tid. Leaves out threads that end during the call.
pub(crate) fn tasks(pid: u32) -> Vec<Task> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return vec![] };
    let mut tasks: Vec<Task> = entries.filter_map(|entry| task(&entry.ok()?.path())).collect();
    tasks.sort_by_key(|task| task.tid);
    tasks
}

fn task(folder: &Path) -> Option<Task> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let (tid, comm) = before.split_once(" (")?;
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let switches = status
        .lines()
        .filter_map(|line| line.split_once("ctxt_switches:").map(|(_, number)| number.trim()))
        .map(|number| number.parse::<u64>().expect("a number"))
        .sum();
    let call = fs::read_to_string(folder.join("syscall")).ok()?;
    let mut words = call.split_whitespace();
    // The first word is "running", or -1 for a thread that is stopped outside of a system call.
    let number = words.next()?.parse().ok().filter(|number| *number >= 0);
    let syscall = number.map(|number| {
        let mut arguments = [0; 6];
        for (argument, word) in arguments.iter_mut().zip(words) {
            *argument = u64::from_str_radix(word.trim_start_matches("0x"), 16).expect("hex");
        }
        (number, arguments)
    });
    Some(Task {
        tid: tid.parse().ok()?,
        comm: comm.to_owned(),
        state: after.trim().chars().next()?,
        syscall,
        switches,
    })
}

/// Reads four bytes of a process's memory. None if the process has ended or the address is not mapped.
pub(crate) fn word(pid: u32, address: u64) -> Option<u32> {
    use std::os::unix::fs::FileExt;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = [0; 4];
    memory.read_exact_at(&mut bytes, address).ok()?;
    Some(u32::from_ne_bytes(bytes))
}

/// Address of the first mapping of a DSO in a process.
pub(crate) fn base(pid: u32, so: &Path) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the maps of a child");
    let so = so.canonicalize().expect("a path");
    let so = so.to_str().expect("UTF-8");
    let line =
        maps.lines().find(|line| line.ends_with(so)).unwrap_or_else(|| panic!("{so} is not in\n{maps}"));
    let start = line.split('-').next().expect("an address");
    u64::from_str_radix(start, 16).expect("hex")
}

/// The pid of a child of the process, if there is one.
pub(crate) fn child_of(pid: u32) -> Option<u32> {
    fs::read_dir("/proc").expect("/proc").find_map(|entry| {
        let folder: PathBuf = entry.ok()?.path();
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        (parent.parse() == Ok(pid)).then(|| folder.file_name()?.to_str()?.parse().ok())?
    })
}
