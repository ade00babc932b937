//! Every system call of the shim. rustix's (its Linux backend makes them raw, without libc, without errno,
//! without an allocator) where it has them; the few that it has not, by [`crate::arch::syscall6`].
//!
//! Errors are the kernel's numbers ([`Errno`]). Nothing here blocks but [`wait`] and [`futex_wait`], and
//! those have a timeout.

mod sched;
mod thread;

pub(crate) use sched::*;
pub(crate) use thread::*;

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags};
pub(crate) use rustix::fd::OwnedFd;
use rustix::fd::{AsFd, BorrowedFd};
pub(crate) use rustix::fs::Stat;
use rustix::fs::{AtFlags, Mode, OFlags};
pub(crate) use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::time::{ClockId, Timespec};

use crate::arch;

/// errno of a result, 0 for success.
pub(crate) fn errno<T>(result: &Result<T, Errno>) -> u32 {
    result.as_ref().err().map_or(0, |e| e.raw_os_error() as u32)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let t = rustix::time::clock_gettime(clock);
    (t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64)
}

/// CLOCK_MONOTONIC, ns.
pub(crate) fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// CLOCK_REALTIME, ns.
pub(crate) fn wall_clock() -> u64 {
    nanoseconds(ClockId::Realtime)
}

/// CPU time of this thread, ns.
pub(crate) fn thread_cpu() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// CPU time of the process, ns.
pub(crate) fn process_cpu() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

pub(crate) fn gettid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// This process, as [`know_pid`] found it.
static PID: AtomicU32 = AtomicU32::new(0);

/// Asks the kernel once for all later [`getpid`]s: in the constructor, and in a forked child.
pub(crate) fn know_pid() {
    PID.store(rustix::process::getpid().as_raw_nonzero().get() as u32, Ordering::Relaxed);
}

pub(crate) fn getpid() -> u32 {
    PID.load(Ordering::Relaxed)
}

/// Whether this is the process that [`know_pid`] asked for, and not a child that nobody told.
pub(crate) fn is_the_same_process() -> bool {
    rustix::process::getpid().as_raw_nonzero().get() as u32 == getpid()
}

pub(crate) fn getppid() -> u32 {
    rustix::process::getppid().map_or(0, |p| p.as_raw_nonzero().get() as u32)
}

/// Real and effective user.
pub(crate) fn users() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw())
}

pub(crate) fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

pub(crate) fn open_read(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}

/// Opens a file of the host's that may be anything by now: never blocks on a FIFO.
pub(crate) fn open_regular(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK,
        Mode::empty(),
    )
}

pub(crate) fn open_dir(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty())
}

pub(crate) fn open_at(dir: &OwnedFd, path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn read(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::read(file, &mut *buffer) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

pub(crate) fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    rustix::io::pread(file, buffer, offset)
}

pub(crate) fn write_at(file: &OwnedFd, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    rustix::io::pwrite(file, bytes, offset)
}

/// Target of a link; the bytes that fit.
pub(crate) fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let n = rustix::fs::readlinkat_raw(rustix::fs::CWD, path, &mut *buffer)?;
    Ok(buffer.get(..n).unwrap_or(&[]))
}

pub(crate) fn stat(path: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty())
}

pub(crate) fn fstat(file: &OwnedFd) -> Result<Stat, Errno> {
    rustix::fs::fstat(file)
}

pub(crate) fn memfd(name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)
}

