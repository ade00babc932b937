//! The programs of a run, as /proc shows them: which processes it has, and what each of them executes.
//!
//! A launcher (`flock`, `xargs`, `perf stat`, a script) starts the benchmark, and the benchmark may have lost
//! its environment on the way. It says no hello then. Only /proc shows that it is there.
//!
//! Looks are taken at growing intervals, so a program that takes most of the time of a run is always seen.
//! A look follows the lists of children from the first process on. A kernel without these lists
//! (CONFIG_PROC_CHILDREN) has all processes of the machine read. It may take at most one part in [`COST`] of
//! a processor.
//!
//! The kernel keeps an entry for every thread that was listed, and removes the entries when the threads end.
//! Whoever reaps the process meanwhile turns in a loop until that is done. So the children of all threads are
//! looked for only where the run is old enough ([`THREADS`]), and those of the main thread from the start:
//! most launchers have no other thread.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hangscope_reader::task::Stat;
use nix::time::{ClockId, clock_gettime};

use crate::proc::task;
use crate::session::{Dso, maps};

/// The first look, after the start of the run.
const FIRST: Duration = Duration::from_millis(4);
/// An exec that has closed the descriptors is over by then.
const SOON: Duration = Duration::from_millis(2);
/// The longest interval between two looks.
const LONGEST: Duration = Duration::from_millis(250);
/// The end of a process takes no longer than this.
const LATELY: Duration = Duration::from_secs(1);
/// From this age of a run on, the children of all threads are looked for.
const THREADS: Duration = Duration::from_millis(50);
/// A look is followed by a pause of this many times its CPU time.
const COST: u32 = 50;

/// A program that was seen in a run: an image of a process, from one exec to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    /// Start of the process in clock ticks since boot. With `pid` it names the process.
    pub(crate) start_ticks: u64,
    /// Its file; the name of its main thread in brackets if the file may not be read.
    pub(crate) exe: String,
    /// Name of its main thread.
    pub(crate) comm: String,
    /// CPU time of the process so far, in clock ticks: also that of its earlier programs.
    pub(crate) ticks: u64,
    pub(crate) threads: u32,
    /// First and last look at which it was there.
    pub(crate) from: Instant,
    pub(crate) until: Instant,
    /// It was there at the last look.
    pub(crate) alive: bool,
    /// It executes the file of its parent and has the DSO mapped: a copy of its parent, made by fork.
    pub(crate) copy_of_parent: bool,
}

/// What the first process of a run left, read while it is a zombie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) comm: String,
    /// CPU time of its own, clock ticks.
    pub(crate) ticks: u64,
    /// CPU time of the children that it has waited for, clock ticks.
    pub(crate) children_ticks: u64,
    /// It has waited for a child that touched memory of its own. A program that was executed always does.
    pub(crate) had_children: bool,
}

/// A program whose connection has ended.
#[derive(Debug)]
pub(crate) struct Disconnected<'a> {
    pub(crate) pid: u32,
    /// What it told of its DSOs, those that it keeps to its end.
    pub(crate) dsos: Vec<&'a Dso>,
}

impl Disconnected<'_> {
    /// Whether its process still has it in memory.
    fn is_mapped(&self) -> bool {
        has_mapped(self.pid, self.dsos.iter().copied())
    }
}

#[derive(Debug)]
pub(crate) struct Census {
    first: u32,
    /// Path of the run's DSO, as in /proc/PID/maps.
    dso: PathBuf,
    seen: Vec<Seen>,
    started: Instant,
    step: Duration,
    next: Instant,
}

impl Census {
    /// For a run whose first process is `first`, which is also its process group.
    pub(crate) fn new(first: u32, dso: &Path, started: Instant) -> Census {
        Census { first, dso: dso.to_owned(), seen: vec![], started, step: FIRST, next: started + FIRST }
    }

    /// In the order in which they were seen first.
    pub(crate) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// When the next look is due.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    /// Looks at all processes. If /proc cannot be read, nothing is seen.
    pub(crate) fn look(&mut self) {
        let cpu = cpu_time();
        let found = if has_lists_of_children() { self.below() } else { self.among_all() };
        self.seen.iter_mut().for_each(|seen| seen.alive = false);
        for brief in found {
            self.take(&brief, Instant::now());
        }
        let cost = cpu_time().saturating_sub(cpu);
        self.next = Instant::now() + self.step.max(cost * COST);
        self.step = (self.step * 3 / 2).min(LONGEST);
    }

