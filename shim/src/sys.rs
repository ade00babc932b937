//! Every system call of the shim. rustix's (its Linux backend makes them raw, without libc, without errno,
//! without an allocator) where it has them; the few that it has not, by [`crate::arch::syscall6`].
//!
//! Errors are the kernel's numbers ([`Errno`]). Nothing here blocks but [`wait`] and [`futex_wait`], and
//! those have a timeout.

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

/// Memory of this process, all of `N` bytes or nothing.
pub(crate) fn peek_array<const N: usize>(address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (peek(address, &mut bytes) == Ok(N)).then_some(bytes)
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

/// Ends this thread, not the process.
pub(crate) fn exit_thread() -> ! {
    loop {
        // SAFETY: exit takes no pointer and does not return.
        let _ = unsafe { raw(libc::SYS_exit, [0; 6]) };
    }
}

/// A signal set as the kernel has it: bit n-1 is signal n.
const SIGSET_BYTES: usize = 8;

/// Sets this thread's mask of blocked signals and gives the old one.
pub(crate) fn set_signal_mask(mask: u64) -> Result<u64, Errno> {
    let mut old = 0u64;
    let args =
        [libc::SIG_SETMASK as usize, &raw const mask as usize, &raw mut old as usize, SIGSET_BYTES, 0, 0];
    // SAFETY: both sets are live words of the size that is given.
    unsafe { raw(libc::SYS_rt_sigprocmask, args) }?;
    Ok(old)
}

/// The kernel's `struct sigaction` (not libc's).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KernelAction {
    pub(crate) handler: usize,
    pub(crate) flags: u64,
    pub(crate) restorer: usize,
    pub(crate) mask: u64,
}

/// Reads, and with `new` sets, what a signal does.
///
/// # Safety
/// A handler in `new` must be safe to run on any thread of the process at any instruction.
pub(crate) unsafe fn action(signal: u32, new: Option<&KernelAction>) -> Result<KernelAction, Errno> {
    let mut old = KernelAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    let new = new.map_or(0, |n| core::ptr::from_ref(n) as usize);
    // SAFETY: both structures are the kernel's own layout and live; the handler is the caller's promise.
    unsafe {
        raw(libc::SYS_rt_sigaction, [signal as usize, new, &raw mut old as usize, SIGSET_BYTES, 0, 0])
    }?;
    Ok(old)
}

/// Sends `signal` with `value` to one thread of this process.
pub(crate) fn queue_signal(pid: u32, tid: u32, signal: u32, value: u64) -> Result<(), Errno> {
    // siginfo_t as rt_tgsigqueueinfo(2) wants it: si_signo, si_errno, si_code, then (8-aligned) si_pid,
    // si_uid, si_value.
    let mut info = [0u64; 16];
    info[0] = u64::from(signal);
    info[1] = u64::from(libc::SI_QUEUE as u32);
    info[2] = u64::from(pid) | u64::from(users().0) << 32;
    info[3] = value;
    let args = [pid as usize, tid as usize, signal as usize, info.as_ptr() as usize, 0, 0];
    // SAFETY: `info` is 128 bytes, the size of a siginfo_t, and only read.
    unsafe { raw(libc::SYS_rt_tgsigqueueinfo, args) }.map(|_| ())
}

/// Starts the watchdog's thread: shares memory and signal handlers, and for the moment the descriptor table,
/// which it leaves with [`own_descriptors`] before anything else. Not the file system context: the host may
/// change directory or root, and may want to be the only user of its own (setns(2)).
///
/// # Safety
/// As [`arch::clone_thread`].
pub(crate) unsafe fn start_thread(
    stack_top: *mut u8,
    tls: *mut u8,
    entry: extern "C" fn(*mut u8),
    arg: *mut u8,
) -> Result<u32, Errno> {
    let flags = libc::CLONE_VM
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS;
    // SAFETY: passed on to the caller.
    let tid = unsafe { arch::clone_thread(flags as usize, stack_top, tls, entry, arg) };
    if tid < 0 { Err(Errno::from_raw_os_error(-tid as i32)) } else { Ok(tid as u32) }
}

/// Gives this thread an empty descriptor table of its own. In one step where the kernel can (close_range(2),
/// Linux 5.9): the host's descriptors are then never held twice, not even for a moment.
pub(crate) fn own_descriptors() -> Result<(), Errno> {
    const CLOSE_RANGE_UNSHARE: usize = 2;
    // SAFETY: no pointers; the table that is closed is this thread's own copy.
    if unsafe { raw(libc::SYS_close_range, [0, u32::MAX as usize, CLOSE_RANGE_UNSHARE, 0, 0, 0]) }.is_ok() {
        return Ok(());
    }
    // SAFETY: no pointers.
    unsafe { raw(libc::SYS_unshare, [libc::CLONE_FILES as usize, 0, 0, 0, 0, 0]) }?;
    for fd in 0..65536 {
        // SAFETY: after unshare this closes only in this thread's own table, where nothing is ours yet.
        let _ = unsafe { raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
    }
    Ok(())
}

/// Leaves the host's working directory, so that it does not stay busy after the host left it.
pub(crate) fn leave_directory() {
    let _ = rustix::process::chdir(c"/");
}

/// PR_GET_DUMPABLE.
pub(crate) fn dumpable() -> usize {
    // SAFETY: no pointers.
    unsafe { raw(libc::SYS_prctl, [libc::PR_GET_DUMPABLE as usize, 0, 0, 0, 0, 0]) }.unwrap_or(0)
}

/// PR_SET_DUMPABLE, 0 or 1.
pub(crate) fn set_dumpable(value: usize) {
    // SAFETY: no pointers.
    let _ = unsafe { raw(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, value, 0, 0, 0, 0]) };
}

pub(crate) fn set_no_new_privileges() {
    // SAFETY: no pointers.
    let _ = unsafe { raw(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0, 0]) };
}

/// Drops a capability from this thread's bounding set.
pub(crate) fn drop_bounding(capability: u32) {
    // SAFETY: no pointers.
    let _ =
        unsafe { raw(libc::SYS_prctl, [libc::PR_CAPBSET_DROP as usize, capability as usize, 0, 0, 0, 0]) };
}

/// Supplementary groups of this thread alone (the raw call, not libc's, which speaks for all threads).
pub(crate) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the list is live and as long as is said.
    unsafe { raw(libc::SYS_setgroups, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Real, effective, saved and file system group of this thread alone.
pub(crate) fn set_gids(ids: &[u32; 4]) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        raw(libc::SYS_setresgid, [ids[0] as usize, ids[1] as usize, ids[2] as usize, 0, 0, 0])?;
        raw(libc::SYS_setfsgid, [ids[3] as usize, 0, 0, 0, 0, 0]).map(|_| ())
    }
}

/// Real, effective, saved and file system user of this thread alone.
pub(crate) fn set_uids(ids: &[u32; 4]) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        raw(libc::SYS_setresuid, [ids[0] as usize, ids[1] as usize, ids[2] as usize, 0, 0, 0])?;
        raw(libc::SYS_setfsuid, [ids[3] as usize, 0, 0, 0, 0, 0]).map(|_| ())
    }
}

/// Capabilities of this thread (capset(2), version 3: two words of each, low halves first).
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [
        low(effective),
        low(permitted),
        low(inheritable),
        high(effective),
        high(permitted),
        high(inheritable),
    ];
    // SAFETY: both are live and of the sizes that version 3 has.
    unsafe { raw(libc::SYS_capset, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }
        .map(|_| ())
}
