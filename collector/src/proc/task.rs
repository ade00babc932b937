//! The thread through which `/proc` and `process_vm_readv` show what all threads of a process share.

use std::fs;

use procfs::FromRead as _;
use procfs::process::Stat;

/// A thread that has the memory and the files of its process. This is the main thread. If the main thread
/// has left by `pthread_exit` and the process goes on, it is the first other thread; `/proc/TID` then
/// serves as `/proc/PID` does. If no thread is left, it is `pid`.
pub(crate) fn sharing(pid: u32) -> u32 {
    if !state(pid, pid).is_some_and(has_left) {
        return pid;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let mut tids = tasks.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    tids.find(|tid| state(pid, *tid).is_some_and(|state| !has_left(state))).unwrap_or(pid)
}

fn state(pid: u32, tid: u32) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    Some(Stat::from_read(&*stat).ok()?.state)
}

/// A zombie has neither memory nor files.
fn has_left(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

#[cfg(test)]
mod tests {
    use crate::proc::task::*;

    #[test]
    fn a_process_is_seen_by_its_main_thread_and_a_dead_one_by_nobody_else() {
        assert_eq!(sharing(std::process::id()), std::process::id());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while state(child.id(), child.id()) != Some('Z') {
            std::thread::yield_now();
        }
        assert_eq!(sharing(child.id()), child.id());
        child.wait().unwrap();
        assert_eq!(sharing(child.id()), child.id());
    }
}
