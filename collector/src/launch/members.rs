//! The processes of a run, found among all of the machine: those in its process group, and those with its
//! mark in their environment.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use hangscope_reader::task::{Stat, start_strings};
use nix::unistd::Pid;

use crate::proc::{pidfd, slow, task};

/// Most lists of all processes that one look takes.
const LISTS: u32 = 16;

/// How the processes of a run are told from others.
#[derive(Debug)]
pub(super) struct Signs {
    /// The first process, which is also the process group.
    group: u32,
    /// An entry in the environment of this run's processes. It marks them in whatever process group they are.
    mark: Vec<u8>,
    /// Start of the first process, clock ticks since boot. No process of the run is older. 0: not known.
    since: u64,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) alive: Vec<Member>,
    /// Processes of the group that have ended and were not reaped; the first may be one of them.
    pub(super) dead: Vec<u32>,
}

/// A live process of a run.
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
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let handle = pidfd::open(self.pid).ok()?;
        let stat = task::stat(Path::new("/proc"), self.pid).ok()?;
        (Stat::parse(&stat)?.start_ticks == self.started).then_some(handle)
    }
}

impl Signs {
    /// Those of the run whose first process is `first`, which was not reaped. `mark`: `NAME=value`.
    pub(super) fn of_run(first: Pid, mark: String) -> Signs {
        let group = first.as_raw() as u32;
        let stat = task::stat(Path::new("/proc"), group).unwrap_or_default();
        let since = Stat::parse(&stat).map_or(0, |stat| stat.start_ticks);
        Signs { group, mark: mark.into_bytes(), since }
    }

    /// # Errors
    /// /proc could not be read: this process is out of descriptors or memory.
    pub(super) fn look(&self) -> io::Result<Found> {
        self.look_in(Path::new("/proc"))
    }

    pub(super) fn look_in(&self, proc: &Path) -> io::Result<Found> {
        let mut seen = BTreeSet::from([std::process::id()]);
        let mut found = Found::default();
        // A process of the list may fork and end before it is looked at. Its child is in the next list.
        for _ in 0..LISTS {
            let new: Vec<u32> = task::pids(proc)?.into_iter().filter(|pid| seen.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                if self.look_at(proc, pid, &mut found)? == Seen::TooSoon {
                    seen.remove(&pid);
                }
            }
        }
        Ok(found)
    }

    fn look_at(&self, proc: &Path, pid: u32, found: &mut Found) -> io::Result<Seen> {
        let stat = match task::stat(proc, pid) {
            Ok(stat) => stat,
            Err(e) if is_out_of_resources(&e) => return Err(e),
            // The process has ended meanwhile, or is hidden from us.
            Err(_) => return Ok(Seen::Whole),
        };
        let Some(stat) = Stat::parse(&stat) else { return Ok(Seen::Whole) };
        let in_group = stat.pgrp == self.group;
        // Reading an environment takes longer than all else, and most processes of a machine are older.
        if !in_group && stat.start_ticks < self.since {
            return Ok(Seen::Whole);
        }
        // The main thread may have left, and others go on.
        let shows = if stat.has_ended() { task::sharing(pid) } else { pid };
        if stat.has_ended() && shows == pid {
            found.dead.extend(in_group.then_some(pid));
            return Ok(Seen::Whole);
        }
        let marked = if in_group { Some(true) } else { self.marks(proc, shows)? };
        if marked == Some(true) {
            found.alive.push(Member {
                pid,
                ppid: stat.ppid,
                threads: stat.threads.into(),
                cpu_ticks: stat.cpu_ticks(),
                started: stat.start_ticks,
            });
        }
        Ok(if marked.is_none() { Seen::TooSoon } else { Seen::Whole })
    }

    /// Whether the environment of a process has the mark. False if it ended, or belongs to another user. None:
    /// it is in execve(2), and has no environment yet.
    fn marks(&self, proc: &Path, pid: u32) -> io::Result<Option<bool>> {
        match slow::read(proc.join(format!("{pid}/environ"))) {
            Ok(environ) if environ.is_empty() && is_in_exec(proc, pid) => Ok(None),
            Ok(environ) => Ok(Some(environ.split(|b| *b == 0).any(|entry| entry == self.mark))),
            Err(e) if is_out_of_resources(&e) => Err(e),
            Err(_) => Ok(Some(false)),
        }
    }
}

/// How a look at a process went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Whole,
    /// What it is will be known in a moment.
    TooSoon,
}

/// Whether a process has new memory already, and the kernel has not written down where its environment is. A
/// program that was given no environment has a place for it all the same.
fn is_in_exec(proc: &Path, pid: u32) -> bool {
    let stat = task::stat(proc, pid).unwrap_or_default();
    let has_memory = Stat::parse(&stat).is_some_and(|stat| !stat.is_kernels() && !stat.is_exiting());
    has_memory && start_strings(&stat).is_some_and(|[_, _, environ, end]| (environ, end) == (0, 0))
}

/// Whether this process has run out of descriptors or memory. Such an error says nothing about the other
/// process.
fn is_out_of_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn that_they_cannot_be_looked_for_is_no_empty_list() {
        let signs = Signs { group: 1, mark: b"M=1".to_vec(), since: 0 };
        signs.look_in(Path::new("/nonexistent")).unwrap_err();
        let ours = |errno| is_out_of_resources(&io::Error::from_raw_os_error(errno));
        assert!(ours(libc::EMFILE) && !ours(libc::ENOENT) && !ours(libc::EACCES));
    }

    /// A folder that looks like /proc, with one process.
    fn proc_with(environ: &[u8], at: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        let process = proc.path().join("4242");
        std::fs::create_dir(&process).unwrap();
        // Fields 4 to 49 are 0, then where the environment is, then the exit code.
        let stat = format!("4242 (x) R {}{at} 0\n", "0 ".repeat(46));
        std::fs::write(process.join("stat"), stat).unwrap();
        std::fs::write(process.join("environ"), environ).unwrap();
        proc
    }

    #[test]
    fn a_process_in_execve_is_looked_at_again() {
        let signs = Signs { group: u32::MAX, mark: b"M=1".to_vec(), since: 0 };
        let look = |proc: &tempfile::TempDir| {
            let mut found = Found::default();
            (signs.look_at(proc.path(), 4242, &mut found).unwrap(), found.alive.len())
        };
        assert_eq!(look(&proc_with(b"", "0 0")), (Seen::TooSoon, 0));
        assert_eq!(look(&proc_with(b"", "8 8")), (Seen::Whole, 0), "it was given no environment");
        assert_eq!(look(&proc_with(b"M=1\0", "8 12")), (Seen::Whole, 1));
        assert_eq!(look(&proc_with(b"M=2\0", "8 12")), (Seen::Whole, 0));
    }

    #[test]
    fn a_process_with_the_mark_is_found_unless_it_is_older_than_the_run() {
        let mut marked = Command::new("sleep").arg("1000").env("M", "older").spawn().unwrap();
        let stat = task::stat(Path::new("/proc"), marked.id()).unwrap();
        let started = Stat::parse(&stat).unwrap().start_ticks;
        // No process has this group.
        let of_run = |since| Signs { group: u32::MAX, mark: b"M=older".to_vec(), since };
        let pids = |since| -> Vec<u32> {
            of_run(since).look().unwrap().alive.iter().map(|member| member.pid).collect()
        };
        assert_eq!(pids(started), [marked.id()], "of the same tick");
        assert_eq!(pids(0), [marked.id()], "where the start of the run is not known");
        assert!(pids(started + 1).is_empty());
        marked.kill().unwrap();
        marked.wait().unwrap();
    }
}
