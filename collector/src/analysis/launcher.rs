//! Whether a process only waits for what it has started: a shell, `timeout`, a launcher.

use crate::session::Dump;
use crate::session::syscalls::Syscalls;

/// Whether every thread of a dump waits for a child to end.
pub(crate) fn waits_for_children(dump: &Dump) -> bool {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return false };
    let waits = |number| arch.call(number).is_some_and(|call| matches!(call.name, "wait4" | "waitid"));
    !dump.threads.is_empty() && dump.threads.iter().all(|t| waits(t.syscall))
}

/// Whether a process has one thread, in a call that is no futex wait: `rt_sigsuspend` (a shell's `wait`),
/// `read` of a pipe, `poll`. If it has a child that is watched, it waits for that child. In vfork the process
/// itself is stuck: its child runs in its memory.
pub(crate) fn only_waits(dump: &Dump) -> bool {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return false };
    let starts = |number| arch.call(number).is_some_and(|call| matches!(call.kind, "fork" | "clone"));
    let waits = |number| number >= 0 && number != arch.futex() && !starts(number);
    matches!(&dump.threads[..], [thread] if waits(thread.syscall))
}
