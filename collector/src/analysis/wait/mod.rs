//! What each thread waits for: from the system call, its arguments, the memory around a
//! futex word, and the frames.
//!
//! - `model`: a wait as data
//! - `futex`: futex waits, by operation, word and surrounding memory
//! - `names`: futex waits, by the functions on the stack
//! - `resolve`: owners that only all waits and stacks together tell
//! - `word`: the operation of a futex call, and the memory around its word
//! - `wait_text`: the phrases for people

mod futex;
mod model;
mod names;
mod resolve;
#[cfg(test)]
mod tests;
mod wait_text;
mod word;

pub(crate) use futex::MOST_STATES;
pub(crate) use model::{MutexKind, Owner, Tids, Wait, WaitKind};
pub(crate) use resolve::resolve;
pub(crate) use wait_text::WaitText;
pub(crate) use word::claimed_owner;

use hangscope_protocol::record::{
    SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, other_end, thread_flags,
};

use crate::session::syscalls::{FirstArgument, Syscall, Syscalls};
use crate::session::trace::Frame;
use crate::session::{Dump, record_text};
use crate::text::message::{Say as _, Text, say};

/// What a thread of the dump waits for; none if it runs or could not be read. `frames` are its stack,
/// innermost first; empty where there is none.
pub(crate) fn wait_of(dump: &Dump, thread: &ThreadRecord, frames: &[Frame], tids: &Tids) -> Option<Wait> {
    if thread.syscall == SYSCALL_RUNNING || matches!(thread.state, b'R' | b'Z' | b'X' | 0) {
        return None;
    }
    let nothing = Wait::of(thread.tid);
    let syscalls = Syscalls::from_elf(dump.identity.fixed.arch);
    let call = syscalls.and_then(|syscalls| syscalls.call(thread.syscall));
    Some(match (thread.syscall, call) {
        (SYSCALL_UNREADABLE, _) => {
            // Only the wait channel could be read: the name of a kernel function.
            let wchan = record_text::padded(&thread.wchan);
            let futex = wchan.starts_with("futex_");
            let kind = if futex { WaitKind::Futex } else { WaitKind::Unknown };
            let detail = match wchan.as_str() {
                "" => WaitText::KernelSomewhere {},
                place => say!(WaitText::Kernel { place }),
            };
            Wait { kind, futex, detail: detail.said(), ..nothing }
        }
        (-1, _) => Wait { kind: WaitKind::Fault, detail: WaitText::PageFault {}.said(), ..nothing },
        (_, Some(call)) if call.name == "futex" || is_restarted_futex(call, thread) => {
            futex::wait(thread, frames, tids, nothing)
        }
        (_, Some(call)) if call.name == "futex_waitv" && thread.flags & thread_flags::NEAR != 0 => {
            futex::vector(thread, nothing)
        }
        (_, Some(call)) => other_call(dump, thread, call, nothing),
        (number, None) => Wait { detail: say!(WaitText::SystemCall { number }).said(), ..nothing },
    })
}

/// A timed futex wait that a signal interrupted goes on as `restart_syscall`. The futex's arguments and the
/// wait channel are still there.
fn is_restarted_futex(call: &Syscall, thread: &ThreadRecord) -> bool {
    call.name == "restart_syscall" && record_text::padded(&thread.wchan).starts_with("futex_")
}

fn other_call(dump: &Dump, thread: &ThreadRecord, call: &'static Syscall, nothing: Wait) -> Wait {
    let detail = match call.first {
        FirstArgument::Fd => {
            let fd = thread.args[0] as i32;
            match dump.fds.get(&fd) {
                Some(target) => say!(WaitText::OfFdTo { call: call.name, fd, target }).said(),
                None => say!(WaitText::OfFd { call: call.name, fd }).said(),
            }
        }
        FirstArgument::Other => call.name.said(),
    };
    let timed = matches!(call.kind, "nanosleep" | "sched_yield");
    let (detail, closed) = with_ends(dump, thread.tid, call.kind, detail);
    Wait { kind: WaitKind::Call(call.kind), timed, closed, detail, ..nothing }
}

/// The phrase of a wait with who can end it, and whether that is only this process or one that waits for it.
fn with_ends(dump: &Dump, tid: u32, kind: &str, wait: Text) -> (Text, bool) {
    let ends: Vec<(u32, &str, u16)> = dump.other_ends(tid).collect();
    let own = ends.iter().any(|(_, _, flags)| flags & other_end::OWN != 0);
    let open = ends.iter().any(|(_, _, flags)| flags & other_end::OPEN != 0);
    let other = ends.iter().find(|(_, _, flags)| flags & other_end::OWN == 0);
    let waits = |flags: u16| flags & (other_end::OWN | other_end::WAITS) != 0;
    let closed = !ends.is_empty() && !open && ends.iter().all(|(_, _, flags)| waits(*flags));
    let text = match (kind, other) {
        _ if ends.is_empty() => return (wait, false),
        ("flock" | "fcntl", None) => say!(WaitText::LockedHere { wait }),
        ("flock" | "fcntl", Some((pid, comm, _))) => say!(WaitText::LockedBy { wait, comm, pid }),
        ("wait4", Some((pid, comm, _))) => say!(WaitText::ChildIs { wait, comm, pid }),
        (_, None) if closed => say!(WaitText::EndsOnlyHere { wait }),
        (_, None) => say!(WaitText::EndsHere { wait }),
        (_, Some((pid, comm, _))) if own => say!(WaitText::EndsHereAnd { wait, comm, pid }),
        (_, Some((pid, comm, _))) => say!(WaitText::EndsIn { wait, comm, pid }),
    };
    let all_wait =
        other.is_some_and(|(_, _, flags)| flags & other_end::WAITS != 0) && ends.iter().all(|e| waits(e.2));
    let text = if all_wait { say!(WaitText::WaitsForUs { wait: text.said() }) } else { text };
    (text.said(), closed)
}
