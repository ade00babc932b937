//! A look at all threads of a process, through `/proc`.

use std::{fs, io};

use hangscope_reader::task::{Schedstat, Stat};

use crate::proc::{slow, sysconf, task};

/// A thread, as `/proc/PID/task/TID` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadLook {
    pub(crate) tid: u32,
    pub(crate) comm: String,
    pub(crate) state: char,
    /// Processor that it last ran on.
    pub(crate) psr: u16,
    /// CPU time, ns: from schedstat; without that, a multiple of the clock tick.
    pub(crate) cpu_ns: u64,
    /// `utime + stime` over the time since its start, in thousandths: ten times the %CPU of `ps`.
    pub(crate) permille: u64,
    /// The text of `wchan`: `0` for a thread that is not blocked; none if it could not be read.
    pub(crate) wchan: Option<String>,
}

/// Looks at every thread, ascending by tid. A thread that leaves meanwhile is left out, and so is the shim's
/// own thread. `shim_tid` is its tid in the PID namespace of the process. Its name proves nothing: a thread
/// of the program may be called `hangscope`, too.
///
/// # Errors
/// Why no thread could be seen, for a person.
pub(crate) fn look(pid: u32, shim_tid: Option<u32>) -> Result<Vec<ThreadLook>, String> {
    let tids = task::tids(pid).map_err(|e| io_why(pid, &e))?;
    let uptime = uptime();
    let is_shim = |tid: u32| shim_tid.is_some() && task::tid_inside(pid, tid) == shim_tid;
    let tids = tids.into_iter().filter(|tid| !is_shim(*tid));
    let threads: Vec<ThreadLook> = tids.filter_map(|tid| thread(pid, tid, uptime)).collect();
    if threads.is_empty() { Err(ended(pid)) } else { Ok(threads) }
}

/// `uptime` in seconds.
fn thread(pid: u32, tid: u32, uptime: f64) -> Option<ThreadLook> {
    let file = |name: &str| fs::read(format!("/proc/{pid}/task/{tid}/{name}"));
    let stat = file("stat").ok()?;
    let stat = Stat::parse(&stat)?;
    let ticks = sysconf::ticks_per_second();
    let used = stat.cpu_ticks();
    let seconds = (uptime - stat.start_ticks as f64 / ticks as f64).max(0.0) as u64;
    let schedstat = file("schedstat").ok().and_then(|text| Schedstat::parse(&text));
    Some(ThreadLook {
        tid,
        comm: String::from_utf8_lossy(stat.comm).into_owned(),
        state: stat.state.into(),
        psr: stat.processor,
        cpu_ns: schedstat.map_or(used * 1_000_000_000 / ticks, |s| s.cpu_ns),
        permille: (used * 1000 / ticks).checked_div(seconds).unwrap_or(0),
        wchan: file("wchan").ok().map(|text| String::from_utf8_lossy(&text).into_owned()),
    })
}

/// Seconds since boot, as `ps` reads them; 0 if they are not known.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0)
}

/// Reads a file of `/proc/PID`.
///
/// # Errors
/// Why not, for a person.
pub(crate) fn read(pid: u32, file: &str) -> Result<Vec<u8>, String> {
    slow::read(format!("/proc/{pid}/{file}")).map_err(|e| io_why(pid, &e))
}

/// Width of a column of process ids in `ps`: as many digits as the largest id can have, at least 5.
pub(crate) fn pid_width() -> usize {
    let max = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    max.trim().len().max(5)
}

fn io_why(pid: u32, error: &io::Error) -> String {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) | (_, Some(libc::ESRCH)) => ended(pid),
        (io::ErrorKind::PermissionDenied, _) => {
            format!(
                "not permitted to look at process {pid}: it runs as another user or is not dumpable; run as root"
            )
        }
        (io::ErrorKind::TimedOut, _) => format!("the memory of process {pid} that holds it does not come"),
        _ => format!("process {pid} could not be looked at: {error}"),
    }
}

pub(crate) fn ended(pid: u32) -> String {
    format!("process {pid} has ended")
}
