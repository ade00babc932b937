//! The processes of one run: started in their own process group, waited for, and stopped together.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::{get_child_subreaper, set_pdeathsig};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use rustix::process::WaitOptions;

use crate::capture::tool;
use crate::console::cancel;
use crate::files::private;
use crate::launch::descriptors;
use crate::launch::members::{Found, Member, Signs};
use crate::proc::{ending, pidfd};

/// Time between TERM and KILL when a run is stopped.
pub(crate) const TERM_TO_KILL: Duration = Duration::from_secs(1);

/// How long to wait for the end of processes that were killed.
const KILLED: Duration = Duration::from_secs(2);
/// How long to wait for the end of the first one, after that.
const REAPED: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Exit status; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
}

/// What becomes of a run when this process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtOurEnd {
    /// The kernel kills its first process.
    Killed,
    /// It goes on. A run that may be left to a person needs this: only a process itself can take back the
    /// request that the kernel kills it.
    GoesOn,
}

/// The processes of a run. Drop kills them all, unless the first was reaped or left.
#[derive(Debug)]
pub(crate) struct Bench {
    pid: Pid,
    signs: Signs,
    ended: Receiver<()>,
    started: Instant,
    reaped: Option<Ended>,
}

impl Bench {
    /// Starts `command` in its own process group, without stdin, on these CPUs.
    ///
    /// `mark` is an entry of its environment (`NAME=value`) that no other process has.
    ///
    /// # Errors
    /// It could not be started, or not be waited for; then it is killed.
    pub(crate) fn start(
        command: Command,
        stdout: File,
        stderr: File,
        cpus: Option<CpuSet>,
        mark: String,
        at_our_end: AtOurEnd,
    ) -> io::Result<Bench> {
        Bench::start_with(command, [stdout, stderr], cpus, mark, at_our_end, tool::ended)
    }

    fn start_with(
        mut command: Command,
        [stdout, stderr]: [File; 2],
        cpus: Option<CpuSet>,
        mark: String,
        at_our_end: AtOurEnd,
        wait: impl FnOnce(Pid) -> io::Result<Receiver<()>>,
    ) -> io::Result<Bench> {
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let in_child = move || -> io::Result<()> {
            if at_our_end == AtOurEnd::Killed {
                set_pdeathsig(Signal::SIGKILL)?;
            }
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
        let signs = Signs::of_run(pid, mark);
        let mut bench = Bench { pid, signs, ended: never(), started, reaped: None };
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

    /// Reaps the first process. Waits for its end, but not for long: one that was killed and does not end is
    /// in the kernel, and counts as killed.
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

    /// Leaves the processes alone: they go on when this process has ended.
    pub(crate) fn leave(&mut self) -> Ended {
        cancel::keep_at_exit(self.pid);
        *self.reaped.insert(Ended { code: None, signal: None })
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
        Ok(self.signs.look()?.alive)
    }

    /// Whether no process of the run is left, as far as that can be known without a look at all processes of
    /// the machine: the first was reaped, and this process has no child. As a subreaper it would be the
    /// parent of every orphan. A process that another program started for the run does not count.
    pub(crate) fn has_no_descendant(&self) -> bool {
        let any = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
        self.reaped.is_some()
            && get_child_subreaper() == Ok(true)
            && waitid(Id::All, any) == Err(Errno::ECHILD)
    }

    /// Sends TERM to all processes, and KILL after `patience` to those that are left; then reaps.
    ///
    /// # Errors
    /// `waitpid` failed.
    pub(crate) fn stop(&mut self, patience: Duration) -> io::Result<Ended> {
        let until = Instant::now() + patience;
        let handles: Vec<OwnedFd> = self.look().alive.iter().filter_map(Member::open).collect();
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
            let found = self.look();
            // Processes that ended by themselves after their parent.
            self.reap_orphans(found.dead);
            if found.alive.is_empty() {
                break;
            }
            let handles: Vec<OwnedFd> = found.alive.iter().filter_map(Member::open).collect();
            for handle in &handles {
                let _ = pidfd::send(handle, pidfd::Signal::KILL);
            }
            for handle in &handles {
                ending::within(handle, until.saturating_duration_since(Instant::now()));
            }
            self.reap_orphans(found.alive.iter().map(|member| member.pid));
            if Instant::now() >= until {
                break;
            }
        }
        self.reap()
    }

    /// The processes that could be found. The group of the first process is stopped in any case.
    fn look(&self) -> Found {
        self.signs.look().unwrap_or_else(|error| {
            tracing::warn!("processes that a run leaves behind are not looked for: {error}");
            Found::default()
        })
    }

    /// Reaps processes whose parent is gone, but not the first process, whose status is needed. They are
    /// children of this process if it is a subreaper, else of init.
    fn reap_orphans(&self, pids: impl IntoIterator<Item = u32>) {
        for pid in pids.into_iter().filter(|pid| *pid != self.pid()) {
            let _ = waitpid(Pid::from_raw(pid as i32), Some(WaitPidFlag::WNOHANG));
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
