//! The processes of one run: started in their own process group, waited for, and stopped together.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never};
use hangscope_reader::task::Stat;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::process::WaitOptions;

use crate::capture::tool;
use crate::console::cancel;
use crate::files::private;
use crate::launch::descriptors;
use crate::proc::{ending, pidfd, slow, task};

/// Time between TERM and KILL when a run is stopped.
pub(crate) const TERM_TO_KILL: Duration = Duration::from_secs(1);

/// How long to wait for the end of processes that were killed.
const KILLED: Duration = Duration::from_secs(2);
/// How long to wait for the end of the first one, after that.
const REAPED: Duration = Duration::from_millis(500);
/// Most lists of all processes that one look takes.
const LISTS: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Exit status; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
}

/// The processes of a run. Drop kills them all, unless the first was reaped.
#[derive(Debug)]
pub(crate) struct Bench {
    pid: Pid,
    /// An entry in the environment of this run's processes. It marks them in whatever process group they are.
    mark: Vec<u8>,
    ended: Receiver<()>,
    started: Instant,
    reaped: Option<Ended>,
}

impl Bench {
    /// Starts `command` in its own process group, without stdin, on these CPUs.
    ///
    /// `mark` is an entry of its environment (`NAME=value`) that no other process has. If the collector dies,
    /// the benchmark is killed with it.
    ///
    /// # Errors
    /// It could not be started, or not be waited for; then it is killed.
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
            private::give_back();
            if let Some(cpus) = &cpus {
                sched_setaffinity(Pid::from_raw(0), cpus)?;
            }
            descriptors::give_back()
        };
        // SAFETY: between fork and exec it makes four system calls and touches no lock and no heap.
        unsafe { command.pre_exec(in_child) };
        let started = Instant::now();
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id() as i32);
        cancel::kill_at_exit(pid);
        let mut bench = Bench { pid, mark: mark.into_bytes(), ended: never(), started, reaped: None };
        // On an error the drop kills it.
        bench.ended = wait(pid)?;
        Ok(bench)
    }

    /// The first process, which is also the process group.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Ready when the first process has ended.
    pub(crate) fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Asks the kernel whether the first process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.reaped.is_some() || tool::has_ended(self.pid)
    }

    /// Reaps the first process. Waits for its end, but not for long: one that was killed and does not end is in
    /// the kernel, and counts as killed.
    ///
    /// # Errors
    /// `waitpid` failed.
    pub(crate) fn reap(&mut self) -> io::Result<Ended> {
        if let Some(ended) = self.reaped {
            return Ok(ended);
        }
        let ended = if self.ended_within(REAPED) {
            wait(self.pid)?
        } else {
            tracing::warn!(
                "process {} was killed and does not end: the kernel keeps it; it is left behind",
                self.pid
            );
            Ended { code: None, signal: Some(libc::SIGKILL) }
        };
        self.reaped = Some(ended);
        cancel::keep_at_exit(self.pid);
        Ok(ended)
    }

    fn ended_within(&self, time: Duration) -> bool {
        // The channel is closed when nobody can tell any more: then the kernel is asked.
        tool::has_ended(self.pid) || self.ended.recv_timeout(time).is_ok() || tool::has_ended(self.pid)
    }

    /// The live processes of this run: those in its process group, and those with its mark in their
    /// environment.
    ///
    /// # Errors
    /// /proc could not be read.
    pub(crate) fn members(&self) -> io::Result<Vec<Member>> {
        members(self.pid, &self.mark, Alive)
    }

    /// Sends TERM to all processes, and KILL after `patience` to those that are left; then reaps.
    ///
    /// # Errors
    /// `waitpid` failed.
    pub(crate) fn stop(&mut self, patience: Duration) -> io::Result<Ended> {
        let until = Instant::now() + patience;
        let members = self.members_or_warn(Alive);
        let handles: Vec<OwnedFd> = members.iter().filter_map(Member::open).collect();
        if self.reaped.is_none() {
            // A stopped process takes TERM only when it goes on.
            let _ = killpg(self.pid, Signal::SIGTERM);
            let _ = killpg(self.pid, Signal::SIGCONT);
        }
        for handle in &handles {
            let _ = pidfd::send(handle, pidfd::Signal::TERM);
        }
        for handle in &handles {
            ending::within(handle, until.saturating_duration_since(Instant::now()));
        }
        self.kill()
    }

    /// Sends KILL to all processes; then reaps.
    ///
    /// # Errors
    /// `waitpid` failed.
    pub(crate) fn kill(&mut self) -> io::Result<Ended> {
        if self.reaped.is_none() {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        // A process that forks while it is killed leaves a child. Repeat until there is none. One that the
        // kernel keeps is left behind.
        let until = Instant::now() + KILLED;
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
                ending::within(handle, until.saturating_duration_since(Instant::now()));
            }
            self.reap_orphans(&members);
            if Instant::now() >= until {
                break;
            }
        }
        // Processes that ended by themselves after their parent.
        self.reap_orphans(&self.members_or_warn(Dead));
        self.reap()
    }

    /// The processes that could be found. The group of the first process is stopped in any case.
    fn members_or_warn(&self, which: Which) -> Vec<Member> {
        members(self.pid, &self.mark, which).unwrap_or_else(|error| {
            tracing::warn!("processes that a run leaves behind are not looked for: {error}");
            vec![]
        })
    }

    /// Reaps processes whose parent is gone, but not the first process, whose status is needed. They are
    /// children of this process if it is a subreaper, else of init.
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    pub(crate) threads: u64,
    /// CPU time so far, clock ticks.
    pub(crate) cpu_ticks: u64,
    started: u64,
}

