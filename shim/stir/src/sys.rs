//! Every system call of this DSO. None goes through libc, none changes errno.

use core::ffi::CStr;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::AtomicU32;

use hangscope_reader::Memory;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::thread::futex::{self, Flags, Timespec};

use crate::arch;

const PAGE: usize = 4096;

/// CLOCK_MONOTONIC, ns. By the system call: the vdso would have to be found first.
pub(crate) fn now() -> u64 {
    let mut now = [0i64; 2];
    // SAFETY: the kernel writes a timespec (two 64-bit numbers) and nothing else.
    unsafe {
        arch::syscall6(
            libc::SYS_clock_gettime,
            [libc::CLOCK_MONOTONIC as usize, now.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    };
    let [seconds, nanoseconds] = now;
    seconds as u64 * 1_000_000_000 + nanoseconds as u64
}

pub(crate) fn gettid() -> u32 {
    // SAFETY: no arguments.
    unsafe { arch::syscall6(libc::SYS_gettid, [0; 6]) as u32 }
}

/// Waits while the word has this value, at most so many ns. Also returns early, for a signal. False if it may
/// be tried again: there was a signal or a wake.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, timeout_ns: u64) -> bool {
    let timeout = Timespec {
        tv_sec: (timeout_ns / 1_000_000_000) as i64,
        tv_nsec: (timeout_ns % 1_000_000_000) as i64,
    };
    !matches!(futex::wait(word, Flags::PRIVATE, value, Some(&timeout)), Ok(()) | Err(Errno::INTR))
}

pub(crate) fn futex_wake_all(word: &AtomicU32) {
    let _ = futex::wake(word, Flags::PRIVATE, i32::MAX as u32);
}

/// Maps a whole file, shared and writable, if it has at most so many bytes. Gives the memory and its length.
/// What is no ordinary file is neither waited for nor mapped.
pub(crate) fn map_file(path: &CStr, most: u64) -> Option<(NonNull<u8>, usize)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let len = usize::try_from(stat.st_size).ok().filter(|len| *len as u64 <= most)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses a free place. The mapping is never unmapped.
    let at = unsafe { rustix::mm::mmap(null_mut(), len, access, MapFlags::SHARED, &file, 0) }.ok()?;
    Some((NonNull::new(at.cast())?, len))
}

/// Gives back what [`map_at`] has mapped.
///
/// # Safety
/// Nobody may use it any more.
pub(crate) unsafe fn unmap(at: NonNull<u8>, len: usize) {
    // SAFETY: passed on to the caller.
    let _ = unsafe { rustix::mm::munmap(at.as_ptr().cast(), len) };
}

/// Maps memory at this very address, where nothing is mapped.
pub(crate) fn map_at(address: usize, len: usize) -> Option<NonNull<u8>> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: with FIXED_NOREPLACE nothing that is mapped is replaced.
    let at = unsafe { rustix::mm::mmap_anonymous(address as *mut _, len, access, flags) }.ok()?;
    if at as usize != address {
        // A kernel before 4.17 takes the address for a hint.
        // SAFETY: just mapped, and nobody knows it.
        let _ = unsafe { rustix::mm::munmap(at, len) };
        return None;
    }
    NonNull::new(at.cast())
}

/// Makes whole pages executable, and writable or not.
///
/// # Safety
/// The pages must have code, and nobody may rely on that they cannot be written.
pub(crate) unsafe fn make_code(first: usize, end: usize, writable: bool) -> bool {
    let start = first & !(PAGE - 1);
    let write = if writable { MprotectFlags::WRITE } else { MprotectFlags::empty() };
    let access = MprotectFlags::READ | MprotectFlags::EXEC | write;
    // SAFETY: passed on to the caller.
    unsafe { rustix::mm::mprotect(start as *mut _, end.next_multiple_of(PAGE) - start, access) }.is_ok()
}

/// Number of threads of this process; `None` if it cannot be read.
pub(crate) fn threads() -> Option<u32> {
    let file = rustix::fs::open(c"/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0; 1024];
    let n = rustix::io::read(&file, &mut text).ok()?;
    // Field 20, where the one behind the name, which may have any bytes, is field 3 (proc(5)).
    let text = text.get(..n)?;
    let behind_name = text.get(text.iter().rposition(|b| *b == b')')? + 1..)?;
    let field = behind_name.split(|b| *b == b' ').filter(|field| !field.is_empty()).nth(17)?;
    hangscope_reader::text::decimal(field)?.try_into().ok()
}

/// Copies memory of this process to `to`. Gives the number of bytes, up to the first page that is not mapped.
pub(crate) fn copy(from: u64, to: *mut u8, len: usize) -> usize {
    // One iovec for each page: the kernel stops at one that it cannot read whole.
    let first = (PAGE - from as usize % PAGE).min(len);
    let local = libc::iovec { iov_base: to.cast(), iov_len: len };
    let remote = [
        libc::iovec { iov_base: from as *mut libc::c_void, iov_len: first },
        libc::iovec {
            iov_base: (from as usize).wrapping_add(first) as *mut libc::c_void,
            iov_len: len - first,
        },
    ];
    let args = [gettid() as usize, &raw const local as usize, 1, remote.as_ptr() as usize, 2, 0];
    // SAFETY: process_vm_readv writes only what `local` describes, which is the caller's; what the other side
    // describes is only read, and what is not mapped is an error.
    unsafe { arch::syscall6(libc::SYS_process_vm_readv, args) }.max(0) as usize
}

/// The memory of this process, read by the kernel: what is not mapped is an error and not a fault.
pub(crate) struct Own;

impl Memory for Own {
    type Error = ();

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, ()> {
        let n = copy(at, to.as_mut_ptr(), to.len());
        if n == 0 && !to.is_empty() { Err(()) } else { Ok(n) }
    }
}
