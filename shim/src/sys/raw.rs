//! System calls that rustix does not have.

pub(crate) use rustix::io::Errno;

use crate::arch;

/// errno of a result, 0 for success.
pub(crate) fn errno<T>(result: &Result<T, Errno>) -> u32 {
    result.as_ref().err().map_or(0, |e| e.raw_os_error() as u32)
}

/// Makes a system call. A negative result becomes an error.
///
/// # Safety
/// As [`arch::syscall6`].
pub(crate) unsafe fn raw(nr: i64, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: passed on to the caller.
    let ret = unsafe { arch::syscall6(nr, args) };
    if ret < 0 { Err(Errno::from_raw_os_error(-ret as i32)) } else { Ok(ret as usize) }
}
