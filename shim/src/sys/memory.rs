//! Memory: reading the host's, mapping the shim's own.

use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::file::OwnedFd;
use super::process::gettid;
use super::raw::Errno;
use crate::arch;

const PAGE: usize = 4096;

/// First byte of the strings of argv and of the environment, and the first after them. 0: not known.
static STRINGS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// For the constructor: where those strings are. No copy of memory has them: the environment holds passwords.
pub(crate) fn know_strings(strings: Range<u64>) {
    let [start, end] = &STRINGS;
    start.store(strings.start, Ordering::Relaxed);
    end.store(strings.end, Ordering::Relaxed);
}

/// How many of `len` bytes from `address` on come before those strings; 0 for an address within them.
pub(crate) fn before_strings(address: u64, len: usize) -> usize {
    let [start, end] = &STRINGS;
    let (start, end) = (start.load(Ordering::Relaxed), end.load(Ordering::Relaxed));
    if address >= end || start >= end {
        return len;
    }
    len.min(start.saturating_sub(address) as usize)
}

/// Copies memory of this process, whatever is mapped there. A page that is not readable ends the copy and
/// never faults, and so do the strings of the environment. Gives the number of bytes copied, or an error if
/// not even the first could be copied.
///
/// A page that is not in memory is brought in, which can wait for ever ([`super::Resident`] does not). The
/// memory is named by the calling thread: the process's own id names none after its first thread has ended.
pub(crate) fn peek(address: u64, to: &mut [u8]) -> Result<usize, Errno> {
    const PAGE: u64 = 4096;
    const MOST: usize = 17;
    let allowed = before_strings(address, to.len());
    if allowed == 0 && !to.is_empty() {
        return Err(Errno::FAULT);
    }
    let to = to.get_mut(..allowed).unwrap_or(&mut []);
    // One iovec for each page. process_vm_readv stops at an iovec that it cannot read whole, so with a
    // longer one a guard page would lose the bytes before it (process_vm_readv(2), RETURN VALUE).
    let mut remote = [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; MOST];
    let me = gettid() as usize;
    let mut done = 0;
    while done < to.len() {
        let (mut pieces, mut wanted) = (0, 0);
        for piece in &mut remote {
            let at = address.checked_add((done + wanted) as u64).ok_or(Errno::FAULT)?;
            let len = ((PAGE - at % PAGE) as usize).min(to.len() - done - wanted);
            if len == 0 {
                break;
            }
            *piece = libc::iovec { iov_base: at as *mut libc::c_void, iov_len: len };
            wanted += len;
            pieces += 1;
        }
        let Some(room) = to.get_mut(done..done + wanted) else { break };
        let local = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: wanted };
        let args = [me, &raw const local as usize, 1, remote.as_ptr() as usize, pieces, 0];
        // SAFETY: process_vm_readv writes only into `room`, which `local` describes and which lives; what
        // the remote side describes is only read, and an address that is not mapped is an error, no fault.
        let n = unsafe { arch::syscall6(libc::SYS_process_vm_readv, args) };
        if n <= 0 {
            let failed = if n == 0 { Errno::FAULT } else { Errno::from_raw_os_error(-n as i32) };
            return if done > 0 { Ok(done) } else { Err(failed) };
        }
        done += n as usize;
        if (n as usize) < wanted {
            return Ok(done);
        }
    }
    Ok(done)
}

/// The memory of this process, read with [`peek`].
pub(crate) struct Own;

impl hangscope_reader::Memory for Own {
    type Error = Errno;

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        peek(at, to)
    }
}

/// A 64-bit word of this process.
pub(crate) fn peek_word(address: u64) -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    match peek(address, &mut bytes)? {
        8 => Ok(u64::from_le_bytes(bytes)),
        _ => Err(Errno::FAULT),
    }
}

/// Fresh zeroed memory of the shim's own. Not reserved: pages that are never touched cost nothing.
pub(crate) fn map(len: usize) -> Result<*mut u8, Errno> {
    use rustix::mm::{MapFlags, ProtFlags};
    // SAFETY: an anonymous private mapping at an address that the kernel chooses touches nobody's memory.
    let memory = unsafe {
        rustix::mm::mmap_anonymous(
            core::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    }?;
    Ok(memory.cast())
}

/// Gives back memory that [`map`] gave, and that nobody uses any more.
pub(crate) fn unmap(memory: *mut u8, len: usize) {
    // SAFETY: the shim's own mapping, of that length.
    let _ = unsafe { rustix::mm::munmap(memory.cast(), len) };
}

/// What may become zero at any time while it is lent: bytes.
pub(crate) trait Bytes {}
impl Bytes for u8 {}
impl Bytes for MaybeUninit<u8> {}

/// Gives the whole pages of a buffer back to the kernel. They are zero, and cost nothing, until they are
/// written again. Does nothing where memory is locked (mlockall).
pub(crate) fn give_back<T: Bytes>(buffer: &mut [T]) {
    let bounds = buffer.as_mut_ptr_range();
    let (start, end) = (bounds.start as usize, bounds.end as usize);
    let start = start.next_multiple_of(PAGE);
    if let Some(len) = (end - end % PAGE).checked_sub(start).filter(|len| *len > 0) {
        // SAFETY: whole pages of private anonymous memory that is borrowed for writing, and for whose bytes
        // zero is a value.
        let _ = unsafe { rustix::mm::madvise(start as *mut _, len, rustix::mm::Advice::LinuxDontNeed) };
    }
}

/// Takes the code of a DSO out of the process's memory. Whatever of it is executed later is mapped again,
/// from the page cache.
///
/// # Safety
/// `code` must be a mapping of a file that nobody has written to, since its pages come back as the file has
/// them: such as code without relocations.
pub(crate) unsafe fn unload_code(code: &Range<u64>) {
    if let Some(len) = code.end.checked_sub(code.start).filter(|len| *len > 0) {
        let (start, len) = (code.start as *mut _, len as usize);
        // SAFETY: the caller's promise: what is read there stays the same.
        let _ = unsafe { rustix::mm::madvise(start, len, rustix::mm::Advice::LinuxDontNeed) };
    }
}

/// Maps `len` bytes of a file of the shim's own, shared, for writing.
pub(crate) fn map_shared(file: &OwnedFd, len: usize) -> Result<*mut u8, Errno> {
    use rustix::mm::{MapFlags, ProtFlags};
    // SAFETY: a mapping at an address that the kernel chooses touches nobody's memory.
    let memory = unsafe {
        rustix::mm::mmap(
            core::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            0,
        )
    }?;
    Ok(memory.cast())
}

/// Writes how many bytes of a shared page are valid into its first four bytes, after everything behind them
/// (release): whenever the process ends, a reader of the page finds either nothing or all of it.
pub(crate) fn publish(page: &mut [u8], bytes: usize) {
    let Some(word) = page.first_chunk_mut::<4>().map(|first| first.as_mut_ptr().cast::<u32>()) else {
        return;
    };
    if word.is_aligned() {
        // SAFETY: four bytes that are borrowed for writing, aligned as a word.
        unsafe { AtomicU32::from_ptr(word) }.store((bytes as u32).to_le(), Ordering::Release);
    }
}

/// Makes the shim's own memory inaccessible, to catch a stack that grew too far.
pub(crate) fn guard(memory: *mut u8, len: usize) {
    // SAFETY: the caller's pages are the shim's own, and not used for anything else.
    let _ = unsafe { rustix::mm::mprotect(memory.cast(), len, rustix::mm::MprotectFlags::empty()) };
}
