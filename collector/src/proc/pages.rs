//! Pages of another process that may never come.
//!
//! A page that is not in memory may be served by userfaultfd, or by a file system whose server is gone.
//! `process_vm_readv` then waits, and only SIGKILL ends that wait. So a child process makes the call, and is
//! killed if it takes too long. A thread would not do: one that the kernel cannot end keeps its process.

use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::{ending, pidfd};

/// Most bytes of one read.
pub(crate) const PAGE: usize = 4096;
/// How long one read may take. A page of a busy disk comes sooner.
const LIMIT: Duration = Duration::from_millis(300);
/// After so many pages that did not come no further one is waited for.
const MOST_STUCK: u32 = 3;
/// How long to wait for the end of a child that was killed.
const REAPED: Duration = Duration::from_millis(100);

/// Reads pages with a time limit. The child is started for the first page.
#[derive(Debug, Default)]
pub(crate) struct PageReader {
    child: Option<Child>,
    stuck: u32,
}

impl PageReader {
    /// Reads within one page of the process that the thread belongs to.
    ///
    /// # Errors
    /// The errno of the read; ETIMEDOUT if the page did not come.
    pub(crate) fn read(&mut self, tid: Pid, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        if self.stuck >= MOST_STUCK {
            return Err(Errno::ETIMEDOUT);
        }
        // A child ends with the thread that started it. Then another one is started.
        for _ in 0..2 {
            let child = match self.child.take() {
                Some(child) => child,
                None => {
                    Child::start().map_err(|e| e.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?
                }
            };
            match child.read(tid, at, to) {
                Ok(read) => {
                    self.child = Some(child);
                    return read;
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    self.stuck += 1;
                    return Err(Errno::ETIMEDOUT);
                }
                Err(_) => {}
            }
        }
        Err(Errno::EIO)
    }
}

/// A process that reads; killed when it is dropped.
#[derive(Debug)]
struct Child {
    pid: Pid,
    socket: UnixStream,
}

/// A request: thread, number of bytes, address. The answer: the result (i64, negative: an errno), the bytes.
const REQUEST: usize = 16;

impl Child {
    fn start() -> io::Result<Child> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        // SAFETY: the child touches no heap and no lock: `serve` makes system calls on its own stack only.
        match unsafe { fork() }? {
            ForkResult::Child => serve(theirs.as_raw_fd()),
            ForkResult::Parent { child: pid } => Ok(Child { pid, socket }),
        }
    }

    fn read(&self, tid: Pid, at: u64, to: &mut [u8]) -> io::Result<Result<usize, Errno>> {
        let len = to.len().min(PAGE);
        let mut request = [0; REQUEST];
        let (head, address) = request.split_at_mut(8);
        head.copy_from_slice(&[tid.as_raw().to_le_bytes(), (len as u32).to_le_bytes()].concat());
        address.copy_from_slice(&at.to_le_bytes());
        (&self.socket).write_all(&request)?;
        let mut result = [0; 8];
        (&self.socket).read_exact(&mut result)?;
        let result = i64::from_le_bytes(result);
        let Ok(n) = usize::try_from(result) else { return Ok(Err(Errno::from_raw(-result as i32))) };
        let to = to.get_mut(..n).ok_or(io::ErrorKind::InvalidData)?;
        (&self.socket).read_exact(to)?;
        Ok(Ok(n))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let handle = pidfd::open(self.pid.as_raw() as u32);
        let _ = kill(self.pid, Signal::SIGKILL);
        // One that the kernel keeps is left behind: it ends when the kernel lets it.
        if let Ok(handle) = handle {
            ending::within(&handle, REAPED);
        }
        let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
    }
}

/// The child: answers until the other end is closed.
fn serve(socket: i32) -> ! {
    let _ = set_pdeathsig(Signal::SIGKILL);
    // Ctrl-C is for the parent.
    let _ = SigSet::all().thread_block();
    // SAFETY: the descriptors are this process's own copies. None is used afterwards but number 0.
    unsafe {
        libc::dup2(socket, 0);
        libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0);
    }
    let mut page = [0u8; PAGE];
    loop {
        let mut request = [0u8; REQUEST];
        // SAFETY: reads into an array of that size.
        let n = unsafe { libc::read(0, request.as_mut_ptr().cast(), REQUEST) };
        if n != REQUEST as isize {
            // SAFETY: ends this process, and runs nothing of it.
            unsafe { libc::_exit(0) }
        }
        let [a, b, c, d, e, f, g, h, address @ ..] = request;
        let tid = Pid::from_raw(i32::from_le_bytes([a, b, c, d]));
        let len = (u32::from_le_bytes([e, f, g, h]) as usize).min(PAGE);
        let remote = RemoteIoVec { base: u64::from_le_bytes(address) as usize, len };
        let room = page.get_mut(..len).unwrap_or(&mut []);
        let result = match process_vm_readv(tid, &mut [IoSliceMut::new(room)], &[remote]) {
            Ok(n) => n as i64,
            Err(errno) => -(errno as i64),
        };
        let result = result.to_le_bytes();
        let bytes = usize::try_from(i64::from_le_bytes(result)).unwrap_or(0).min(PAGE);
        // SAFETY: writes from two arrays, not more than they hold.
        unsafe {
            libc::write(0, result.as_ptr().cast(), result.len());
            libc::write(0, page.as_ptr().cast(), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_and_a_missing_one_is_an_error() {
        let mut reader = PageReader::default();
        let here = [7u8; 64];
        let mut to = [0; 64];
        let own = Pid::this();
        assert_eq!(reader.read(own, here.as_ptr() as u64, &mut to), Ok(64));
        assert_eq!(to, here);
        assert_eq!(reader.read(own, 0, &mut to), Err(Errno::EFAULT));
        assert_eq!(reader.read(Pid::from_raw(i32::MAX), 0, &mut to), Err(Errno::ESRCH));
        let pid = reader.child.as_ref().unwrap().pid;
        kill(pid, Signal::SIGKILL).unwrap();
        assert_eq!(reader.read(own, here.as_ptr() as u64, &mut to), Ok(64), "by another child");
        let pid = reader.child.as_ref().unwrap().pid;
        drop(reader);
        assert_eq!(kill(pid, None), Err(Errno::ESRCH), "reaped");
    }

    #[test]
    fn a_child_that_does_not_answer_is_given_up_and_then_nothing_is_waited_for() {
        let mut reader = PageReader::default();
        let own = Pid::this();
        let here = [7u8; 8];
        for _ in 0..MOST_STUCK {
            let mut to = [0; 8];
            assert_eq!(reader.read(own, here.as_ptr() as u64, &mut to), Ok(8));
            let pid = reader.child.as_ref().unwrap().pid;
            kill(pid, Signal::SIGSTOP).unwrap();
            assert_eq!(reader.read(own, here.as_ptr() as u64, &mut to), Err(Errno::ETIMEDOUT));
            assert_eq!(kill(pid, None), Err(Errno::ESRCH), "killed and reaped");
        }
        assert!(reader.child.is_none());
        assert_eq!(reader.read(own, here.as_ptr() as u64, &mut [0; 8]), Err(Errno::ETIMEDOUT));
        assert!(reader.child.is_none());
    }
}
