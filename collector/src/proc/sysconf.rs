//! Numbers of this system.

use nix::unistd::{SysconfVar, sysconf};

/// Clock ticks a second: the unit of times in `/proc/PID/stat`.
pub(crate) fn ticks_per_second() -> u64 {
    number(SysconfVar::CLK_TCK, 100)
}

/// Bytes.
pub(crate) fn page_size() -> u64 {
    number(SysconfVar::PAGE_SIZE, 4096)
}

fn number(of: SysconfVar, usual: u64) -> u64 {
    sysconf(of).ok().flatten().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(usual)
}
