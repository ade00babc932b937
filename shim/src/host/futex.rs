//! Which system calls are futex waits.

use hangscope_reader::thread;

/// Whether a thread in this system call waits on the futex word that its first argument points to.
pub(crate) fn is_wait(syscall: i32) -> bool {
    thread::is_futex_wait(syscall, libc::SYS_futex as i32)
}
