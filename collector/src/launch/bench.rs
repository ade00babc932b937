//! One run of the benchmark as processes: started in a process group of its own, waited for, stopped whole.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::capture::tool;
use crate::launch::descriptors;
use crate::proc::{pidfd, task};

/// Time between TERM and KILL for what is stopped.
pub(crate) const TERM_TO_KILL: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Exit status; none if it died by a signal.
    pub(crate) code: Option<i32>,
    /// Signal that it died by.
    pub(crate) signal: Option<i32>,
    /// Peak resident set of it and of the processes that it waited for, KiB.
    pub(crate) max_rss_kib: u64,
}

/// A run. Dropped before it was reaped, it is killed with all that belongs to it.
#[derive(Debug)]
pub(crate) struct Bench {
    pid: Pid,
    /// What names the processes of this run in their environment, whatever group they moved to.
    mark: Vec<u8>,
    ended: Receiver<()>,
    started: Instant,
    reaped: Option<Ended>,
}

impl Bench {
    /// Starts `command` in its own process group, with no stdin, and on these processors.
    ///
    /// `mark` is an entry of its environment (`NAME=value`) that no other process has. If the collector dies, the
    /// benchmark is killed with it.
    ///
    /// # Errors
    /// What the system says; also where it could not be waited for: then nothing of it is left.
    pub(crate) fn start(
        command: Command,
        stdout: File,
        stderr: File,
        cpus: Option<CpuSet>,
        mark: String,
    ) -> io::Result<Bench> {
        Bench::start_with(command, stdout, stderr, cpus, mark, tool::ended)
    }

    fn start_with(
        mut command: Command,
        stdout: File,
        stderr: File,
        cpus: Option<CpuSet>,
        mark: String,
        wait: impl FnOnce(Pid) -> io::Result<Receiver<()>>,
    ) -> io::Result<Bench> {
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let in_child = move || -> io::Result<()> {
            set_pdeathsig(Signal::SIGKILL)?;
            if let Some(cpus) = &cpus {
                sched_setaffinity(Pid::from_raw(0), cpus)?;
            }
            descriptors::give_back()
        };
        // SAFETY: between fork and exec it makes three system calls and touches no lock and no heap.
        unsafe { command.pre_exec(in_child) };
        let started = Instant::now();
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id() as i32);
        let mut bench = Bench { pid, mark: mark.into_bytes(), ended: never(), started, reaped: None };
        // On an error it is dropped, which kills it.
        bench.ended = wait(pid)?;
        Ok(bench)
    }

    /// Its first process, and its group.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Says when its first process has ended.
    pub(crate) fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Whether its first process has ended, asked of the kernel.
    pub(crate) fn has_ended(&self) -> bool {
        self.reaped.is_some() || tool::has_ended(self.pid)
    }

    /// Reaps its first process, which has ended (else this waits for it).
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn reap(&mut self) -> io::Result<Ended> {
        if let Some(ended) = self.reaped {
            return Ok(ended);
        }
        let ended = wait(self.pid)?;
        self.reaped = Some(ended);
        Ok(ended)
    }

    /// The processes of this run that live: those of its group, and those whose environment has its mark.
    ///
    /// # Errors
    /// They could not be looked for.
    pub(crate) fn members(&self) -> io::Result<Vec<Member>> {
        members(self.pid, &self.mark, Alive)
    }

    /// TERM to all of it, KILL after `patience` to what is still there; then reaps. How it ended.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn stop(&mut self, patience: Duration) -> io::Result<Ended> {
        let until = Instant::now() + patience;
        let members = self.members_or_warn(Alive);
        let handles: Vec<OwnedFd> = members.iter().filter_map(Member::open).collect();
        if self.reaped.is_none() {
            // Stopped ones take a TERM only when they go on.
            let _ = killpg(self.pid, Signal::SIGTERM);
            let _ = killpg(self.pid, Signal::SIGCONT);
        }
        for handle in &handles {
            let _ = pidfd::send(handle, pidfd::Signal::TERM);
        }
        for handle in &handles {
            ended_within(handle, until.saturating_duration_since(Instant::now()));
        }
        self.kill()
    }

    /// KILL to all of it; then reaps.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn kill(&mut self) -> io::Result<Ended> {
        if self.reaped.is_none() {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        // A process that forks while it is killed leaves a child: until there is none.
        for _ in 0..100 {
            let members = self.members_or_warn(Alive);
            let handles: Vec<OwnedFd> = members.iter().filter_map(Member::open).collect();
            if handles.is_empty() {
                break;
            }
            for handle in &handles {
                let _ = pidfd::send(handle, pidfd::Signal::KILL);
            }
            for handle in &handles {
                ended_within(handle, Duration::from_secs(2));
            }
            self.reap_orphans(&members);
        }
        // Those that ended by themselves after their parent did.
        self.reap_orphans(&self.members_or_warn(Dead));
        self.reap()
    }

    /// Those that could be found: what is stopped besides the group of the first process.
    fn members_or_warn(&self, which: Which) -> Vec<Member> {
        members(self.pid, &self.mark, which).unwrap_or_else(|error| {
            tracing::warn!("processes that a run leaves behind are not looked for: {error}");
            vec![]
        })
    }

    /// Reaps processes whose parent is gone: if this process is a subreaper, they are its children. Else they are
    /// init's. The first process is not among them: its status is wanted.
    fn reap_orphans(&self, members: &[Member]) {
        for member in members.iter().filter(|member| member.pid != self.pid()) {
            let _ = waitpid(Pid::from_raw(member.pid as i32), Some(WaitPidFlag::WNOHANG));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.reaped.is_none() {
            let _ = self.kill();
        }
    }
}

