//! The shim's own share of a program's memory.

use std::path::Path;

/// Resident memory of these DSOs and of the mapping that the shim's own thread has its stack in, KiB: the
/// shim has no other. None: the process has ended, or may not be looked at.
pub(super) fn kib(pid: u32, watchdog: u32, dsos: &[&Path]) -> Option<u64> {
    let syscall = std::fs::read_to_string(format!("/proc/{pid}/task/{watchdog}/syscall")).ok()?;
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    sum(&smaps, stack_pointer(&syscall)?, dsos)
}

/// The last number but one of a blocked thread's `syscall` (proc_pid_syscall(5)).
fn stack_pointer(syscall: &str) -> Option<u64> {
    let word = syscall.split_ascii_whitespace().rev().nth(1)?;
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

fn sum(smaps: &str, stack: u64, dsos: &[&Path]) -> Option<u64> {
    let (mut sum, mut counts, mut found) = (0, false, false);
    for line in smaps.lines() {
        if let Some(kib) = line.strip_prefix("Rss:") {
            let kib: u64 = kib.trim().strip_suffix("kB")?.trim().parse().ok()?;
            sum += if counts { kib } else { 0 };
        } else if let Some((from, to)) = range(line) {
            let is_dso =
                dsos.iter().any(|dso| line.find('/').is_some_and(|at| Path::new(&line[at..]) == *dso));
            counts = is_dso || (from..to).contains(&stack);
            found |= is_dso;
        }
    }
    found.then_some(sum)
}

/// The addresses of a mapping, from its first line.
fn range(line: &str) -> Option<(u64, u64)> {
    let (from, to) = line.split_ascii_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_dsos_and_of_the_stack() {
        let smaps = "55d0-55d9 r-xp 00000000 fd:00 1 /bench\nSize: 4 kB\nRss: 100 kB\nPss: 1 kB\n\
            7f00-7f10 r-xp 00000000 fd:00 2 /lib/a b.so\nRss: 30 kB\n\
            7f10-7f20 rw-p 00000000 00:00 0 \nRss: 8 kB\n\
            7f20-7f30 rw-p 00000000 00:00 0 [heap]\nRss: 50 kB\n";
        let shim = Path::new("/lib/a b.so");
        assert_eq!(sum(smaps, 0x7f18, &[shim]), Some(38));
        assert_eq!(sum(smaps, 0x7f18, &[Path::new("/other.so")]), None);
        let syscall = "7 0x7ffc 0x1 0x3e8 0x0 0x0 0x0 0x7f18 0x7f9999\n";
        assert_eq!(stack_pointer(syscall), Some(0x7f18));
        assert_eq!((stack_pointer("running\n"), stack_pointer("")), (None, None));
    }
}