    /// The same. Tells of each program whose connection has ended ([`Disconnected`]) whether it was still
    /// there; None: its process has ended. One that is just ending has its files for a while, and was there.
    pub(crate) fn look_and_tell(&mut self, disconnected: &[Disconnected<'_>]) -> Vec<Option<bool>> {
        let before: Vec<bool> = disconnected.iter().map(Disconnected::is_mapped).collect();
        self.look();
        // What was seen between the two may be what was there before, and has no memory any more.
        let is_there = |(s, before): (&Disconnected<'_>, bool)| {
            self.lives(s.pid).then(|| s.is_mapped() || before && mappings(s.pid).is_empty())
        };
        disconnected.iter().zip(before).map(is_there).collect()
    }

    /// Whether a process whose connection ended at `since` may still be there.
    pub(crate) fn may_live(&self, pid: u32, since: Instant) -> bool {
        since.elapsed() < LATELY || self.lives(pid)
    }

    /// Makes the next look due at once: an exec may be under way.
    fn look_soon(&mut self) {
        self.next = self.next.min(Instant::now() + SOON);
    }

    /// Forgets the programs that were not there at the last look: a long command has many.
    pub(crate) fn forget_the_dead(&mut self) {
        self.seen.retain(|seen| seen.alive);
    }

    /// Whether a process was there at the last look.
    pub(crate) fn lives(&self, pid: u32) -> bool {
        self.alive().any(|seen| seen.pid == pid)
    }

    /// Looks at a process whose connection has just ended: it may execute another program by now. While it
    /// has the DSOs of its program it does not: it is ending, or goes on without its shim.
    pub(crate) fn look_at_disconnected(&mut self, disconnected: &Disconnected<'_>) {
        if !disconnected.is_mapped() {
            self.look_at(disconnected.pid);
        }
        self.look_soon();
    }

    /// Looks at one process.
    pub(crate) fn look_at(&mut self, pid: u32) {
        if let Ok(brief) = Brief::read(pid) {
            self.take(&brief, Instant::now());
        }
    }

    /// The programs that were there at the last look.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| seen.alive)
    }

    /// Of the live processes the one that the others were started for: it has no child among them, and did
    /// the most. The first process if none is alive.
    pub(crate) fn leaf(&self) -> u32 {
        let has_child = |pid: u32| self.alive().any(|seen| seen.ppid == pid);
        let leaves = self.alive().filter(|seen| !has_child(seen.pid));
        leaves.max_by_key(|seen| (seen.threads, seen.ticks, seen.pid)).map_or(self.first, |seen| seen.pid)
    }

    /// Whether a process is in the run's group, or belonged to the run before.
    fn is_own(&self, b: &Brief) -> bool {
        let known = || self.seen.iter().any(|s| (s.pid, s.start_ticks) == (b.pid, b.start_ticks));
        b.pid == self.first || b.pgrp == self.first || known()
    }

    /// The first process, orphans of the run, which may have become children of this process, and all that
    /// these have started.
    fn below(&self) -> Vec<Brief> {
        let known = self.seen.iter().filter(|seen| seen.alive).map(|seen| seen.pid);
        let mut todo: Vec<u32> = [self.first].into_iter().chain(known).collect();
        // An orphan becomes a child of the main thread.
        todo.extend(children_of_main(std::process::id()));
        let of_threads = self.started.elapsed() >= THREADS;
        let (mut met, mut found) = (BTreeSet::new(), vec![]);
        let roots = todo.len();
        let mut at = 0;
        while let Some(pid) = todo.get(at).copied() {
            at += 1;
            let Ok(brief) = Brief::read(pid) else { continue };
            if !met.insert(pid) || at <= roots && !self.is_own(&brief) {
                continue;
            }
            match brief.threads {
                0 => {}
                2.. if of_threads => todo.extend(children(pid)),
                _ => todo.extend(children_of_main(pid)),
            }
            found.push(brief);
        }
        found
    }

    /// The same from all processes of the machine.
    fn among_all(&self) -> Vec<Brief> {
        let pids = task::pids(Path::new("/proc")).unwrap_or_default();
        let mut stats: Vec<Brief> = pids.into_iter().filter_map(|pid| Brief::read(pid).ok()).collect();
        let mut members: BTreeSet<u32> = stats.iter().filter(|b| self.is_own(b)).map(|b| b.pid).collect();
        loop {
            let child = |b: &&Brief| members.contains(&b.ppid) && !members.contains(&b.pid);
            let children: Vec<u32> = stats.iter().filter(child).map(|b| b.pid).collect();
            if children.is_empty() {
                stats.retain(|b| members.contains(&b.pid));
                return stats;
            }
            members.extend(children);
        }
    }

