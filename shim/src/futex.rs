//! Futex waits: which calls they are, and the memory around the word.

use hangscope_protocol::record::{NEAR_BEFORE, NEAR_LEN, ThreadRecord, thread_flags};

use crate::sys;

/// `futex_wait` of the futex2 interface (Linux 6.7), the same number on all processors.
const SYS_FUTEX_WAIT: i64 = 455;

/// Whether a thread in this system call waits on the futex word that its first argument points to.
pub(crate) fn is_wait(syscall: i32) -> bool {
    [libc::SYS_futex, SYS_FUTEX_WAIT].contains(&i64::from(syscall))
}

/// Reads the memory around the futex word, as far as it is mapped.
pub(crate) fn read_near(thread: &mut ThreadRecord) {
    let word = thread.args[0];
    let Some(start) = word.checked_sub(NEAR_BEFORE as u64) else { return };
    // What is before the word may lie on a page that is not mapped; the word itself never does in a wait.
    let (mut from, mut copied) = (0, sys::peek(start, &mut thread.near));
    if !matches!(copied, Ok(n) if n > NEAR_BEFORE) {
        from = NEAR_BEFORE;
        copied = thread.near.get_mut(from..).map_or(Ok(0), |near| sys::peek(word, near));
    }
    thread.err_near = sys::errno(&copied) as u8;
    if let Ok(n) = copied {
        thread.near_from = from as u16;
        thread.near_to = (from + n).min(NEAR_LEN) as u16;
        thread.flags |= thread_flags::NEAR;
    }
}
