//! How much memory a process may have, and has.

use std::fs;
use std::path::PathBuf;

use crate::session::{MemoryLimit, MemoryLimits};

/// The limits that are set. What cannot be read is left out.
pub(super) fn of(tid: u32) -> MemoryLimits {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default();
    let (limits, status) = (read(format!("/proc/{tid}/limits")), read(format!("/proc/{tid}/status")));
    let mut found = of_process(&limits, &status);
    let cgroup = read(format!("/proc/{tid}/cgroup"));
    found.extend(cgroup_dir(&cgroup).and_then(|dir| {
        let number = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse().ok();
        let (limit, used) = (number("memory.max")?, number("memory.current")?);
        Some(MemoryLimit { name: "memory.max of its cgroup".to_owned(), limit, used })
    }));
    let mode = read("/proc/sys/vm/overcommit_memory".to_owned());
    if mode.trim() == "2" {
        found.extend(committed(&read("/proc/meminfo".to_owned())));
    }
    MemoryLimits(found)
}

fn of_process(limits: &str, status: &str) -> Vec<MemoryLimit> {
    let pairs = [("RLIMIT_AS", "Max address space", "VmSize"), ("RLIMIT_DATA", "Max data size", "VmData")];
    let one = |(name, line, used): (&str, &str, &str)| {
        let soft = limits.lines().find_map(|l| l.strip_prefix(line))?.split_whitespace().next()?;
        Some(MemoryLimit { name: name.to_owned(), limit: soft.parse().ok()?, used: kib(status, used)? })
    };
    pairs.into_iter().filter_map(one).collect()
}

fn committed(meminfo: &str) -> Option<MemoryLimit> {
    let (limit, used) = (kib(meminfo, "CommitLimit")?, kib(meminfo, "Committed_AS")?);
    Some(MemoryLimit { name: "vm.overcommit_memory=2 (CommitLimit)".to_owned(), limit, used })
}

/// A number of kB after a name, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The folder of a cgroup of version 2.
fn cgroup_dir(cgroup: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|l| l.strip_prefix("0::/"))?;
    Some(PathBuf::from("/sys/fs/cgroup").join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_set_are_read_with_what_is_used() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max data size             unlimited            unlimited            bytes     \n\
            Max address space         2147483648           2147483648           bytes     \n";
        let status = "Name:\tbench\nVmPeak:\t 2097152 kB\nVmSize:\t 2093056 kB\nVmData:\t 1000 kB\n";
        let found = of_process(limits, status);
        let expected = MemoryLimit { name: "RLIMIT_AS".to_owned(), limit: 2 << 30, used: 2_093_056 * 1024 };
        assert_eq!(found, [expected]);
        let commit = committed("CommitLimit:  100 kB\nCommitted_AS:  90 kB\n").unwrap();
        assert_eq!((commit.limit, commit.used), (102_400, 92_160));
        assert_eq!(cgroup_dir("0::/user.slice/x\n"), Some("/sys/fs/cgroup/user.slice/x".into()));
        assert_eq!(cgroup_dir("1:memory:/x\n"), None);
    }
}