    fn take(&mut self, brief: &Brief, at: Instant) {
        let Some(exe) = executable(brief) else { return };
        let same = |s: &&mut Seen| (s.pid, s.start_ticks) == (brief.pid, brief.start_ticks);
        let comm = String::from_utf8_lossy(&brief.comm).into_owned();
        if let Some(seen) = self.seen.iter_mut().rev().find(same).filter(|seen| seen.exe == exe) {
            // A process whose parent has ended gets another parent, which did not start it.
            (seen.comm, seen.ticks, seen.threads) = (comm, brief.ticks, brief.threads);
            (seen.until, seen.alive) = (at, true);
            return;
        }
        let parent_runs_it =
            self.seen.iter().rev().find(|s| s.pid == brief.ppid).is_some_and(|s| s.exe == exe);
        self.seen.push(Seen {
            pid: brief.pid,
            ppid: brief.ppid,
            start_ticks: brief.start_ticks,
            copy_of_parent: parent_runs_it && maps_file(brief.pid, &self.dso),
            exe,
            comm,
            ticks: brief.ticks,
            threads: brief.threads,
            from: at,
            until: at,
            alive: true,
        });
    }

    /// What the first process left. It must not have been reaped.
    pub(crate) fn left(&self) -> Option<Left> {
        Left::parse(&task::stat(Path::new("/proc"), self.first).ok()?)
    }
}

impl Left {
    fn parse(stat: &[u8]) -> Option<Left> {
        let comm = String::from_utf8_lossy(Stat::parse(stat)?.comm).into_owned();
        let close = stat.iter().rposition(|b| *b == b')')?;
        let text = String::from_utf8_lossy(stat.get(close + 1..)?).into_owned();
        let fields: Vec<u64> = text.split_whitespace().skip(1).map(|f| f.parse().unwrap_or(0)).collect();
        // Field 4 of proc_pid_stat(5) is the first here: cminflt is 11, cmajflt 13, utime 14 to cstime 17.
        let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0);
        Some(Left {
            comm,
            ticks: field(14).saturating_add(field(15)),
            children_ticks: field(16).saturating_add(field(17)),
            had_children: field(11) + field(13) > 0,
        })
    }
}

/// A process at one look.
struct Brief {
    pid: u32,
    ppid: u32,
    pgrp: u32,
    start_ticks: u64,
    ticks: u64,
    /// 0 if all have ended: it was not reaped.
    threads: u32,
    comm: Vec<u8>,
}

impl Brief {
    fn read(pid: u32) -> io::Result<Brief> {
        let stat = task::stat(Path::new("/proc"), pid)?;
        let stat = Stat::parse(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Brief {
            pid,
            ppid: stat.ppid,
            pgrp: stat.pgrp,
            start_ticks: stat.start_ticks,
            ticks: stat.cpu_ticks(),
            threads: if stat.has_ended() && stat.threads <= 1 { 0 } else { stat.threads },
            comm: stat.comm.to_vec(),
        })
    }
}

/// Whether the kernel lists the children of a thread.
fn has_lists_of_children() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| Path::new("/proc/thread-self/children").exists())
}

/// Children of all threads of a process. Empty if it has ended.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    task::tids(pid).unwrap_or_default().into_iter().flat_map(|tid| children_of(pid, tid)).collect()
}

/// Children of the main thread of a process.
fn children_of_main(pid: u32) -> Vec<u32> {
    children_of(pid, pid)
}

fn children_of(pid: u32, tid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// CPU time of this thread. Wall-clock time would count the time in which a busy machine runs others.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The file that a process executes. None: it is ending and has no memory any more.
fn executable(brief: &Brief) -> Option<String> {
    if brief.threads == 0 {
        return None;
    }
    let pid = brief.pid;
    let read = |tid: u32| fs::read_link(format!("/proc/{pid}/task/{tid}/exe"));
    let link = read(pid).or_else(|error| match task::sharing(pid) {
        tid if tid != pid => read(tid),
        _ => Err(error),
    });
    match link {
        Ok(path) => Some(path.to_string_lossy().trim_end_matches(" (deleted)").to_owned()),
        // A process of another user, or one that may not be dumped. It has ended if its size is 0.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let statm = fs::read(format!("/proc/{pid}/statm")).ok()?;
            (!statm.starts_with(b"0 ")).then(|| format!("[{}]", String::from_utf8_lossy(&brief.comm)))
        }
        Err(_) => None,
    }
}

/// Whether a process still has these DSOs mapped where they were: the program that told of them has not been
/// replaced by an exec.
pub(crate) fn has_mapped<'a>(pid: u32, dsos: impl IntoIterator<Item = &'a Dso>) -> bool {
    let mappings = mappings(pid);
    let mapped = |dso: &Dso| mappings.iter().any(|m| m.start == dso.init.start && m.path == dso.path);
    let mut dsos = dsos.into_iter().peekable();
    dsos.peek().is_some() && dsos.all(mapped)
}