impl Member {
    /// A handle for this process, and not for a later one with the same id.
    fn open(&self) -> Option<OwnedFd> {
        let handle = pidfd::open(self.pid).ok()?;
        let stat = std::fs::read(format!("/proc/{}/stat", self.pid)).ok()?;
        (Stat::parse(&stat)?.start_ticks == self.started).then_some(handle)
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
    let mut seen = BTreeSet::from([std::process::id()]);
    let mut members = vec![];
    // A process of the list may fork and end before it is looked at. Its child is in the next list.
    for _ in 0..LISTS {
        let new: Vec<u32> = task::pids(proc)?.into_iter().filter(|pid| seen.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            members.extend(member(proc, pid, group, mark, which)?);
        }
    }
    Ok(members)
}

/// A process, if it belongs to the run. Fails if this process is out of descriptors or memory.
fn member(proc: &Path, pid: u32, group: Pid, mark: &[u8], which: Which) -> io::Result<Option<Member>> {
    let stat = match std::fs::read(proc.join(format!("{pid}/stat"))) {
        Ok(stat) => stat,
        Err(e) if is_out_of_resources(&e) => return Err(e),
        // The process has ended meanwhile, or is hidden from us.
        Err(_) => return Ok(None),
    };
    let Some(stat) = Stat::parse(&stat) else { return Ok(None) };
    // The main thread may have left, and others go on.
    let shows = if stat.has_ended() { task::sharing(pid) } else { pid };
    let dead = stat.has_ended() && shows == pid;
    if dead != (which == Dead) || !(stat.pgrp == group.as_raw() as u32 || has(proc, shows, mark)?) {
        return Ok(None);
    }
    Ok(Some(Member {
        pid,
        ppid: stat.ppid,
        threads: stat.threads.into(),
        cpu_ticks: stat.cpu_ticks(),
        started: stat.start_ticks,
    }))
}

/// Whether the environment of a process has the mark. False if it ended, or belongs to another user.
fn has(proc: &Path, pid: u32, mark: &[u8]) -> io::Result<bool> {
    match slow::read(proc.join(format!("{pid}/environ"))) {
        Ok(environ) => Ok(environ.split(|b| *b == 0).any(|entry| entry == mark)),
        Err(e) if is_out_of_resources(&e) => Err(e),
        Err(_) => Ok(false),
    }
}

/// Whether this process has run out of descriptors or memory. Such an error says nothing about the other
/// process.
fn is_out_of_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// The end of a child. nix knows no real-time signals.
fn wait(pid: Pid) -> io::Result<Ended> {
    let child = rustix::process::Pid::from_raw(pid.as_raw());
    loop {
        match rustix::process::waitpid(child, WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                return Ok(Ended { code: status.exit_status(), signal: status.terminating_signal() });
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
