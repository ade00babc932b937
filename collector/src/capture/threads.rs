//! A look at all threads of a process, through `/proc`.

use std::io;

use procfs::ProcError;
use procfs::process::{Process, Task};

/// A thread, as `/proc/PID/task/TID` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadLook {
    /// Thread.
    pub(crate) tid: u32,
    /// Name.
    pub(crate) comm: String,
    /// State letter.
    pub(crate) state: char,
    /// Processor that it last ran on.
    pub(crate) psr: i32,
    /// CPU time, ns (schedstat; where that is not to be had, a multiple of the clock tick).
    pub(crate) cpu_ns: u64,
    /// `utime + stime` over the time since its start, in thousandths: what `ps` calls %CPU, times ten.
    pub(crate) permille: u64,
    /// What the wait channel's file holds: `0` for a thread that is not blocked; none if it could not be read.
    pub(crate) wchan: Option<String>,
}

/// Looks at every thread; by tid. Threads that leave meanwhile are left out.
///
/// # Errors
/// Why nothing could be seen, for a person.
pub(crate) fn look(pid: u32) -> Result<Vec<ThreadLook>, String> {
    let said = |e: ProcError| why(pid, &e);
    let process = Process::new(pid as i32).map_err(said)?;
    let uptime = procfs::Uptime::new_or_zero();
    let ticks = procfs::ticks_per_second();
    let mut threads: Vec<ThreadLook> =
        process.tasks().map_err(said)?.flatten().filter_map(|task| thread(&task, uptime, ticks)).collect();
    threads.sort_by_key(|t| t.tid);
    if threads.is_empty() { Err(ended(pid)) } else { Ok(threads) }
}

fn thread(task: &Task, uptime: f64, ticks: u64) -> Option<ThreadLook> {
    let stat = task.stat().ok()?;
    let spent = stat.utime + stat.stime;
    let seconds = (uptime - stat.starttime as f64 / ticks as f64).max(0.0) as u64;
    let wchan = std::fs::read_to_string(format!("/proc/{}/task/{}/wchan", task.pid, task.tid)).ok();
    Some(ThreadLook {
        tid: task.tid as u32,
        comm: stat.comm,
        state: stat.state,
        psr: stat.processor.unwrap_or(0),
        cpu_ns: task.schedstat().map_or(spent * 1_000_000_000 / ticks, |s| s.sum_exec_runtime),
        permille: (spent * 1000 / ticks).checked_div(seconds).unwrap_or(0),
        wchan,
    })
}

/// Reads a file of `/proc/PID`.
///
/// # Errors
/// Why not, for a person.
pub(crate) fn read(pid: u32, file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(format!("/proc/{pid}/{file}")).map_err(|e| io_why(pid, &e))
}

/// How wide `ps` makes a column of process ids: as many digits as the largest can have, at least 5.
pub(crate) fn pid_width() -> usize {
    let max = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    max.trim().len().max(5)
}

fn why(pid: u32, error: &ProcError) -> String {
    match error {
        ProcError::NotFound(_) => ended(pid),
        ProcError::PermissionDenied(_) => not_permitted(pid),
        ProcError::Io(e, _) => io_why(pid, e),
        other => format!("process {pid} could not be looked at: {other}"),
    }
}

fn io_why(pid: u32, error: &io::Error) -> String {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) | (_, Some(libc::ESRCH)) => ended(pid),
        (io::ErrorKind::PermissionDenied, _) => not_permitted(pid),
        _ => format!("process {pid} could not be looked at: {error}"),
    }
}

/// That it is no more.
pub(crate) fn ended(pid: u32) -> String {
    format!("process {pid} has ended")
}

fn not_permitted(pid: u32) -> String {
    format!("not permitted to look at process {pid}: it runs as another user or is not dumpable; run as root")
}

trait OrZero {
    fn new_or_zero() -> f64;
}

impl OrZero for procfs::Uptime {
    /// Seconds since boot.
    fn new_or_zero() -> f64 {
        use procfs::Current as _;
        procfs::Uptime::current().map_or(0.0, |u| u.uptime)
    }
}
