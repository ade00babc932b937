//! The threads of a process, and the thread through which `/proc` shows what they share.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use hangscope_reader::status::Status;
use hangscope_reader::task::Stat;

/// Ids of the processes below `proc`, which is `/proc`.
///
/// # Errors
/// The error of reading the folder.
pub(crate) fn pids(proc: &Path) -> io::Result<Vec<u32>> {
    Ok(fs::read_dir(proc)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// `stat` of a process below `proc`, which is `/proc`: 52 numbers and a name of at most 64 bytes. Much of it
/// is read, so it is read with as few system calls as can be.
///
/// # Errors
/// The error of opening or reading the file.
pub(crate) fn stat(proc: &Path, pid: u32) -> io::Result<Vec<u8>> {
    let mut file = File::open(proc.join(format!("{pid}/stat")))?;
    let mut text = vec![0; 2048];
    let len = file.read(&mut text)?;
    text.truncate(len);
    Ok(text)
}

/// Whether there is a process with this id, if only as a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The process group of a process; none if it is gone.
pub(crate) fn group(pid: u32) -> Option<u32> {
    Some(Stat::parse(&stat(Path::new("/proc"), pid).ok()?)?.pgrp)
}

/// Threads of a process, ascending.
///
/// # Errors
/// The error of reading `/proc/PID/task`.
pub(crate) fn tids(pid: u32) -> io::Result<Vec<u32>> {
    let mut tids = pids(Path::new(&format!("/proc/{pid}/task")))?;
    tids.sort_unstable();
    Ok(tids)
}

/// The tid of a thread in the PID namespace of its process: the last of `NSpid`. None if the thread is gone.
pub(crate) fn tid_inside(pid: u32, tid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    match Status(&status).value(b"NSpid:") {
        Some(tids) => std::str::from_utf8(tids).ok()?.split_ascii_whitespace().last()?.parse().ok(),
        // A kernel without PID namespaces.
        None => Some(tid),
    }
}

/// A thread of a process that has its memory and files: the main thread. If the main thread has left by
/// `pthread_exit` and the process goes on, the first of the other threads. `/proc/TID` then has the files of
/// `/proc/PID`. `pid` itself if no thread is left.
pub(crate) fn sharing(pid: u32) -> u32 {
    if has_ended(pid, pid) != Some(true) {
        return pid;
    }
    let mut tids = tids(pid).unwrap_or_default().into_iter();
    tids.find(|tid| has_ended(pid, *tid) == Some(false)).unwrap_or(pid)
}

/// Whether a thread has neither memory nor files any more; none if it is gone.
fn has_ended(pid: u32, tid: u32) -> Option<bool> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    Some(Stat::parse(&stat)?.has_ended())
}

#[cfg(test)]
mod tests {
    use crate::proc::task::*;

    #[test]
    fn a_thread_knows_itself_by_its_tid() {
        let (pid, tid) = (std::process::id(), nix::unistd::gettid().as_raw().unsigned_abs());
        // The namespace of this process is the one that this /proc shows, or a thread has two ids.
        assert!(tid_inside(pid, tid).is_some());
        assert_eq!(tid_inside(pid, u32::MAX), None);
    }

    #[test]
    fn a_process_is_seen_by_its_main_thread_and_a_dead_one_by_nobody_else() {
        assert_eq!(sharing(std::process::id()), std::process::id());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while has_ended(child.id(), child.id()) != Some(true) {
            std::thread::yield_now();
        }
        assert_eq!(sharing(child.id()), child.id());
        child.wait().unwrap();
        assert_eq!(sharing(child.id()), child.id());
    }
}