/// A process of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Process.
    pub(crate) pid: u32,
    /// Its parent.
    pub(crate) ppid: u32,
    /// Threads.
    pub(crate) threads: u64,
    /// CPU time so far, clock ticks.
    pub(crate) cpu_ticks: u64,
    started: u64,
}

impl Member {
    /// A handle that means this process and no later one of the same id.
    fn open(&self) -> Option<OwnedFd> {
        let handle = pidfd::open(self.pid).ok()?;
        let stat = procfs::process::Process::new(self.pid as i32).ok()?.stat().ok()?;
        (stat.starttime == self.started).then_some(handle)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Alive,
    Dead,
}
use Which::{Alive, Dead};

fn members(group: Pid, mark: &[u8], which: Which) -> io::Result<Vec<Member>> {
    members_in(Path::new("/proc"), group, mark, which)
}

fn members_in(proc: &Path, group: Pid, mark: &[u8], which: Which) -> io::Result<Vec<Member>> {
    let me = std::process::id();
    let mut members = vec![];
    for process in procfs::process::all_processes_with_root(proc).map_err(system)? {
        let stat = process.and_then(|process| process.stat());
        let stat = match stat.map_err(system) {
            Ok(stat) => stat,
            Err(e) if is_lacking(&e) => return Err(e),
            // It has ended meanwhile, or is hidden from us.
            Err(_) => continue,
        };
        let left = matches!(stat.state, 'Z' | 'X');
        // Its main thread may have left, and others go on.
        let shows = if left { task::sharing(stat.pid as u32) } else { stat.pid as u32 };
        let dead = left && shows == stat.pid as u32;
        if dead != (which == Dead) || stat.pid as u32 == me {
            continue;
        }
        if stat.pgrp == group.as_raw() || has(proc, shows, mark)? {
            members.push(Member {
                pid: stat.pid as u32,
                ppid: stat.ppid as u32,
                threads: stat.num_threads.max(0) as u64,
                cpu_ticks: stat.utime + stat.stime,
                started: stat.starttime,
            });
        }
    }
    Ok(members)
}

/// Whether the environment of a process has the mark. One that ended or is another user's has not.
fn has(proc: &Path, pid: u32, mark: &[u8]) -> io::Result<bool> {
    match std::fs::read(proc.join(format!("{pid}/environ"))) {
        Ok(environ) => Ok(environ.split(|b| *b == 0).any(|entry| entry == mark)),
        Err(e) if is_lacking(&e) => Err(e),
        Err(_) => Ok(false),
    }
}

/// Whether an error says something about us, and nothing about what was looked for.
fn is_lacking(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

fn system(error: procfs::ProcError) -> io::Error {
    match error {
        procfs::ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    }
}

fn ended_within(handle: &OwnedFd, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(handle.as_fd(), PollFlags::POLLIN)], left) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// `wait4`: the exit status and what it used. nix has it without the usage.
fn wait(pid: Pid) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: a `rusage` is numbers only, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to values of the right type that outlive the call.
        let waited = unsafe { libc::wait4(pid.as_raw(), &mut status, 0, &mut usage) };
        if waited >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let status = std::os::unix::process::ExitStatusExt::from_raw(status);
    let status: std::process::ExitStatus = status;
    Ok(Ended {
        code: status.code(),
        signal: std::os::unix::process::ExitStatusExt::signal(&status),
        max_rss_kib: usage.ru_maxrss.max(0) as u64,
    })
}

#[cfg(test)]
mod tests;