/// A memfd of a size that nobody can change, with all of its pages there: a write to a mapping of it cannot fault.
pub(crate) fn sealed_memfd(name: &CStr, size: usize) -> Result<OwnedFd, Errno> {
    use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Copies from the start of `from` to the end of `to`, in the kernel; gives the bytes copied.
pub(crate) fn send_file(to: &OwnedFd, from: &OwnedFd, size: usize) -> Result<usize, Errno> {
    let mut offset = 0;
    let mut done = 0;
    while done < size {
        match rustix::fs::sendfile(to, from, Some(&mut offset), size - done)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

/// Calls `each` for the name of every entry of an open directory, from its start.
pub(crate) fn entries(
    dir: &OwnedFd,
    buffer: &mut [MaybeUninit<u8>],
    mut each: impl FnMut(&[u8]),
) -> Result<(), Errno> {
    rustix::fs::seek(dir, rustix::fs::SeekFrom::Start(0))?;
    let mut entries = rustix::fs::RawDir::new(dir, buffer);
    while let Some(entry) = entries.next() {
        each(entry?.file_name().to_bytes());
    }
    Ok(())
}

/// Memory of this process, whatever is mapped there: a page that is not readable ends the copy, it never
/// faults. Gives the bytes copied; an error if not even the first could be.
pub(crate) fn peek(address: u64, to: &mut [u8]) -> Result<usize, Errno> {
    const PAGE: u64 = 4096;
    const MOST: usize = 17;
    // One iovec a page: process_vm_readv stops at an iovec that it cannot read whole, so a guard page
    // would otherwise lose what is before it (process_vm_readv(2), RETURN VALUE).
    let mut remote = [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; MOST];
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
        let args = [getpid() as usize, &raw const local as usize, 1, remote.as_ptr() as usize, pieces, 0];
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

/// Makes the shim's own memory inaccessible, to catch a stack that grew too far.
pub(crate) fn guard(memory: *mut u8, len: usize) {
    // SAFETY: the caller's pages are the shim's own, and not used for anything else.
    let _ = unsafe { rustix::mm::mprotect(memory.cast(), len, rustix::mm::MprotectFlags::empty()) };
}

/// Connects to the collector; never blocks (a full backlog is EAGAIN).
pub(crate) fn connect(path: &CStr) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // As much as the system allows: a dump then goes out without waiting.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, 4 << 20);
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Sends one message, whole or not at all; EAGAIN if the socket is full.
pub(crate) fn send(socket: &OwnedFd, message: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(|_| ())
}

/// Sends one message with a descriptor.
pub(crate) fn send_with_fd(socket: &OwnedFd, message: &[u8], fd: &OwnedFd) -> Result<(), Errno> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let data = [rustix::io::IoSlice::new(message)];
    sendmsg(socket, &data, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(|_| ())
}

/// Receives one message; EAGAIN if there is none, `Ok(0)` if the other side is gone.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(_, n)| n)
}

fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}

/// What to wait for on a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
}

/// Waits until the socket can be read (or written), or the time is over. Without a socket, just the time.
/// True if the socket is ready (or broken: the next call on it will tell).
pub(crate) fn wait(socket: Option<&OwnedFd>, what: For, ns: u64) -> bool {
    let flags = if what == For::Reading { PollFlags::IN } else { PollFlags::OUT };
    let timeout = timespec(ns);
    let ready = match socket {
        Some(socket) => {
            let fd: BorrowedFd<'_> = socket.as_fd();
            rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&timeout))
        }
        None => rustix::event::poll(&mut [], Some(&timeout)),
    };
    matches!(ready, Ok(n) if n > 0)
}

/// Waits until `word` is no longer `value`, or for `ns`.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, ns: u64) {
    let _ =
        rustix::thread::futex::wait(word, rustix::thread::futex::Flags::PRIVATE, value, Some(&timespec(ns)));
}

pub(crate) fn futex_wake(word: &AtomicU32) {
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::PRIVATE, i32::MAX as u32);
}

/// One line for HANGSCOPE_DEBUG, to the host's stderr.
pub(crate) fn debug_line(line: &[u8]) {
    // SAFETY: descriptor 2 is borrowed for this one write; if the host closed it, the write fails with EBADF.
    let _ = rustix::io::write(unsafe { rustix::stdio::stderr() }, line);
}

/// `arch::syscall6` with the kernel's error taken out.
///
/// # Safety
/// As [`arch::syscall6`].
pub(crate) unsafe fn raw(nr: i64, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: passed on to the caller.
    let ret = unsafe { arch::syscall6(nr, args) };
    if ret < 0 { Err(Errno::from_raw_os_error(-ret as i32)) } else { Ok(ret as usize) }
}