/// Whether a process has this file mapped.
pub(crate) fn maps_file(pid: u32, path: &Path) -> bool {
    mappings(pid).iter().any(|m| Path::new(&m.path) == path)
}

fn mappings(pid: u32) -> Vec<maps::Mapping> {
    let path = format!("/proc/{pid}/task/{}/maps", task::sharing(pid));
    fs::read(path).map(|text| maps::parse(&text)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn start(script: &str) -> (Child, Census) {
        let mut command = Command::new("bash");
        let child = command.args(["-c", script]).process_group(0).spawn().unwrap();
        let census = Census::new(child.id(), Path::new("/nonexistent/x.so"), Instant::now());
        (child, census)
    }

    fn names(census: &Census) -> Vec<String> {
        census.alive().map(|s| s.exe.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn what_left_the_group_is_seen_and_each_exec_is_a_program_of_its_own() {
        let (mut child, mut census) = start("env -i setsid sleep 1000 & exec sleep 1001");
        let until = Instant::now() + Duration::from_secs(20);
        while names(&census).iter().filter(|name| *name == "sleep").count() < 2 {
            assert!(Instant::now() < until, "{:?}", census.seen());
            census.look();
        }
        let other = census.alive().find(|s| s.pid != child.id()).unwrap().clone();
        assert_eq!(census.leaf(), other.pid, "it is a child of the first");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(other.pid as i32),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        child.kill().unwrap();
        while !matches!(census.left(), Some(left) if left.comm == "sleep") {
            assert!(Instant::now() < until);
        }
        child.wait().unwrap();
        census.look();
        assert_eq!(census.alive().filter(|s| s.pid == child.id()).count(), 0);
    }

    #[test]
    fn both_ways_find_the_same_processes() {
        let (mut child, mut census) = start("sleep 1000 & sleep 1000 & wait");
        let until = Instant::now() + Duration::from_secs(20);
        while names(&census).iter().filter(|name| *name == "sleep").count() < 2 {
            assert!(Instant::now() < until, "{:?}", census.seen());
            census.look();
        }
        let pids = |found: Vec<Brief>| found.iter().map(|b| b.pid).collect::<BTreeSet<u32>>();
        assert_eq!(pids(census.below()), pids(census.among_all()));
        nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(child.id() as i32),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn children_of_every_thread_are_found_once_the_run_is_older() {
        // A test runs in a thread that is not the main one.
        let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let found = |started: Instant| {
            let census = Census::new(std::process::id(), Path::new("/nonexistent/x.so"), started);
            census.below().iter().any(|brief| brief.pid == child.id())
        };
        assert!(!found(Instant::now() + THREADS), "the main thread has not started it");
        assert!(found(Instant::now() - THREADS));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_first_process_leaves_whether_it_had_children() {
        for (script, had_children) in [("exec true", false), ("true", false), ("/bin/true; true", true)] {
            let (mut child, census) = start(script);
            let stat = format!("/proc/{}/stat", child.id());
            while !Stat::parse(&fs::read(&stat).unwrap()).unwrap().has_ended() {
                std::thread::yield_now();
            }
            assert_eq!(census.left().unwrap().had_children, had_children, "{script}");
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_dso_that_is_mapped_elsewhere_is_not_the_one_that_was_told_of() {
        let own = mappings(std::process::id());
        let libc = own.iter().find(|m| m.path.contains("libc.so")).unwrap();
        let init =
            hangscope_protocol::record::DsoRecord { start: libc.start, ..crate::testkit::dump::zero() };
        let dso = Dso { init, path: libc.path.clone(), now: None };
        assert!(has_mapped(std::process::id(), [&dso]));
        let moved =
            Dso { init: hangscope_protocol::record::DsoRecord { start: 4096, ..init }, ..dso.clone() };
        assert!(!has_mapped(std::process::id(), [&moved]));
        assert!(!has_mapped(std::process::id(), []));
        // A look at its process after the end of its connection: the same program, or another one.
        let at_look = |dso| {
            let pid = std::process::id();
            let mut census = Census::new(pid, Path::new("/nonexistent/x.so"), Instant::now());
            let disconnected = Disconnected { pid, dsos: vec![dso] };
            census.look_at_disconnected(&disconnected);
            let seen_at_once = census.seen().len();
            (seen_at_once, census.look_and_tell(&[disconnected]))
        };
        assert_eq!(at_look(&dso), (0, vec![Some(true)]));
        assert_eq!(at_look(&moved), (1, vec![Some(false)]));
    }
}
