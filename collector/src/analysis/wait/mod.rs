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

use hangscope_protocol::record::{SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, thread_flags};

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
    let nothing = Wait {
        tid: thread.tid,
        kind: WaitKind::Unknown,
        object: None,
        word: None,
        value: None,
        expected: None,
        owner: None,
        guessed: false,
        inferred: false,
        foreign: None,
        parked: false,
        timed: false,
        futex: false,
        detail: Text::default(),
    };
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
    Wait { kind: WaitKind::Call(call.kind), timed, detail, ..nothing }
}
