//! Whether a thread may be sent a signal: in doubt it may not.

use hangscope_reader::task::{Blocked, Syscall};

use super::state::Watchdog;
use crate::arena::Work;
use crate::host::maps;
use crate::sys;

/// Bytes of stack that a signal takes, with room to spare: the red zone, the kernel's frame (12 KiB with AMX,
/// 4 with AVX-512), and the handler.
const FRAME: u64 = 16 * 1024;

impl Watchdog {
    /// Whether a signal can do no harm to a thread: it has no filter of system calls, it waits in a call that
    /// the kernel begins again after a handler, and the stack that it waits on is its own and has room for a
    /// frame. Gives the signals that it blocks.
    ///
    /// A running thread is never sent one: where its stack pointer is, nobody knows before it is asked.
    pub(super) fn may_be_signalled(&self, work: &mut Work, tid: u32) -> Option<u64> {
        let status = self.tasks.status(tid, &mut work.text).ok()?;
        let blocked = status.blocked_signals().filter(|_| !status.is_filtered())?;
        let Ok(Syscall::Blocked(at)) = self.tasks.call(tid, &mut work.text) else { return None };
        (begins_again(&at) && self.has_room(work, tid, at.sp)).then_some(blocked)
    }

    /// Whether `sp` is on the stack that the thread was started with, and so far above its end.
    fn has_room(&self, work: &mut Work, tid: u32, sp: u64) -> bool {
        // libc registers this list for each thread; glibc has it in the thread's descriptor, at the top of
        // its stack. A stack of the program's own making, for a coroutine, is elsewhere.
        let Ok(top) = sys::robust_list(tid) else { return false };
        let (mut below, mut found) = (None, false);
        maps::for_each(&mut work.maps, &mut |m| {
            let usable = m.read && m.write && !m.shared;
            if usable && m.contains(sp) {
                let is_main = m.path == b"[stack]";
                // A guard page is what ends a stack. Without one, the memory below may be anybody's.
                let own = is_main || below == Some(m.start) && m.contains(top) && top > sp;
                found = own && sp - m.start >= FRAME;
            }
            below = (!m.read && !m.write).then_some(m.end);
        });
        found
    }
}

/// Whether the kernel begins a call again, as if nothing had been, after a handler with SA_RESTART
/// (signal(7)). Those with a time limit and those that wait for signals or events it cuts short.
fn begins_again(at: &Blocked) -> bool {
    let [_, operation, _, timeout, ..] = at.args;
    // FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI2 (linux/futex.h).
    match i64::from(at.number) {
        libc::SYS_futex => matches!(operation & 0x7f, 0 | 6 | 9 | 13) && timeout == 0,
        libc::SYS_wait4 | libc::SYS_waitid => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_a_time_limit_are_left_alone() {
        let call = |number: i64, operation: u64, timeout: u64| {
            let args = [0, operation, 0, timeout, 0, 0];
            begins_again(&Blocked { number: number as i32, args, sp: 1, pc: 1 })
        };
        for (number, operation, timeout, may) in [
            (libc::SYS_futex, 0x80, 0, true),
            (libc::SYS_futex, 0x189, 0, true),
            (libc::SYS_futex, 0x189, 0x7f00, false),
            (libc::SYS_wait4, 0, 0, true),
            (libc::SYS_rt_sigtimedwait, 0, 0, false),
            (libc::SYS_epoll_wait, 0, 0, false),
            (libc::SYS_clock_nanosleep, 0, 0, false),
            (libc::SYS_poll, 0, 0, false),
            (libc::SYS_read, 0, 0, false),
        ] {
            assert_eq!(call(number, operation, timeout), may, "{number} {operation:#x} {timeout}");
        }
    }
}
